"""Something that is no file among data: refused at once in one line, never waited for."""

import sys

import pytest
from tiny_editions import WRITERS, write_csv

from matinee.data import read
from matinee.data.cache import add
from matinee.data.sources import find
from matinee.errors import MatineeError
from traps import TRAPS, make_trap

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))


def assert_refused(action, *arguments, **named):
    with pytest.raises(MatineeError) as refused:
        action(*arguments, **named)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("write", WRITERS)
def test_every_file_of_an_edition(tmp_path, write, kind):
    folder = tmp_path / "tiny"
    WRITERS[write][0](folder)
    for path in find(folder).files:
        content = path.read_bytes()
        make_trap(path, kind)
        if kind != "folder":  # which is no table, and left out
            assert_refused(read, folder)
        path.rmdir() if kind == "folder" else path.unlink()
        path.write_bytes(content)


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".arrow", ".jsonl", ".zip"])
def test_a_table_or_an_archive(tmp_path, kind, suffix):
    trap = tmp_path / f"mine{suffix}"
    make_trap(trap, kind)
    assert_refused(read, trap)
    if kind != "folder":
        assert_refused(add, trap)


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("which", ["items", "users"])
def test_a_table_of_items_or_users_that_is_named(tmp_path, kind, which):
    write_csv(tmp_path / "tiny")
    make_trap(tmp_path / "table.csv", kind)
    assert_refused(read, tmp_path / "tiny" / "ratings.csv", **{which: tmp_path / "table.csv"})


@pytest.mark.parametrize("kind", TRAPS)
def test_the_options_with_which_data_were_added(tmp_path, kind):
    write_csv(tmp_path / "tiny")
    make_trap(tmp_path / "tiny" / "reading.json", kind)
    assert_refused(read, tmp_path / "tiny")
