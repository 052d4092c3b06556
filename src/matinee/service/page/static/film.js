// A movie's own page: what you would give it, why, and what is close to it.

import * as api from "./api.js";
import { choice } from "./controls.js";
import { byId, empty, facts, filmPath, h, showProblem, spoken } from "./dom.js";
import { reorder } from "./flip.js";
import { predicted, reasonChips } from "./list.js";
import * as mine from "./mine_state.js";
import { poster } from "./poster.js";
import { ratingControl } from "./rating.js";
import { searchBox } from "./search.js";

const place = byId("film");
let [item, scale, measure, asking] = [null, null, "cosine", null];

/** What the model expects of this movie, from all other ratings. */
async function showVerdict() {
  asking?.abort();
  const mineNow = (asking = new AbortController());
  const given = mine.of(item.item_id);
  const verdict = byId("verdict");
  const request = {
    ...mine.asRequest(new Set([String(item.item_id)])),
    exclude: [],
    include: [item.item_id],
    n: 1,
    seen: true,
    reasons: 6,
  };
  if (!request.ratings.length && !request.items.length) {
    empty(
      verdict,
      h("p", { class: "aside" }, "Rate a few others, and a prediction for you stands here."),
    );
    return;
  }
  try {
    const [answer] = await api.recommendations(request, mineNow.signal);
    const said = given?.rating ? "From your other ratings:" : "You would give it:";
    empty(
      verdict,
      answer && [h("p", { class: "over" }, said), predicted(answer, scale), reasonChips(answer)],
    );
  } catch (error) {
    if (!mineNow.signal.aborted) showProblem(verdict, error, showVerdict);
  }
}

/** The control and the marks for this movie; returns what shows their state anew. */
function makeYours() {
  const control = ratingControl(item, scale, null, {
    onRate: (rating) => mine.set(item, rating === null ? { kind: "seen" } : { rating }),
    onClear: () => mine.set(item, null),
  });
  const isMarked = (kind) => mine.of(item.item_id)?.kind === kind;
  const mark = (kind, words) => {
    const onclick = () => mine.set(item, isMarked(kind) ? null : { kind });
    return h("button", { type: "button", class: "small", "data-kind": kind, onclick }, words);
  };
  const marks = [scale && mark("seen", "Seen it"), mark("later", "Not tonight")].filter(Boolean);
  empty(
    byId("yours"),
    h("p", { class: "over" }, "Your rating"),
    control,
    h("div", { class: "actions" }, marks),
  );
  return () => {
    const value = mine.ratingOf(item.item_id);
    control.show(scale ? value : isMarked("seen") ? true : null);
    for (const button of marks) {
      button.setAttribute("aria-pressed", isMarked(button.dataset.kind));
      button.hidden = value !== null; // a mark would take the place of the rating
    }
  };
}

async function showSimilar() {
  try {
    const items = await api.similar(item.item_id, measure);
    empty(byId("problem"));
    reorder(
      byId("similar"),
      items.map((one) => ({ key: one.item_id, make: () => tile(one) })),
    );
    if (!items.length)
      empty(
        byId("similar"),
        h("li", { class: "aside" }, "Too few ratings to say what is close to it."),
      );
  } catch (error) {
    showProblem(byId("problem"), error, showSimilar);
  }
}

const tile = (one) =>
  h(
    "li",
    { class: "tile" },
    h(
      "a",
      { href: filmPath(one) },
      poster(one),
      h("b", {}, spoken(one)),
      h("span", { class: "facts-line" }, facts(one)),
    ),
  );

async function start() {
  let model;
  try {
    [item, model] = await Promise.all([api.item(place.dataset.item), api.model(), mine.load()]);
  } catch (error) {
    showProblem(byId("problem"), error, start);
    return;
  }
  scale = model.scale;
  byId("title").textContent = spoken(item);
  document.title = `${spoken(item)} · matinee`;
  empty(byId("poster"), poster(item));
  const measures = { cosine: "most alike", dot: "alike and well known" };
  empty(
    byId("measure"),
    choice("Which neighbours", measures, measure, (chosen) => {
      measure = chosen;
      showSimilar();
    }),
  );
  const showYours = makeYours();
  mine.onChange(() => {
    showYours();
    showVerdict();
  });
  showYours();
  await Promise.all([showVerdict(), showSimilar()]);
  document.documentElement.dataset.ready = "true";
}

searchBox(byId("search"), "Find a movie", (one) => {
  location.href = filmPath(one);
});
if (place) start();
else document.documentElement.dataset.ready = "true";
