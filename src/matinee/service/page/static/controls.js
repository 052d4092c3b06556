// What a list is asked for: how well known, which genres, which years.

import { empty, h } from "./dom.js";
import { keep, kept } from "./kept.js";

const KEPT = "list";
const ENDS = { 0: "well known", 1: "discoveries" };
const yearOrNull = (year) => (Number.isInteger(year) && year >= 1000 && year < 10000 ? year : null);

/** What was wanted the last time, as far as it makes sense here. */
function recalled(genres) {
  const { discover, genres: chosen, from, to } = kept(KEPT) ?? {};
  return {
    discover: discover > 0 && discover <= 1 ? Number(discover) : 0,
    genres: new Set(genres.filter((genre) => Array.isArray(chosen) && chosen.includes(genre))),
    from: yearOrNull(from),
    to: yearOrNull(to),
  };
}

/**
 * Puts the controls into a place. `onChange()` hears of every change; the object that is returned
 * says what is wanted, `discover` (0 to 1) and `filters`, and can `clear` the latter.
 */
export function listControls(place, genres, onChange) {
  const wanted = recalled(genres);
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.1,
    value: wanted.discover,
    id: "discover",
    oninput: () => {
      wanted.discover = Number(slider.value);
      changed();
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
        value: wanted[name],
        oninput: (event) => {
          const given = yearOrNull(event.target.valueAsNumber);
          if (wanted[name] === given) return;
          wanted[name] = given;
          changed();
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
        checked: wanted.genres.has(genre),
        onchange: (event) => {
          if (event.target.checked) wanted.genres.add(genre);
          else wanted.genres.delete(genre);
          changed();
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

  function changed() {
    say();
    keep(KEPT, { ...wanted, genres: [...wanted.genres] });
    onChange();
  }
  /** Says in words what is chosen. */
  function say() {
    const { discover, genres: chosen, from, to } = wanted;
    const between = `${Math.round(100 * discover)} % towards discoveries`;
    slider.setAttribute("aria-valuetext", ENDS[discover] ?? between);
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
    changed();
  }
  say();

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
    clear,
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
