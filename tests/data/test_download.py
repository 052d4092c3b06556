"""Fetching an edition from a server on this machine: resumed, checked, and never half there."""

import socket

import pytest
from mirror import Mirror, serve
from tiny_editions import contents, write_100k, write_csv, zip_folder

from matinee.data import read
from matinee.data.cache import add
from matinee.data.download import fetch
from matinee.data.movielens import EDITIONS
from matinee.errors import ArchiveError, SettingError

NAME = "ml-latest-small"
PART = f".{NAME}.zip.part"


@pytest.fixture(autouse=True)
def hosts_asked_for(monkeypatch) -> list[str]:
    """Which hosts a test tries to reach; any but this machine fails the test."""
    asked = []
    resolve = socket.getaddrinfo

    def only_here(host, *arguments, **options):
        asked.append(host)
        assert host == "127.0.0.1"
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", only_here)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("NO_PROXY", "*")
    return asked


@pytest.fixture
def archive(tmp_path) -> bytes:
    """The invented edition as GroupLens would publish it, a little longer than a test reads."""
    folder = write_csv(tmp_path / "tiny")
    (folder / "README.txt").write_bytes(bytes(range(256)) * 100)
    return zip_folder(folder, tmp_path / f"{NAME}.zip").read_bytes()


@pytest.fixture
def mirror(archive):
    with serve() as running:
        running.publish(NAME, archive)
        yield running


def refusal(mirror: Mirror, name: str = NAME) -> str:
    with pytest.raises(ArchiveError) as caught:
        fetch(name, mirror.url)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_fresh_download(mirror, cache):
    assert fetch(NAME, mirror.url) == cache / NAME
    assert len(read(NAME)) == 7
    assert read(NAME).name == NAME
    assert [path.name for path in cache.iterdir()] == [NAME]  # nothing else is left
    assert mirror.requests == [(f"/{NAME}.zip.md5", None), (f"/{NAME}.zip", None)]


def test_slash_at_the_end_of_the_mirror_does_not_matter(mirror, cache):
    assert fetch(NAME, mirror.url + "/") == cache / NAME


def test_server_that_does_not_say_how_long_the_file_is(mirror):
    mirror.length = False
    fetch(NAME, mirror.url)
    assert len(read(NAME)) == 7


def test_interrupted_transfer_is_resumed(mirror, cache, archive):
    mirror.stop_after = 500
    message = refusal(mirror)
    assert f"{mirror.url}/{NAME}.zip: the connection ended after 500 of " in message
    assert "Run the same command to resume" in message
    assert (cache / PART).read_bytes() == archive[:500]
    assert not (cache / NAME).exists()
    mirror.stop_after = None
    fetch(NAME, mirror.url)
    assert mirror.requests[-1] == (f"/{NAME}.zip", "bytes=500-")
    assert len(read(NAME)) == 7
    assert not (cache / PART).exists()


def test_connection_that_is_reset_is_refused_in_one_line(mirror, cache, archive):
    mirror.stop_after = 500
    mirror.reset = True
    assert mirror.url in refusal(mirror)
    assert not (cache / NAME).exists()
    mirror.stop_after, mirror.reset = None, False
    fetch(NAME, mirror.url)
    assert len(read(NAME)) == 7


def test_transfer_may_be_interrupted_many_times(mirror, cache, archive):
    mirror.stop_after = len(archive) // 3
    refusal(mirror)
    refusal(mirror)
    mirror.stop_after = None
    fetch(NAME, mirror.url)
    starts = [wanted for path, wanted in mirror.requests if path.endswith(".zip")]
    step = len(archive) // 3
    assert starts == [None, f"bytes={step}-", f"bytes={2 * step}-"]
    assert len(read(NAME)) == 7


def test_server_that_cannot_resume_sends_everything_again(mirror, cache, archive):
    cache.mkdir()
    (cache / PART).write_bytes(archive[:400])
    mirror.ranges = False
    fetch(NAME, mirror.url)
    assert mirror.requests[-1] == (f"/{NAME}.zip", "bytes=400-")
    assert len(read(NAME)) == 7


def test_server_that_resumes_elsewhere_is_refused(mirror, cache, archive):
    cache.mkdir()
    (cache / PART).write_bytes(archive[:400])
    mirror.shifted = 10
    assert "resumed at the wrong byte" in refusal(mirror)
    assert (cache / PART).read_bytes() == archive[:400]
    assert not (cache / NAME).exists()


def test_part_that_is_already_complete(mirror, cache, archive):
    cache.mkdir()
    (cache / PART).write_bytes(archive)
    fetch(NAME, mirror.url)
    assert len(read(NAME)) == 7
    assert [path.name for path in cache.iterdir()] == [NAME]


@pytest.mark.parametrize("surplus", [b"", b"and more"])
def test_part_of_something_else_is_deleted(surplus, mirror, cache, archive):
    cache.mkdir()
    (cache / PART).write_bytes(b"\0" * len(archive) + surplus)
    assert "MD5" in refusal(mirror)
    assert contents(cache) == {}
    fetch(NAME, mirror.url)  # and the next attempt starts anew
    assert len(read(NAME)) == 7


def test_wrong_checksum(mirror, cache, archive):
    add(write_100k(cache.parent / "old"), NAME)
    before = contents(cache)
    mirror.files[f"/{NAME}.zip"] = archive.replace(b"\x01", b"\x02")
    message = refusal(mirror)
    assert "its MD5 must be" in message
    assert "deleted" in message
    assert contents(cache) == before


def test_archive_that_is_published_but_damaged(mirror, cache, archive):
    mirror.publish(NAME, archive[:-100])
    assert "damaged or truncated" in refusal(mirror)
    assert not (cache / NAME).exists()


@pytest.mark.parametrize("file", [f"/{NAME}.zip", f"/{NAME}.zip.md5"])
def test_file_that_is_not_published(file, mirror, cache):
    del mirror.files[file]
    message = refusal(mirror)
    assert f"{mirror.url}{file}: download failed" in message
    assert contents(cache) == {}


def test_checksum_file_without_a_checksum(mirror, cache):
    mirror.files[f"/{NAME}.zip.md5"] = b"<html>Please log in</html>"
    assert "holds no MD5" in refusal(mirror)
    assert all(path.endswith(".md5") for path, _ in mirror.requests)


@pytest.mark.parametrize("text", ["{}", "{}  ml.zip\n", "MD5 (ml.zip) = {}\r\n"])
def test_common_forms_of_checksum_files(text, mirror, cache):
    published = mirror.files[f"/{NAME}.zip.md5"].decode().split()[-1]
    mirror.files[f"/{NAME}.zip.md5"] = text.format(published.upper()).encode()
    assert fetch(NAME, mirror.url) == cache / NAME


def test_server_that_is_not_there(cache):
    with serve() as gone:
        pass
    assert "download failed" in refusal(gone)


def test_redirect_on_this_machine_is_followed(mirror, cache, archive):
    mirror.files["/elsewhere"] = archive
    mirror.moved[f"/{NAME}.zip"] = f"{mirror.url}/elsewhere"
    fetch(NAME, mirror.url)
    assert len(read(NAME)) == 7


@pytest.mark.parametrize(
    "target",
    ["http://example.org/x.zip", "ftp://example.org/x.zip", "http://127.0.0.1.example.org"],
)
@pytest.mark.parametrize("file", [f"/{NAME}.zip", f"/{NAME}.zip.md5"])
def test_redirect_to_an_unsafe_place_is_refused(file, target, mirror, cache, hosts_asked_for):
    mirror.moved[file] = target
    refusal(mirror)
    assert set(hosts_asked_for) == {"127.0.0.1"}
    assert contents(cache) == {}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "http://example.org/",
        "http://localhost.example.org",
        "http://127.0.0.1@example.org/",
        "file:///",
        "//127.0.0.1",
        "",
    ],
)
def test_unsafe_mirror_is_refused_without_any_connection(url, cache, hosts_asked_for):
    with pytest.raises(ArchiveError, match="must be https"):
        fetch(NAME, url)
    assert hosts_asked_for == []
    assert contents(cache) == {}


def test_unknown_edition_is_refused_without_any_connection(mirror, cache):
    with pytest.raises(SettingError, match="ml-latest-small"):
        fetch("ml-100", mirror.url)
    assert mirror.requests == []


def test_published_editions_are_fetched_over_https():
    for name, edition in EDITIONS.items():
        assert edition.url == f"https://files.grouplens.org/datasets/movielens/{name}.zip"
