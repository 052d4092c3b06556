// My ratings: look, change, remove, bring, take away, forget.

import * as api from "./api.js";
import { face } from "./card.js";
import { choice } from "./controls.js";
import { announce, byId, empty, facts, filmPath, h, notice, showProblem, spoken } from "./dom.js";
import { reorder } from "./flip.js";
import { keepNothing } from "./kept.js";
import * as mine from "./mine_state.js";
import { ratingControl } from "./rating.js";
import { searchBox } from "./search.js";

const KINDS = { rating: "rated", seen: "seen", later: "not tonight" };
const EMPTY = {
  rating: ["Nothing rated yet. ", h("a", { href: "/" }, "Rate a few movies"), ", or bring a file."],
  seen: "Nothing marked as seen.",
  later: "Nothing is put off for another night.",
};
const AT_ONCE = 100; // rows; more on request
let [scale, kind, shown] = [null, "rating", AT_ONCE];

function row(one) {
  const control =
    (scale || one.kind === "seen") &&
    ratingControl(one, scale, one.rating, {
      onRate: (rating) => mine.set(one, rating === null ? { kind: "seen" } : { rating }),
      onClear: () => remove(one),
    });
  return h(
    "li",
    { class: "row" },
    face(one, { line: [facts(one), day(one.updated_at)].filter(Boolean).join("\u00a0· ") }),
    control,
    one.kind !== "rating" &&
      h(
        "button",
        {
          type: "button",
          class: "small",
          onclick: () => remove(one),
          "aria-label": `Remove ${spoken(one)}`,
        },
        "Remove",
      ),
  );
}

const day = (time) =>
  new Date(time)
    .toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" })
    .replaceAll(" ", "\u00a0"); // on one line

function remove(one) {
  const before = mine.of(one.item_id);
  mine.set(one, null);
  const earlier = before.kind === "rating" ? { rating: before.rating } : { kind: before.kind };
  notice(
    `${spoken(one)} is removed.`,
    h(
      "button",
      {
        type: "button",
        class: "small",
        onclick: () => {
          mine.set(one, earlier);
          byId("notice").hidden = true;
        },
      },
      "Undo",
    ),
  );
}

function show() {
  const all = mine.all();
  const those = all.filter((one) => one.kind === kind);
  byId("count").textContent = all.length ? `${all.length} in all` : "";
  const list = byId("mine");
  // a rating that changes keeps its row where it is, until the page is opened anew
  const order = new Map([...list.children].map((child, at) => [child.dataset.key, at]));
  const place = (one) => order.get(String(one.item_id)) ?? -1;
  const sorted = those.toSorted((one, other) => place(one) - place(other)).slice(0, shown);
  reorder(
    list,
    sorted.map((one) => ({
      key: one.item_id,
      make: () => row(one),
      update: (element) => element.querySelector(".rate")?.show(one.rating),
    })),
  );
  if (!those.length) empty(list, h("li", { class: "plea" }, EMPTY[kind]));
  if (those.length > shown)
    list.append(
      h(
        "li",
        { class: "plea" },
        h(
          "button",
          {
            type: "button",
            class: "button",
            onclick: () => {
              shown += AT_ONCE;
              show();
            },
          },
          `Show more of ${those.length}`,
        ),
      ),
    );
}

function switchTo(chosen) {
  [kind, shown] = [chosen, AT_ONCE];
  empty(byId("mine"));
  show();
}

/** Reads a file, sends it, and says what came of it. */
async function bring(file) {
  const place = byId("imported");
  empty(place, h("p", {}, `Reading ${file.name} …`));
  try {
    const { imported, skipped } = await api.importFeedback(file);
    await mine.load();
    const line = imported === 1 ? "1 movie is in." : `${imported} movies are in.`;
    empty(place, h("p", { class: "good" }, line), skipped.length > 0 && skippedRows(skipped));
    announce(line);
  } catch (error) {
    // a file that cannot be read stays so
    showProblem(place, error, error.isLasting ? null : () => bring(file));
  }
}

function skippedRows(skipped) {
  const rows = skipped
    .slice(0, 50)
    .map(({ file, row: number, reason }) =>
      h("li", {}, `Row ${number}${file ? ` of ${file}` : ""}: ${reason}`),
    );
  const more =
    skipped.length > rows.length && h("li", {}, `and ${skipped.length - rows.length} more`);
  const line = skipped.length === 1 ? "1 row was left out" : `${skipped.length} rows were left out`;
  return h("details", {}, h("summary", {}, line), h("ul", {}, rows, more));
}

function listenForFiles() {
  const drop = byId("drop");
  byId("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) bring(file);
    event.target.value = "";
  });
  for (const type of ["dragenter", "dragover"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.add("ready");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("ready");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("ready");
    const [file] = event.dataTransfer.files;
    if (file) bring(file);
  });
}

function listenForForgetting() {
  const sure = byId("sure");
  byId("forget").addEventListener("click", () => {
    sure.returnValue = "";
    sure.showModal();
  });
  sure.addEventListener("close", async () => {
    if (sure.returnValue !== "yes") return;
    try {
      await mine.forget();
      keepNothing();
      notice("All of it is forgotten.");
    } catch (error) {
      notice(`Not forgotten yet. ${error.message}`);
    }
  });
}

async function start() {
  let model;
  try {
    [model] = await Promise.all([api.model(), mine.load()]);
  } catch (error) {
    showProblem(byId("problem"), error, start);
    return;
  }
  empty(byId("problem"));
  scale = model.scale;
  empty(byId("tabs"), choice("Which movies", KINDS, kind, switchTo));
  mine.onChange(show);
  show();
  document.documentElement.dataset.ready = "true";
}

searchBox(byId("search"), "Find a movie to rate", (item) => {
  location.href = filmPath(item);
});
listenForFiles();
listenForForgetting();
start();
