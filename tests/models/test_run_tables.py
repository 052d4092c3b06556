"""The tables of a run: the same back, and nothing believed that a forger may have written."""

import json
import struct
from contextlib import suppress

import numpy as np
import polars as pl
import pytest

import matinee
from forgery import forge, rewrite_arrays, rewrite_manifest
from matinee.data.attributes import normalized
from matinee.data.catalog import Catalog
from matinee.errors import RunError
from matinee.models import Bias
from matinee.models.run_tables import height, to_arrays, to_table

TABLES = ("items.safetensors", "users.safetensors")
TABLE = pl.DataFrame(
    {
        "item_id": ["", "a", "\u00e9\u20ac", "z"],
        "year": pl.Series([1999, None, -5, 2**31 - 1], dtype=pl.Int32),
        "minutes": [1.5, None, -0.0, 1e300],
        "notes": [None, "x", None, "two words"],
        "tags": [["a", "b c"], [], None, ["\U0001f3ac"]],
        "__metadata__": [[], [], [], []],
        "nothing": pl.Series([None] * 4, dtype=pl.String),
    },
    schema_overrides={"__metadata__": pl.List(pl.String)},
)


@pytest.fixture
def run(both, tmp_path):
    return both.save(tmp_path / "run")


def there_and_back(table):
    types, arrays = to_arrays(table)
    assert height(types, arrays) == table.height
    return to_table(json.loads(json.dumps(types)), arrays, table.height)


@pytest.mark.parametrize("rows", [0, 1, 2, 4])
def test_a_table_comes_back_the_same(rows):
    # an empty text is none: no table has one
    expected = TABLE.head(rows).with_columns(pl.col("item_id").replace("", None))
    assert there_and_back(TABLE.head(rows)).equals(expected)
    assert there_and_back(TABLE.head(rows)).schema == TABLE.schema


def test_ids_that_are_numbers_come_back(tmp_path):
    table = pl.DataFrame({"user_id": [-(2**61), 0, 7]})
    assert there_and_back(table).equals(table)


@pytest.mark.parametrize("end", ["\n", "\x1f"])
@pytest.mark.parametrize("column", ["notes", "tags"])
def test_texts_that_cannot_be_told_apart_are_not_saved(column, end):
    bad = f"a{end}b"
    table = TABLE.with_columns(pl.Series(column, [[bad]] * 4 if column == "tags" else [bad] * 4))
    with pytest.raises(RunError, match="control characters"):
        to_arrays(table)


def test_users_and_items_with_attributes_come_back_from_a_run(tmp_path):
    ratings = {"user_id": ["x", "x", "y"], "item_id": [1, 2, 3], "rating": [1, 5, 3]}
    items = pl.DataFrame(
        {"item_id": [1, 2, 3, 4], "genres": [["A", "B"], [], None, ["(no genres listed)"]],
         "title": ["One (1999)", None, "  ", "Four"], "made": ["FR|IT", None, "US", ""],
         "minutes": [90.0, None, float("nan"), 100.5]}
    )  # fmt: skip
    users = pl.DataFrame(
        {"user_id": ["x", "y", "z"], "age": [20.5, None, 30], "job": ["a", "", None]}
    )
    data = matinee.read(pl.DataFrame(ratings), items=items, users=users)
    model = Bias().fit(data)
    loaded = matinee.load(model.save(tmp_path / "run"))
    assert loaded.catalog.frame.equals(data.catalog.frame)
    assert loaded.catalog.frame.schema == data.catalog.frame.schema
    assert loaded.catalog.fingerprint() == data.catalog.fingerprint()
    attributes = loaded.index.user_attributes
    assert attributes.equals(normalized(data.user_attributes.drop("user_id")))
    resaved = matinee.load(loaded.save(tmp_path / "resaved"))
    assert resaved.catalog.frame.equals(data.catalog.frame)


def test_very_many_attributes_are_loaded_again(tmp_path):
    items = pl.DataFrame({"item_id": [1, 2]} | {f"x{n}": [1.5, 2.5] for n in range(3000)})
    data = matinee.read([(1, 1, 3.0), (1, 2, 4.0)], items=items)
    loaded = matinee.load(Bias().fit(data).save(tmp_path / "run"))
    assert loaded.catalog.frame.equals(data.catalog.frame)


def test_names_that_no_manifest_could_hold_are_refused_when_saving(both, tmp_path):
    frame = both.catalog.frame.with_columns(pl.lit(1.0).alias("x" * 2**22))
    long = matinee.models.recommender.Recommender(
        both.index.__class__(
            both.index.user_ids, Catalog(both.index.catalog.ids, frame), both.index.scale,
            both.index.interactions,
        ),
        rating_head=both.rating_head,
    )  # fmt: skip
    with pytest.raises(RunError, match="too long"):
        long.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def text(change):
    """A change of a column of text."""

    def change_array(array):
        return np.frombuffer(change(array.tobytes()), np.uint8)

    return change_array


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "change",
    [
        lambda ids: ids[::-1].copy(),
        lambda ids: ids.astype(np.float64),
        lambda ids: ids.astype(np.int32),
        lambda ids: np.where(ids == 3, 2, ids),
        lambda ids: ids[:5].copy(),
        lambda ids: np.append(ids, 10**6),
        lambda ids: ids.reshape(-1, 1),
        lambda ids: ids.view(np.uint8),
    ],
)
def test_forged_ids_are_refused_even_with_right_checksums(run, name, change):
    rewrite_arrays(run, name, lambda arrays: arrays.update({"0": change(arrays["0"])}))
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


@pytest.mark.parametrize(
    "change",
    [
        text(lambda titles: titles + b"one more\n"),
        text(lambda titles: titles[:-1]),
        text(lambda titles: titles[1:] + b"x"),
        text(lambda titles: b"\n" + titles[titles.index(b"\n") + 1 :]),  # no title
        text(lambda titles: titles.replace(b"\n", b"", 1)),
        text(lambda titles: titles.replace(b"i", b"\xff", 1)),
        text(lambda titles: titles.replace(b"i", b"\xed\xa0\x80", 1)),  # half of a character
        text(lambda titles: titles.replace(b"i", b"\x1b[31m", 1)),
        text(lambda titles: titles.replace(b"i", b"\xe2\x80\xae", 1)),  # right to left
        text(lambda titles: titles.replace(b"i", b"\x00", 1)),
        text(lambda titles: titles.replace(b"i", b"\r", 1)),
        text(lambda titles: titles.replace(b"i", b"\x1f", 1)),
        text(lambda titles: b""),
        lambda titles: titles.astype(np.int32),
        lambda titles: titles.view(np.int8),
        lambda titles: titles.reshape(1, -1),
        lambda titles: titles[0],
    ],
)
def test_forged_titles_are_refused_even_with_right_checksums(run, change):
    rewrite_arrays(run, "items.safetensors", lambda a: a.update({"1": np.asarray(change(a["1"]))}))
    with pytest.raises(RunError, match="fit together") as refused:
        matinee.load(run)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "change",
    [
        lambda types: types.pop("year"),
        lambda types: types.pop("item_id"),
        lambda types: types.update(year="numbers"),
        lambda types: types.update(year="integers"),
        lambda types: types.update(title="text_lists"),
        lambda types: types.update(genres="texts"),
        lambda types: types.update(genres="pickles"),
        lambda types: types.update(genres=["text_lists"]),
        lambda types: types.update(genres=None),
        lambda types: types.update(more="texts"),
        lambda types: types.clear(),
    ],
)
def test_forged_types_are_refused(run, change):
    def change_types(manifest):
        change(manifest["model"]["columns"]["items.safetensors"])

    rewrite_manifest(run, change_types)
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


@pytest.mark.parametrize("columns", [None, [], {}, {"items.safetensors": 3}, "x"])
def test_a_manifest_without_types_is_refused(run, columns):
    rewrite_manifest(run, lambda manifest: manifest["model"].update(columns=columns))
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("shape", [[2**62], [2**40], [-1], [1e3], [2**31, 2**31, 4]])
def test_shapes_that_the_file_cannot_hold_are_refused(run, name, shape):
    header = {"0": {"dtype": "I64", "shape": shape, "data_offsets": [0, 2**62]}}
    encoded = json.dumps(header).encode()
    (run / name).write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"\0" * 64)
    forge(run, name)
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "[1]",
        "7",
        '{"head": "rating", "iteration": {"a": 1}}',
        '{"head": "rating", "iteration": [1]}',
        '{"head": "rating"}\n{"head": 3}',
        '{"iteration": ' + "9" * 5000 + "}",
        '{"iteration": ' + "9" * 400 + ".0}",
        '{"iteration": 1}\n{"iteration": ' + "9" * 400 + "}",
        '{"head": "\\ud800"}',
        "\x00",
        '{"a": 1',
    ],
)
def test_a_forged_history_ends_in_one_line_or_does_no_harm(run, line):
    (run / "history.jsonl").write_text(line + "\n")
    forge(run, "history.jsonl")
    with suppress(RunError):
        assert matinee.load(run).history.height <= 2
