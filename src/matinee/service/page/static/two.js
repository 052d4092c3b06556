// Two people on one device, and one list that suits both.

import * as api from "./api.js";
import { choice } from "./controls.js";
import { ratingDeck } from "./deck.js";
import { byId, empty, h, showProblem } from "./dom.js";
import { doneWaiting, showList, showWaiting } from "./list.js";
import { keep, kept, WINDOW } from "./kept.js";
import * as mine from "./mine_state.js";
import { searchBox } from "./search.js";

const STRATEGIES = { average: "happy on average", least_misery: "no one suffers" };
const [list, problem] = [byId("list"), byId("problem")];
let [scale, asking] = [null, null];
let strategy = Object.hasOwn(STRATEGIES, kept("strategy")) ? kept("strategy") : "average";

/** The second person: ratings that no server keeps. */
const guest = {
  ratings: new Map(),
  load() {
    const given = kept("guest", WINDOW);
    const usable = (Array.isArray(given) ? given : []).filter((one) =>
      Number.isFinite(one?.rating),
    );
    this.ratings = new Map(usable.map((one) => [String(one.item_id), one]));
  },
  set(item, rating) {
    if (rating === null) this.ratings.delete(String(item.item_id));
    else this.ratings.set(String(item.item_id), { item_id: item.item_id, rating });
    keep("guest", [...this.ratings.values()], WINDOW);
    refresh();
  },
};

const PEOPLE = [
  {
    place: byId("one"),
    name: "You",
    hint: "What you have rated here counts already.",
    ratingOf: (itemId) => mine.ratingOf(itemId),
    rate: (item, rating) => mine.set(item, rating === null ? { kind: "seen" } : { rating }),
    clear: (item) => mine.set(item, null),
    count: () => mine.ratings().length,
    member: () => ({ ratings: mine.asRequest().ratings }),
  },
  {
    place: byId("other"),
    name: "Your guest",
    hint: "Their ratings stay in this window, and are gone when it is closed.",
    ratingOf: (itemId) => guest.ratings.get(String(itemId))?.rating ?? null,
    rate: (item, rating) => guest.set(item, rating),
    clear: (item) => guest.set(item, null),
    count: () => guest.ratings.size,
    member: () => ({ ratings: [...guest.ratings.values()] }),
  },
];

/** The merged list, once both have said something. */
async function refresh() {
  asking?.abort();
  PEOPLE.forEach((person) => {
    person.counter.textContent = `${person.count()} rated`;
  });
  const silent = PEOPLE.filter((person) => !person.count());
  if (silent.length) {
    doneWaiting(list);
    const who =
      silent.length === 2
        ? "Both of you rate"
        : silent[0].name === "You"
          ? "You rate"
          : "Your guest rates";
    empty(list, h("li", { class: "plea" }, `${who} a movie or two, then the list begins.`));
    return;
  }
  const now = (asking = new AbortController());
  if (!list.querySelector(".card")) showWaiting(empty(list));
  try {
    const items = await api.forGroup(
      PEOPLE.map((person) => person.member()),
      strategy,
      12,
      now.signal,
    );
    if (asking !== now) return;
    empty(problem);
    doneWaiting(list);
    showList(list, items, scale, {}, verdict);
  } catch (error) {
    if (now.signal.aborted) return;
    doneWaiting(list);
    showProblem(problem, error, refresh);
  }
}

function verdict(item) {
  if (!item.members) return null;
  return h(
    "dl",
    { class: "both" },
    item.members.map((value, at) =>
      h(
        "div",
        {},
        h("dt", {}, at === 0 ? "You" : "Guest"),
        h("dd", {}, value === null ? "–" : value.toFixed(1)),
      ),
    ),
  );
}

/** One person's movies to rate and a search for others. */
async function seat(person) {
  const box = h("div", { class: "search" });
  const trouble = h("div", {});
  const deck = h("ul", { class: "deck", "aria-label": `Movies for ${person.name} to rate` });
  person.counter = h("p", { class: "aside" });
  const others = h(
    "button",
    { type: "button", class: "small", onclick: () => person.deck.deal(trouble) },
    "Other movies",
  );
  empty(
    person.place,
    h("div", { class: "heading" }, h("h2", {}, person.name), person.counter),
    h("p", { class: "aside" }, person.hint),
    box,
    trouble,
    deck,
    h("p", { class: "after-deck" }, others),
  );
  person.deck = ratingDeck(deck, scale, { ...person, shown: 6 });
  searchBox(box, `A movie ${person.name === "You" ? "you have" : "your guest has"} seen`, (item) =>
    person.deck.add(item),
  );
  await person.deck.deal(trouble);
}

async function start() {
  let model;
  guest.load();
  showWaiting(list);
  try {
    [model] = await Promise.all([api.model(), mine.load()]);
  } catch (error) {
    showProblem(problem, error, start);
    return;
  }
  empty(problem);
  scale = model.scale;
  if (!scale) {
    PEOPLE.forEach(({ place }) => place.remove());
    empty(list, h("li", { class: "plea" }, "This model knows no ratings, so it cannot weigh two."));
    document.documentElement.dataset.ready = "true";
    return;
  }
  empty(
    byId("strategy"),
    choice("How to choose for both", STRATEGIES, strategy, (chosen) => {
      strategy = chosen;
      keep("strategy", strategy);
      refresh();
    }),
  );
  mine.onChange(() => {
    PEOPLE[0].deck.show();
    refresh();
  });
  await Promise.all(PEOPLE.map(seat));
  await refresh();
  document.documentElement.dataset.ready = "true";
}

start();
