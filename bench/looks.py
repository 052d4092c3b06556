"""How long maps and reports take, how large they are, and how smoothly a map of 10,000 works.

    python bench/looks.py [--shots FOLDER]

Needs ml-latest-small and ml-1m in the cache, the extra charts, and for the browser's part Debian's
chromium and the extra test. Pages are opened without a network; what they ask for or complain of is
counted. With --shots, they are photographed at the widths of a phone and of a desk.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import matinee
from matinee.analysis import neighbours, project
from matinee.data.synthetic import generate
from matinee.experiments import Split, load_run_data, train_and_evaluate
from matinee.report import write_map_report, write_report

NON_HYPERPARAMETERS = ("Animation", "Horror", "Film-Noir")
NEAREST = 10
FRAMES = 9
WIDTHS = {"desk": 1280, "phone": 390}
# to the second frame after an event: by then its picture is on the screen
FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def timed(work):
    """What the work returns, and its seconds."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def report(name, folder):
    """Seconds and size of a run's report; the model."""
    dataset = matinee.read(name)
    result = train_and_evaluate(dataset, matinee.ALS(), Split(), ranker=matinee.ImplicitALS())
    model = matinee.load(result.model.save(folder / name))
    page = folder / f"{name}.html"
    _, seconds = timed(lambda: write_report(model, page, load_run_data(model)))
    print(f"report of {name}: {seconds:.1f} s, {page.stat().st_size / 1e6:.2f} MB")
    return model, page


def separation(model):
    """How often the nearest movies on the map have a genre, if a movie has it."""
    points = project(model).points
    places = points.select("x", "y").to_numpy()
    away = np.square(places[:, None] - places).sum(axis=2)
    np.fill_diagonal(away, np.inf)
    near = np.argpartition(away, NEAREST, axis=1)[:, :NEAREST]
    print(f"\nOf the {NEAREST} nearest movies on the map, how many have the genre")
    for genre in NON_HYPERPARAMETERS:
        has = points["genres"].str.split("|").list.contains(genre).to_numpy()
        print(f"  {genre}: {has[near[has]].mean():.0%}; of all movies {has.mean():.1%}")


def crowded(folder):
    """A map of 10,000 movies: seconds to lay it out by t-SNE, and its page."""
    data, _ = generate(users=6000, items=16_000, ratings=3_000_000, seed=0)
    model = matinee.ALS().fit(data)
    layout, seconds = timed(lambda: project(model))
    page = write_map_report(model, layout, folder / "crowded.html")
    size = page.stat().st_size / 1e6
    print(f"\nmap of {len(layout.space):,} movies: {seconds:.1f} s, {size:.2f} MB")
    print(f"  {layout.space.left_out}")
    return page


def in_a_browser(pages, crowd, shots):
    """What pages ask for and complain of, and how long a map of many takes to answer."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        print()
        for page in [*pages, crowd]:
            for what, width in WIDTHS.items():
                context = browser.new_context(
                    viewport={"width": width, "height": 850}, offline=True
                )
                tab = context.new_page()
                said, asked = [], []
                tab.on("console", lambda message, said=said: said.append(message.text))
                tab.on("pageerror", lambda problem, said=said: said.append(str(problem)))
                tab.on("request", lambda request, asked=asked: asked.append(request.url))
                _, seconds = timed(lambda tab=tab, page=page: opened(tab, page))
                left = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
                wide = tab.evaluate("document.documentElement.scrollWidth")
                print(
                    f"{page.stem} on a {what}: drawn in {seconds:.1f} s, {len(said)} messages, "
                    f"{len(left)} requests, {wide} of {width} pixels wide"
                )
                if shots:
                    tab.screenshot(path=shots / f"{page.stem}-{what}.png", full_page=True)
                context.close()
        tab = browser.new_context(viewport={"width": 1280, "height": 1000}, offline=True).new_page()
        opened(tab, crowd)
        answer_times(tab)
        browser.close()


def opened(tab, page):
    """Open a page and wait until all is drawn."""
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready=true]", timeout=60_000)


def answer_times(tab):
    """Milliseconds from a key, a wheel or a drag to the changed picture."""
    canvas = tab.locator("figure:not([hidden]) canvas").first
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
    tab.mouse.move(*middle)
    found = {"zoom": [], "drag": [], "search": []}
    for step in range(FRAMES):
        _, seconds = timed(lambda s=step: (tab.mouse.wheel(0, (-1) ** s * 60), tab.evaluate(FRAME)))
        found["zoom"].append(seconds)
    tab.mouse.down()
    for step in range(FRAMES):
        to = middle[0] + 4 * step, middle[1] + 3 * step
        _, seconds = timed(lambda to=to: (tab.mouse.move(*to), tab.evaluate(FRAME)))
        found["drag"].append(seconds)
    tab.mouse.up()
    tab.locator(".controls input").first.focus()
    for letter in "silent mo":
        # the page itself waits a tenth of a second for the next letter
        _, seconds = timed(
            lambda key=letter: (
                tab.keyboard.type(key),
                tab.wait_for_timeout(100),
                tab.evaluate(FRAME),
            )
        )
        found["search"].append(seconds)
    for what, seconds in found.items():
        print(f"  {what}: {1000 * statistics.median(seconds):.0f} ms (median of {FRAMES})")


def main():
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shots", type=Path, help="Put screenshots into this folder.")
    options = parser.parse_args()
    if options.shots:
        options.shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _, small = report("ml-latest-small", folder)
        model, large = report("ml-1m", folder)
        separation(model)
        with pl.Config(tbl_rows=100, fmt_str_lengths=60, tbl_width_chars=160):
            print("\nNearest movies by either head, ml-1m")
            print(neighbours(model))
        crowd = crowded(folder)
        if shutil.which("chromium"):
            in_a_browser([small, large], crowd, options.shots)
        else:
            print("No chromium here, so pages are not opened.")


if __name__ == "__main__":
    main()
