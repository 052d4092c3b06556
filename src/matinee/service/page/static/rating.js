// The control with which a movie is rated: a group of radio buttons that looks like a row of five-pointed ones.

import { h, short, spoken } from "./dom.js";

let groups = 0;
const MOST = 20; // values that still can be told apart in a row; beyond, a slider

/** All values of a scale: 0.5, 1, … 5. */
export function valuesOf(scale) {
  const n = Math.round((scale.high - scale.low) / scale.step) + 1;
  return Array.from(
    { length: n },
    (_, at) => Math.round((scale.low + at * scale.step) * 1000) / 1000,
  );
}

const unit = (value) => (value === 1 ? "1 star" : `${short(value)} stars`);

/**
 * A control for one movie. `onRate(value)` hears of every choice, `onClear()` of its removal;
 * `element.show(value)` sets it from outside. Without a scale there is one choice: liked or not.
 */
export function ratingControl(item, scale, value, { onRate, onClear }) {
  if (!scale) return likedControl(item, value, { onRate, onClear });
  const values = valuesOf(scale);
  return values.length <= MOST && [0.5, 1].includes(scale.step)
    ? starControl(item, scale, values, value, { onRate, onClear })
    : sliderControl(item, scale, value, { onRate, onClear });
}

function clearButton(item, onclick) {
  return h(
    "button",
    {
      type: "button",
      class: "quiet clear",
      onclick,
      "aria-label": `Remove your rating of ${spoken(item)}`,
      title: "Remove the rating",
    },
    "×",
  );
}

/** What a value adds to those below it: half a star or a whole one; 0 has a sign of its own. */
function pieceOf(value, below, scale) {
  if (value <= 0) return "zero";
  if (value % 1) return "half left";
  return scale.step < 1 && below > 0 ? "half right" : "whole";
}

function starControl(item, scale, values, value, { onRate, onClear }) {
  const name = `rating-${(groups += 1)}`;
  const inputs = values.map((one) =>
    h("input", {
      type: "radio",
      name,
      value: one,
      "aria-label": unit(one),
      onchange: () => {
        mark(one);
        onRate(one);
      },
    }),
  );
  const labels = values.map((one, at) =>
    h("label", { class: pieceOf(one, values[at - 1], scale), title: unit(one) }, inputs[at]),
  );
  const shown = h("output", { class: "shown", "aria-hidden": "true" });
  const clear = clearButton(item, () => {
    mark(null);
    inputs[0].focus({ preventScroll: true });
    onClear();
  });
  const row = h("span", { class: scale.high > 5 ? "star-row many" : "star-row" }, labels);
  const group = h(
    "fieldset",
    { class: "rate" },
    h("legend", { class: "unseen" }, `Your rating of ${spoken(item)}`),
    row,
    shown,
    clear,
  );
  function mark(now) {
    inputs.forEach((input, at) => {
      input.checked = values[at] === now;
    });
    labels.forEach((label, at) => label.classList.toggle("on", now !== null && values[at] <= now));
    group.classList.toggle("rated", now !== null);
    shown.textContent = now === null ? "" : short(now);
    clear.hidden = now === null;
  }
  group.show = (now) => mark(now ?? null);
  group.show(value);
  return group;
}

function sliderControl(item, scale, value, { onRate, onClear }) {
  const shown = h("output", { class: "shown" });
  const input = h("input", {
    type: "range",
    min: scale.low,
    max: scale.high,
    step: scale.step,
    "aria-label": `Your rating of ${spoken(item)}`,
    oninput: () => {
      shown.textContent = short(Number(input.value));
    },
    onchange: () => {
      mark(Number(input.value));
      onRate(Number(input.value));
    },
  });
  const clear = clearButton(item, () => {
    mark(null);
    input.focus();
    onClear();
  });
  const group = h("div", { class: "rate slider" }, input, shown, clear);
  function mark(now) {
    input.value = now ?? (scale.low + scale.high) / 2;
    group.classList.toggle("rated", now !== null);
    shown.textContent = now === null ? "not rated" : short(now);
    clear.hidden = now === null;
  }
  group.show = (now) => mark(now ?? null);
  group.show(value);
  return group;
}

function likedControl(item, value, { onRate, onClear }) {
  const button = h(
    "button",
    {
      type: "button",
      class: "button like",
      "aria-label": `I liked it: ${spoken(item)}`,
      onclick: () => {
        const liked = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", liked);
        if (liked) onRate(null);
        else onClear();
      },
    },
    "I liked it",
  );
  button.show = (now) => button.setAttribute("aria-pressed", now !== null && now !== undefined);
  button.show(value);
  return button;
}
