"""Whatever people pass where an id, a rating, a setting belongs: an answer, or one short line."""

import datetime
import decimal
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from matinee import errors
from matinee.data import read
from matinee.errors import MatineeError
from matinee.models import ALS

HUGE = "x" * 200_000
ONE = {
    "none": None, "nan": float("nan"), "inf": float("inf"), "bool": True, "negative": -1,
    "fraction": 1.5, "2^63": 2**63, "400 digits": 10**400, "5000 digits": -(10**5000),
    "complex": 1j, "decimal": decimal.Decimal("sNaN"), "date": datetime.date(2020, 1, 1),
    "uuid": uuid.uuid4(), "object": object(), "class": int, "path": Path("a"), "ellipsis": ...,
    "text": "Heat", "no text": "", "control": "\x1b[31m\nred\u202e", "surrogate": "\ud800",
    "huge text": HUGE, "digits": "9" * 5000, "bytes": b"1", "no utf-8": b"\xff",
    "bytearray": bytearray(b"1"), "dtype": np.int8(1), "np.str_": np.str_("Heat"),
    "datetime64": np.datetime64("2020"), "void": np.void(b"ab"), "0-d": np.array(1),
    "0-d text": np.array("Heat"), "0-d object": np.array(None, object), "pd.NA": pd.NA,
    "pd.NaT": pd.NaT, "expression": pl.col("a"),
}  # fmt: skip
SEVERAL = {
    "series": pl.Series([1, 999]), "series of floats": pl.Series([1.0, None]),
    "series of titles": pl.Series(["Heat", None]),
    "categories": pl.Series(["Heat"], dtype=pl.Categorical), "series of lists": pl.Series([[1]]),
    "series of structs": pl.Series([{"a": 1}]), "series of bytes": pl.Series([b"1"]),
    "128 bits": pl.Series([2**100], dtype=pl.Int128),
    "unsigned": pl.Series([2**64 - 1], dtype=pl.UInt64),
    "series of objects": pl.Series([object()], dtype=pl.Object),
    "lazy frame": pl.LazyFrame({"a": [1]}), "frame": pl.DataFrame({"item_id": [1], "b": [2]}),
    "empty frame": pl.DataFrame(), "pandas": pd.Series([1.0, np.nan]),
    "pandas titles": pd.Series(["Heat", None]), "pandas index": pd.Index([1]),
    "pandas categories": pd.Categorical([1, 2]),
    "pandas integers": pd.Series([1, None], dtype="Int64"),
    "pandas times": pd.Series(pd.to_datetime(["2020-01-01"])),
    "pandas multi-index": pd.MultiIndex.from_tuples([(1, 2)]),
    "pandas frame": pd.DataFrame({"a": [1]}),
    "pandas ratings": pd.Series([4.0], index=["Heat"]), "array": np.array([1, 2]),
    "array of floats": np.array([1.0, np.nan]),
    "array of objects": np.array([1, "a", None], object),
    "array of bytes": np.array([b"1", b"x"]), "array of titles": np.array(["Heat"]),
    "2-d": np.array([[1, 2], [3, 4]]), "no rows": np.zeros((0, 3)), "no array": np.array([]),
    "bools": np.array([True]), "times": np.array(["2020"], "datetime64[D]"),
    "records": np.array([(1, 2)], [("a", int), ("b", int)]), "half": np.array([1], np.float16),
    "masked": np.ma.array([1, 2], mask=[0, 1]), "set": {1, 2}, "keys": {1: 2}.keys(),
    "items": {1: 5}.items(), "dict": {1: 5}, "dict of None": {1: None}, "dict of text": {1: "5"},
    "dict of lists": {1: [5]}, "dict of huge": {1: 10**400}, "dict of pairs": {(1, 2): 3},
    "no dict": {}, "tuple": (1, 2), "pairs": [(1, 5), (2, 4)], "triples": [(1, 2, 3)],
    "nested": [[1, 2], [3]], "deep": [[[1]]], "nothing": [], "missing": [None, float("nan")],
    "mixed": [1, "a", b"1", True, 10**400], "list of dicts": [{}], "list of huge": [HUGE],
    "range": range(1, 3), "values": {1: 2}.values(),
}  # fmt: skip
VALUES = ONE | SEVERAL


@pytest.fixture(scope="module")
def text_model():
    """A model whose ids are text."""
    table = {"user": list("abcabcab"), "item": list("ppqqrrst"), "rating": [5, 4, 3, 2, 1, 5, 4, 3]}
    return ALS(factors=2, iterations=1).fit(read(pl.DataFrame(table)))


def questions(model):
    """All that one may ask, by what is passed."""
    user, item = model.user_ids.values[0], model.items[0]

    def rated(value):
        return model.fold_in({item: value})

    asked = {
        "predict users": lambda v: model.predict(v, item),
        "predict items": lambda v: model.predict(user, v),
        "predict average": lambda v: model.predict(v, v, unknown="average"),
        "predict timestamps": lambda v: model.predict([user], [item], v),
        "predict interval": lambda v: model.predict(user, item, interval=v),
        "predict unknown": lambda v: model.predict(user, item, unknown=v),
        "scores": model.scores,
        "scores threads": lambda v: model.scores(user, threads=v),
        "recommend": model.recommend,
        "recommend_users": model.recommend_users,
        "recommend_users exclude_seen": lambda v: model.recommend_users(item, exclude_seen=v),
        "similar_items": model.similar_items,
        "similar_users": model.similar_users,
        "fold_in": model.fold_in,
        "fold_in attributes": lambda v: model.fold_in({item: 5}, v),
        "fold_in rating": rated,
        "explain user": lambda v: model.explain(v, item),
        "explain item": lambda v: model.explain(user, v),
        "explain head": lambda v: model.explain(user, item, head=v),
        "item_factors": model.item_factors,
    }
    names = "n head measure discover diverse exclude_seen include exclude allow block where"
    for name in (*names.split(), "min_ratings", "threads"):
        asked[f"recommend {name}"] = lambda v, name=name: model.recommend(user, **{name: v})
    for name in ("genres", "year"):
        asked[f"where {name}"] = lambda v, name=name: model.recommend(user, where={name: v})
    for name in ("n", "measure", "min_ratings"):
        asked[f"similar {name}"] = lambda v, name=name: model.similar_items(item, **{name: v})
    return asked


def refusals(ask):
    """The messages with which each of `VALUES` is refused; any other error is raised."""
    messages = {}
    for name, value in VALUES.items():
        try:
            ask(value)
        except MatineeError as problem:
            messages[name] = str(problem)
    return messages


@pytest.mark.slow
@pytest.mark.parametrize("of", ["numbers", "text"])
def test_whatever_is_asked_is_answered_or_refused_in_a_line(both, text_model, of, monkeypatch):
    monkeypatch.setattr(errors, "LONGEST", 10**9)  # what would be cut must be short without that
    for question, ask in questions(both if of == "numbers" else text_model).items():
        messages = refusals(ask)
        assert messages, question  # no question takes everything
        long = {name: len(text) for name, text in messages.items() if len(text) > 400}
        assert not long, question
        assert not [name for name, text in messages.items() if not text.isprintable()], question


@pytest.mark.parametrize(
    "ids",
    [pl.Series, np.array, pd.Series, pd.Index, tuple, iter, lambda x: dict.fromkeys(x).keys()],
)
def test_titles_and_ids_mean_the_same_in_any_container(both, ids):
    codes = [3, 0, 7]
    titles = [both.catalog.titles[code] for code in codes]
    numbers = [both.items[code] for code in codes]
    expected = both.predict(both.user_ids.values[0], numbers)
    for given in (titles, numbers):
        for unknown in ("error", "average"):
            answer = both.predict(both.user_ids.values[0], ids(given), unknown=unknown)
            assert answer.tolist() == expected.tolist()


def test_an_unknown_id_in_a_series_is_named(both):
    for ids in (pl.Series([1, 99_999]), np.array([1, 99_999]), [b"1", b"99999"], (1, "99999")):
        with pytest.raises(MatineeError, match=r"No user '?99999'? in the training set"):
            both.recommend(ids)


def test_what_is_masked_is_no_id(both):
    with pytest.raises(MatineeError, match=r"No user None"):
        both.recommend(np.ma.array([1, 2], mask=[False, True]))
