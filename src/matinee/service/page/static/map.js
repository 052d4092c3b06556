// The map: your movies are lit, recommendations glow, and a list says the same in words.

import * as api from "./api.js";
import { byId, empty, facts, filmPath, h, showProblem, spoken } from "./dom.js";
import * as mine from "./mine_state.js";
import { genreColor } from "./poster.js";
import { searchBox } from "./search.js";
import { Sky } from "./sky.js";

const [frame, tip, problem] = [byId("sky"), byId("tip"), byId("problem")];
const RECOMMENDED = 20;
const LISTED = 40;

const sky = new Sky(byId("canvas"), {
  onPoint: showTip,
  onOpen: (point) => {
    location.href = filmPath(point);
  },
});

/** What is pointed at, in a box that stays within the map. */
function showTip(point, x, y) {
  frame.classList.toggle("over-point", Boolean(point));
  tip.hidden = !point;
  if (!point) return;
  const said = { lit: "Yours", glowing: "Recommended" }[point.kind];
  empty(
    tip,
    h("a", { href: filmPath(point), tabindex: -1 }, point.name),
    h("span", {}, [facts({ ...point, genres: [point.genre] }), said].filter(Boolean).join(" · ")),
  );
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  const left = Math.min(Math.max(8, x - width / 2), frame.clientWidth - width - 8);
  const top = y - height - 16 < 8 ? y + 16 : y - height - 16;
  tip.style.setProperty("left", `${left}px`);
  tip.style.setProperty("top", `${Math.min(Math.max(8, top), frame.clientHeight - height - 8)}px`);
}

function nameRow(item, point) {
  return h(
    "li",
    {},
    h("a", { href: filmPath(item) }, spoken(item)),
    point &&
      h(
        "button",
        {
          type: "button",
          class: "small",
          "aria-label": `Show ${spoken(item)} on the map`,
          onclick: () => {
            sky.goTo(point);
            frame.scrollIntoView({ block: "nearest" });
          },
        },
        "show",
      ),
  );
}

function showNames(list, items, points, nothing) {
  empty(
    list,
    ...items.slice(0, LISTED).map((item) => nameRow(item, points.get(String(item.item_id)))),
  );
  if (!items.length) empty(list, h("li", { class: "aside" }, nothing));
}

function showLegend(points) {
  const counts = new Map();
  for (const { genre } of points) if (genre) counts.set(genre, (counts.get(genre) ?? 0) + 1);
  const common = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 12);
  empty(byId("legend"), ...common.map(([genre]) => h("li", { "--dot": genreColor(genre) }, genre)));
}

async function start() {
  let [items, recommended] = [[], []];
  try {
    [items] = await Promise.all([api.map(), mine.load()]);
    recommended = await api.recommendations({
      ...mine.asRequest(),
      n: RECOMMENDED,
      reasons: 0,
      seen: false,
    });
  } catch (error) {
    showProblem(problem, error, start);
    return;
  }
  empty(problem);
  const yours = new Set(
    mine
      .all()
      .filter((one) => one.kind !== "later")
      .map((one) => String(one.item_id)),
  );
  const glowing = new Set(recommended.map((one) => String(one.item_id)));
  const points = items.map((item) => {
    const key = String(item.item_id);
    return {
      ...item,
      name: spoken(item),
      kind: yours.has(key) ? "lit" : glowing.has(key) ? "glowing" : null,
    };
  });
  const placed = new Map(points.map((point) => [String(point.item_id), point]));
  sky.show(points);
  showLegend(points);
  showNames(byId("glowing"), recommended, placed, "Nothing yet.");
  showNames(
    byId("lit"),
    mine.all().filter((one) => one.kind !== "later"),
    placed,
    "Rate a few movies, and they shine here.",
  );
  searchBox(byId("search"), "Find on the map", (item) => {
    const point = placed.get(String(item.item_id));
    if (point) sky.goTo(point);
    else location.href = filmPath(item);
  });
  document.documentElement.dataset.ready = "true";
}

byId("closer").addEventListener("click", () => sky.zoomBy(1.6));
byId("farther").addEventListener("click", () => sky.zoomBy(1 / 1.6));
byId("whole").addEventListener("click", () => sky.whole());
start();
