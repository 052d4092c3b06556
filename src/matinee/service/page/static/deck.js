// Ten movies to rate; whoever has not seen one gets another.

import * as api from "./api.js";
import { face } from "./card.js";
import { empty, h, showProblem, spoken } from "./dom.js";
import { reorder } from "./flip.js";
import { ratingControl } from "./rating.js";

const SHOWN = 10;
const SPARE = 20; // asked for beyond what is shown, for "haven't seen it"

/**
 * Fills a list with movies to rate. `ratingOf(item_id)` is what they were given, `rate(item, value)`
 * and `clear(item)` change it; the same for two people as for one.
 */
export function ratingDeck(list, scale, { ratingOf, rate, clear, shown = SHOWN }) {
  let items = []; // on the table
  let spare = [];
  const passed = new Set(); // ids that were on the table: they do not come back

  const key = (item) => String(item.item_id);

  function render() {
    reorder(
      list,
      items.map((item) => ({
        key: key(item),
        make: () => ticket(item),
        update: (element) => {
          const value = ratingOf(item.item_id);
          element.querySelector(".rate, .like").show(value);
          element.classList.toggle("done", value !== null);
        },
      })),
    );
  }

  function ticket(item) {
    const control = ratingControl(item, scale, ratingOf(item.item_id), {
      onRate: (value) => {
        rate(item, value);
        render();
      },
      onClear: () => {
        clear(item);
        render();
      },
    });
    return h(
      "li",
      { class: "ticket" },
      face(item),
      h(
        "div",
        { class: "answer" },
        control,
        h(
          "button",
          {
            type: "button",
            class: "small unknown",
            title: "Haven’t seen it: show another",
            "aria-label": `Not seen: ${spoken(item)}. Show another`,
            onclick: () => replace(item),
          },
          "Not seen",
        ),
      ),
    );
  }

  async function refill(n) {
    const asked = await api.first(Math.min(100, shown + SPARE + passed.size));
    const there = new Set(items.map(key));
    spare = asked.filter((item) => !passed.has(key(item)) && !there.has(key(item)));
    return spare.length >= n;
  }

  async function replace(item) {
    passed.add(key(item));
    const at = items.indexOf(item);
    if (!spare.length) await refill(1).catch(() => {});
    const next = spare.shift();
    items = next ? items.with(at, next) : items.filter((one) => one !== item);
    // the next ticket takes the place and the focus of the one that leaves
    render();
    list.children[Math.min(at, list.children.length - 1)]
      ?.querySelector("input, button")
      ?.focus({ preventScroll: true });
  }

  return {
    get items() {
      return items;
    },
    /** Other movies than those on the table. */
    async deal(problem) {
      try {
        items.forEach((item) => passed.add(key(item)));
        items = [];
        await refill(shown);
        items = spare.splice(0, shown);
        empty(problem);
        render();
        list.scrollTo?.({ left: 0 });
      } catch (error) {
        showProblem(problem, error, () => this.deal(problem));
      }
    },
    /** Puts a movie that was searched for on top, and the focus on it. */
    add(item) {
      items = [item, ...items.filter((one) => key(one) !== key(item))].slice(
        0,
        Math.max(shown, items.length),
      );
      render();
      list.scrollTo?.({ left: 0 });
      list.firstElementChild.querySelector("input, button").focus();
    },
    show: render,
  };
}
