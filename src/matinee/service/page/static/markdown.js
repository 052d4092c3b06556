// The few forms of Markdown that a model card uses, as elements that hold text and nothing else.

import { h } from "./dom.js";

const INLINE =
  /\\([\\`*_[\]<>|#])|(`[^`]+`)|(\*\*[^*]+\*\*)|(\*[^*\s][^*]*\*)|\[([^\]]+)\]\(([^)\s]+)\)/g;

/** A line's pieces: code, strong, emphasis, and links that lead to http or within the page. */
function inline(text) {
  const pieces = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    pieces.push(text.slice(from, match.index));
    const [whole, escaped, code, strong, soft, words, target] = match;
    if (escaped) pieces.push(escaped);
    else if (code) pieces.push(h("code", {}, code.slice(1, -1)));
    else if (strong) pieces.push(h("strong", {}, strong.slice(2, -2)));
    else if (soft) pieces.push(h("em", {}, soft.slice(1, -1)));
    else
      pieces.push(
        /^(https?:\/\/|#)/.test(target)
          ? h("a", { href: target, rel: "noopener noreferrer" }, words)
          : words,
      );
    from = match.index + whole.length;
  }
  return [...pieces, text.slice(from)];
}

const cells = (line) =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
const isRule = (line) => /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/.test(line ?? "");

function table(lines) {
  const [head, , ...rows] = lines.map(cells);
  const empties = head.every((cell) => !cell);
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": "Table" },
    h(
      "table",
      {},
      !empties &&
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            head.map((cell) => h("th", { scope: "col" }, inline(cell))),
          ),
        ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            {},
            row.map((cell) => h("td", {}, inline(cell))),
          ),
        ),
      ),
    ),
  );
}

/** Elements for a text in Markdown; headings start at level 2, for the page has its own first. */
export function markdown(text) {
  const lines = text
    .replaceAll("\r", "")
    .replace(/^---\n[\s\S]*?\n---\n/, "")
    .split("\n");
  const blocks = [];
  let at = 0;
  const take = (test) => {
    const taken = [];
    while (at < lines.length && test(lines[at])) taken.push(lines[at++]);
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (!line.trim()) at += 1;
    else if (heading) {
      blocks.push(h(`h${Math.min(6, heading[1].length + 1)}`, {}, inline(heading[2])));
      at += 1;
    } else if (line.startsWith("```")) {
      at += 1;
      blocks.push(
        h("pre", { tabindex: 0 }, h("code", {}, take((one) => !one.startsWith("```")).join("\n"))),
      );
      at += 1;
    } else if (line.includes("|") && isRule(lines[at + 1])) {
      blocks.push(table(take((one) => one.includes("|"))));
    } else if (/^\s*[-*]\s+/.test(line)) {
      const items = take((one) => /^\s*[-*]\s+|^\s{2,}\S/.test(one));
      blocks.push(
        h(
          "ul",
          {},
          joined(items).map((item) => h("li", {}, inline(item))),
        ),
      );
    } else if (line.startsWith(">")) {
      blocks.push(
        h(
          "blockquote",
          {},
          inline(
            take((one) => one.startsWith(">"))
              .map((one) => one.replace(/^>\s?/, ""))
              .join(" "),
          ),
        ),
      );
    } else {
      const first = lines[at++];
      blocks.push(
        h(
          "p",
          {},
          inline(
            [first, ...take((one) => one.trim() && !/^(#{1,6}\s|```|>|\s*[-*]\s)/.test(one))].join(
              " ",
            ),
          ),
        ),
      );
    }
  }
  return blocks;
}

/** Items of a list whose lines continue on indented ones. */
function joined(lines) {
  const items = [];
  for (const line of lines) {
    if (/^\s*[-*]\s+/.test(line)) items.push(line.replace(/^\s*[-*]\s+/, ""));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return items;
}
