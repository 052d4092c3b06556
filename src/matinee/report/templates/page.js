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
    figure.dataset.drawn = "true"; // or at work on it
    const spec = structuredClone(charts[figure.dataset.chart]);
    const names = [...new Set(namesIn(spec))];
    spec.datasets = Object.fromEntries(names.map((name) => [name, rowsOf(name)]));
    const many = names.some((name) => datasets[name].rows.length > MANY);
    const config = structuredClone(themes[root.dataset.theme]);
    config.font = "system-ui, sans-serif";
    const place = figure.querySelector(".chart");
    const controls = figure.querySelector(".controls");
    if (figure.parentElement.classList.contains("fills")) {
      // the first section fills the screen together with what stands above it
      const top = figure.closest("section:not(.first)")?.getBoundingClientRect().top ?? -scrollY;
      spec.height = Math.max(360, innerHeight - (place.getBoundingClientRect().top - top) - 12);
      spec.autosize = { type: "fit", contains: "padding" };
    }
    if (place.clientWidth < NARROW) {
      const layers = [spec, ...(spec.layer ?? [])];
      const names = layers.flatMap((layer) => layer.encoding?.color?.scale?.domain ?? []);
      const longest = Math.max(12, ...names.map((name) => String(name).length));
      const columns = Math.max(1, Math.floor(place.clientWidth / (7 * longest + 30)));
      const labelLimit = place.clientWidth / columns - 40;
      config.legend = { ...config.legend, orient: "bottom", columns, labelLimit, gradientLength: 160 };
      config.axis.labelLimit = 120;
      if (!spec.autosize) spec.height = Math.min(spec.height, 1.2 * place.clientWidth);
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
      place.querySelector("summary")?.setAttribute("aria-label", "Save this chart");
    } catch (problem) {
      place.textContent = `This chart could not be drawn: ${problem.message}`;
      console.error(problem);
    }
  }

  const isShown = (figure) => figure.checkVisibility();
  // within closed details only some browsers know how wide a chart will be
  const hasWidth = (figure) => figure.clientWidth > 0;

  async function drawAll() {
    for (const figure of document.querySelectorAll("figure")) delete figure.dataset.drawn;
    await drawMissing(document, isShown);
  }

  async function drawMissing(part, when) {
    for (const figure of part.querySelectorAll("figure:not([data-drawn])")) {
      if (when(figure)) await draw(figure);
    }
  }

  const folds = [...document.querySelectorAll(".fold")];
  for (const fold of folds) fold.addEventListener("toggle", () => drawMissing(fold, isShown));

  function unfold(hash) {
    for (const fold of document.getElementById(hash.slice(1))?.querySelectorAll(":scope > .fold") ?? []) {
      fold.open = true;
    }
  }
  document.querySelector("nav")?.addEventListener("click", (event) => unfold(event.target.hash ?? ""));
  addEventListener("hashchange", () => unfold(location.hash));

  // a finger does not hover: a tap brings the tooltip of what is nearest to it
  const REACH = [0, 5, 10, 15, 20, 26]; // pixels
  const DIRECTIONS = [...Array(8).keys()].map((eighth) => eighth * Math.PI / 4);
  const tooltip = () => document.querySelector("#vg-tooltip-element.visible");
  document.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") tooltip()?.classList.remove("visible");
  });
  document.addEventListener("click", (event) => {
    const place = event.target.closest(".chart");
    if (event.pointerType === "mouse" || !place) return;
    for (const far of REACH) {
      for (const direction of far ? DIRECTIONS : [0]) {
        const clientX = event.clientX + far * Math.cos(direction);
        const clientY = event.clientY + far * Math.sin(direction);
        const near = document.elementFromPoint(clientX, clientY);
        if (!place.contains(near)) continue;
        near.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX, clientY }));
        if (tooltip()) return;
      }
    }
  });

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
  // on paper everything is open, and charts are those of a light page
  let opened = [];
  function openAll() {
    opened = [...opened, ...folds.filter((fold) => !fold.open)];
    for (const fold of folds) fold.open = true;
  }
  addEventListener("beforeprint", openAll);
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
    opened = [];
  });
  document.getElementById("print").addEventListener("click", async () => {
    const dark = root.dataset.theme === "dark";
    openAll();
    if (dark) await turn(false);
    await drawMissing(document, isShown);
    window.print();
    if (dark) await turn(true);
  });
  screen.orientation?.addEventListener("change", drawAll);
  unfold(location.hash);
  await turn(preferred.matches);
  root.dataset.ready = "true";
  await drawMissing(document, hasWidth); // for who prints without the button
})();
