// A search box that answers as one types (the combobox pattern of ARIA).

import * as api from "./api.js";
import { announce, empty, facts, h, spoken } from "./dom.js";
import { poster } from "./poster.js";

const PAUSE = 70; // milliseconds without a key before a question is sent
let boxes = 0;

/** Puts a search box into a place; `onPick(item)` hears what was chosen. */
export function searchBox(place, label, onPick) {
  const name = `search-${(boxes += 1)}`;
  const list = h("ul", {
    id: `${name}-list`,
    role: "listbox",
    "aria-label": "Movies found",
    class: "found",
    hidden: true,
  });
  const input = h("input", {
    id: name,
    type: "text",
    role: "combobox",
    placeholder: label,
    "aria-label": label,
    "aria-expanded": "false",
    "aria-controls": list.id,
    "aria-autocomplete": "list",
    autocomplete: "off",
    spellcheck: "false",
    enterkeyhint: "search",
  });
  let found = [];
  let at = -1;
  let timer;
  let asking;

  function close() {
    clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function pointAt(next) {
    at = next;
    [...list.children].forEach((option, number) =>
      option.setAttribute("aria-selected", number === at),
    );
    const option = list.children[at];
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function pick(item) {
    input.value = "";
    close();
    onPick(item);
  }

  function show(items) {
    found = items;
    empty(
      list,
      ...items.map((item, number) =>
        h(
          "li",
          {
            id: `${name}-${number}`,
            role: "option",
            "aria-selected": "false",
            onmousedown: (event) => event.preventDefault(),
            onclick: () => pick(item),
          },
          h("span", { class: "found-poster" }, poster(item)),
          h("span", { class: "found-words" }, h("b", {}, spoken(item)), h("span", {}, facts(item))),
        ),
      ),
    );
    if (!items.length)
      list.append(
        h(
          "li",
          { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" },
          "Nothing found under this name",
        ),
      );
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    pointAt(-1);
    announce(items.length ? `${items.length} found` : "Nothing found");
  }

  async function look() {
    const text = input.value.trim();
    if (!text) return close();
    asking?.abort();
    const mine = (asking = new AbortController());
    try {
      const items = await api.search(text, mine.signal);
      if (asking === mine && document.activeElement === input) show(items);
    } catch (error) {
      if (mine.signal.aborted) return undefined;
      empty(
        list,
        h("li", { class: "none", role: "option", "aria-selected": "false" }, error.message),
      );
      list.hidden = false;
    }
    return undefined;
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  });
  input.addEventListener("blur", close);
  input.addEventListener("focus", () => {
    if (input.value.trim()) look();
  });
  input.addEventListener("keydown", (event) => {
    const open = !list.hidden && found.length > 0;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) return look();
      const step = event.key === "ArrowDown" ? 1 : -1;
      const n = found.length;
      pointAt(at < 0 ? (step > 0 ? 0 : n - 1) : (at + step + n) % n);
    } else if (event.key === "Enter" && open) {
      event.preventDefault();
      pick(found[Math.max(at, 0)]);
    } else if (event.key === "Escape") {
      if (list.hidden) input.value = "";
      close();
    }
    return undefined;
  });
  empty(place, h("div", { class: "combo" }, input, list));
  return input;
}
