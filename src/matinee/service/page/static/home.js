// Rate a few movies, and watch the list answer.

import * as api from "./api.js";
import { choice, listControls } from "./controls.js";
import { ratingDeck } from "./deck.js";
import { byId, empty, h, hideNotice, notice, showProblem, spoken } from "./dom.js";
import { doneWaiting, showList, showWaiting } from "./list.js";
import * as mine from "./mine_state.js";
import { ratingControl } from "./rating.js";
import { searchBox } from "./search.js";

const [list, problem] = [byId("list"), byId("problem")];
const without = new Map(); // id as text: the reason that is taken out of this list
let [scale, controls, deck, asking] = [null, null, null, null];
const ORDERS = { default: "For you", next: "Next" };
let n = 12;
let by = "default";

/** Asks for the list that fits now; an earlier question that is not answered yet is dropped. */
async function refresh() {
  asking?.abort();
  const mineNow = (asking = new AbortController());
  const { discover, filters } = controls;
  const request = {
    ...mine.asRequest(new Set(without.keys())),
    n,
    by,
    discover,
    filters,
    reasons: 3,
    seen: false,
  };
  try {
    const items = await api.recommendations(request, mineNow.signal);
    if (asking !== mineNow) return;
    empty(problem);
    doneWaiting(list);
    showList(list, items, scale, { onSeen: seen, onLater: later, takeOut });
    if (!items.length) list.append(nothingFits());
    showState(items);
  } catch (error) {
    if (mineNow.signal.aborted) return;
    doneWaiting(list);
    showProblem(problem, error, refresh);
  }
}

const nothingFits = () =>
  h(
    "li",
    { class: "plea" },
    h("p", {}, "No movie fits these genres and years."),
    h("button", { type: "button", class: "button", onclick: controls.clear }, "Show all of them"),
  );

function showState(items) {
  const rated = mine.ratings().length + mine.marked("seen").length;
  byId("longer").hidden = items.length < n || n >= 48;
  const state = byId("list-state");
  if (without.size) {
    empty(
      state,
      "Without ",
      ...[...without.values()].map((reason) =>
        h(
          "button",
          {
            type: "button",
            class: "small",
            "aria-label": `Count ${spoken(reason)} again`,
            onclick: () => putBack(reason),
          },
          "↺ ",
          spoken(reason),
        ),
      ),
    );
  } else state.textContent = rated ? "" : "What most people like, until you rate.";
}

function showProgress() {
  const rated = mine.ratings().length + (scale ? 0 : mine.marked("seen").length);
  const place = byId("progress");
  if (!rated) place.textContent = "Five ratings make a good list.";
  else empty(place, h("a", { href: "/mine" }, rated === 1 ? "1 rated" : `${rated} rated`));
}

function takeOut(reason) {
  without.set(String(reason.item_id), reason);
  refresh();
}

function putBack(reason) {
  without.delete(String(reason.item_id));
  refresh();
}

function undo(item) {
  hideNotice();
  mine.set(item, null);
}

function seen(item) {
  mine.set(item, { kind: "seen" });
  const control =
    scale &&
    ratingControl(item, scale, null, {
      onRate: (rating) => mine.set(item, { rating }),
      onClear: () => mine.set(item, { kind: "seen" }),
    });
  notice(
    scale ? `How was ${spoken(item)}?` : `You have seen ${spoken(item)}.`,
    control,
    undoButton(item),
  );
}

function later(item) {
  mine.set(item, { kind: "later" });
  notice(`Not tonight: ${spoken(item)}`, undoButton(item));
}

const undoButton = (item) =>
  h("button", { type: "button", class: "small", onclick: () => undo(item) }, "Undo");

/** For you, or what comes next after what was rated last. */
const orders = () =>
  choice("Which list", ORDERS, by, (chosen) => {
    by = chosen;
    refresh();
  });

async function start() {
  showWaiting(list);
  showWaiting(byId("deck"), 6);
  let model;
  try {
    [model] = await Promise.all([api.model(), mine.load()]);
  } catch (error) {
    showProblem(problem, error, start);
    return;
  }
  scale = model.scale;
  controls = listControls(byId("controls"), model.genres, refresh);
  if (model.orders?.includes("next")) byId("controls").prepend(orders());
  deck = ratingDeck(byId("deck"), scale, {
    ratingOf: (itemId) =>
      scale ? mine.ratingOf(itemId) : mine.of(itemId)?.kind === "seen" ? true : null,
    rate: (item, rating) => mine.set(item, rating === null ? { kind: "seen" } : { rating }),
    clear: (item) => mine.set(item, null),
  });
  searchBox(byId("search"), "Find a movie to rate", (item) => deck.add(item));
  mine.onChange(() => {
    for (const key of without.keys()) if (!mine.of(key)) without.delete(key);
    showProgress();
    deck.show();
    refresh();
  });
  showProgress();
  const dealt = deck.deal(byId("deck-problem")).then(() => doneWaiting(byId("deck")));
  await Promise.all([dealt, refresh()]);
  byId("more").hidden = false;
  byId("more").addEventListener("click", () => deck.deal(byId("deck-problem")));
  byId("longer").addEventListener("click", () => {
    n += 12;
    refresh();
  });
  document.documentElement.dataset.ready = "true";
}

start();
