// Every request of the page goes through here, to its own origin.

import { inPath } from "./dom.js";

const BASE = "/api/v1";
const LARGEST = 2 ** 23; // bytes of a file that the service reads
const SLOW = 12000; // milliseconds, after which a request is given up

/** A request that failed, in a line that a person can read. */
export class Problem extends Error {
  constructor(line, status = 0) {
    super(line);
    this.status = status;
  }
  /** Whether the same request would fail the same way. */
  get isLasting() {
    return this.status >= 400 && this.status < 500 && this.status !== 429;
  }
}

const OFFLINE = "You seem to be offline. What you rate is sent when the connection is back.";

function lineFor(status, detail) {
  if (status === 429) return "That was a lot at once. Wait a moment, then try again.";
  if (status === 413) return "That is too large to be read here.";
  if (status >= 500) return "The server cannot answer right now.";
  if (!detail) return "That did not work.";
  return detail[0].toUpperCase() + detail.slice(1);
}

/** Whole numbers that JavaScript would round stay texts: ids may be that long. */
function exact(_, value, { source } = {}) {
  const isRounded = Number.isInteger(value) && !Number.isSafeInteger(value);
  return isRounded && source ? source : value;
}

async function ask(method, path, { body, type, signal, query } = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") search.append(name, value);
  }
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Matinee"] = "page"; // other sites cannot send it
  if (body !== undefined) headers["Content-Type"] = type ?? "application/json";
  const limits = [AbortSignal.timeout(SLOW), ...(signal ? [signal] : [])];
  let answer;
  try {
    answer = await fetch(`${BASE}${path}${search.size ? `?${search}` : ""}`, {
      method,
      headers,
      body: body === undefined || type ? body : JSON.stringify(body),
      credentials: "same-origin",
      keepalive: method === "PUT" || method === "DELETE", // arrives even if the page is left
      signal: AbortSignal.any(limits),
    });
    if (answer.status === 204) return null;
    if (answer.ok) return JSON.parse(await answer.text(), exact);
  } catch (error) {
    if (signal?.aborted) throw error;
    if (error.name === "TimeoutError") throw new Problem("The server takes too long to answer.");
    throw new Problem(navigator.onLine ? "The server cannot be reached." : OFFLINE);
  }
  const said = await answer.json().catch(() => ({}));
  throw new Problem(lineFor(answer.status, said.detail ?? said.title), answer.status);
}

export const search = (q, signal) =>
  ask("GET", "/items", { query: { q, limit: 8 }, signal }).then((answer) => answer.items);

export const item = (itemId) => ask("GET", `/items/${inPath(itemId)}`);

export const similar = (itemId, measure, signal) =>
  ask("GET", `/items/${inPath(itemId)}/similar`, { query: { n: 12, measure }, signal }).then(
    (answer) => answer.items,
  );

export const first = (n) =>
  ask("GET", "/me/first", { query: { n } }).then((answer) => answer.items);

export const recommendations = (request, signal) =>
  ask("POST", "/recommendations", { body: request, signal }).then((answer) => answer.items);

export const forGroup = (members, strategy, n, signal) =>
  ask("POST", "/recommendations/group", { body: { members, strategy, n }, signal }).then(
    (answer) => answer.items,
  );

export const map = () => ask("GET", "/map").then((answer) => answer.items);

let described;
/** What the served model is; asked for once a page. */
export function model() {
  described ??= ask("GET", "/model").catch((error) => {
    described = undefined;
    throw error;
  });
  return described;
}

/** All that this browser's user has rated or marked. */
export async function feedback() {
  const all = [];
  let cursor;
  do {
    const page = await ask("GET", "/me/feedback", { query: { cursor, limit: 200 } });
    all.push(...page.feedback);
    cursor = page.next_cursor;
  } while (cursor);
  return all;
}

export const putFeedback = (itemId, what) =>
  ask("PUT", `/me/feedback/${inPath(itemId)}`, { body: what });

export const deleteFeedback = (itemId) => ask("DELETE", `/me/feedback/${inPath(itemId)}`);

/** Sends a file of ratings: a CSV, or the ZIP in which Letterboxd packs it. */
export function importFeedback(file) {
  if (file.size > LARGEST)
    throw new Problem("That is more than 8 MB, too large for a file of ratings.", 413);
  const type = /\.zip$/i.test(file.name) ? "application/zip" : "text/csv";
  return ask("POST", "/me/import", { body: file, type });
}

export const forgetMe = () => ask("DELETE", "/me");
