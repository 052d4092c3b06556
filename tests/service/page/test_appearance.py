"""Sizes, colours, paper, trouble: the page looks and behaves well everywhere."""

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed")
pytest.importorskip("fastapi")

from playwright.sync_api import expect
from steps import CARDS, TICKETS, axe_violations, rate, settled, titles

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
PAGES = ["/", "/film/101", "/map", "/two", "/mine", "/about"]
LUMINANCE = """() => { const parts = getComputedStyle(document.body).backgroundColor.match(/\\d+/g);
  return (0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]) / 255 }"""


def rated(visitor, *of):
    one = visitor(*of)
    page = one.open()
    for place, value in enumerate([5, 1, 4]):
        rate(page, place, value)
    return one


def test_nothing_is_wider_than_a_phone(visitor):
    one = rated(visitor, "phone")
    for path in [*PAGES, "/film/111", "/film/112", "/film/104"]:
        page = one.open(path)
        settled(page)
        for width in (320, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page = one.open()
    page.get_by_text("Genres and years").tap()
    page.locator("#list .actions button").first.tap()
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_phone_shows_the_list_below_the_movie_that_is_rated(visitor):
    page = visitor("phone").open()
    ticket = page.locator(TICKETS).first
    half = ticket.get_by_role("radio").first.bounding_box()
    assert half["width"] >= 22  # pixels: what a finger can hit
    assert half["height"] >= 40
    ticket.get_by_role("radio", name="4.5 stars").tap()
    expect(ticket.locator("output")).to_have_text("4.5")
    # without scrolling, the list begins on the same screen
    assert page.locator("#list-heading").bounding_box()["y"] < 844 * 0.75


def test_light_and_dark(visitor):
    light, dark = (visitor("desk", scheme).open() for scheme in ("light", "dark"))
    assert light.evaluate(LUMINANCE) > 0.9
    assert dark.evaluate(LUMINANCE) < 0.1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desk"])
def test_axe_finds_nothing_serious(visitor, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    one = rated(visitor, size, scheme)
    page = one.page
    page.get_by_text("Genres and years").click()
    page.locator(".choice input").first.check()
    page.locator(f"{CARDS} .actions button").first.click()
    page.get_by_role("combobox").press_sequentially("the")
    expect(page.get_by_role("option")).to_have_count(8)
    settled(page)
    assert axe_violations(page, axe) == []
    for path in PAGES:
        page = one.open(path)
        settled(page)
        assert axe_violations(page, axe) == [], path
    page = one.open("/mine")
    page.get_by_role("button", name="Forget me …").click()
    assert axe_violations(page, axe) == []
    page = one.open("/two")
    rate(page, 0, 4, "#other .ticket")
    assert axe_violations(page, axe) == []
    page = visitor(size, scheme, may_fail=True).open("/film/nothing")
    assert axe_violations(page, axe) == []


def test_on_paper_there_is_the_list_alone(visitor):
    page = rated(visitor, "desk", "dark").page
    page.emulate_media(media="print")
    assert page.evaluate(LUMINANCE) > 0.99
    expect(page.locator(CARDS).first).to_be_visible()
    for gone in ("nav", "#deck", "#controls", ".actions button", "#search"):
        expect(page.locator(gone).first).to_be_hidden()


def test_hostile_titles_are_text_wherever_they_stand(visitor):
    one = rated(visitor)
    page = one.page
    assert page.locator(f"{TICKETS} h3").nth(1).inner_text() == "<img src=x onerror=alert(1)>"
    for path in PAGES:
        page = one.open(path)
        settled(page)
        assert page.locator("main img, main script, main [onerror]").count() == 0
    assert page.evaluate("typeof window.pwned") == "undefined"


def test_an_error_is_one_kind_line_with_a_retry(visitor, shop):
    page = visitor(may_fail=True).open()
    before = titles(page)
    shop.broken.add("/recommendations")
    rate(page, 0, 5)
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("The server cannot answer right now.")
    assert titles(page) == before  # the old list stays
    shop.broken.clear()
    problem.get_by_role("button", name="Try again").click()
    expect(problem).to_be_hidden()
    assert titles(page) != before


@pytest.mark.parametrize("path", ["/", "/map", "/two", "/mine", "/about", "/film/105"])
def test_a_page_whose_service_is_down_can_be_tried_again(visitor, shop, path):
    one = visitor(may_fail=True)
    shop.broken |= {"/model", "/map" if path == "/map" else "/model", "/similar"}
    broken = path == "/map"
    if broken:
        shop.broken = {"/api/v1/map"}
    one.page.goto(one.site + path)
    problem = one.page.get_by_role("alert")
    expect(problem.first).to_be_visible()
    shop.broken.clear()
    problem.first.get_by_role("button", name="Try again").click()
    one.page.wait_for_selector("html[data-ready=true]")
    expect(problem).to_have_count(0)


def test_what_is_rated_offline_is_sent_later(visitor, site):
    one = visitor(may_fail=True)
    page = one.open()
    one.context.set_offline(True)
    page.locator(TICKETS).first.get_by_role("radio", name="4 stars", exact=True).click()
    expect(page.locator("#notice")).to_contain_text("is not saved yet")
    expect(page.get_by_role("alert")).to_contain_text("offline")
    one.context.set_offline(False)
    expect(page.locator("#notice")).to_be_hidden()
    settled(page)
    kept = page.request.get(f"{site}/api/v1/me/feedback").json()["feedback"]
    assert [item["rating"] for item in kept] == [4]


def test_a_rating_that_could_not_be_sent_outlasts_a_reload(visitor, shop, site):
    one = visitor(may_fail=True)
    page = one.open()
    key = page.locator(TICKETS).first.get_attribute("data-key")
    shop.broken.add(f"/feedback/{key}")
    rate(page, 0, 4.5)
    expect(page.locator("#notice")).to_contain_text("is not saved yet")
    shop.broken.clear()
    page.reload()
    page.wait_for_selector("html[data-ready=true]")
    settled(page)
    kept = page.request.get(f"{site}/api/v1/me/feedback").json()["feedback"]
    assert [item["rating"] for item in kept] == [4.5]


def test_a_slow_service_shows_that_something_is_coming(visitor, shop):
    one = visitor()
    shop.delays[:] = [1.0]
    one.page.goto(one.site)
    expect(one.page.locator("#list")).to_have_attribute("aria-busy", "true")
    expect(one.page.locator(CARDS)).to_have_count(12)
    expect(one.page.locator("#list")).not_to_have_attribute("aria-busy", "true")
