// Elements from words. Data become text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** An HTML element; functions under "onclick" and the like listen, strings become text. */
export const h = (tag, properties, ...children) =>
  fill(document.createElement(tag), properties, children);

/** An SVG element. */
export const svg = (tag, properties, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

export const byId = (name) => document.getElementById(name);

export function empty(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
  return element;
}

let speaking;
/** Lets screen readers say a line; of several in a row, only the last. */
export function announce(line) {
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    byId("said").textContent = line;
  }, 500);
}

/** Shows a line at the foot of the page, with what can be done about it, until it is closed. */
export function notice(line, ...actions) {
  const place = byId("notice");
  const close = h(
    "button",
    { type: "button", class: "quiet", "aria-label": "Close", onclick: hideNotice },
    "×",
  );
  empty(place, h("p", {}, line), ...actions, close);
  place.hidden = false;
  announce(line);
}

export function hideNotice() {
  byId("notice").hidden = true;
}

/** Shows what went wrong in a place of the page, with a button that tries again if that may help. */
export function showProblem(place, error, retry) {
  const button =
    retry && h("button", { type: "button", class: "button", onclick: retry }, "Try again");
  empty(place, h("div", { class: "problem", role: "alert" }, h("p", {}, error.message), button));
}

const ARTICLE = /^(.*), (The|A|An|Le|La|Les|L'|Der|Die|Das|El|Il|Los|Las)$/;

const YEAR = /\s*\((\d{4})\)\s*$/; // at the end of a title

/** "Matrix, The (1999)" as one would say it: "The Matrix". */
export function spoken(item) {
  const title = String(item.title ?? item.item_id);
  const bare = title.replace(YEAR, "");
  const [, rest, article] = ARTICLE.exec(bare) ?? [];
  if (!article) return bare || title;
  return article.endsWith("'") ? article + rest : `${article} ${rest}`;
}

/** An id as a part of a path; `.` and `..`, which would be steps in it, are encoded twice. */
export const inPath = (id) =>
  /^\.\.?$/.test(id) ? String(id).replaceAll(".", "%252E") : encodeURIComponent(id);

export const filmPath = (item) => `/film/${inPath(item.item_id)}`;

/** "1999 · Crime, Drama" */
export const facts = (item) =>
  [
    item.year ?? YEAR.exec(item.title ?? "")?.[1],
    (item.genres ?? []).slice(0, 3).join(", ").replaceAll("-", "\u2011"), // no line ends in Sci-Fi
  ]
    .filter(Boolean)
    .join(" · ");

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A number as short as the scale allows: 4, 4.5, 4.37 becomes 4.4. */
export const short = (value) => String(Math.round(value * 10) / 10);
