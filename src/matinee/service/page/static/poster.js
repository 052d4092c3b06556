// A small abstract poster for each movie, drawn from its id: always the same one.

import { svg } from "./dom.js";

const PALETTES = {
  // ground, two shapes, light
  Action: ["#3a1c1c", "#c8452d", "#f0a13a", "#ffe3b8"],
  Adventure: ["#1f3b36", "#3f8f6b", "#e0a93f", "#fbeccb"],
  Animation: ["#2b2a5c", "#e4568c", "#f7b955", "#ffe9f1"],
  Comedy: ["#f2b632", "#e2603b", "#fff1c9", "#6b2a20"],
  Crime: ["#17191f", "#59606e", "#b4432f", "#e4e2dc"],
  Documentary: ["#dcd6c8", "#8a8371", "#3f4a4f", "#b4432f"],
  Drama: ["#26324a", "#6a86a8", "#d98b5f", "#f3e6d4"],
  Fantasy: ["#35204f", "#8457b5", "#57b5a8", "#f1e2ff"],
  Horror: ["#0f0d12", "#6e1420", "#31303a", "#e8d9d2"],
  Musical: ["#5b1740", "#d2447d", "#f2c14e", "#ffeaf3"],
  Mystery: ["#14283a", "#2c5775", "#c9b068", "#eaf1f2"],
  Romance: ["#6d2337", "#d96a75", "#f5c6b2", "#fff1ea"],
  "Sci-Fi": ["#0d1b3a", "#2f6fd0", "#53c6d6", "#e6f4ff"],
  Thriller: ["#1c2021", "#35565a", "#d3602d", "#e9eee8"],
  War: ["#3b3d2a", "#77794f", "#c2502f", "#efe9cf"],
  Western: ["#6b3a1c", "#c9803d", "#efc57d", "#3a1f10"],
};
const OTHERS = Object.values(PALETTES);

/** A stream of numbers in [0, 1) that starts from a text. */
function numbersOf(text) {
  let state = 2166136261;
  for (const character of text) state = Math.imul(state ^ character.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** The first genre sets the ground, the second one a shape, so that few posters are alike. */
function paletteOf(genres, next) {
  const known = (genres ?? [])
    .filter((genre) => Object.hasOwn(PALETTES, genre))
    .map((genre) => PALETTES[genre]);
  const [main, second] = [
    known[0] ?? OTHERS[Math.floor(next() * OTHERS.length)],
    known[1] ?? known[0],
  ];
  const shapes = [main[1], second ? second[2] : main[2]];
  if (next() < 0.5) shapes.reverse();
  return [main[0], ...shapes, main[3]];
}

const circle = (cx, cy, r, fill, more) => svg("circle", { cx, cy, r, fill, ...more });
const rect = (x, y, width, height, fill, more) =>
  svg("rect", { x, y, width, height, fill, ...more });
const shape = (d, fill, more) => svg("path", { d, fill, ...more });

const COMPOSITIONS = [
  (next, [, one, two, light]) => {
    // a sun over a horizon
    const y = 70 + next() * 40;
    return [
      circle(30 + next() * 40, y - 10 * next(), 20 + next() * 10, two),
      rect(0, y, 100, 150, one),
      shape(`M0 ${y + 18}Q50 ${y + next() * 26} 100 ${y + 22}V150H0Z`, light, { opacity: 0.25 }),
    ];
  },
  (next, [, one, two, light]) => {
    // circles within circles
    const [x, y] = [25 + next() * 50, 50 + next() * 50];
    return [52, 40, 28, 16].map((r, at) => circle(x, y, r, [one, two, light, one][at]));
  },
  (next, [, one, two, light]) => {
    // beams from a lamp
    const x = next() < 0.5 ? 12 : 88;
    const beams = [0, 1, 2].map((at) => {
      const to = 20 + at * 42 + next() * 12;
      return shape(`M${x} 16L${100 - x} ${to}L${100 - x} ${to + 26}Z`, [two, one, light][at], {
        opacity: 0.9,
      });
    });
    return [...beams, circle(x, 16, 9, light)];
  },
  (next, [, one, two, light]) => {
    // hills
    const tops = [60, 85, 110].map((top) => top + next() * 14);
    return [
      circle(70 - next() * 40, 34, 12, light),
      ...tops.map((top, at) =>
        shape(
          `M0 ${top + 18}Q${20 + next() * 20} ${top - 22} 50 ${top}T100 ${top - 6}V150H0Z`,
          [two, one, light][at],
          { opacity: at === 2 ? 0.35 : 1 },
        ),
      ),
    ];
  },
  (next, [, one, two, light]) => {
    // towers
    const towers = [0, 1, 2, 3, 4].map((at) => {
      const top = 45 + next() * 60;
      return rect(at * 20 + 2, top, 16, 150 - top, [one, two, one, light, one][at], {
        opacity: 0.95,
      });
    });
    return [circle(20 + next() * 60, 28, 10 + next() * 6, light), ...towers];
  },
  (next, [, one, two, light]) => {
    // a diagonal, and half a moon
    const y = 30 + next() * 50;
    return [
      shape(`M0 ${y + 50}L100 ${y}V150H0Z`, one),
      shape(`M0 ${y + 82}L100 ${y + 32}V150H0Z`, two),
      shape(`M${34 + next() * 20} 22a18 18 0 1 0 22 22a20 20 0 0 1-22-22Z`, light),
    ];
  },
];

/** The poster as a picture that says nothing to screen readers: the title stands beside it. */
export function poster(item) {
  const next = numbersOf(String(item.item_id));
  const palette = paletteOf(item.genres, next);
  const compose = COMPOSITIONS[Math.floor(next() * COMPOSITIONS.length)];
  return svg(
    "svg",
    {
      viewBox: "0 0 100 150",
      class: "poster",
      "aria-hidden": "true",
      preserveAspectRatio: "xMidYMid slice",
    },
    rect(0, 0, 100, 150, palette[0]),
    ...compose(next, palette),
  );
}

/** The colour that stands for a genre on a map at night: bright enough for the dark. */
export function genreColor(genre) {
  const [, first, second] = Object.hasOwn(PALETTES, genre)
    ? PALETTES[genre]
    : ["", "#9aa7bd", "#9aa7bd"];
  const parts = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  const light = (color) => parts(color).reduce((sum, part) => sum + part, 0);
  const chosen = light(first) > light(second) ? first : second;
  const lift = Math.max(0, (420 - light(chosen)) / (765 - light(chosen)));
  return `rgb(${parts(chosen)
    .map((part) => Math.round(part + lift * (255 - part)))
    .join(", ")})`;
}
