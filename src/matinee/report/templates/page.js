"use strict";
(async () => {
  const { charts, datasets, themes } = JSON.parse(document.getElementById("data").textContent);
  const NARROW = 560; // pixels, below which legends stand under charts
  const MANY = 1500; // points, above which a canvas is faster than a drawing of elements
  const root = document.documentElement;
  const views = new Map();

  function rowsOf(name) {
    const { columns, rows } = datasets[name];
    return rows.map((row) => Object.fromEntries(columns.map((column, at) => [column, row[at]])));
  }

  function namesIn(part) {
    if (part === null || typeof part !== "object") return [];
    const own = part.data && part.data.name in datasets ? [part.data.name] : [];
    return own.concat(...Object.values(part).map(namesIn));
  }

  // what of a point never changes is made once, not again at each step of a zoom
  const LASTING = ["tooltip", "description", "fill", "stroke", "size"];

  function settle(mark) {
    const update = mark.encode?.update ?? {};
    for (const name of LASTING) {
      if (name in update && !Array.isArray(update[name])) {
        mark.encode.enter = { ...mark.encode.enter, [name]: update[name] };
        delete update[name];
      }
    }
    (mark.marks ?? []).forEach(settle);
  }

  async function draw(figure) {
    const spec = structuredClone(charts[figure.dataset.chart]);
    const names = [...new Set(namesIn(spec))];
    spec.datasets = Object.fromEntries(names.map((name) => [name, rowsOf(name)]));
    const many = names.some((name) => datasets[name].rows.length > MANY);
    const config = structuredClone(themes[root.dataset.theme]);
    config.font = "system-ui, sans-serif";
    const place = figure.querySelector(".chart");
    const controls = figure.querySelector(".controls");
    if (place.clientWidth < NARROW) {
      const layers = [spec, ...(spec.layer ?? [])];
      const names = layers.flatMap((layer) => layer.encoding?.color?.scale?.domain ?? []);
      const longest = Math.max(12, ...names.map((name) => String(name).length));
      const columns = Math.max(1, Math.floor(place.clientWidth / (7 * longest + 30)));
      const labelLimit = place.clientWidth / columns - 40;
      config.legend = { ...config.legend, orient: "bottom", columns, labelLimit, gradientLength: 160 };
      config.axis.labelLimit = 120;
      spec.height = Math.min(spec.height, 1.2 * place.clientWidth);
    }
    controls.replaceChildren();
    if (views.has(figure)) views.get(figure).finalize();
    try {
      views.set(figure, await vegaEmbed(place, spec, {
        mode: "vega-lite",
        ast: true, // expressions are interpreted, so no code is made from text
        config,
        renderer: many ? "canvas" : "svg",
        bind: controls,
        patch: (compiled) => { compiled.marks.forEach(settle); return compiled; },
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: "matinee",
        tooltip: { theme: root.dataset.theme === "dark" ? "dark" : "light" },
      }));
      place.style.minHeight = "";
    } catch (problem) {
      place.textContent = `This chart could not be drawn: ${problem.message}`;
      console.error(problem);
    }
  }

  async function drawAll() {
    for (const figure of document.querySelectorAll("figure:not([hidden])")) await draw(figure);
  }

  for (const choices of document.querySelectorAll(".choices")) {
    const buttons = [...choices.querySelectorAll("button")];
    const figures = [...choices.parentElement.querySelectorAll("figure")];
    buttons.forEach((button, at) => button.addEventListener("click", () => {
      buttons.forEach((other, number) => other.setAttribute("aria-pressed", number === at));
      figures.forEach((figure, number) => { figure.hidden = number !== at; });
      draw(figures[at]);
    }));
  }

  const preferred = matchMedia("(prefers-color-scheme: dark)");
  function turn(dark) {
    root.dataset.theme = dark ? "dark" : "light";
    return drawAll();
  }
  preferred.addEventListener("change", () => turn(preferred.matches));
  document.getElementById("theme").addEventListener("click", () => turn(root.dataset.theme !== "dark"));
  // on paper, charts are those of a light page
  document.getElementById("print").addEventListener("click", async () => {
    const dark = root.dataset.theme === "dark";
    if (dark) await turn(false);
    window.print();
    if (dark) await turn(true);
  });
  await turn(preferred.matches);
  root.dataset.ready = "true";
})();
