"""Reading a report and a map: what opens, what a finger reaches, what is cut, what axe finds."""

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")
pytest.importorskip("vl_convert")
pytest.importorskip("playwright", reason="Playwright is not installed")

from playwright.sync_api import expect
from test_browser import (  # noqa: F401  (fixtures)
    CHROMIUM,
    MAP,
    browser,
    data,
    layout,
    model,
    open_everything,
    paths,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium on the PATH"),
]
SIZES = {1280: 800, 390: 844}
TAPS = 40
CENTRES = """(map, count) => {
  const all = [...map.querySelectorAll('svg.marks [aria-roledescription="circle"]')];
  const step = Math.max(1, Math.floor(all.length / count));
  return all.filter((_, at) => at % step == 0).map(point => {
    const {x, y, width, height} = point.getBoundingClientRect();
    return [x + width / 2, y + height / 2]; }) }"""


@pytest.fixture
def opened(browser, paths):  # noqa: F811
    """Opens a page on a screen, by default of a phone that is touched."""
    contexts = []

    def go(name, width=390, scheme="light", touch=True):
        size = {"width": width, "height": SIZES[width]}
        context = browser.new_context(
            viewport=size, offline=True, color_scheme=scheme, has_touch=touch
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(paths[name].as_uri())
        page.wait_for_selector("html[data-ready=true]")
        return page

    yield go
    for context in contexts:
        context.close()


def test_a_report_opens_with_metrics_and_an_example(opened):
    page = opened("report", 1280)
    assert page.locator("h2").all_inner_texts()[:3] == ["Key metrics", "User 7", "Map"]
    metric = page.locator(".key > div").first
    assert "RMSE" in metric.inner_text()
    assert "lower is better" in metric.inner_text()
    assert metric.bounding_box()["y"] < SIZES[1280] / 2
    first = page.locator("#part-2 article").first
    assert "Top rated" in first.inner_text()
    assert page.locator("#part-2").get_by_text("because of").count() > 3


def test_a_link_opens_what_is_folded_and_so_does_the_keyboard(opened):
    page = opened("report", 1280)
    fold = page.locator("section:has(h2:text-is('Training')) > .fold")
    expect(fold).not_to_have_attribute("open", "")
    page.get_by_role("link", name="Training", exact=True).click()
    expect(fold).to_have_attribute("open", "")
    expect(fold.locator(".chart .marks").first).to_be_visible()
    fold.locator("summary").first.focus()
    page.keyboard.press("Enter")
    expect(fold).not_to_have_attribute("open", "")


def test_nothing_is_cut_on_a_phone_where_everything_is_open(opened):
    page = opened("report")
    open_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cut = page.locator("td, li, dd, h3").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().right > 390).length"
    )
    assert cut == 0
    hidden = page.locator(".stacks").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    )
    assert hidden == 0


@pytest.mark.parametrize("width", SIZES)
def test_a_map_fills_the_first_screen_and_cuts_no_title(width, opened):
    page = opened("map", width)
    box = page.locator(f"{MAP} svg.marks").bounding_box()
    assert box["height"] > 0.7 * SIZES[width]
    assert box["y"] + box["height"] <= SIZES[width]
    places = page.locator(f"{MAP} svg.marks .mark-text.role-mark text").evaluate_all(
        """all => all.filter(one => one.getAttribute('opacity') > 0.5).map(one => {
          const {left, right, top} = one.getBoundingClientRect(); return [left, right, top]; })"""
    )
    assert len(places) > 3
    for left, right, top in places:
        assert left >= box["x"]
        assert right <= box["x"] + box["width"]
        assert top >= box["y"]


@pytest.mark.parametrize("width", SIZES)
def test_a_tap_on_a_point_shows_a_tooltip_that_is_on_the_screen(width, opened):
    page = opened("map", width)
    centres = page.locator(MAP).evaluate(CENTRES, TAPS)
    assert len(centres) >= TAPS
    shown = 0
    for x, y in centres:
        page.touchscreen.tap(2, SIZES[width] - 2)  # away from it
        expect(page.locator("#vg-tooltip-element.visible")).to_have_count(0)
        page.touchscreen.tap(x, y)
        tooltip = page.locator("#vg-tooltip-element.visible")
        if tooltip.count() == 0:
            continue
        box = tooltip.bounding_box()
        inside = box["x"] >= 0 and box["x"] + box["width"] <= width
        inside = inside and box["y"] >= 0 and box["y"] + box["height"] <= SIZES[width]
        shown += inside and "most similar" in tooltip.inner_text()
    assert shown >= 0.95 * len(centres)


def test_a_search_without_a_result_says_so(opened):
    page = opened("map")
    search = page.locator(f"{MAP} .controls input")
    line = page.locator(f"{MAP} svg.marks").get_by_text("in its title")
    search.fill("no such <b>")
    expect(line).to_have_text("No movie has \u201cno such <b>\u201d in its title")
    search.fill("(1")
    expect(line).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "map"])
def test_axe_finds_nothing_serious(name, scheme, opened):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(name, 1280, scheme)
    open_everything(page)
    found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
