"""The cache: names, what can be added, and that an entry is whole or not there."""

from pathlib import Path

import pytest
from tiny_editions import contents, write_100k, write_csv, write_lines, zip_folder

from matinee.data import read
from matinee.data.archives import copy_file, copy_tree, extract
from matinee.data.cache import add, cached, cached_names, new_entry
from matinee.errors import DataError, SettingError
from matinee.storage.cache_folder import cache_folder


def test_cache_is_where_the_environment_says(cache, tmp_path, monkeypatch):
    assert cache_folder() == cache
    monkeypatch.setenv("MATINEE_CACHE", "~/films")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "films"
    monkeypatch.delenv("MATINEE_CACHE")
    assert cache_folder().name == "matinee"


def test_empty_cache(cache):
    assert cached_names() == []
    assert cached("ml-100k") is None
    assert not cache.exists()  # looking makes nothing


@pytest.mark.parametrize("suffix", [".zip", ".ZIP"])
def test_add_an_archive(suffix, tmp_path, cache):
    archive = zip_folder(write_csv(tmp_path / "tiny"), tmp_path / f"tiny{suffix}")
    assert add(archive) == cache / "tiny"
    assert cached("tiny") == cache / "tiny"
    assert cached_names() == ["tiny"]
    archive.unlink()
    assert len(read("tiny")) == 7
    assert read("tiny").name == "tiny"


def test_add_a_folder(tmp_path, cache):
    folder = write_100k(tmp_path / "a" / "tiny.v1")
    assert add(folder) == cache / "tiny.v1"
    data = read("tiny.v1")
    assert set(data.official) == {"u1", "ua"}
    assert folder.exists()


def test_nothing_is_copied_from_outside_an_added_folder(tmp_path, cache):
    folder = write_csv(tmp_path / "tiny")
    outside = write_csv(tmp_path / "private")
    for name, target in {
        "link.csv": outside / "movies.csv",
        "users.csv": "../private/movies.csv",
        "more": outside,
        "nowhere": tmp_path / "nothing",
        "circle": "circle",
    }.items():
        (folder / name).symlink_to(target)
        with pytest.raises(DataError, match=f"{name}: this link leads out of the folder"):
            add(folder)
        (folder / name).unlink()
    assert not (cache / "tiny").exists()
    (folder / "users.csv").symlink_to(outside / "movies.csv")
    for named in (folder / "ratings.csv", folder / "rat*.csv"):
        with pytest.raises(DataError, match="leads out"):
            add(named, "tiny")
    (folder / "users.csv").unlink()
    (folder / "tags.csv").symlink_to(outside / "movies.csv")  # which nobody reads
    add(folder)
    assert sorted(contents(cache / "tiny")) == ["movies.csv", "ratings.csv"]


def test_a_link_within_an_added_folder_is_copied_as_the_file_it_stands_for(tmp_path, cache):
    folder = write_csv(tmp_path / "tiny")
    (folder / "data").mkdir()
    (folder / "ratings.csv").rename(folder / "data" / "mine.csv")
    (folder / "ratings.csv").symlink_to("data/mine.csv")
    before = read(folder).ratings
    added = read(add(folder).name).ratings
    assert not (cache / "tiny" / "ratings.csv").is_symlink()
    assert added.user.tolist() == before.user.tolist()


def test_a_file_that_is_named_may_be_a_link(tmp_path, cache):
    write_csv(tmp_path / "real")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "ratings.csv").symlink_to(tmp_path / "real" / "ratings.csv")
    assert add(tmp_path / "mine" / "ratings.csv", "tiny") == cache / "tiny"
    assert not (cache / "tiny" / "ratings.csv").is_symlink()


@pytest.mark.parametrize("make", ["folder", "archive", "file"])
def test_what_is_added_is_no_more_readable_than_it_was(tmp_path, cache, make):
    source = write_csv(tmp_path / "tiny")
    if make == "archive":
        source = zip_folder(source, tmp_path / "tiny.zip")
    if make == "file":
        source = source / "ratings.csv"
    for path in [source, *tmp_path.glob("tiny/*")]:
        if path.is_file():
            path.chmod(0o600)
    with new_entry("probe") as entry:  # copied into a folder that then takes its place
        if make == "folder":
            copy_tree(source, entry)
        elif make == "archive":
            extract(source, entry)
        else:
            copy_file(source, entry / source.name)
        modes = {path.stat().st_mode & 0o777 for path in entry.rglob("*") if path.is_file()}
    assert modes == {0o600}


@pytest.mark.parametrize("private", ["ratings.csv", "movies.csv"])
def test_what_is_added_with_a_private_file_is_private(tmp_path, cache, private):
    source = write_csv(tmp_path / "tiny")
    for path in source.iterdir():
        path.chmod(0o600 if path.name == private else 0o644)
    entry = add(source / "ratings.csv", "mine")
    assert {path.stat().st_mode & 0o077 for path in (entry, *entry.iterdir())} == {0}


def test_add_a_file_under_another_name(tmp_path, cache):
    write_lines(tmp_path / "t.csv", ["user,item,stars", "ann,x,3"])
    assert add(tmp_path / "t.csv", "my-films") == cache / "my-films"
    assert read("my-films").ratings.user_ids.values.to_list() == ["ann"]


def test_add_what_is_not_there(tmp_path, cache):
    with pytest.raises(DataError, match="There is no"):
        add(tmp_path / "nothing.zip")
    assert not cache.exists()


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "-dash", "ü", "x" * 65, "a b", "a\n"])
def test_names_that_are_none(name, tmp_path, cache):
    write_lines(tmp_path / "t.csv", ["user,item,stars", "1,2,3"])
    with pytest.raises(SettingError, match="name of a data set must be"):
        add(tmp_path / "t.csv", name)
    assert cached(name) is None
    assert not cache.exists()


def test_archive_that_lies_in_the_cache_is_found(tmp_path, cache):
    cache.mkdir()
    zip_folder(write_csv(tmp_path / "x"), cache / "ml-latest-small.zip")
    assert cached("ml-latest-small") == cache / "ml-latest-small.zip"
    assert cached_names() == ["ml-latest-small"]
    data = read("ml-latest-small")
    assert len(data) == 7
    assert data.name == "ml-latest-small"
    assert "GroupLens" in data.licence


def test_folder_comes_before_the_archive_of_the_same_name(tmp_path, cache):
    add(write_csv(tmp_path / "tiny"))
    (cache / "tiny.zip").write_bytes(b"not even an archive")
    assert cached_names() == ["tiny"]
    assert len(read("tiny")) == 7


def test_other_files_in_the_cache_are_no_data_sets(cache):
    cache.mkdir()
    write_lines(cache / "notes.txt", ["mine"])
    write_lines(cache / ".ml-100k.zip.part", ["half"])
    (cache / ".new-abc").mkdir()
    assert cached_names() == []


def test_adding_again_replaces_everything(tmp_path, cache):
    add(write_100k(tmp_path / "a"), "tiny")
    add(write_csv(tmp_path / "b"), "tiny")
    assert sorted(contents(cache)) == ["tiny", "tiny/movies.csv", "tiny/ratings.csv"]


@pytest.mark.parametrize("problem", [OSError("disk full"), KeyboardInterrupt()])
def test_replacement_that_breaks_off_leaves_the_old_entry_whole(problem, tmp_path, cache):
    add(write_csv(tmp_path / "tiny"))
    before = contents(cache)

    def half_a_replacement():
        with new_entry("tiny") as entry:
            write_lines(entry / "ratings.csv", ["half a"])
            raise problem

    with pytest.raises(type(problem)):
        half_a_replacement()
    assert contents(cache) == before


def test_replacement_that_cannot_be_moved_into_place_leaves_the_old_entry_whole(
    tmp_path, cache, monkeypatch
):
    add(write_csv(tmp_path / "tiny"))
    before = contents(cache)
    rename = Path.rename

    def refuse_new_entries(self, target):
        if self.name.startswith(".tiny.new-"):
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new_entries)
    with pytest.raises(OSError, match="no"):
        add(write_100k(tmp_path / "other"), "tiny")
    assert contents(cache) == before
