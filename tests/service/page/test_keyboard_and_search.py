"""Everything without a mouse, and the search box."""

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed")
pytest.importorskip("fastapi")

from playwright.sync_api import expect
from steps import TICKETS, settled, titles

pytestmark = pytest.mark.slow
FOCUSED = """() => { const one = document.activeElement;
  return [one.tagName, one.getAttribute('role') ?? one.type ?? '', one.value ?? one.innerText] }"""


def tab_to(page, selector, most=60):
    """Presses Tab until an element that matches has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"{selector} cannot be reached with Tab")


def test_rating_filtering_and_answering_by_keyboard_alone(visitor):
    page = visitor().open()
    before = titles(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('.skip')")
    page.keyboard.press("Enter")
    for value in ("1.5", "4.5"):
        tab_to(page, "#deck input[type=radio]:not(.rated *)")
        page.keyboard.press("Space")
        for _ in range(int(2 * float(value)) - 1):
            page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.value") == value
        settled(page)
        assert page.evaluate("document.activeElement.value") == value  # the focus stays
    assert titles(page) != before
    tab_to(page, "#discover")
    page.keyboard.press("ArrowRight")
    tab_to(page, "#list .chip button")
    page.keyboard.press("Enter")
    settled(page)
    expect(page.locator("#list-state button")).to_have_count(1)
    tab_to(page, "#list .actions button")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_be_visible()


@pytest.mark.thorough
def test_what_has_the_focus_is_outlined(visitor):
    page = visitor().open()
    tab_to(page, "#deck input[type=radio]")
    outline = "getComputedStyle(document.activeElement.closest('.star-row')).outlineStyle"
    assert page.evaluate(outline) == "solid"
    tab_to(page, "#list a")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_any_movie_is_found_and_rated_by_keyboard(visitor):
    page = visitor().open()
    box = page.get_by_role("combobox")
    box.press_sequentially("the")
    options = page.get_by_role("option")
    expect(options).to_have_count(8)
    assert box.get_attribute("aria-expanded") == "true"
    box.press("ArrowUp")  # to the last
    box.press("ArrowDown")  # and around
    box.press("ArrowDown")
    second = options.nth(1)
    assert box.get_attribute("aria-activedescendant") == second.get_attribute("id")
    assert second.get_attribute("aria-selected") == "true"
    title = second.locator("b").inner_text()
    box.press("Enter")
    expect(page.locator(f"{TICKETS} h3").first).to_have_text(title)
    page.keyboard.press("Space")
    expect(page.locator(TICKETS).first.locator("output")).to_have_text("0.5")
    expect(page.get_by_role("link", name="1 rated")).to_be_visible()


@pytest.mark.thorough
def test_escape_closes_the_list_then_clears_the_box(visitor):
    page = visitor().open()
    box = page.get_by_role("combobox")
    box.press_sequentially("the")
    expect(page.get_by_role("listbox")).to_be_visible()
    box.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(box).to_have_value("the")
    box.press("Escape")
    expect(box).to_have_value("")


@pytest.mark.thorough
def test_a_search_without_an_answer_says_so(visitor):
    page = visitor().open()
    box = page.get_by_role("combobox")
    box.press_sequentially("zzzzqqqq")
    expect(page.get_by_text("Nothing found under this name")).to_be_visible()
    box.press("Enter")  # chooses nothing
    expect(page.locator(TICKETS)).to_have_count(10)


@pytest.mark.thorough
def test_a_search_elsewhere_leads_to_the_movie(visitor):
    page = visitor().open("/about")
    box = page.get_by_role("combobox")
    box.press_sequentially("img src")
    expect(page.get_by_role("option")).to_have_count(1)
    box.press("Enter")
    page.wait_for_url("**/film/*")
    page.wait_for_selector("html[data-ready=true]")
    expect(page.get_by_role("heading", level=1)).to_have_text("<img src=x onerror=alert(1)>")
