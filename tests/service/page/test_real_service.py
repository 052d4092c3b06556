"""The page in a browser over the real API: what only both together can get wrong."""

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed")
pytest.importorskip("fastapi")

from playwright.sync_api import expect
from steps import CARDS, TICKETS, ids, rate, settled, titles

from matinee.service.app import create_app
from matinee.service.settings import ServiceSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(run, served, serving, tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "feedback.sqlite"
    with serving(create_app(ServiceSettings(run=run, store=str(store)), served)) as address:
        yield address


def test_ratings_change_the_list_and_are_kept(visitor, site):
    one = visitor()
    page = one.open()
    expect(page.locator(TICKETS)).to_have_count(10)
    before = titles(page)
    rated = [rate(page, place, value) for place, value in enumerate([5, 0.5, 4.5])]
    listed = titles(page)
    assert listed != before
    assert not set(rated) & set(ids(page))
    assert page.locator(f"{CARDS} .chip").count() > 5
    page = one.open()
    settled(page)
    expect(page.get_by_role("link", name="3 rated")).to_be_visible()
    assert titles(page) == listed
    other = visitor().open()
    settled(other)
    assert titles(other) == before  # whose ratings these are not


def test_marks_take_movies_off_the_list(visitor):
    page = visitor().open()
    first, second = ids(page)[:2]
    card = page.locator(f'{CARDS}[data-key="{first}"]')
    card.get_by_role("button", name="Not tonight").click()
    settled(page)
    assert ids(page)[0] == second
    page.reload()
    page.wait_for_selector("html[data-ready=true]")
    settled(page)
    assert first not in ids(page)


def test_a_file_of_letterboxd(visitor, model, tmp_path):
    lines = ["Date,Name,Year,Letterboxd URI,Rating"]
    for code in (3, 7, 20):
        name, year = model.catalog.titles[code].rsplit(" (", 1)
        lines.append(f'2024-01-02,"{name}",{year[:4]},,4.5')
    file = tmp_path / "ratings.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    page = visitor().open("/mine")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator("#mine .row")).to_have_count(3)


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_every_page_opens(visitor, model, size):
    one = visitor(size)
    film = f"/film/{model.catalog.ids.values[3]}"
    for path in ("/", "/map", "/two", "/mine", "/about", film):
        page = one.open(path)
        settled(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= page.evaluate("window.innerWidth"), path
    assert model.catalog.titles[3].rsplit(" (", 1)[0] in one.open(film).title()


def test_two_people(visitor):
    one = visitor()
    page = one.open()
    rate(page, 0, 5)
    page = one.open("/two")
    rate(page, 0, 4, "#other .ticket")
    rate(page, 1, 1, "#other .ticket")
    assert len(titles(page)) > 3
