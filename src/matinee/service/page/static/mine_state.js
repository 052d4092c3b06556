// What this browser's user has rated and marked: here at once, on the server right after.

import * as api from "./api.js";
import { h, hideNotice, notice, spoken } from "./dom.js";
import { keep, kept } from "./kept.js";

const JOURNAL = "unsent";
const MOST_POSTED = 1000; // ratings sent with a request for a list: the latest ones

const known = new Map(); // id as text: {item_id, title, rating, kind, updated_at}
const unsent = new Map(); // id as text: {item, what}, of which what null is a removal
const sending = new Map(); // id as text: the promise of the request that is under way
const listeners = new Set();

const key = (itemId) => String(itemId);

/** Keeps what is not yet sent through a reload. */
const remember = () => keep(JOURNAL, unsent.size ? [...unsent.values()] : null);

function recall() {
  const entries = kept(JOURNAL);
  for (const entry of Array.isArray(entries) ? entries : []) {
    const itemId = entry?.item?.item_id;
    if (["number", "string"].includes(typeof itemId) && !unsent.has(key(itemId)))
      unsent.set(key(itemId), { item: entry.item, what: entry.what ?? null });
  }
}

/** Reads everything from the server; what is not yet sent stays as it is here. */
export async function load() {
  const all = await api.feedback();
  known.clear();
  for (const one of all.toSorted((a, b) => (a.updated_at < b.updated_at ? -1 : 1)))
    known.set(key(one.item_id), one);
  recall();
  for (const { item, what } of unsent.values()) know(item, what);
  tell();
  if (unsent.size) sendAll();
}

export const onChange = (listener) => listeners.add(listener);
const tell = () => listeners.forEach((listener) => listener());

export const all = () => [...known.values()].reverse();
export const ratings = () => all().filter((one) => one.kind === "rating");
export const marked = (kind) => all().filter((one) => one.kind === kind);
export const of = (itemId) => known.get(key(itemId));
export const ratingOf = (itemId) => of(itemId)?.rating ?? null;

function know(item, what) {
  known.delete(key(item.item_id));
  if (!what) return;
  known.set(key(item.item_id), {
    item_id: item.item_id,
    title: item.title,
    year: item.year,
    genres: item.genres,
    rating: what.rating ?? null,
    kind: what.kind ?? "rating",
    updated_at: new Date().toISOString(),
  });
}

/** Rates ({rating}), marks ({kind}) or, with null, removes; shown before it is sent. */
export function set(item, what) {
  know(item, what);
  unsent.set(key(item.item_id), { item, what });
  remember();
  tell();
  return send(key(item.item_id));
}

/** Sends one movie's latest state. One request at a time for each, so the last word wins. */
function send(itemKey) {
  const before = sending.get(itemKey) ?? Promise.resolve();
  const now = before.then(async () => {
    const latest = unsent.get(itemKey);
    if (!latest) return;
    try {
      if (latest.what) await api.putFeedback(latest.item.item_id, latest.what);
      else await api.deleteFeedback(latest.item.item_id);
      if (unsent.get(itemKey) === latest) unsent.delete(itemKey);
    } catch (error) {
      if (error.status === 404 && !latest.what) unsent.delete(itemKey);
      else complain(latest.item, error);
    }
    remember();
  });
  sending.set(itemKey, now);
  return now;
}

function complain(item, error) {
  const retry = h("button", { type: "button", class: "button", onclick: sendAll }, "Try again");
  notice(`${spoken(item)} is not saved yet. ${error.message}`, retry);
}

export function sendAll() {
  hideNotice();
  return Promise.all([...unsent.keys()].map(send));
}

addEventListener("online", sendAll);

/** Everything of this user, here and on the server, is gone. */
export async function forget() {
  await Promise.all(sending.values());
  await api.forgetMe();
  known.clear();
  unsent.clear();
  remember();
  tell();
}

/** What a request for a list says of this user, the latest last; `without` are ids of reasons taken out. */
export function asRequest(without = new Set()) {
  const counted = all().filter((one) => !without.has(key(one.item_id)));
  const rated = counted.filter((one) => one.rating !== null).slice(0, MOST_POSTED);
  const items = counted
    .filter((one) => one.kind === "seen" && one.rating === null)
    .slice(0, MOST_POSTED);
  return {
    ratings: rated.toReversed().map(({ item_id, rating }) => ({ item_id, rating })),
    items: items.toReversed().map(({ item_id }) => item_id),
    exclude: all()
      .filter((one) => one.kind !== "rating" || without.has(key(one.item_id)))
      .map(({ item_id }) => item_id)
      .slice(0, MOST_POSTED),
  };
}
