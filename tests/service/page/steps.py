"""What people do on the page, for several tests."""

from playwright.sync_api import expect

CARDS = "#list > .card:not(.waiting)"
TICKETS = "#deck > .ticket"


def titles(page, cards=CARDS):
    return page.locator(f"{cards} h3").all_inner_texts()


def ids(page, cards=CARDS):
    """Ids of the recommended movies in their order."""
    return page.locator(cards).evaluate_all("cards => cards.map(card => card.dataset.key)")


SETTLED = """async () => {
  const moving = () => document.getAnimations().filter(
    one => one.playState === 'running' && Number.isFinite(one.effect.getComputedTiming().endTime));
  do {
    await new Promise(done => setTimeout(done, 20));
    await Promise.all(moving().map(one => one.finished.catch(() => 0)));
  } while (window.pending || moving().length);
}"""


def settled(page):
    """Waits until no request is under way and nothing moves."""
    page.evaluate(SETTLED)


def unit(value):
    return "1 star" if value == 1 else f"{value:g} stars"


def rate(page, place, value, tickets=TICKETS):
    """Clicks a rating of the movie at a place of the deck."""
    ticket = page.locator(tickets).nth(place)
    ticket.get_by_role("radio", name=unit(value), exact=True).click()
    expect(ticket.locator("output")).to_have_text(f"{value:g}")
    settled(page)
    return ticket.get_attribute("data-key")


def bring(page, name, content):
    """Chooses a file of ratings."""
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": content})


def axe_violations(page, axe):
    """What axe-core finds serious or critical on a page, a line for each."""
    found = axe.run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]
