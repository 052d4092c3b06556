"""A movie's page, two people, my ratings, and what is said of the model."""

import re

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed")
pytest.importorskip("fastapi")

from playwright.sync_api import expect
from steps import bring, rate, settled, titles

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
SHELF = "#similar > .tile b"
ONE, OTHER = "#one .ticket", "#other .ticket"


def letterboxd(page, site):
    """Letterboxd's `ratings.csv`: four movies that the service knows, and one it does not."""
    items = page.request.get(f"{site}/api/v1/map").json()["items"]
    rows = ["Date,Name,Year,Letterboxd URI,Rating"]
    for named in [re.fullmatch(r"(.*) \((\d{4})\)", one["title"]) for one in items]:
        if named and len(rows) < 5:
            rows.append(f'2024-05-01,"{named[1]}",{named[2]},https://boxd.it/x,4.5')
    rows.append("2024-05-01,No Such Movie Anywhere,1900,https://boxd.it/y,2")
    return "\n".join(rows).encode()


def test_a_file_from_letterboxd_is_read(visitor, site):
    page = visitor().open("/mine")
    bring(page, "ratings.csv", letterboxd(page, site))
    expect(page.get_by_text("4 movies are in.")).to_be_visible()
    expect(page.locator("#mine .row")).to_have_count(4)
    expect(page.locator("#mine output").first).to_have_text("4.5")
    page.get_by_text("1 row was left out").click()
    expect(page.locator("#imported li")).to_contain_text("Row 6")


def test_a_file_can_be_dropped(visitor, site):
    page = visitor().open("/mine")
    text = letterboxd(page, site).decode()
    dropped = page.evaluate_handle(
        """text => { const data = new DataTransfer();
        data.items.add(new File([text], 'ratings.csv', {type: 'text/csv'})); return data }""",
        text,
    )
    page.dispatch_event("#drop", "dragenter", {"dataTransfer": dropped})
    assert "ready" in page.locator("#drop").get_attribute("class")
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    expect(page.locator("#mine .row")).to_have_count(4)


def test_ratings_are_changed_exported_and_brought_elsewhere(visitor):
    one = visitor()
    page = one.open()
    for place, value in enumerate([5, 0.5, 4]):
        rate(page, place, value)
    page = one.open("/mine")
    row = page.locator("#mine .row").nth(1)
    row.get_by_role("radio", name="2.5 stars").click()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    content = download.value.path().read_bytes()
    other = visitor().open("/mine")
    bring(other, "matinee.csv", content)
    expect(other.locator("#mine .row")).to_have_count(3)
    assert sorted(other.locator("#mine output").all_inner_texts()) == ["2.5", "4", "5"]


def test_a_removal_can_be_undone(visitor):
    one = visitor()
    rate(one.open(), 0, 3.5)
    page = one.open("/mine")
    page.locator("#mine .row").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Nothing rated yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#mine output")).to_have_text("3.5")


def test_who_asks_to_be_forgotten_is_asked_once_and_then_is(visitor, site):
    one = visitor()
    rate(one.open(), 0, 3.5)
    page = one.open("/mine")
    page.get_by_role("button", name="Forget me …").click()
    dialog = page.get_by_role("dialog", name="Forget all of it?")
    dialog.get_by_role("button", name="Keep them").click()
    expect(page.locator("#mine .row")).to_have_count(1)
    page.get_by_role("button", name="Forget me …").click()
    page.keyboard.press("Escape")
    expect(page.locator("#mine .row")).to_have_count(1)
    page.get_by_role("button", name="Forget me …").click()
    dialog.get_by_role("button", name="Forget me").click()
    expect(page.get_by_text("All of it is forgotten.")).to_be_visible()
    expect(page.locator("#mine .row")).to_have_count(0)
    assert page.request.get(f"{site}/api/v1/me/feedback").json()["feedback"] == []


def test_a_movie_has_a_page_with_neighbours_and_a_prediction(visitor):
    one = visitor()
    page = one.open()
    for place, value in enumerate([5, 4.5, 4]):
        rate(page, place, value)
    link = page.locator("#list h3 a").first
    title = link.inner_text()
    link.click()
    page.wait_for_selector("html[data-ready=true]")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator("#verdict .number")).to_contain_text("Predicted rating")
    expect(page.locator(SHELF)).to_have_count(12)
    alike = page.locator(SHELF).all_inner_texts()
    page.get_by_role("radio", name="alike and well known").check()
    settled(page)
    assert page.locator(SHELF).all_inner_texts() != alike
    page.locator("#yours").get_by_role("radio", name="4 stars", exact=True).click()
    expect(page.locator("#verdict")).to_contain_text("From your other ratings")
    settled(page)
    page.reload()
    expect(page.locator("#yours output")).to_have_text("4")
    marks = page.locator("#yours .actions button")
    expect(marks.first).to_be_hidden()
    page.locator("#yours").get_by_role("button", name="Remove").click()
    marks.last.press("Enter")
    expect(marks.last).to_have_attribute("aria-pressed", "true")
    expect(marks.last).to_be_focused()


def test_two_people_get_one_list(visitor):
    page = visitor().open("/two")
    expect(page.get_by_text("Both of you rate a movie or two")).to_be_visible()
    for place, value in enumerate([5, 5, 0.5]):
        rate(page, place, value, ONE)
    expect(page.get_by_text("Your guest rates a movie or two")).to_be_visible()
    for place, value in enumerate([0.5, 3, 5]):
        rate(page, place, value, OTHER)
    expect(page.locator("#list .both")).to_have_count(12)
    lowest = [min(map(float, one.split("\n")[1::2])) for one in weighed(page)]
    on_average = titles(page)
    page.get_by_role("radio", name="no one suffers").check()
    settled(page)
    assert titles(page) != on_average
    spared = [min(map(float, one.split("\n")[1::2])) for one in weighed(page)]
    assert sum(spared) >= sum(lowest)
    assert spared == sorted(spared, reverse=True)
    page.reload()
    page.wait_for_selector("html[data-ready=true]")
    expect(page.locator("#other .aside").first).to_have_text("3 rated")
    expect(page.get_by_role("radio", name="no one suffers")).to_be_checked()
    settled(page)
    assert weighed(page)
    assert [min(map(float, one.split("\n")[1::2])) for one in weighed(page)] == spared


def weighed(page):
    return page.locator("#list .both").all_inner_texts()


def test_the_second_persons_ratings_are_not_the_firsts(visitor, site):
    page = visitor().open("/two")
    rate(page, 0, 5, OTHER)
    assert page.request.get(f"{site}/api/v1/me/feedback").json()["feedback"] == []
    expect(page.locator(ONE).first.locator("output")).to_have_text("")


def test_the_model_card_is_text(visitor):
    page = visitor().open("/about")
    card = page.locator("#card")
    expect(card.get_by_role("heading", name="Limits")).to_be_visible()
    expect(card.locator("strong")).to_have_text("tests")
    expect(card.locator("td").nth(1)).to_have_text("12,000 ratings")
    expect(card.locator("td").nth(3)).to_have_text("<b>a|b</b> *c*")
    assert card.locator("img").count() == 0
    hrefs = card.locator("a").evaluate_all("links => links.map(link => link.href)")
    assert hrefs == ["https://example.org/"]
    expect(page.locator("#facts")).to_contain_text("0.5 to 5")


def test_a_model_without_ratings_asks_what_one_has_liked(visitor, shop, site):
    shop.scale = None
    one = visitor()
    page = one.open()
    before = titles(page)
    liked = page.locator("#deck .ticket").first.get_by_role("button", name="I liked it")
    liked.click()
    settled(page)
    assert liked.get_attribute("aria-pressed") == "true"
    assert titles(page) != before
    expect(page.get_by_role("link", name="1 rated")).to_be_visible()
    assert page.locator("#list .number").count() == 0
    kept = page.request.get(f"{site}/api/v1/me/feedback").json()["feedback"]
    assert [item["kind"] for item in kept] == ["seen"]
    liked.click()
    settled(page)
    assert page.request.get(f"{site}/api/v1/me/feedback").json()["feedback"] == []
    expect(one.open("/two").get_by_text("This model knows no ratings")).to_be_visible()


@pytest.mark.parametrize(
    ("scale", "roles", "last"),
    [
        ({"low": 1, "high": 5, "step": 1}, 5, "5 stars"),
        ({"low": 1, "high": 10, "step": 1}, 10, "10 stars"),
        ({"low": 0, "high": 5, "step": 0.5}, 11, "5 stars"),
    ],
    ids=["five", "ten", "from nothing"],
)
def test_the_control_has_the_values_of_the_scale(visitor, shop, scale, roles, last):
    shop.scale = scale
    page = visitor("phone").open()
    radios = page.locator("#deck .ticket").first.get_by_role("radio")
    expect(radios).to_have_count(roles)
    radios.last.tap()
    assert radios.last.get_attribute("aria-label") == last
    settled(page)
    assert page.locator("#deck .ticket .on").count() == roles
    ticket, row = (page.locator(f"#deck .{one}").first.bounding_box() for one in ("ticket", "rate"))
    assert row["x"] + row["width"] <= ticket["x"] + ticket["width"] + 1


def test_a_scale_of_a_hundred_values_is_a_slider(visitor, shop, site):
    shop.scale = {"low": 0, "high": 100, "step": 1}
    page = visitor().open()
    slider = page.locator("#deck .ticket").first.get_by_role("slider")
    slider.press("End")
    settled(page)
    kept = page.request.get(f"{site}/api/v1/me/feedback").json()["feedback"]
    assert [item["rating"] for item in kept] == [100]
