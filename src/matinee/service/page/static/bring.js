// Files of ratings that a person brings: a CSV, or the ZIP in which Letterboxd packs it.

import { Problem } from "./api.js";

const LARGEST = 8 * 1024 * 1024; // bytes of text
const [END, ENTRY] = [0x06054b50, 0x02014b50]; // signatures in a ZIP

/** The text of a dropped file; a ZIP is opened for its `ratings.csv`. */
export async function textOf(file) {
  if (file.size > LARGEST)
    throw new Problem("That is more than 8 MB, too large for a file of ratings.");
  const bytes = new Uint8Array(await file.arrayBuffer());
  const content = bytes[0] === 0x50 && bytes[1] === 0x4b ? await ratingsIn(bytes) : bytes;
  return new TextDecoder().decode(content);
}

/** The unpacked `ratings.csv` of a ZIP (PKWARE's APPNOTE, 4.3). */
async function ratingsIn(bytes) {
  const view = new DataView(bytes.buffer);
  try {
    let end = bytes.length - 22;
    while (end > 0 && view.getUint32(end, true) !== END) end -= 1;
    let at = view.getUint32(end + 16, true);
    for (let entry = view.getUint16(end + 10, true); entry > 0; entry -= 1) {
      if (view.getUint32(at, true) !== ENTRY) break;
      const [name, extra, comment] = [28, 30, 32].map((offset) =>
        view.getUint16(at + offset, true),
      );
      const path = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name));
      if (path === "ratings.csv") return await unpack(bytes, view, at);
      at += 46 + name + extra + comment;
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem("That ZIP file is damaged.");
  }
  throw new Problem("There is no ratings.csv in that ZIP file.");
}

async function unpack(bytes, view, entry) {
  const [method, packed, start] = [
    view.getUint16(entry + 10, true),
    view.getUint32(entry + 20, true),
    view.getUint32(entry + 42, true),
  ];
  const from = start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
  const content = bytes.subarray(from, from + packed);
  if (method === 0) return content;
  if (method !== 8) throw new Problem("That ZIP file is packed in a way that is not known here.");
  const parts = [];
  let size = 0;
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  // counted while it is unpacked: what a ZIP says of its size need not be true
  for (const reader = stream.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > LARGEST) {
      await reader.cancel();
      throw new Problem("The ratings in that ZIP file are more than 8 MB.");
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
