// What a list is asked for: how well known, which genres, which years.

import { empty, h } from "./dom.js";

/**
 * Puts the controls into a place. `onChange()` hears of every change; the object that is returned
 * says what is wanted: `discover` (0 to 1) and `filters`.
 */
export function listControls(place, genres, onChange) {
  const wanted = { discover: 0, genres: new Set(), from: null, to: null };
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.1,
    value: 0,
    id: "discover",
    "aria-valuetext": "well known",
    oninput: () => {
      wanted.discover = Number(slider.value);
      const percent = Math.round(100 * wanted.discover);
      slider.setAttribute(
        "aria-valuetext",
        percent === 0
          ? "well known"
          : percent === 100
            ? "discoveries"
            : `${percent} % towards discoveries`,
      );
      slider.style.setProperty("--at", `${percent}%`);
      onChange();
    },
  });
  const year = (name, label) =>
    h(
      "label",
      {},
      label,
      h("input", {
        type: "number",
        inputmode: "numeric",
        min: 1870,
        max: 2100,
        placeholder: "any",
        name,
        oninput: (event) => {
          const value = event.target.valueAsNumber;
          const is = Number.isInteger(value) && value >= 1000 && value < 10000 ? value : null;
          if (wanted[name] === is) return;
          wanted[name] = is;
          summarize();
          onChange();
        },
      }),
    );
  const chips = genres.map((genre) =>
    h(
      "label",
      { class: "choice" },
      h("input", {
        type: "checkbox",
        value: genre,
        onchange: (event) => {
          if (event.target.checked) wanted.genres.add(genre);
          else wanted.genres.delete(genre);
          summarize();
          onChange();
        },
      }),
      h("span", {}, genre),
    ),
  );
  const summary = h("span", { class: "chosen" });
  const filters = h(
    "details",
    { class: "filters" },
    h("summary", {}, "Genres and years", summary),
    h(
      "div",
      { class: "filter-body" },
      h("fieldset", { class: "choices" }, h("legend", { class: "unseen" }, "Genres"), chips),
      h(
        "div",
        { class: "years" },
        year("from", "From "),
        year("to", "to "),
        h("button", { type: "button", class: "small", onclick: clear }, "All of them"),
      ),
    ),
  );

  function summarize() {
    const { genres: chosen, from, to } = wanted;
    const years = from || to ? `${from ?? "…"}–${to ?? "…"}` : "";
    summary.textContent = [
      [...chosen].slice(0, 2).join(", ") + (chosen.size > 2 ? ` + ${chosen.size - 2}` : ""),
      years,
    ]
      .filter(Boolean)
      .join(" · ");
  }
  function clear() {
    filters.querySelectorAll("input").forEach((input) => {
      if (input.type === "checkbox") input.checked = false;
      else input.value = "";
    });
    wanted.genres.clear();
    wanted.from = wanted.to = null;
    summarize();
    onChange();
  }

  empty(
    place,
    h(
      "div",
      { class: "discover" },
      h("label", { for: "discover", class: "unseen" }, "From well known to discoveries"),
      h("span", { "aria-hidden": "true" }, "well known"),
      slider,
      h("span", { "aria-hidden": "true" }, "discoveries"),
    ),
    filters,
  );
  return {
    get discover() {
      return wanted.discover;
    },
    get filters() {
      const asked = {};
      if (wanted.genres.size) asked.genres = [...wanted.genres];
      if (wanted.from) asked.year_from = wanted.from;
      if (wanted.to) asked.year_to = wanted.to;
      return asked;
    },
  };
}

/** A choice of one among few, as buttons side by side; `onChoose(value)` hears of it. */
export function choice(label, options, chosen, onChoose) {
  const name = `choice-${label.replaceAll(" ", "-")}`;
  return h(
    "fieldset",
    { class: "segments" },
    h("legend", { class: "unseen" }, label),
    Object.entries(options).map(([value, words]) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name,
          value,
          checked: value === chosen,
          onchange: () => onChoose(value),
        }),
        h("span", {}, words),
      ),
    ),
  );
}
