"""What the page's routes answer, without a browser."""

import re
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("jinja2")

import httpx
from fake_api import HOSTILE, Movie
from fastapi import FastAPI

from matinee.service.page import routes
from matinee.service.paths import EncodedPaths

STATIC = Path(routes.__file__).parent / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
PATHS = [*routes.PAGES, "/film/7", "/film/nothing"]
MOVIE = Movie(7, HOSTILE[1], 1958, ("<b>Drama</b>",), 1234, 0.5, 0.5)


@pytest.fixture(scope="module")
def client(serve):
    app = FastAPI()
    app.include_router(routes.page_router({"7": MOVIE, "a/b": MOVIE}.get))
    app.add_middleware(EncodedPaths)
    with serve(app) as address, httpx.Client(base_url=address) as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
def test_pages_need_nothing_that_the_policy_forbids(client, path):
    answer = client.get(path)
    assert answer.status_code == (404 if path == "/film/nothing" else 200)
    assert answer.headers["content-security-policy"] == routes.POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    html = answer.text
    assert not re.search(
        r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+\s*=",
        html.replace("onerror=alert(1)&gt;", ""),
    )
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)
    assert "<noscript>" in html
    assert len(re.findall("<h1", html)) == 1


@pytest.mark.parametrize("path", PATHS)
def test_every_file_that_a_page_names_is_there(client, path):
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get(path).text)
    assert len(named) == 6
    for file in named:
        answer = client.get(file)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_scripts_import_what_is_there():
    for script in SCRIPTS:
        named = re.findall(r'from "\./([\w.]+)"', script.read_text())
        for name in named:
            assert (STATIC / name).is_file(), f"{script.name} imports {name}"
            exported = (STATIC / name).read_text()
            wanted = re.search(rf'import {{([^}}]*)}} from "\./{name}"', script.read_text())
            for one in re.findall(r"\w+", wanted[1]) if wanted else ():
                assert re.search(rf"export (async )?(const|function|class) {one}\b", exported), one


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_never_make_markup_of_data(script):
    text = script.read_text()
    markup = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    )
    assert not re.search(markup, text)
    assert script.name == "api.js" or "fetch(" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)[a-z]", text)
    assert len(text.splitlines()) <= 450


def test_a_hostile_title_is_text_before_any_script_runs(client):
    html = client.get("/film/7").text
    assert HOSTILE[1] not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "1958" in html
    assert "1,234 ratings" in html
    assert "<b>Drama" not in html


def test_an_id_may_be_any_text(client):
    page = client.get("/film/a%2Fb")
    assert page.status_code == 200
    assert 'data-item="a/b"' in page.text
    unknown = client.get("/film/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert unknown.status_code == 404
    assert "<script>" not in unknown.text


def test_browsers_keep_what_has_not_changed(client):
    for path in ("/", "/about", "/static/any/base.css"):
        first = client.get(path)
        later = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (later.status_code, later.content) == (304, b"")
    # an address without the version of now may have other content tomorrow
    assert client.get("/static/any/base.css").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/static/v/routes.py", "/static/v/..%2Froutes.py", "/static/v/%2e%2e/routes.py"]
)
def test_only_files_of_the_page_are_served(client, path):
    assert client.get(path).status_code == 404


def test_files_say_what_they_are(client):
    types = {"home.js": "text/javascript", "base.css": "text/css", "icon.svg": "image/svg+xml"}
    types["site.webmanifest"] = "application/manifest+json"
    for name, media_type in types.items():
        answer = client.get(f"/static/v/{name}")
        assert answer.headers["content-type"].startswith(media_type)
