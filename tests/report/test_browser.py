"""Pages in a browser without a network: drawn, searched, picked from, printed, not tricked."""

import shutil
from dataclasses import replace

import altair as alt
import polars as pl
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")
pytest.importorskip("vl_convert")
pytest.importorskip("playwright", reason="Playwright is not installed")

from playwright.sync_api import expect, sync_playwright

from matinee.analysis import find_clusters, project
from matinee.data import Catalog
from matinee.models import ALS, ImplicitALS
from matinee.plots.theme import framed, rows
from matinee.report import run_report as reports
from matinee.report import (
    write_clusters_report,
    write_dataset_report,
    write_map_report,
    write_report,
    write_study_report,
)
from matinee.report.document import Section, figure, write_page
from matinee.tuning.search_space import Choice, Range, SearchSpace
from studies_by_hand import search

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on the PATH")
HOSTILE = [
    "<script>window.pwned=1</script> (1859)",
    "<img src=x onerror=window.pwned=2> (1858)",
    '"><svg onload=window.pwned=3> (1857)',
    "{{7*7}} ${7*7} (1856)",
    "</script><script>window.pwned=4</script> (1855)",
    "back\\slash' <!-- <b>bold</b> &amp; \u2028 (1854)",
]
ENDINGS = tuple(title[-6:] for title in HOSTILE)
NAME = "<b>mine</b>"
HOSTILE_GENRES = ["<script>window.pwned=5</script>", "'\"><img src=x onerror=window.pwned=6>"]
PAGES = ("report", "map", "clusters", "data", "study")
SHOWN, DIMMED = "0.75", "0.05"
MAP = "figure:not([hidden]):has(.controls input)"
# what each point of the map stands for, and how opaque it is
POINTS = """map => [...map.querySelectorAll('svg.marks [aria-roledescription="circle"]')].map(
  point => [point.__data__.datum, point.getAttribute('opacity')])"""


@pytest.fixture(scope="module")
def data(generated):
    """Generated data whose best known movies have names that try to break out."""
    plain = generated[0]
    known = plain.ratings.item_counts.argsort()[::-1].tolist()
    titles = dict(zip(known, HOSTILE, strict=False))
    genres = {code: [HOSTILE_GENRES[at % 2]] for at, code in enumerate(known[2:26])}
    frame = plain.catalog.frame.with_row_index("code").with_columns(
        item_id=plain.catalog.ids.values,
        title=pl.col("code").replace_strict(titles, default=pl.col("title")),
        genres=pl.struct("code", "genres").map_elements(
            lambda one: one["genres"] + genres.get(one["code"], []), pl.List(pl.String)
        ),
    )
    catalog = Catalog.build(plain.catalog.ids, frame.drop("code"))
    return replace(plain, catalog=catalog, name=NAME, licence=HOSTILE[1])


@pytest.fixture(scope="module")
def model(data):
    train, test = data.split("random", test_fraction=0.1, seed=0)
    fitted = ALS(factors=6, iterations=4).fit(train)
    fitted = fitted.with_ranking(ImplicitALS(factors=4, iterations=2).fit(train))
    return replace(fitted, metadata={"data": {"name": data.name}}), (data, train, test)


@pytest.fixture(scope="module")
def layout(model):
    return project(model[0], "pca", clusters=find_clusters(model[0], 4))


@pytest.fixture(scope="module")
def paths(model, layout, tmp_path_factory):
    """Every kind of page, and one with a chart of many points."""
    folder = tmp_path_factory.mktemp("pages")
    paths = {name: folder / f"{name}.html" for name in (*PAGES, "many")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "find_clusters", lambda model, **how: find_clusters(model, 4, **how))
        patch.setattr(reports, "project", lambda *_, **__: layout)
        write_report(model[0], paths["report"], model[1], users=[7])
    write_map_report(model[0], layout, paths["map"])
    write_clusters_report(layout.clusters, paths["clusters"])
    write_dataset_report(model[1][0], paths["data"])
    searched = {f"factors.{HOSTILE[1]}": Range(0.1, 3.0, log=True), "features": Choice(HOSTILE)}
    settings = [(0.1 + at % 3, HOSTILE[at % 6]) for at in range(9)]
    found = search(
        [0.9 - at / 100 for at in range(9)], "cpc" * 3, SearchSpace("ALS", searched), settings
    )
    write_study_report(found, model[1][0], paths["study"], HOSTILE[4])
    points = rows(pl.DataFrame({"x": range(1600), "y": range(1600)}))
    many = framed(alt.Chart(points).mark_point().encode(x="x:Q", y="y:Q"), "Many")
    write_page(paths["many"], "Many", "points", [Section("s", [figure(many)])])
    return paths


@pytest.fixture(scope="module")
def browser():
    args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=args)
        yield started
        started.close()


class Watched:
    """What a page says and asks for while it is open."""

    def __init__(self, browser, path, width, scheme):
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, offline=True, color_scheme=scheme)
        self.said, self.asked, self.left, self.url = [], [], [], path.as_uri()
        self.context.set_default_timeout(15_000)  # milliseconds, after which a page is broken
        self.context.route("**/*", self.let_no_request_leave)
        self.page = page = self.context.new_page()
        page.on("console", lambda one: self.said.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda one: self.said.append(f"pageerror: {one}"))
        page.on("request", lambda one: self.asked.append(one.url))
        page.goto(self.url)
        page.wait_for_selector("html[data-ready=true]")

    def let_no_request_leave(self, route):
        if route.request.url == self.url:
            route.continue_()
        else:
            self.left.append(route.request.url)
            route.abort()

    def check(self):
        assert self.page.evaluate("typeof window.pwned") == "undefined"
        assert not self.left


@pytest.fixture
def visit(browser, paths):
    """Opens a page; at the end nothing may have been complained of, asked for or run."""
    opened = []

    def go(name, width=1280, scheme="light"):
        opened.append(Watched(browser, paths[name], width, scheme))
        return opened[-1].page

    yield go
    for one in opened:
        one.check()
        asked = [url for url in one.asked if not url.startswith(("data:", "blob:"))]
        assert asked == [one.url]
        assert not one.said
        one.context.close()


def open_everything(page):
    """Open all details, and wait until their charts are drawn."""
    page.evaluate("for (const fold of document.querySelectorAll('.fold')) fold.open = true")
    page.wait_for_function(
        """() => [...document.querySelectorAll('figure:not([hidden])')].every(
          figure => figure.querySelector('.chart .marks'))"""
    )


def points(page):
    """(row of the movie, how opaque it is) for each point of the map shown."""
    return page.locator(MAP).first.evaluate(POINTS)


def only_those_stand_out(page, wanted):
    """Wait until exactly the points that are wanted stand out."""
    for _ in range(100):
        found = points(page)
        if all((opacity == SHOWN) == wanted(row) for row, opacity in found):
            break
        page.wait_for_timeout(30)
    assert {opacity for _, opacity in found} <= {SHOWN, DIMMED}
    assert [row for row, opacity in found if opacity == SHOWN] == [
        row for row, _ in found if wanted(row)
    ]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("width", "scheme"),
    [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.thorough)],
)
def test_a_page_opens_without_a_network_and_draws_everything(name, width, scheme, visit):
    page = visit(name, width, scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    open_everything(page)
    figures = page.locator("figure:not([hidden])")
    boxes = figures.evaluate_all(
        """figures => figures.map(figure => {
          const drawn = figure.querySelector('.chart svg.marks, .chart canvas.marks');
          const {width, height, left, right} = drawn.getBoundingClientRect();
          return [width, height, left, right, drawn.tagName,
            drawn.querySelectorAll('.role-mark *').length];
        })"""
    )
    assert len(boxes) == figures.count() > 0
    for wide, high, left, right, kind, marks in boxes:
        assert wide > 200
        assert high > 50
        assert left >= 0
        assert right <= width
        assert marks > 0 or kind == "CANVAS"


@pytest.mark.slow
def test_titles_are_shown_in_full_in_text_and_charts_and_never_run(visit):
    page = visit("report")
    open_everything(page)
    text = page.evaluate("document.body.innerText")
    for title in HOSTILE[:-1]:
        assert title in text
    assert page.locator("h1").inner_text() == f"Report on {NAME}"
    assert (
        page.get_by_text("Terms of use of the data")
        .inner_text()
        .startswith("Terms of use of the data: unknown")
    )
    legend = page.locator(f"{MAP} .role-legend-label text").all_text_contents()
    for genre in HOSTILE_GENRES:
        assert any(len(one) > 9 and genre.startswith(one.rstrip("\u2026")) for one in legend)


@pytest.mark.slow
def test_a_tooltip_shows_a_hostile_title_as_text(visit):
    page = visit("map")
    titles = [row["title"] for row, _ in points(page)]
    hostile = [title for title in titles if title.endswith(ENDINGS)]
    assert len(hostile) == len(HOSTILE)
    for title in hostile:
        # others may lie upon it, so that a mouse would not do
        page.locator(f"{MAP} [aria-roledescription=circle]").nth(titles.index(title)).evaluate(
            """point => { const {x, y} = point.getBoundingClientRect();
            point.dispatchEvent(new PointerEvent(
              'pointermove', {bubbles: true, clientX: x + 2, clientY: y + 2})) }"""
        )
        shown = page.locator("#vg-tooltip-element.visible")
        expect(shown).to_contain_text(title)
        assert "most similar" in shown.inner_text()
        assert page.locator("#vg-tooltip-element :is(script, img, svg, b)").count() == 0


@pytest.mark.slow
def test_the_mouse_over_a_point_brings_its_tooltip(visit):
    page = visit("map")
    point = page.locator(f"{MAP} [aria-roledescription=circle]").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#vg-tooltip-element.visible")).to_contain_text("mean rating")


@pytest.mark.slow
def test_typing_part_of_a_title_brings_out_the_movies_that_have_it(visit):
    page = visit("map")
    before = only_those_stand_out(page, lambda row: True)
    search = page.locator(f"{MAP} .controls input")
    words = page.locator(f"{MAP} svg.marks .role-mark text")
    for query in (
        "SCRIPT>window",
        "(185",
        "back\\slash' <!--",
        "den ",
        '"><',
        "no such movie",
    ):
        search.fill(query)
        found = only_those_stand_out(
            page,
            lambda row, query=query: query.lower() in row["title"].lower(),
        )
        titles = [row["title"] for row, opacity in found if opacity == SHOWN]
        assert (0 < len(titles) < len(before)) != (query == "no such movie")
        # the best known of these are named, and no other; where there is none, that is said
        named = {one for one in words.all_text_contents() if not one.strip().isdigit()}
        if not titles:
            assert named == {f"No movie has \u201c{query}\u201d in its title"}
            continue
        assert len(named) == min(len(titles), 12)
        for name in named:
            start, _, end = name.lstrip("0123456789 ").partition("\u2026")
            assert any(title.startswith(start) and title.endswith(end) for title in titles)
    search.fill("")
    only_those_stand_out(page, lambda row: True)


@pytest.mark.slow
def test_a_genre_picked_in_the_legend_keeps_whatever_has_it(visit):
    page = visit("map")
    labels = page.locator(f"{MAP} .role-legend-label text")
    genres = labels.evaluate_all("all => all.map(one => one.__data__.datum.value)")
    mixed = 0
    assert len(genres) == 11
    assert genres.pop() == "other"
    for genre in genres:
        labels.nth(genres.index(genre)).click()
        found = only_those_stand_out(
            page, lambda row, genre=genre: genre in row["genres"].split("|")
        )
        shown = [row for row, opacity in found if opacity == SHOWN]
        assert 0 < len(shown) < len(found)
        mixed += {row["genre"] for row in shown} > {genre}
    assert mixed > 1  # some have it beside a rarer one, which gives them their colour
    page.locator(f"{MAP} svg.marks").click(position={"x": 3, "y": 3})
    only_those_stand_out(page, lambda row: True)


@pytest.mark.slow
def test_buttons_change_what_colours_say(visit):
    page = visit("map")
    for name in ("Cluster", "Year", "Mean rating", "Genre"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator(MAP)).to_have_count(1)
        title = page.locator(f"{MAP} .role-legend-title text")
        expect(title).to_have_text(name.lower())
        pressed = page.locator(".choices button[aria-pressed=true]").all_inner_texts()
        assert pressed == [name]
        assert "mark-symbol" in page.locator(f"{MAP} svg.marks").inner_html()


@pytest.mark.slow
def test_a_cluster_picked_in_the_legend_keeps_its_movies(visit):
    page = visit("map")
    page.get_by_role("button", name="Cluster", exact=True).click()
    entry = page.locator(f"{MAP} .role-legend-symbol path").nth(1)
    entry.click()
    found = only_those_stand_out(page, lambda row: row["cluster"].startswith("2 "))
    assert 0 < len([row for row, opacity in found if opacity == SHOWN]) < len(found)


@pytest.mark.slow
def test_light_and_dark_by_wish_and_by_button(visit):
    page = visit("map")
    ink, page_color = (
        "getComputedStyle(document.querySelector('.role-legend-label text')).fill",
        "getComputedStyle(document.body).backgroundColor",
    )
    light = page.evaluate(ink), page.evaluate(page_color)
    label = page.locator(".role-legend-label text").first

    def turned(theme, colors):
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        expect(label).to_have_css("fill", colors[0])
        assert page.evaluate(page_color) == colors[1]

    page.locator("#theme").click()
    dark = ("rgb(169, 178, 192)", "rgb(24, 28, 36)")
    turned("dark", dark)
    page.locator("#theme").click()
    turned("light", light)
    page.emulate_media(color_scheme="dark")
    turned("dark", dark)
    assert dark[0] != light[0]
    assert dark[1] != light[1]


@pytest.mark.slow
def test_many_points_are_drawn_on_a_canvas_in_the_colours_of_the_theme(visit):
    page = visit("many")
    canvas = page.locator("figure canvas.marks")
    colors = """canvas => { const {data} = canvas.getContext('2d').getImageData(
      0, 0, canvas.width, canvas.height); return new Set(new Uint32Array(data.buffer)).size }"""
    assert canvas.evaluate(colors) > 10
    light = canvas.screenshot()
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert canvas.screenshot() != light


@pytest.mark.thorough
@pytest.mark.slow
def test_on_paper_there_are_no_buttons(visit):
    page = visit("report", scheme="dark")
    gone = page.locator("nav, button, .controls, .choices, .chart details")
    assert any(one.is_visible() for one in gone.all())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".fold:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".fold[open]").count() == 0
    page.emulate_media(media="print")
    assert not any(one.is_visible() for one in gone.all())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


INTRUDERS = {
    "a script": "const one = document.createElement('script'); one.textContent = 'window.pwned=7';"
    "document.body.append(one)",
    "a handler": "document.body.insertAdjacentHTML("
    "'beforeend', '<p onclick=\"window.pwned=8\">here</p>'); document.body.lastChild.click()",
    "code from text": "const one = document.createElement('a');"
    "one.href = 'javascript:window.pwned=9'; document.body.append(one); one.click()",
    "a picture": "document.body.insertAdjacentHTML('beforeend', '<img src=https://example.org/a>')",
    "a request": "fetch('https://example.org/b').catch(() => 0)",
    "a form": "document.body.insertAdjacentHTML("
    "'beforeend', '<form action=https://example.org/c>'); document.forms[0].submit()",
}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("how", INTRUDERS)
def test_what_still_gets_in_is_stopped_by_the_policy(how, browser, paths):
    seen = Watched(browser, paths["clusters"], 1280, "light")
    seen.page.evaluate(f"() => {{ {INTRUDERS[how]} }}")
    for _ in range(100):
        if any("Content Security Policy" in one for one in seen.said):
            break
        seen.page.wait_for_timeout(30)
    assert any("Content Security Policy" in one for one in seen.said)
    seen.check()
    seen.context.close()


LONG = "an_export_of_all_my_ratings_from_1994_to_2024_with_times_and_tags"


@pytest.mark.slow
def test_a_long_name_does_not_widen_a_phone(browser, tmp_path):
    path = write_page(tmp_path / "long.html", LONG, LONG, [Section(LONG), Section("b", [LONG])])
    seen = Watched(browser, path, 390, "light")
    width = seen.page.evaluate("document.documentElement.scrollWidth")
    seen.context.close()
    assert width <= 390


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("color", ["Genre", "Cluster"])
def test_a_legend_is_no_wider_than_a_phone(color, visit):
    page = visit("map", width=390)
    page.get_by_role("button", name=color, exact=True).click()
    expect(page.locator(f"{MAP} .role-legend-title text")).to_have_text(color.lower())
    right = page.locator(f"{MAP} .role-legend").bounding_box()
    assert right["x"] + right["width"] <= 390
