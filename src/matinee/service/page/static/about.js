// What the model is, in numbers and in words.

import * as api from "./api.js";
import { byId, empty, filmPath, h, short, showProblem } from "./dom.js";
import { markdown } from "./markdown.js";
import { searchBox } from "./search.js";

const count = (n) => n.toLocaleString("en");
const fact = (value, name, look) => h("div", look, h("dt", {}, name), h("dd", {}, value));

function showFacts(model) {
  const { scale, trained_at: trained } = model;
  empty(
    byId("facts"),
    fact(count(model.n_ratings), "ratings"),
    fact(count(model.n_users), "users"),
    fact(count(model.n_items), "movies"),
    scale && fact(`${short(scale.low)} to ${short(scale.high)}`, "scale"),
    trained &&
      fact(
        new Date(trained).toLocaleDateString("en", {
          day: "numeric",
          month: "long",
          year: "numeric",
        }),
        "trained on",
      ),
    fact(model.name, "run", { class: "wide" }),
  );
}

async function start() {
  try {
    const model = await api.model();
    empty(byId("problem"));
    showFacts(model);
    empty(byId("card"), ...markdown(model.model_card ?? ""));
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    showProblem(byId("problem"), error, start);
  }
}

searchBox(byId("search"), "Find a movie", (item) => {
  location.href = filmPath(item);
});
start();
