"""Inputs that hold data: tables of every format, archives, options beside them."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from changes import (
    ODD_TEXTS,
    ODD_VALUES,
    byte_changes,
    changed,
    json_changed,
    json_changes,
    odd_values,
    text_of,
)
from hypothesis import strategies as st
from questions import answer, ask_data
from target import Target
from tiny_editions import WRITERS

import matinee

ROWS = [
    {
        "user": f"u{k % 7}",
        "item": k % 5,
        "rating": k % 4 + 1,
        "time": 10**9 + k,
        "title": "A (1999)",
    }
    for k in range(0, 35, 2)
]
ITEMS = [
    {"item": k, "title": f"Film {k} (19{k}9)", "genres": "A|B", "price": k / 2, "tags": ["x", "y"]}
    for k in range(6)
]

_numbers = st.integers(0, 6).map(str)
_odd_cells = st.sampled_from(ODD_TEXTS) | st.text(max_size=12)
_cells = _numbers | _numbers | _numbers | _odd_cells
_options = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.dictionaries(
            st.sampled_from(
                ["user_id", "item_id", "rating", "timestamp", "event", "items.item_id"]
            ),
            st.sampled_from(["user", "item", "rating", "time", "title", "none", "1", "2", "9", ""]),
            max_size=2,
        ),
        "scale": st.sampled_from([(1, 5), (0, 10, 0.5), (5, 1), (float("nan"), 2), (1,), "1:5"]),
        "duplicates": st.sampled_from(["last", "sum", "mean", "error"]),
        "missing": st.sampled_from(["", 0, -1, ["", 0], "nan"]),
        "time_format": st.sampled_from(["%Y-%m-%d", "s", "ms", "ns", "%Q", ""]),
        "event_weights": st.sampled_from([{"view": 1}, {"": 2, "0": 1}, {"view": float("inf")}]),
    },
)


def read_and_ask(source: Any, folder: Path, options: dict[str, Any]) -> None:
    """A source with such options, read, and asked about."""
    ask_data(answer(lambda: matinee.read(source, **options)), folder)


# text


def _write_text(case: Any, folder: Path) -> None:
    separator, end, header, rows, items, changes, _ = case
    lines = [separator.join(cells) for cells in [header, *rows]]
    text = end.join(lines) + end
    content = text.encode("utf-8", "surrogatepass")
    (folder / "ratings.csv").write_bytes(changed(content, changes))
    if items is not None:
        lines = ["item,title,genres,year,extra", *(",".join(cells) for cells in items)]
        (folder / "items.csv").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


_rows = st.lists(st.lists(_cells, min_size=2, max_size=4), max_size=8) | st.lists(
    st.tuples(_numbers, _numbers, _cells).map(list), min_size=1, max_size=8
)
text = Target(
    st.tuples(
        st.sampled_from([",", ",", "\t", ";", "|", "::"]),
        st.sampled_from(["\n", "\n", "\r\n", "\r"]),
        st.sampled_from(
            [
                ["user", "item", "rating"],
                ["user", "item", "rating", "time"],
                ["userId", "movieId", "rating", "timestamp"],
                ["user", "item", "event", "title"],
                ["user_id", "item_id"],
                ["1", "2", "3"],
            ]
        ),
        _rows,
        st.none() | st.lists(st.lists(_cells, min_size=1, max_size=5), max_size=5),
        st.just([]) | byte_changes,
        _options,
    ),
    _write_text,
    lambda folder, case: read_and_ask(folder / "ratings.csv", folder, case[-1]),
    few=60,
)

# JSON


def _write_lines(case: Any, folder: Path) -> None:
    as_list, json_case, changes, _ = case
    rows = json_changed(json.loads(json.dumps(ROWS)), json_case)
    if as_list or not isinstance(rows, list):
        content = text_of(rows)
    else:
        content = b"\n".join(map(text_of, rows))
    (folder / "ratings.json").write_bytes(changed(content, changes))
    items = json_changed(json.loads(json.dumps(ITEMS)), json_case)
    if isinstance(items, list):
        (folder / "items.jsonl").write_bytes(b"\n".join(map(text_of, items)))


lines = Target(
    st.tuples(st.booleans(), json_changes, st.just([]) | byte_changes, _options),
    _write_lines,
    lambda folder, case: read_and_ask(folder / "ratings.json", folder, case[-1]),
    few=40,
)

# Parquet, Arrow


@cache
def _binary(suffix: str, compression: str) -> bytes:
    stream = io.BytesIO()
    more = {"genres": [["A", "B"]] * len(ROWS), "extra": [{"a": [1], "b": None}] * len(ROWS)}
    frame = pl.DataFrame(ROWS).with_columns(**{k: pl.Series(v) for k, v in more.items()})
    write = frame.write_parquet if suffix == ".parquet" else frame.write_ipc
    write(stream, compression=compression)
    return stream.getvalue()


def _write_binary(case: Any, folder: Path) -> None:
    (suffix, compression), changes, _ = case
    (folder / f"ratings{suffix}").write_bytes(changed(_binary(suffix, compression), changes))


binary = Target(
    st.tuples(
        st.sampled_from(
            [(".parquet", name) for name in ("zstd", "snappy", "uncompressed")]
            + [(".arrow", name) for name in ("zstd", "lz4", "uncompressed")]
        ),
        byte_changes,
        st.just({}) | _options,
    ),
    _write_binary,
    lambda folder, case: read_and_ask(folder / f"ratings{case[0][0]}", folder, case[-1]),
    few=60,
)

# tables in memory

_values = st.sampled_from(ODD_VALUES) | odd_values | st.binary(max_size=4)
_columns = st.integers(1, 6).flatmap(
    lambda n: st.fixed_dictionaries(
        {
            "user": st.lists(st.integers(0, 3) | _values, min_size=n, max_size=n),
            "item": st.lists(st.integers(0, 9), min_size=n, max_size=n, unique=True),
        },
        optional={
            name: st.lists(st.integers(1, 5) | _values, min_size=n, max_size=n)
            for name in ("rating", "time", "title", "genres", "year", "event")
        },
    )
)
_described = st.none() | st.fixed_dictionaries(
    {
        "item": st.lists(st.integers(0, 9) | st.text(max_size=3), min_size=3, max_size=3),
        "title": st.lists(_values, min_size=3, max_size=3),
        "colour": st.lists(_values, min_size=3, max_size=3),
    }
)


def _ask_frame(folder: Path, case: Any) -> None:
    columns, form, items, options = case
    source: Any = columns
    if form == "rows":
        source = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    elif form == "tuples":
        source = list(zip(*columns.values(), strict=True))
    elif form == "polars":
        try:
            source = pl.DataFrame(columns, strict=False)
        except Exception:  # which polars itself refuses
            return
    read_and_ask(source, folder, {**options, "items": items})


frames = Target(
    st.tuples(
        _columns, st.sampled_from(["columns", "rows", "tuples", "polars"]), _described, _options
    ),
    lambda case, folder: (folder / "input.txt").write_text(repr(case), "utf-8", "backslashreplace"),
    _ask_frame,
    few=60,
)

# archives and compressed files

PACKERS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: _zstd(content),
    ".gz.zlib": zlib.compress,  # under a name that promises another one
}


def _zstd(content: bytes) -> bytes:
    """A zstd frame that stores its content as it is."""
    header = bytes.fromhex("28b52ffd") + bytes([0xA0]) + len(content).to_bytes(4, "little")
    return header + (len(content) << 3 | 1).to_bytes(3, "little") + content


@cache
def _plain() -> bytes:
    return "".join(
        ["user,item,rating\n", *(f"{row['user']},{row['item']},{row['rating']}\n" for row in ROWS)]
    ).encode()


def _write_archive(case: Any, folder: Path) -> None:
    kind, layout, names, within, changes, _ = case
    if kind != ".zip":
        packed = PACKERS[kind](changed(_plain(), within))
        (folder / f"ratings.csv{kind.removesuffix('.zlib')}").write_bytes(changed(packed, changes))
        return
    WRITERS[layout][0](folder / "plain")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((folder / "plain").iterdir()):
            content = file.read_bytes()
            content = changed(content, within) if file.name[0] in "ru" else content
            archive.writestr(f"mine/{file.name}", content)
        for name, mode in names:
            member = zipfile.ZipInfo(name or "x")
            member.external_attr = mode << 16
            archive.writestr(member, b"user,item\n1,2\n")
    (folder / "mine.zip").write_bytes(changed(stream.getvalue(), changes))


def _ask_archive(folder: Path, case: Any) -> None:
    name = case[0].removesuffix(".zlib")
    source = folder / ("mine.zip" if name == ".zip" else f"ratings.csv{name}")
    read_and_ask(source, folder, case[-1])


archives = Target(
    st.tuples(
        st.sampled_from([".zip", ".zip", ".zip", *PACKERS]),
        st.sampled_from([*WRITERS]),
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["../x.csv", "/x.csv", "a/../../x", "ratings.csv", "mine/ratings.csv", "C:x"]
                )
                | st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
                st.sampled_from([0, 0o100644, 0o120777, 0o010644, 0o040755]),
            ),
            max_size=2,
        ),
        st.just([]) | byte_changes,
        st.just([]) | byte_changes,
        st.just({}) | _options,
    ),
    _write_archive,
    _ask_archive,
    few=40,
)

# options that stand beside added data


def _write_reading(case: Any, folder: Path) -> None:
    json_case, changes = case
    (folder / "ratings.csv").write_bytes(_plain())
    (folder / "items-of-x.csv").write_text("item,title\n1,One\n2,Two\n")
    reading = {
        "columns": {"user_id": "user", "item_id": "item"},
        "scale": [1, 5, 1],
        "duplicates": "last",
        "event_weights": None,
        "missing": [0, ""],
        "time_format": "s",
        "items": "items-of-x.csv",
    }
    content = text_of(json_changed(reading, json_case))
    (folder / "reading.json").write_bytes(changed(content, changes))


reading = Target(
    st.tuples(json_changes, st.just([]) | byte_changes),
    _write_reading,
    lambda folder, case: read_and_ask(folder, folder, {}),
    few=40,
)
