"""Data sets added, fetched and kept parsed: the old or the new, whatever fails."""

import os
import shutil

import pytest
from faulty import check_every_step, contents, hidden_in
from mirror import serve
from tiny_editions import write_100k, write_csv, zip_folder

from matinee.data import parsed_cache, read
from matinee.data.cache import add, cached
from matinee.data.download import fetch

pytestmark = pytest.mark.thorough
NAME = "ml-latest-small"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


def visible(cache):
    """The data sets of the cache, as whoever asks for them finds them."""
    return {name: contents(path) for name in ("tiny", NAME) if (path := cached(name))}


@pytest.mark.parametrize("packed", [True, False])
def test_data_that_are_added_in_place_of_others(cache, tmp_path, packed):
    old, new = write_100k(tmp_path / "old"), write_csv(tmp_path / "new")
    if packed:
        new = zip_folder(new, tmp_path / "new.zip")
    before = add(old, "tiny")
    kept = shutil.copytree(before, tmp_path / "kept")

    def prepare():
        shutil.rmtree(cache)
        shutil.copytree(kept, cache / "tiny")

    act = lambda: add(new, "tiny", {"scale": (1.0, 5.0, 1.0)})  # noqa: E731
    assert check_every_step(prepare, act, cache, visible) > 20


def test_an_edition_that_is_fetched(cache, tmp_path):
    archive = zip_folder(write_csv(tmp_path / "tiny"), tmp_path / "a.zip").read_bytes()

    def prepare():
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir()

    def fetched():
        fetch(NAME, mirror.url)

    with serve() as mirror:
        mirror.publish(NAME, archive)
        steps = check_every_step(prepare, fetched, cache, visible, every=2)
    assert steps > 20
    assert [path.name for path in cache.iterdir()] == [NAME]


def test_data_that_are_kept_parsed(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(parsed_cache, "MIN_SOURCE_BYTES", 0)
    source = write_csv(tmp_path / "tiny")
    expected = read(source).ratings.fingerprint()

    def prepare():
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir()

    def act():
        assert read(source).ratings.fingerprint() == expected  # whatever the cache is like

    steps = check_every_step(prepare, act, cache, lambda _: "no data sets", every=7)
    assert steps > 60
    assert len(list((cache / ".parsed").iterdir())) == 1
    assert hidden_in(cache) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
@pytest.mark.parametrize("packed", [True, False])
def test_copies_of_what_is_private_are_private(cache, tmp_path, packed, monkeypatch):
    monkeypatch.setattr(parsed_cache, "MIN_SOURCE_BYTES", 0)
    source = write_csv(tmp_path / "tiny")
    if packed:
        source = zip_folder(source, tmp_path / "tiny.zip")
    (source if packed else source / "ratings.csv").chmod(0o600)
    read(source)
    add(source, "mine")
    written = [path for kept in (".parsed/*", "mine") for path in cache.glob(f"{kept}/**/*")]
    assert len(written) > 10
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)
