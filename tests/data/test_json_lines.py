"""JSON is measured before it is read: what would become far more cells than bytes is refused."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_editions import refusal, rows_of

from matinee.data import json_lines as bounds
from matinee.data import read, tables
from matinee.data.compression import Scratch
from matinee.kernels.text import MEASURED, scan_json

ROWS = [{"user": f"u{k % 7}", "item": k % 5, "rating": k % 4 + 1} for k in range(0, 35, 2)]
FORMS = ("lines", "list", "pretty")


def write(path, rows, form="lines"):
    indent = 1 if form == "pretty" else None
    lines = "\n".join(map(json.dumps, rows))
    path.write_text(lines if form == "lines" else json.dumps(rows, indent=indent))
    return path


def scanned(text, is_list, levels=80, table=2**12):
    """What the kernel finds, and the text that it leaves."""
    block = np.frombuffer(text.encode(), np.uint8).copy()
    state = np.zeros(len(MEASURED), np.int64)
    state[MEASURED.index("is_list")] = is_list
    parents, seen = np.zeros(levels, np.int64), np.zeros(table, np.int64)
    parents[0] = 12345
    for part in np.array_split(block, min(3, len(block))):
        scan_json(part, state, parents, seen)  # views: what is between parts is kept
    return dict(zip(MEASURED, state.tolist(), strict=True)), block.tobytes().decode()


def paths_of(value, path=()):
    """The names of entries with those around them, as Python sees them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, json.dumps(name))
            yield from paths_of(inner, (*path, json.dumps(name)))
    elif isinstance(value, list):
        for inner in value:
            yield from paths_of(inner, path)


def depth_of(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) + max(map(depth_of, inner), default=0)


texts = st.text(st.sampled_from('ab{}[]:,"\\\n é'), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(texts, values, max_size=3), min_size=1, max_size=4), st.booleans())
def test_what_is_found_is_what_python_finds(rows, ascii_only):
    dumps = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    paths = {
        tuple(json.dumps(json.loads(name), ensure_ascii=ascii_only) for name in path)
        for path in paths_of(rows)
    }
    found, left = scanned("\n".join(dumps), False)
    assert left == "\n".join(dumps)
    assert (found["objects"], found["paths"]) == (len(rows), len(paths))
    assert found["deepest"] == max(map(depth_of, rows))
    assert found["longest"] - 1 <= max(len(line.encode()) for line in dumps) <= found["longest"]
    for indent in (None, 2):
        text = json.dumps(rows, ensure_ascii=ascii_only, indent=indent)
        found, left = scanned(text, True)
        assert [json.loads(line) for line in left.split("\n")] == rows
        assert (found["objects"], found["paths"]) == (len(rows), len(paths))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mark", ["", "\ufeff", " \n"])
def test_every_form_is_read_alike(tmp_path, monkeypatch, form, mark):
    monkeypatch.setattr(bounds, "BLOCK", 64)
    path = write(tmp_path / "mine.json", ROWS, form)
    path.write_text(mark + path.read_text(), encoding="utf-8")
    assert rows_of(read(path, duplicates="last")) == rows_of(
        read(pl.DataFrame(ROWS), duplicates="last")
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("within", [False, True])
def test_a_name_of_its_own_in_every_row_is_refused_unread(tmp_path, monkeypatch, form, within):
    """Of which each would be a column, or a field within one, with a cell in every row."""
    monkeypatch.setitem(tables.SCANS, "JSON", lambda *_: pytest.fail("it was read"))
    few = [json.loads('{"a":' * 9 + f'{{"c{k}":1}}' + "}" * 9) for k in range(3000)]
    more = few if within else [{f"c{k}": 1} for k in range(3000)]
    rows = [{"user": k, "item": k, **entries} for k, entries in enumerate(more)]
    path = write(tmp_path / "mine.json", rows, form)
    assert path.stat().st_size < 2**20
    said = refusal(path)
    assert "3,000 objects with 3,0" in said
    assert "different names" in said


def test_few_names_in_every_order_within_one_another_are_refused(tmp_path, monkeypatch):
    """Ten names make a hundred thousand paths."""
    monkeypatch.setitem(tables.SCANS, "JSON", lambda *_: pytest.fail("it was read"))
    rows = [
        json.loads("".join(f'{{"{digit}":' for digit in f"{k:05}") + "1" + "}" * 5)
        for k in range(5000)
    ]
    path = write(tmp_path / "mine.jsonl", [{"user": 1, "item": 2, "x": row} for row in rows])
    assert "different names" in refusal(path)


@pytest.mark.parametrize("form", FORMS)
def test_one_row_may_have_twenty_thousand_names_but_not_seventy_thousand(tmp_path, form):
    row = {"user": 1, "item": 2, "rating": 3, **{f"c{k}": k for k in range(20_000)}}
    assert len(read(write(tmp_path / "mine.json", [row], form))) == 1
    row |= {f"d{k}": k for k in range(50_000)}
    assert "more than 65,536 different names" in refusal(write(tmp_path / "m.json", [row], form))


@pytest.mark.parametrize("form", FORMS)
def test_an_enormous_row_is_refused_unread(tmp_path, monkeypatch, form):
    monkeypatch.setattr(bounds, "MAX_ROW", 10_000)
    rows = [*ROWS, {"user": 1, "item": 9, "rating": 2, "title": "x" * 9_000}]
    assert len(read(write(tmp_path / "mine.json", rows, form), duplicates="last")) > 0
    rows[-1]["title"] *= 2
    monkeypatch.setitem(tables.SCANS, "JSON", lambda *_: pytest.fail("it was read"))
    said = refusal(write(tmp_path / "mine.json", rows, form))
    assert "a row has more than 10,000 bytes" in said


@pytest.mark.parametrize("text", ["", " ", "[]", "[", "{", "[1, 2]", "1\n2\n", "]]]]{", '"', "}{:"])
def test_what_is_no_table_is_one_line(tmp_path, text):
    (tmp_path / "mine.json").write_text(text)
    refusal(tmp_path / "mine.json")


def test_lines_are_not_copied(tmp_path):
    path = write(tmp_path / "mine.jsonl", ROWS)
    with Scratch() as scratch:
        assert bounds.json_lines(path, scratch) == path
        path = write(path, ROWS, "list")
        assert bounds.json_lines(path, scratch) != path
