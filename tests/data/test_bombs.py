"""Files of a few bytes that announce, unpack to or nest far more are refused before they are read;
damaged ones end in one line."""

import zlib
from contextlib import suppress

import numpy as np
import polars as pl
import pytest

from matinee.data import read, tables
from matinee.data.arrow_bounds import arrow_bounds, check_schema
from matinee.data.parquet_bounds import parquet_bounds
from matinee.errors import DataError, MatineeError

BOUNDS = {".parquet": parquet_bounds, ".arrow": arrow_bounds}
PACKED = [
    (suffix, compression)
    for suffix, names in {
        ".parquet": ("zstd", "snappy", "gzip", "lz4", "uncompressed"),
        ".arrow": ("zstd", "lz4", "uncompressed"),
    }.items()
    for compression in names
]
RATINGS = pl.DataFrame(
    {
        "user": [f"u{k % 7}" for k in range(35)],
        "item": [k % 5 for k in range(35)],
        "rating": [float(k % 4) for k in range(35)],
        "title": [f"Film {k % 5}" for k in range(35)],
        "genres": [["A", "B"][: k % 5 % 3] for k in range(35)],
        "extra": [{"a": [k], "b": None} for k in range(35)],
    }
)


def write(frame, path, compression="zstd", **options):
    writer = frame.write_parquet if path.suffix == ".parquet" else frame.write_ipc
    writer(path, compression=compression, **options)
    return path


@pytest.mark.parametrize(("suffix", "compression"), PACKED)
def test_bounds_are_those_of_what_is_read(tmp_path, suffix, compression):
    path = write(RATINGS, tmp_path / f"mine{suffix}", compression)
    bounds = BOUNDS[suffix](path)
    assert bounds.rows == 35
    assert 35 <= bounds.values <= 36 + 35
    assert bounds.unpacked >= 35 * 8
    assert len(read(path)) == 35


@pytest.mark.parametrize("suffix", BOUNDS)
def test_bounds_add_up_groups_of_rows_and_pages(tmp_path, suffix):
    size = {"row_group_size": 100} if suffix == ".parquet" else {"record_batch_size": 100}
    frame = pl.DataFrame({"user": np.arange(1050), "item": np.arange(1050) % 9})
    path = write(frame, tmp_path / f"mine{suffix}", "uncompressed", **size)
    bounds = BOUNDS[suffix](path)
    assert (bounds.rows, bounds.values) == (1050, 1050)
    assert bounds.unpacked <= path.stat().st_size
    assert len(read(path)) == 1050


def test_rows_that_so_few_bytes_cannot_be_ratings_are_refused_unread(tmp_path, monkeypatch):
    n = tables.FEW_ROWS + 1
    same = {"user": pl.repeat(1, n, eager=True), "item": pl.repeat(2, n, eager=True)}
    path = write(pl.DataFrame(same), tmp_path / "many.parquet")
    assert path.stat().st_size < 100_000
    for format_ in tables.SCANS:
        monkeypatch.setitem(tables.SCANS, format_, lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DataError, match=r"values in .* bytes are no ratings"):
        read(path)
    path = write(pl.DataFrame(same), tmp_path / "many.arrow")
    with pytest.raises(DataError, match=r"values in .* bytes are no ratings"):
        read(path)


@pytest.mark.parametrize("suffix", BOUNDS)
@pytest.mark.parametrize("column", ["title", "note"])
def test_what_unpacks_to_far_more_is_refused_unread(tmp_path, monkeypatch, suffix, column):
    texts = [f"{k}" + "x" * 900_000 for k in range(100)]
    frame = pl.DataFrame({"user": range(100), "item": range(100), "rating": 3.0, column: texts})
    path = write(frame, tmp_path / f"bomb{suffix}")
    assert path.stat().st_size < 500_000
    for format_ in tables.SCANS:
        monkeypatch.setitem(tables.SCANS, format_, lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DataError, match=r"bytes unpack to [0-9,]*, more than ratings could hold"):
        read(path)


@pytest.mark.parametrize("as_list", [False, True])
def test_a_long_text_that_many_rows_share_is_refused(tmp_path, as_list):
    text = "x" * 500_000
    titles = pl.Series([text] * 400)
    genres = pl.Series([[text]] * 400)
    described = {"genres": genres} if as_list else {"title": titles}
    frame = pl.DataFrame({"user": range(400), "item": range(400), "rating": 3.0, **described})
    path = write(frame, tmp_path / "bomb.parquet")
    assert path.stat().st_size < 100_000
    if not as_list:
        assert parquet_bounds(path).unpacked < 2**21  # a dictionary has it once
    with pytest.raises(DataError, match="unpack to 200,0"):
        read(path)


def deep(depth, inner=pl.Int64):
    dtype = inner
    for level in range(depth):
        dtype = pl.List(dtype) if level % 2 else pl.Struct({"a": dtype})
    return dtype


@pytest.mark.parametrize("suffix", BOUNDS)
@pytest.mark.parametrize("column", ["title", "genres", "rating", "unused"])
def test_columns_that_nest_deep_are_refused_unread(tmp_path, monkeypatch, suffix, column):
    columns = {"user": [1], "item": [2], column: pl.Series([None], dtype=deep(120))}
    path = write(pl.DataFrame(columns), tmp_path / f"deep{suffix}")
    for format_ in tables.SCANS:
        monkeypatch.setitem(tables.SCANS, format_, lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DataError, match="nested more than 64 deep"):
        read(path)


def test_the_second_schema_of_a_parquet_file_may_not_nest_deep_either(tmp_path):
    schemas = []
    for depth in (10, 120):
        frame = pl.DataFrame({"a": pl.Series([None], dtype=deep(depth))})
        path = write(frame, tmp_path / "deep.parquet")
        schemas.append(pl.read_parquet_metadata(path)["ARROW:schema"].encode())
    check_schema(schemas[0])
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        check_schema(schemas[1])
    with pytest.raises(ValueError, match="makes no sense"):
        check_schema(schemas[0][:40])


@pytest.mark.parametrize("brackets", ["[]", "{}"])
@pytest.mark.parametrize("column", ["title", "genres", "rating", "user", "unused"])
@pytest.mark.parametrize("depth", [100, 300, 5000])
def test_json_that_nests_deep_is_refused(tmp_path, brackets, column, depth):
    inner = "[" * depth + "]" * depth if brackets == "[]" else '{"a":' * depth + "1" + "}" * depth
    cells = {"user": "1", "item": "2", "rating": "3", column: inner}
    line = ",".join(f'"{name}":{value}' for name, value in cells.items())
    for name, text in (("x.jsonl", f"{{{line}}}\n"), ("x.json", f"[{{{line}}}]")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=r"nested more than 64 deep|DepthLimit"):
            read(tmp_path / name)


@pytest.mark.parametrize(("suffix", "compression"), PACKED)
def test_files_cut_or_changed_anywhere_end_in_one_line_or_are_read(tmp_path, suffix, compression):
    path = write(RATINGS, tmp_path / f"mine{suffix}", compression)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(content)
        for at in rng.integers(0, len(content), rng.choice([1, 1, 3])):
            changed[at] = rng.choice([0, 255, 127, 128, 7])
        if rng.random() < 0.2:
            del changed[rng.integers(len(content)) :]
        path.write_bytes(changed)
        with suppress(MatineeError):
            read(path)
    for size in (0, 3, 11, 12, 24, 30):
        path.write_bytes(content[:size])
        with pytest.raises(MatineeError) as refused:
            read(path)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["ratings.csv", "ratings.csv.gz", "movies.csv"])
def test_a_stream_that_unpacks_to_gigabytes_is_refused(tmp_path, name):
    packer = zlib.compressobj(9)
    bomb = b"".join([packer.compress(b"0" * 2**20) for _ in range(200)]) + packer.flush()
    (tmp_path / "ratings.csv").write_text("user,item,rating\n1,2,3\n")
    (tmp_path / name).write_bytes(bomb)
    assert len(bomb) < 300_000
    with pytest.raises(MatineeError, match="unpacks to more than ratings could hold"):
        read(tmp_path / "ratings.csv" if name == "movies.csv" else tmp_path / name)
