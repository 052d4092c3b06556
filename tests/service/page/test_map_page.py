"""The map: fingers, wheel, keys, and words for those who do not see it."""

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed")
pytest.importorskip("fastapi")

from playwright.sync_api import expect
from steps import rate, settled

pytestmark = pytest.mark.slow


def with_ratings(visitor, *of):
    one = visitor(*of)
    page = one.open()
    for place, value in enumerate([5, 4, 1]):
        rate(page, place, value)
    page = one.open("/map")
    settled(page)
    return page


def picture(page):
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator("#canvas").evaluate("canvas => canvas.toDataURL()")


def slide(page, *ways, steps=6):
    """Moves fingers at once, each from a place to another."""
    session = page.context.new_cdp_session(page)

    def touch(kind, part=0.0):
        points = [
            {"x": x + (u - x) * part, "y": y + (v - y) * part, "id": finger}
            for finger, ((x, y), (u, v)) in enumerate(ways)
        ]
        points = [] if kind == "touchEnd" else points
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart")
    for step in range(1, steps + 1):
        touch("touchMove", step / steps)
    page.wait_for_timeout(150)  # fingers rest, or the next touch would only stop their swing
    touch("touchMove", 1.0)
    touch("touchEnd")
    session.detach()


def tip_is_inside(page):
    return page.evaluate(
        """() => { const [tip, sky] = ['#tip', '#sky'].map(
          one => document.querySelector(one).getBoundingClientRect());
        return tip.width > 0 && tip.left >= sky.left && tip.right <= sky.right
          && tip.top >= sky.top && tip.bottom <= sky.bottom
          && tip.left >= 0 && tip.right <= innerWidth }"""
    )


def test_fingers_zoom_and_move_the_map(visitor):
    page = with_ratings(visitor, "phone")
    page.locator("#sky").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 200
    whole = picture(page)
    slide(page, ((x - 20, y), (x - 120, y)), ((x + 20, y), (x + 120, y)))
    near = picture(page)
    assert near != whole
    slide(page, ((x, y), (x + 90, y + 60)))
    assert picture(page) not in {whole, near}
    page.get_by_role("button", name="Show all").tap()
    assert picture(page) == whole
    assert page.evaluate("scrollX") == 0


def test_a_touch_says_what_a_point_is_and_a_second_one_opens_it(visitor):
    page = with_ratings(visitor, "phone")
    page.locator("#glowing button").first.tap()
    title = page.locator("#glowing a").first.inner_text()
    expect(page.locator("#tip a")).to_have_text(title)
    page.locator("#tip a").tap()
    page.wait_for_url("**/film/*")
    page.wait_for_selector("html[data-ready=true]")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


@pytest.mark.thorough
def test_wheel_drag_and_keys_move_the_map(visitor):
    page = with_ratings(visitor)
    whole = picture(page)
    page.locator("#canvas").hover()
    page.mouse.wheel(0, -400)
    near = picture(page)
    assert near != whole
    page.mouse.down()
    page.mouse.move(300, 420, steps=4)
    page.mouse.up()
    assert picture(page) != near
    expect(page).to_have_url(page.url)
    canvas = page.locator("#canvas")
    canvas.press("0")
    canvas.press("Escape")
    page.mouse.move(2, 2)
    assert picture(page) == whole
    canvas.press("+")
    closer = picture(page)
    assert closer != whole
    canvas.press("ArrowLeft")
    assert picture(page) != closer


@pytest.mark.thorough
@pytest.mark.parametrize("size", ["phone", "desk"])
def test_what_is_said_of_a_point_stays_on_the_screen(visitor, site, size):
    page = with_ratings(visitor, size)
    for button in page.locator(".names button").all():
        button.click()
        assert tip_is_inside(page)
    page.get_by_role("button", name="Show all").click()
    page.wait_for_timeout(400)  # or the next touch is taken for the second half of a double one
    box = page.locator("#canvas").bounding_box()
    items = page.request.get(f"{site}/api/v1/map").json()["items"]
    for axis in ("x", "y"):
        items.sort(key=lambda item: item[axis])
        for item in items[:3] + items[-3:]:  # those nearest to the edges
            x, y = (
                box[side] + box[length] / 2 + (item[side] - 0.5) * (box[length] - 36)
                for side, length in (("x", "width"), ("y", "height"))
            )
            page.mouse.move(x, y) if size == "desk" else page.touchscreen.tap(x, y)
            expect(page.locator("#tip")).to_be_visible()
            assert tip_is_inside(page)
            page.locator("#canvas").press("Escape")


@pytest.mark.thorough
def test_the_lists_beside_hold_what_shines(visitor, site):
    page = with_ratings(visitor)
    mine = page.request.get(f"{site}/api/v1/me/feedback").json()["feedback"]
    assert page.locator("#lit a").count() == len(mine) == 3
    assert page.locator("#glowing a").count() == 20
    bright = """canvas => { const {data} = canvas.getContext('2d').getImageData(
      0, 0, canvas.width, canvas.height); let white = 0;
      for (let at = 0; at < data.length; at += 4)
        if (data[at] > 250 && data[at + 1] > 250 && data[at + 2] > 250) white += 1;
      return white }"""
    lit = page.locator("#canvas").evaluate(bright)
    other = visitor()
    plain = other.open("/map")
    settled(plain)
    assert lit > plain.locator("#canvas").evaluate(bright) + 60
    expect(plain.locator("#lit")).to_contain_text("Rate a few movies")


@pytest.mark.thorough
def test_a_search_finds_a_movie_on_the_map(visitor):
    page = with_ratings(visitor)
    page.get_by_role("combobox").press_sequentially("img src")
    expect(page.get_by_role("option")).to_have_count(1)
    page.get_by_role("combobox").press("Enter")
    expect(page.locator("#tip a")).to_have_text("<img src=x onerror=alert(1)>")
