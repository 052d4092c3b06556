"""The page's routes: HTML without a user in it, and the files it needs.

What belongs to a user is asked for by the scripts, through the API. So every page is the same for
everybody, holds no ratings, and may be kept by caches that ask whether it is still current.
"""

import hashlib
import mimetypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import jinja2
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from matinee.service.paths import decoded

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "manifest-src 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
TYPES = {".js": "text/javascript", ".css": "text/css", ".webmanifest": "application/manifest+json"}
PAGES = {  # path: what the navigation and the title call it, template
    "/": ("Rate", "home.html"),
    "/map": ("Map", "map.html"),
    "/two": ("Two people", "two.html"),
    "/mine": ("My ratings", "mine.html"),
    "/about": ("About", "about.html"),
}


class Item(Protocol):
    """What a page says of an item before any script runs."""

    @property
    def title(self) -> str: ...
    @property
    def year(self) -> int | None: ...
    @property
    def genres(self) -> Sequence[str]: ...
    @property
    def n_ratings(self) -> int: ...


class StaticFile(NamedTuple):
    """One file of `static/`, as it is sent."""

    content: bytes
    media_type: str
    etag: str


def page_router(item_of: Callable[[str], Item | None]) -> APIRouter:
    """Routes of all pages and of their files.

    Parameters
    ----------
    item_of : the item with this id, as it stands in a path, or None; asked at every request, so
        that a newer run may take the place of the served one

    Returns
    -------
    Routes for `/`, `/film/{item_id}`, `/map`, `/two`, `/mine`, `/about` and `/static/`. Every
    answer carries the Content-Security-Policy that `POLICY` holds.

    Examples
    --------
    >>> router = page_router(lambda item_id: None)
    >>> [route.path for route in router.routes][:2]
    ['/', '/map']
    """
    files = _static_files()
    version = _digest(*(file.etag.encode() for file in files.values()))
    render = _templates(version)
    router = APIRouter(include_in_schema=False)

    for path, (_, template) in PAGES.items():
        router.add_api_route(path, _page(render(template, path=path)), methods=["GET", "HEAD"])

    @router.get("/film/{part}")
    def film(part: str, request: Request) -> Response:
        item_id = decoded(part)
        item = item_of(item_id)
        text = render("film.html", path=None, item=item, item_id=item_id)
        return _answer(request, text, 404 if item is None else 200)

    @router.get("/static/{asked}/{name}")
    def static(asked: str, name: str, request: Request) -> Response:
        file = files.get(name)
        if file is None:
            return Response(status_code=404, headers=HEADERS)
        # an address with the version in it never changes its content; another one may
        keep = "public, max-age=31536000, immutable" if asked == version else "no-cache"
        headers = {**HEADERS, "ETag": file.etag, "Cache-Control": keep}
        if request.headers.get("If-None-Match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return router


def _page(text: str) -> Callable[[Request], Response]:
    """An endpoint that always answers with the same page."""

    def answer(request: Request) -> Response:
        return _answer(request, text, 200)

    return answer


def _answer(request: Request, text: str, status: int) -> Response:
    """A page, or the word that the browser's copy is still current."""
    etag = f'"{_digest(text.encode())}"'
    headers = {**HEADERS, "ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == etag:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(text, status, headers)


def _static_files() -> dict[str, StaticFile]:
    """All files of `static/` by name: read once, so that a path can lead nowhere else."""
    files = {}
    for path in sorted((HERE / "static").iterdir()):
        content = path.read_bytes()
        media_type = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
        files[path.name] = StaticFile(content, media_type, f'"{_digest(content)}"')
    return files


def _templates(version: str) -> Callable[..., str]:
    """A function that fills a template; whatever it is given is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        static=f"/static/{version}", pages={path: name for path, (name, _) in PAGES.items()}
    )

    def render(template: str, **values: object) -> str:
        return environment.get_template(template).render(**values)

    return render


def _digest(*parts: bytes) -> str:
    """A name for a content that changes whenever the content does."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]
