// Lists that move instead of jump (first, last, invert, play).

import { calm } from "./dom.js";

const DURATION = 380; // milliseconds
const EASING = "cubic-bezier(.2, .7, .2, 1)";

/**
 * Makes the children of a list those given, in their order, keeping elements that stay.
 *
 * `entries` are {key, make(), update(element)}; whoever was there before slides to the new place,
 * and whoever is new fades in.
 */
export function reorder(list, entries) {
  const children = [...list.children];
  const before = new Map(
    children.filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]),
  );
  const still = calm() || before.size === 0;
  const focused = document.activeElement;
  const tops = new Map();
  if (!still) for (const [key, child] of before) tops.set(key, child.getBoundingClientRect());
  const wanted = entries.map(({ key, make, update }) => {
    const element = before.get(String(key)) ?? make();
    element.dataset.key = key;
    update?.(element);
    return element;
  });
  const staying = new Set(wanted);
  for (const child of children) if (!staying.has(child)) child.remove();
  wanted.forEach((element, at) => {
    // moving an element takes the focus from it, so those in place are left alone
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
  if (focused?.isConnected && document.activeElement !== focused)
    focused.focus({ preventScroll: true });
  if (!still) wanted.forEach((element) => play(element, tops.get(element.dataset.key)));
  return wanted;
}

function play(element, was) {
  const now = element.getBoundingClientRect();
  if (!was) {
    element.animate(
      [
        { opacity: 0, transform: "scale(.97)" },
        { opacity: 1, transform: "none" },
      ],
      { duration: DURATION, easing: EASING },
    );
    return;
  }
  const [x, y] = [was.left - now.left, was.top - now.top];
  if (Math.abs(x) < 1 && Math.abs(y) < 1) return;
  element.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], {
    duration: DURATION,
    easing: EASING,
  });
}
