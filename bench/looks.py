"""How long maps and reports take, how large they are, and how fast a map of 10,000 items responds.

    python bench/looks.py [--shots FOLDER]

Needs ml-latest-small and ml-1m in the cache, the extra charts, and Debian's chromium.
Pages are opened without a network; requests and console messages are counted. With --shots, pages
are saved as pictures at the widths of a desktop and of a phone.
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

GENRES = ("Animation", "Horror", "Film-Noir")
NEAREST = 10
FRAMES = 9
WIDTHS = {"desktop": 1280, "phone": 390}
# the second frame after an event has its picture on the screen
NEXT_FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def timed(function):
    """The result of a function, and its seconds."""
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def report(name, folder):
    """Print seconds and size of a run's report; the model and the page."""
    dataset = matinee.read(name)
    result = train_and_evaluate(dataset, matinee.ALS(), Split(), ranker=matinee.ImplicitALS())
    model = matinee.load(result.model.save(folder / name))
    page = folder / f"{name}.html"
    _, seconds = timed(lambda: write_report(model, page, load_run_data(model)))
    print(f"report of {name}: {seconds:.1f} s, {page.stat().st_size / 1e6:.2f} MB")
    return model, page


def separation(model):
    """Print how often the nearest movies on the map share a genre."""
    points = project(model).points
    plane = points.select("x", "y").to_numpy()
    distance = np.square(plane[:, None] - plane).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    near = np.argpartition(distance, NEAREST, axis=1)[:, :NEAREST]
    print(f"\nOf the {NEAREST} nearest movies on the map, how many have the genre")
    for genre in GENRES:
        has = points["genres"].str.split("|").list.contains(genre).to_numpy()
        print(f"  {genre}: {has[near[has]].mean():.0%}; of all movies {has.mean():.1%}")


def crowded(folder):
    """The page of a map of 10,000 movies; prints the seconds of its t-SNE."""
    data, _ = generate(users=6000, items=16_000, ratings=3_000_000, seed=0)
    model = matinee.ALS().fit(data)
    projection, seconds = timed(lambda: project(model))
    page = write_map_report(model, projection, folder / "crowded.html")
    size = page.stat().st_size / 1e6
    print(f"\nmap of {len(projection.embeddings):,} movies: {seconds:.1f} s, {size:.2f} MB")
    print(f"  {projection.embeddings.left_out}")
    return page


def in_a_browser(pages, crowd, shots):
    """Print requests and console messages of pages, and response times of the large map."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        print()
        for page in [*pages, crowd]:
            for device, width in WIDTHS.items():
                context = browser.new_context(
                    viewport={"width": width, "height": 850}, offline=True
                )
                tab = context.new_page()
                messages, requests = [], []
                tab.on("console", lambda message, to=messages: to.append(message.text))
                tab.on("pageerror", lambda problem, to=messages: to.append(str(problem)))
                tab.on("request", lambda request, to=requests: to.append(request.url))
                _, seconds = timed(lambda tab=tab, page=page: opened(tab, page))
                external = [
                    url for url in requests if not url.startswith(("file:", "data:", "blob:"))
                ]
                page_width = tab.evaluate("document.documentElement.scrollWidth")
                print(
                    f"{page.stem} on a {device}: drawn in {seconds:.1f} s, "
                    f"{len(messages)} messages, {len(external)} requests, "
                    f"{page_width} of {width} pixels wide"
                )
                if shots:
                    tab.screenshot(path=shots / f"{page.stem}-{device}.png", full_page=True)
                context.close()
        tab = browser.new_context(viewport={"width": 1280, "height": 1000}, offline=True).new_page()
        opened(tab, crowd)
        response_times(tab)
        browser.close()


def opened(tab, page):
    """Open a page and wait until all charts are drawn."""
    tab.goto(page.resolve().as_uri())
    tab.wait_for_selector("html[data-ready=true]", timeout=60_000)


def response_times(tab):
    """Print milliseconds from a key, a wheel or a drag to the changed picture."""
    canvas = tab.locator("figure:not([hidden]) canvas").first
    box = canvas.bounding_box()
    middle = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
    tab.mouse.move(*middle)
    times = {"zoom": [], "drag": [], "search": []}
    for step in range(FRAMES):
        _, seconds = timed(
            lambda s=step: (tab.mouse.wheel(0, (-1) ** s * 60), tab.evaluate(NEXT_FRAME))
        )
        times["zoom"].append(seconds)
    tab.mouse.down()
    for step in range(FRAMES):
        to = middle[0] + 4 * step, middle[1] + 3 * step
        _, seconds = timed(lambda to=to: (tab.mouse.move(*to), tab.evaluate(NEXT_FRAME)))
        times["drag"].append(seconds)
    tab.mouse.up()
    tab.locator(".controls input").first.focus()
    for letter in "silent mo":
        # the page itself waits a tenth of a second for the next letter
        _, seconds = timed(
            lambda key=letter: (
                tab.keyboard.type(key),
                tab.wait_for_timeout(100),
                tab.evaluate(NEXT_FRAME),
            )
        )
        times["search"].append(seconds)
    for action, seconds in times.items():
        print(f"  {action}: {1000 * statistics.median(seconds):.0f} ms (median of {FRAMES})")


def main():
    """Run all measurements."""
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
            print("\nNearest movies by each head, ml-1m")
            print(neighbours(model))
        crowd = crowded(folder)
        if shutil.which("chromium"):
            in_a_browser([small, large], crowd, options.shots)
        else:
            print("No chromium on the PATH: pages are not opened.")


if __name__ == "__main__":
    main()
