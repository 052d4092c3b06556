"""A server with invented movies, and a browser that opens its page and watches what it does."""

import shutil
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

HELPERS = {"fake_api.py": "fastapi", "steps.py": "playwright"}  # and what they cannot do without
collect_ignore = [name for name, package in HELPERS.items() if not find_spec(package)]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other host is ever reached
]
SIZES = {"phone": (390, 844), "desk": (1280, 900)}

COUNT_REQUESTS = """window.pending = 0; const ask = window.fetch;
window.fetch = async (...what) => {
  window.pending += 1;
  try { return await ask(...what) } finally { setTimeout(() => { window.pending -= 1 }, 30) }
}"""


@pytest.fixture(scope="module")
def shop():
    """The movies and users behind the page, which a test may slow down or break."""
    from fake_api import Shop

    return Shop()


@contextmanager
def served(app):
    """The address at which a thread serves an app."""
    uvicorn = pytest.importorskip("uvicorn")
    quiet = {"log_level": "error", "access_log": False, "lifespan": "off", "ws": "none"}
    server = uvicorn.Server(uvicorn.Config(app, port=0, **quiet))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def serve():
    """`served`, for tests that bring an app of their own."""
    return served


@pytest.fixture(scope="module")
def site(shop):
    """The address of a running service; another conftest may put a real one in its place."""
    from fake_api import fake_app

    with served(fake_app(shop)) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        pytest.skip("there is no chromium on the PATH")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


class Visitor:
    """One browser with cookies of its own, and what its pages say and ask for."""

    def __init__(self, browser, site, size="desk", scheme="light", **options):
        width, height = SIZES[size]
        options = {"reduced_motion": "reduce", **options}  # nothing to wait for
        if size == "phone":
            options |= {"has_touch": True, "is_mobile": True}
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        self.context.set_default_timeout(10_000)
        self.context.add_init_script(COUNT_REQUESTS)
        self.site, self.said, self.left, self.dialogs = site, [], [], []
        self.page = page = self.context.new_page()
        page.on("console", lambda one: self.said.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda one: self.said.append(f"pageerror: {one}"))
        page.on("dialog", self.refuse)
        self.context.on("request", self.note)

    def refuse(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def note(self, request):
        if not request.url.startswith((f"{self.site}/", "blob:", "data:")):
            self.left.append(request.url)

    def open(self, path="/"):
        self.page.goto(self.site + path)
        self.page.wait_for_selector("html[data-ready=true]")
        return self.page

    def close(self):
        """Whatever was done: nothing was run or asked for that should not have been."""
        assert self.page.evaluate("typeof window.pwned") == "undefined"
        assert not self.dialogs
        assert not self.left
        self.context.close()


@pytest.fixture
def visitor(browser, site):
    """Makes visitors; at the end, whatever was said in their consoles is an error."""
    visitors = []

    def make(*of, may_fail=False, site=site, **options):
        visitors.append((Visitor(browser, site, *of, **options), may_fail))
        return visitors[-1][0]

    yield make
    for one, may_fail in visitors:
        one.close()
        errors = [line for line in one.said if not may_fail or "Failed to load" not in line]
        assert errors == []


@pytest.fixture(autouse=True)
def in_order(request):
    """What a test has broken works for the next one."""
    yield
    if "shop" in request.fixturenames:
        from fake_api import SCALE

        shop = request.getfixturevalue("shop")
        shop.scale = SCALE
        shop.broken.clear()
        shop.delays.clear()
