"""Fetching a published archive: with progress, resumed where it stopped, checksum checked."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from matinee.data.archives import extract
from matinee.data.cache import cache_folder, new_entry
from matinee.data.movielens import EDITIONS
from matinee.errors import ArchiveError, SettingError
from matinee.progress import progress

MAX_BYTES = 4 * 2**30
TIMEOUT = 30  # seconds without a byte
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def fetch(name: str, base_url: str | None = None) -> Path:
    """Download an edition into the cache and say where it is.

    A download that was interrupted goes on where it stopped. The archive's MD5 must be the one
    published beside it; an archive that differs is deleted.

    Parameters
    ----------
    name : str
        One of `EDITIONS`.
    base_url : str, optional
        A mirror that holds ``NAME.zip`` and ``NAME.zip.md5``: https, or http on this machine.

    Raises
    ------
    ArchiveError
        If the archive cannot be had, or is not the published one.
    """
    if name not in EDITIONS:
        raise SettingError(f"There is no edition {name!r}; there are {', '.join(EDITIONS)}.")
    url = EDITIONS[name].url if base_url is None else f"{base_url.rstrip('/')}/{name}.zip"
    cache_folder().mkdir(parents=True, exist_ok=True)
    part = cache_folder() / f".{name}.zip.part"
    published = _published_md5(url)
    _download(url, part)
    found = _md5_of(part)
    if found != published:
        part.unlink()
        raise ArchiveError(
            f"{name}.zip: its MD5 is {found}, the published one {published}. It was deleted; "
            "fetch it again."
        )
    try:
        with new_entry(name) as entry:
            extract(part, entry)
    finally:  # it is whole: fetching more of it would mend nothing
        part.unlink()
    return cache_folder() / name


def _published_md5(url: str) -> str:
    with _open(f"{url}.md5", {}) as answer:
        text = _read(answer, f"{url}.md5").decode("ascii", "replace")
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if not found:
        raise ArchiveError(f"{url}.md5 holds no MD5 checksum; try again later.")
    return found.group().lower()


def _download(url: str, part: Path) -> None:
    """Append to `part` what is missing of the file at `url`."""
    have = part.stat().st_size if part.exists() else 0
    try:
        answer = _open(url, {"Range": f"bytes={have}-"} if have else {})
    except ArchiveError as problem:
        cause = problem.__cause__
        if have and isinstance(cause, urllib.error.HTTPError) and cause.code == 416:
            return  # nothing is missing: the checksum decides
        raise
    with answer, part.open("ab" if answer.status == 206 else "wb") as out:
        if answer.status == 206:
            starts = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            if not starts or int(starts.group(1)) != have:
                raise ArchiveError(f"{url}: the server resumed at another place; try again.")
        else:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdecimal() else 0
        with progress(f"Downloading {part.name[1:-5]}", total, "bytes") as tick:
            while chunk := _read(answer, url):
                out.write(chunk)
                have += len(chunk)
                if have > MAX_BYTES:
                    raise ArchiveError(f"{url}: over {MAX_BYTES >> 30} GiB; refused.")
                tick(have, "")
        out.flush()
        os.fsync(out.fileno())
    if total and have < total:
        raise ArchiveError(
            f"{url}: the connection ended after {have:,} of {total:,} bytes. "
            "Fetch it again to go on from there."
        )


def _read(answer: Any, url: str) -> bytes:
    try:
        chunk: bytes = answer.read1(2**18)
        return chunk
    except (OSError, HTTPException) as problem:
        raise ArchiveError(
            f"{url}: the connection broke ({problem}). Fetch it again to go on from there."
        ) from problem


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follow a redirect only to where a download may come from."""

    def redirect_request(
        self, request: Any, answer: Any, *rest: Any
    ) -> urllib.request.Request | None:
        try:
            _check_url(rest[-1])
        except ArchiveError:
            answer.close()
            raise
        return super().redirect_request(request, answer, *rest)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if parts.scheme != "https" and not local:
        raise ArchiveError(f"{url}: data are fetched over https only.")


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
        raise ArchiveError(f"{url}: it cannot be had ({reason}).") from problem


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
