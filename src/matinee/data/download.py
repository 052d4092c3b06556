"""Downloading a published archive: with progress, resumed if interrupted, checksum checked."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from matinee.data.archives import extract
from matinee.data.cache import new_entry
from matinee.data.movielens import EDITIONS
from matinee.errors import ArchiveError, SettingError
from matinee.progress import progress
from matinee.storage.atomic import version_of
from matinee.storage.cache_folder import cache_folder
from matinee.storage.locks import locked
from matinee.storage.writing import writing

MAX_BYTES = 4 * 2**30
TIMEOUT = 30  # seconds without a byte
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def fetch(name: str, base_url: str | None = None) -> Path:
    """Download an edition into the cache, resuming an interrupted download, and return its folder.

    Processes that fetch the same edition at once wait for one of them, and use what it has fetched.
    The archive is refused unless its MD5 is the one published beside it. `base_url` is a mirror of
    ``NAME.zip`` and ``NAME.zip.md5``: https, or http on this machine.
    """
    if name not in EDITIONS:
        raise SettingError(f"The edition must be one of {', '.join(EDITIONS)}, got {name!r}.")
    url = EDITIONS[name].url if base_url is None else f"{base_url.rstrip('/')}/{name}.zip"
    kept = cache_folder() / name
    before = version_of(kept)
    with writing(kept, "Run the same command again when that is mended."):
        cache_folder().mkdir(parents=True, exist_ok=True)
        published = _published_md5(url)
        part = cache_folder() / f".{name}.zip.part"
        with _claimed(part, name):
            if version_of(kept) not in (None, before):
                return kept  # another process has fetched it meanwhile
            _download(url, part)
            _check(part, name, published)
            try:
                with new_entry(name) as entry:
                    extract(part, entry)
            finally:  # it is complete: resuming the download would not help
                part.unlink()
    return kept


@contextmanager
def _claimed(part: Path, name: str) -> Iterator[None]:
    """Hold the file of a download, new or begun, when nobody else does; empty it does not stay."""
    while True:
        with ExitStack() as stack:
            try:
                part.touch()
                if not stack.enter_context(locked(part, wait=False)):
                    with progress(f"Waiting for another process that downloads {name}"):
                        stack.enter_context(locked(part))
            except FileNotFoundError:
                continue  # that process has just ended, and removed it
            try:
                yield
            finally:
                if part.exists() and not part.stat().st_size:
                    part.unlink()
            return


def _check(part: Path, name: str, published: str) -> None:
    """Remove and refuse an archive that is not the one published."""
    with part.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 != published:
        part.unlink()
        raise ArchiveError(
            f"{name}.zip: its MD5 must be {published}, got {md5}. The file was deleted; "
            "fetch it again."
        )


def _published_md5(url: str) -> str:
    with _open(f"{url}.md5", {}) as response:
        text = _read(response, f"{url}.md5").decode("ascii", "replace")
    match = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if not match:
        raise ArchiveError(f"{url}.md5 holds no MD5 checksum; try again later.")
    return match.group().lower()


def _download(url: str, part: Path) -> None:
    """Append to `part` what is missing of the file at `url`."""
    n_bytes = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, {"Range": f"bytes={n_bytes}-"} if n_bytes else {})
    except ArchiveError as problem:
        cause = problem.__cause__
        if n_bytes and isinstance(cause, urllib.error.HTTPError) and cause.code == 416:
            return  # nothing is missing: the checksum decides
        raise
    resumed = response.status == 206
    with response, part.open("ab" if resumed else "wb") as out:
        if resumed:
            content_range = response.headers.get("Content-Range", "")
            match = re.match(r"bytes (\d+)-", content_range)
            if not match or int(match.group(1)) != n_bytes:
                raise ArchiveError(f"{url}: the server resumed at the wrong byte; try again.")
        else:
            n_bytes = 0
        length = response.headers.get("Content-Length")
        total = n_bytes + int(length) if length and length.isdecimal() else 0
        with progress(f"Downloading {part.name[1:-5]}", total, "bytes") as tick:
            while chunk := _read(response, url):
                out.write(chunk)
                n_bytes += len(chunk)
                if n_bytes > MAX_BYTES:
                    raise ArchiveError(f"{url}: over {MAX_BYTES >> 30} GiB; refused.")
                tick(n_bytes, "")
        out.flush()
        os.fsync(out.fileno())
    if total and n_bytes < total:
        raise ArchiveError(
            f"{url}: the connection ended after {n_bytes:,} of {total:,} bytes. "
            "Run the same command to resume."
        )


def _read(response: Any, url: str) -> bytes:
    try:
        return bytes(response.read1(2**18))
    except (OSError, HTTPException) as problem:
        raise ArchiveError(
            f"{url}: the connection broke ({problem}). Run the same command to resume."
        ) from problem


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follow a redirect only to where a download may come from."""

    def redirect_request(
        self, request: Any, response: Any, *rest: Any
    ) -> urllib.request.Request | None:
        try:
            _check_url(rest[-1])
        except ArchiveError:
            response.close()
            raise
        return super().redirect_request(request, response, *rest)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if parts.scheme != "https" and not local:
        raise ArchiveError(f"{url}: must be https.")


def _open(url: str, headers: dict[str, str]) -> Any:
    _check_url(url)
    request = urllib.request.Request(  # noqa: S310 - the line above allows https only
        url, headers={"User-Agent": "matinee", **headers}
    )
    opener = urllib.request.build_opener(_SafeRedirects)
    try:
        return opener.open(request, timeout=TIMEOUT)
    except (OSError, HTTPException) as problem:  # URLError and HTTPError are OSErrors
        if isinstance(problem, urllib.error.HTTPError):
            problem.close()  # it holds the connection
        reason = getattr(problem, "reason", problem)
        raise ArchiveError(f"{url}: download failed ({reason}).") from problem
