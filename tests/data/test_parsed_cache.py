"""Parsed data sets on disk: used if they are as they were written, rebuilt in any other case."""

import json
import os
import shutil

import numpy as np
import polars as pl
import pytest
from tiny_editions import WRITERS, write_csv, zip_folder

from matinee.data import builder, parsed_cache, read
from matinee.data.cache import cached_names
from matinee.data.synthetic import generate
from matinee.errors import DataError


@pytest.fixture(autouse=True)
def all_sizes_are_kept(monkeypatch):
    monkeypatch.setattr(parsed_cache, "MIN_SOURCE_BYTES", 0)


@pytest.fixture
def readings(monkeypatch):
    """Grows by one each time a source is read rather than mapped."""
    made = []
    original = parsed_cache._write

    def counted(*arguments):
        made.append(1)
        return original(*arguments)

    monkeypatch.setattr(parsed_cache, "_write", counted)
    return made


def entries(cache):
    return sorted(path for path in (cache / ".parsed").glob("*") if path.is_dir())


def same(first, second):
    """Whether two data sets are equal bit for bit."""
    arrays = []
    for data in (first, second):
        ratings = data.ratings
        arrays.append([ratings.user, ratings.item, ratings.values, ratings.timestamp])
        arrays[-1] += [*ratings.by_user, *ratings.by_item]
    return (
        all(
            (a is None and b is None) or (a.dtype == b.dtype and a.tobytes() == b.tobytes())
            for a, b in zip(*arrays, strict=True)
        )
        and first.ratings.same_codes_as(second.ratings)
        and first.ratings.scale == second.ratings.scale
        and first.ratings.fingerprint() == second.ratings.fingerprint()
        and first.catalog.frame.equals(second.catalog.frame)
        and first.catalog.genre_names == second.catalog.genre_names
        and (first.user_attributes is None) == (second.user_attributes is None)
        and (first.user_attributes is None or first.user_attributes.equals(second.user_attributes))
        and (first.name, first.source, first.reading)
        == (second.name, second.source, second.reading)
    )


@pytest.fixture
def table(tmp_path):
    """A file of 3,000 ratings in no order, with text ids and no times."""
    data, _ = generate(users=60, items=80, ratings=3000, seed=3)
    frame = (
        data.to_frame()
        .select("user_id", "item_id", "rating")
        .sample(fraction=1, shuffle=True, seed=1)
    )
    frame = frame.with_columns(user_id="v" + pl.col("user_id").cast(pl.String))
    frame.write_csv(tmp_path / "mine.csv")
    return tmp_path / "mine.csv"


@pytest.mark.parametrize("form", [*WRITERS, "zip", "own", "parquet"])
def test_mapped_is_what_was_read(form, make_edition, table, tmp_path, monkeypatch, readings):
    if form == "zip":
        source = zip_folder(write_csv(tmp_path / "tiny"), tmp_path / "tiny.zip")
    elif form == "parquet":
        source = table.with_suffix(".parquet")
        pl.read_csv(table).write_parquet(source)
    else:
        source = table if form == "own" else make_edition(form)
    with monkeypatch.context() as patch:
        patch.setattr(parsed_cache, "MIN_SOURCE_BYTES", 2**40)
        bare = read(source)
    first, second = read(source), read(source)
    assert len(readings) == (0 if form == "100k" else 1)  # with official splits, never kept
    assert same(first, bare)
    assert same(second, bare)
    train, test = second.split(test_fraction=0.3)
    assert same(train, bare.split(test_fraction=0.3)[0])
    assert same(test, bare.split(test_fraction=0.3)[1])


def test_mapped_arrays_are_not_copied(table, cache):
    read(table)
    ratings = read(table).ratings
    for array in (ratings.user, ratings.values, *ratings.by_user, *ratings.by_item):
        while not isinstance(array, np.memmap):
            array = array.base
    before = [path.read_bytes() for path in sorted(entries(cache)[0].iterdir())]
    ratings.by_user.values[:] = 0.0  # whoever writes, writes to memory of their own
    assert before == [path.read_bytes() for path in sorted(entries(cache)[0].iterdir())]


def test_ratings_sorted_by_user_and_item_are_kept_once(table, cache):
    number = pl.col("user_id").str.slice(1).cast(pl.Int64)
    pl.read_csv(table).with_columns(number).sort("user_id", "item_id").write_csv(table)
    first, second = read(table), read(table)
    assert same(first, second)
    (entry,) = entries(cache)
    files = json.loads((entry / "manifest.json").read_text())["arrays"]
    assert files["by_user.indices"] == files["item"]
    assert files["by_user.values"] == files["values"]
    assert len(list(entry.glob("*.npy"))) == len(files) - 2


def test_other_options_make_another_entry(table, cache, readings):
    read(table)
    assert read(table, scale=(0, 5, 0.5)).ratings.scale.low == 0
    assert read(table, duplicates="last").reading["duplicates"] == "last"
    assert read(table).ratings.scale.low == 0.5
    assert len(readings) == len(entries(cache)) == 3


@pytest.mark.parametrize("change", ["row", "time", "movies", "no movies"])
def test_a_changed_source_is_read_again(change, tmp_path, readings):
    folder = write_csv(tmp_path / "tiny")
    before = read(folder)
    ratings = folder / "ratings.csv"
    if change == "row":
        ratings.write_text("\n".join(ratings.read_text().splitlines()[:-1]))
    elif change == "time":
        os.utime(ratings, ns=(1, 1))
    elif change == "movies":
        (folder / "movies.csv").write_text("movieId,title,genres\n10,Ran (1985),War\n")
    else:
        (folder / "movies.csv").unlink()
    after = read(folder)
    assert len(readings) == 2
    assert same(after, before) == (change == "time")
    read(folder)
    assert len(readings) == 2


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.thorough
@pytest.mark.slow
def test_any_damage_is_repaired(table, cache, readings):
    good = read(table)
    for name in sorted(path.name for path in entries(cache)[0].iterdir()):
        for damage in (
            lambda path: path.unlink(),
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            lambda path: path.write_bytes(path.read_bytes() + b"\0"),
            lambda path: flip(path, 0),
            lambda path: flip(path, path.stat().st_size // 2),
            lambda path: flip(path, path.stat().st_size - 1),
        ):
            made = len(readings)
            damage(entries(cache)[0] / name)
            assert same(read(table), good), name
            assert len(readings) <= made + 1
        assert len(readings) == made + 1, name  # the last damage was noticed
    shutil.rmtree(entries(cache)[0])
    assert same(read(table), good)


def replace_array(entry, name, change):
    """Replace an array, with a correct checksum."""
    manifest = json.loads((entry / "manifest.json").read_text())
    path = entry / f"{manifest['arrays'][name][0]}.npy"
    array = change(np.load(path))
    path.unlink()  # what is mapped from it stays as it is
    np.save(path, array)
    manifest["arrays"][name][1] = parsed_cache._checksum(path, array.nbytes)[0]
    (entry / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["user", "item", "by_user.indices", "by_item.indices"])
@pytest.mark.parametrize("code", [-1, 10**6])
def test_codes_out_of_range_are_refused_even_with_correct_checksums(
    name, code, table, cache, readings
):
    def changed(array):
        array[7] = code
        return array

    good = read(table)
    replace_array(entries(cache)[0], name, changed)
    assert same(read(table), good)
    assert len(readings) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("by_user.indptr", lambda array: array[::-1].copy()),
        ("by_item.indptr", lambda array: array[:-1].copy()),
        ("by_item.indptr", lambda array: np.append(0, np.full(len(array) - 1, array[-1] + 1))),
        ("values", lambda array: array[:-1].copy()),
        ("values", lambda array: array.view(np.int32)),
        ("by_user.values", lambda array: array.reshape(2, -1)),
    ],
)
def test_arrays_of_another_shape_or_dtype_are_refused(name, wrong, table, cache, readings):
    good = read(table)
    replace_array(entries(cache)[0], name, wrong)
    assert same(read(table), good)
    assert len(readings) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        "{",
        "null",
        '{"format": 1}',
        '{"format": 99}',
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_invalid_manifests_are_replaced(manifest, table, cache, readings):
    good = read(table)
    path = entries(cache)[0] / "manifest.json"
    path.write_bytes(manifest if isinstance(manifest, bytes) else manifest.encode())
    assert same(read(table), good)
    assert same(read(table), good)
    assert len(readings) == 2


def test_bad_rows_leave_nothing(tmp_path, cache):
    path = tmp_path / "mine.csv"
    path.write_text("user,item,stars\n1,2,3\n1,2,4\n")
    for _ in range(2):
        with pytest.raises(DataError, match="rated item 2 already in row 2"):
            read(path)
    assert entries(cache) == []
    path.write_text("user,item,stars\n1,2,3\n1,3,many\n")
    with pytest.raises(DataError, match="row 3, column stars"):
        read(path)
    assert list((cache / ".parsed").iterdir()) == []


def test_where_the_cache_cannot_be_written_data_are_read_into_memory(table, tmp_path, monkeypatch):
    expected = read(table)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "file"))
    data = read(table)
    assert same(data, expected)
    assert not isinstance(data.ratings.user.base, np.memmap)


def test_without_disk_space_data_are_read_into_memory(table, cache, monkeypatch):
    expected = read(table)
    parsed_cache.clear()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    assert same(read(table), expected)
    assert entries(cache) == []
    assert list((cache / ".parsed").iterdir()) == []


def test_only_the_last_used_entries_stay(table, cache, monkeypatch, readings):
    monkeypatch.setattr(parsed_cache, "MAX_ENTRIES", 2)
    for high in (5, 6, 5, 7):  # the third reading is a use of the first
        read(table, scale=(0, high))
        for entry in entries(cache):
            manifest = entry / "manifest.json"
            used = manifest.stat().st_mtime_ns
            os.utime(manifest, ns=(used - 10**9, used - 10**9))  # as if a second had gone by
    assert len(readings) == 3
    assert len(entries(cache)) == 2
    read(table, scale=(0, 5))
    read(table, scale=(0, 7))
    assert len(readings) == 3


def test_entries_are_no_data_sets_and_can_be_cleared(table, cache):
    assert parsed_cache.clear() == 0
    read(table)
    assert cached_names() == []
    assert parsed_cache.clear() > 3000 * 8
    assert entries(cache) == []


def test_small_files_are_not_kept(table, cache, monkeypatch):
    monkeypatch.setattr(parsed_cache, "MIN_SOURCE_BYTES", table.stat().st_size + 1)
    read(table)
    assert not cache.exists()


def test_a_plain_file_is_written_once(tmp_path, cache, monkeypatch):
    """Columns are parsed and sorted into the files that stay; nothing is copied there later."""
    folder = write_csv(tmp_path / "tiny")
    asked = []
    original = builder.csr_and_csc

    def recorded(user, *rest):
        asked.append(user)
        return original(user, *rest)

    monkeypatch.setattr(builder, "csr_and_csc", recorded)
    read(folder)
    owner = asked[0]
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert isinstance(owner, np.memmap)
