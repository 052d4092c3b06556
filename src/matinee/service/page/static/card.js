// What every card of a movie begins with.

import { facts, filmPath, h, spoken } from "./dom.js";
import { poster } from "./poster.js";

/** The poster and the words of a movie: its title, a line of facts, and what stands below. */
export const face = (item, { line = facts(item), below } = {}) => [
  h(
    "a",
    { href: filmPath(item), class: "thumb", tabindex: -1, "aria-hidden": "true" },
    poster(item),
  ),
  h(
    "div",
    { class: "words" },
    h("h3", {}, h("a", { href: filmPath(item) }, spoken(item))),
    h("p", { class: "facts-line" }, line),
    below,
  ),
];
