"""The page in a browser over the real API: what only both together can get wrong."""

import io
import zipfile

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed")
pytest.importorskip("fastapi")

from playwright.sync_api import expect
from steps import CARDS, TICKETS, bring, ids, rate, settled, titles

from matinee.service.app import create_app
from matinee.service.settings import ServiceSettings

pytestmark = pytest.mark.slow
KEYS = "rows => rows.map(row => row.dataset.key)"


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


@pytest.mark.thorough
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


def letterboxd(model, codes, rating="4.5"):
    """A file of Letterboxd about items of the model."""
    lines = ["Date,Name,Year,Letterboxd URI,Rating"]
    for code in codes:
        name, year = model.catalog.titles[code].rsplit(" (", 1)
        lines.append(f'2024-01-02,"{name}",{year[:4]},,{rating}')
    return "\n".join(lines).encode()


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return buffer.getvalue()


def test_the_archive_of_letterboxd(visitor, model):
    page = visitor().open("/mine")
    watched = letterboxd(model, (3, 7, 20, 21), "") + b"\n2024-01-02,No Such Movie,1999,,"
    archive = zipped(profile=b"x", watched=watched, ratings=letterboxd(model, (3, 7, 20)))
    bring(page, "letterboxd-ann-2024.zip", archive)
    expect(page.get_by_text("4 movies are in.")).to_be_visible()
    expect(page.locator("#mine .row")).to_have_count(3)
    page.get_by_text("1 row was left out").click()
    reason = "Row 6 of watched.csv: there is no movie 'No Such Movie' of 1999"
    expect(page.locator("#imported li")).to_have_text(reason)
    page.get_by_role("radio", name="seen", exact=True).check()
    expect(page.locator("#mine .row")).to_have_count(1)


@pytest.mark.thorough
def test_files_of_letterboxd_and_of_imdb(visitor, model):
    page = visitor().open("/mine")
    bring(page, "ratings.csv", letterboxd(model, (3, 7, 20)))
    expect(page.locator("#mine .row")).to_have_count(3)
    title, year = model.catalog.titles[5].rsplit(" (", 1)
    header = "Const,Your Rating,Date Rated,Title,URL,Title Type,IMDb Rating,Runtime (mins),Year"
    row = f'tt0000001,9,2024-01-02,"{title}",,Movie,7.0,90,{year[:4]}'
    bring(page, "0f1e-ratings.csv", f"{header}\n{row}\n".encode())
    expect(page.get_by_text("1 movie is in.")).to_be_visible()
    expect(page.locator("#mine .row")).to_have_count(4)
    expect(page.locator("#mine output").first).to_have_text("4.5")  # of five


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"PK\x03\x04 nothing else", "the archive is damaged"),
        (zipped(ratings=b"x")[:-30], "the archive is damaged"),
        (zipped(ratings=b"0" * 11_000_000), "'ratings.csv' is too large"),
        (zipped(cats=b"cat,age"), "there is no watched.csv or ratings.csv in it"),
        (b"cat,age\nMia,3\n", "This is no file of Letterboxd, IMDb or matinee"),
        (b"a" * 9_000_000, "That is more than 8 MB"),
    ],
    ids=["no archive", "cut", "unpacks to much", "other archive", "other file", "large"],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_line(visitor, content, line):
    page = visitor(may_fail=True).open("/mine")
    bring(page, "ratings.zip", content)
    expect(page.locator("#imported .problem")).to_contain_text(line)
    expect(page.locator("#imported button")).to_have_count(0)  # it would not help


@pytest.mark.parametrize("size", [pytest.param("desk", marks=pytest.mark.thorough), "phone"])
def test_every_page_opens(visitor, model, size):
    one = visitor(size)
    film = f"/film/{model.catalog.ids.values[3]}"
    for path in ("/", "/map", "/two", "/mine", "/about", film):
        page = one.open(path)
        settled(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= page.evaluate("window.innerWidth"), path
    assert model.catalog.titles[3].rsplit(" (", 1)[0] in one.open(film).title()


@pytest.mark.thorough
def test_two_people(visitor):
    one = visitor()
    page = one.open()
    rate(page, 0, 5)
    page = one.open("/two")
    rate(page, 0, 4, "#other .ticket")
    rate(page, 1, 1, "#other .ticket")
    assert len(titles(page)) > 3


@pytest.mark.thorough
@pytest.mark.parametrize("which", ["text_served", "large_served"])
def test_ids_may_be_any_text_or_number(visitor, request, serving, odd_ids, tmp_path, which):
    served = request.getfixturevalue(which)
    settings = ServiceSettings(run=served.run, store=str(tmp_path / "feedback.sqlite"))
    items = odd_ids if which == "text_served" else served.item_ids[5:7]
    with serving(create_app(settings, served)) as address:
        rate_on_their_pages(visitor(site=address), served, items)


def rate_on_their_pages(one, served, items):
    """Finds items, rates each on its own page, and takes all of it back."""
    for item in items:
        page = one.open()
        page.get_by_role("combobox").fill(served.model.catalog.titles[served.code(item)])
        page.get_by_role("option").first.click()
        page.locator(TICKETS).first.get_by_role("link").click()
        page.wait_for_selector("#yours .rate")
        settled(page)
        assert page.locator("#film").get_attribute("data-item") == str(item)
        assert page.locator("#similar > .tile").count() > 3
        page.get_by_role("radio", name="3 stars", exact=True).click()
        settled(page)
    page = one.open("/mine")
    expect(page.locator("#mine .row")).to_have_count(len(items))
    kept = page.locator("#mine .row").evaluate_all(KEYS)
    assert set(kept) == {str(item) for item in items}
    for _ in items:
        page.locator("#mine .row").first.get_by_role("button", name="Remove").click()
        settled(page)
    page = one.open("/mine")
    expect(page.get_by_text("Nothing rated yet")).to_be_visible()
    assert len(titles(one.open())) == 12
