// The list of recommended movies: cards that say how good, how sure and why.

import { face } from "./card.js";
import { announce, empty, h, short, spoken, svg } from "./dom.js";
import { reorder } from "./flip.js";

/** Where a prediction and its range lie on the scale, as a small picture. */
function rangePicture([low, high], predicted, scale) {
  const at = (value) =>
    100 * Math.min(1, Math.max(0, (value - scale.low) / (scale.high - scale.low)));
  return svg(
    "svg",
    { viewBox: "0 0 100 8", class: "range", "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("rect", { x: 0, y: 3, width: 100, height: 2, rx: 1, class: "track" }),
    svg("rect", {
      x: at(low),
      y: 2,
      width: Math.max(3, at(high) - at(low)),
      height: 4,
      rx: 2,
      class: "band",
    }),
    svg("rect", {
      x: Math.min(97, Math.max(0, at(predicted) - 1.5)),
      y: 0,
      width: 3,
      height: 8,
      rx: 1.5,
      class: "point",
    }),
  );
}

/** "4.3" with its range, or nothing if the model predicts no ratings. */
export function predicted(item, scale) {
  if (item.predicted_rating === null || item.predicted_rating === undefined) return null;
  const range = item.range && scale ? item.range : null;
  const words = range
    ? `${range[0].toFixed(1)} to ${range[1].toFixed(1)}`
    : scale && `of ${short(scale.high)}`;
  return h(
    "div",
    { class: "predicted" },
    h(
      "p",
      { class: "number" },
      h("span", { class: "unseen" }, "Predicted rating "),
      item.predicted_rating.toFixed(1),
    ),
    range && rangePicture(range, item.predicted_rating, scale),
    h("p", { class: "words" }, range && h("span", { class: "unseen" }, "likely "), words),
  );
}

/** The ratings that speak for this movie, and against it; each can be taken out. */
export function reasonChips(item, takeOut) {
  if (!item.reasons?.length) return null;
  const isAgainst = (reason) => reason.contribution < 0;
  const chips = (reasons, lead) =>
    reasons.map((reason, at) =>
      // the words stay with the first of those that they lead to
      h("li", {}, at === 0 && h("span", { class: "lead" }, lead), reasonChip(reason, takeOut)),
    );
  return h(
    "ul",
    { class: "chips", "aria-label": `Reasons for ${spoken(item)}` },
    chips(
      item.reasons.filter((reason) => !isAgainst(reason)),
      "because of",
    ),
    chips(item.reasons.filter(isAgainst), "despite"),
  );
}

function reasonChip(reason, takeOut) {
  const sign = reason.contribution < 0 ? "−" : "+";
  const amount = `${sign}${Math.abs(reason.contribution).toFixed(2)}`;
  const rating =
    reason.rating === null || reason.rating === undefined
      ? ""
      : `, which you gave ${short(reason.rating)}`;
  return h(
    "span",
    {
      class: `chip ${reason.contribution < 0 ? "against" : "for"}`,
      title: `${spoken(reason)}${rating}: ${amount}`,
    },
    h("span", { class: "chip-title" }, spoken(reason)),
    h("span", { class: "amount" }, amount),
    takeOut &&
      h(
        "button",
        {
          type: "button",
          class: "quiet",
          "aria-label": `Leave ${spoken(reason)} out of this list`,
          onclick: () => takeOut(reason),
        },
        "×",
      ),
  );
}

function card(item, { onSeen, onLater }) {
  const action = (label, act) =>
    h(
      "button",
      {
        type: "button",
        class: "small",
        onclick: () => act(item),
        "aria-label": `${label}: ${spoken(item)}`,
      },
      label,
    );
  return h(
    "li",
    { class: "card" },
    h("span", { class: "rank", "aria-hidden": "true" }),
    face(item, {
      below:
        onSeen &&
        h("div", { class: "actions" }, action("Seen it", onSeen), action("Not tonight", onLater)),
    }),
    h("div", { class: "verdict" }),
    h("div", { class: "because" }),
  );
}

/**
 * Shows recommendations in a list, moving the cards that stay. `handlers` has onSeen(item),
 * onLater(item) and takeOut(reason); `verdict(item)` draws what stands at the right.
 */
export function showList(
  list,
  items,
  scale,
  handlers = {},
  verdict = (item) => predicted(item, scale),
) {
  const before = [...list.children].map((child) => child.dataset.key);
  reorder(
    list,
    items.map((item, at) => ({
      key: item.item_id,
      make: () => card(item, handlers),
      update(element) {
        element.querySelector(".rank").textContent = at + 1;
        const because = element.querySelector(".because");
        const signature = JSON.stringify(item.reasons ?? []);
        if (because.dataset.signature !== signature) {
          because.dataset.signature = signature;
          empty(because, reasonChips(item, handlers.takeOut));
        }
        empty(element.querySelector(".verdict"), verdict(item));
      },
    })),
  );
  const now = items.map((item) => String(item.item_id));
  if (!items.length) announce("The list is empty.");
  else if (before.length && before.join() !== now.join()) {
    const others = now.filter((key) => !before.includes(key)).length;
    const first = items.slice(0, 3).map(spoken).join(", ");
    announce(`The list has changed: ${first} come first; ${others} new.`);
  }
}

/** Grey cards, as long as nothing is there to show. */
export function showWaiting(list, n = 5) {
  if (list.children.length) return;
  list.setAttribute("aria-busy", "true");
  empty(
    list,
    ...Array.from({ length: n }, () => h("li", { class: "card waiting", "aria-hidden": "true" })),
  );
}

export function doneWaiting(list) {
  list.removeAttribute("aria-busy");
  list.querySelectorAll(":scope > .waiting").forEach((one) => one.remove());
}
