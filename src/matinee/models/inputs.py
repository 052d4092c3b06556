"""What people pass: ids, titles, ratings and pairs in any container, as plain values."""

from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

import numpy as np
import polars as pl

from matinee._types import Ints
from matinee.data.columns import COMMON_NAMES, recognized
from matinee.data.id_map import as_sequence, is_scalar
from matinee.errors import SettingError, shortened

Ids = Ints | list[Any]
"""Whole numbers as an array; if there is anything else among them, all as a list."""


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise SettingError(f"{name} must be True or False, got {shortened(value)}.")


def is_one(values: Any) -> bool:
    """Whether this is one id, title or user rather than several."""
    if isinstance(values, pl.LazyFrame):
        return False
    return isinstance(values, bytes) or is_scalar(values) or getattr(values, "ndim", None) == 0


def plain(value: Any) -> Any:
    """An id or title as Python has it: an int if it is a whole number, text if it is bytes."""
    if isinstance(value, np.datetime64 | np.timedelta64):  # to numpy a number; a time is no id
        return value
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str) and not value.isascii():  # halves of characters are no text
        return value.encode(errors="replace").decode()
    if not isinstance(value, bool | int | str) and isinstance(value, Number):
        try:
            whole = int(value)  # type: ignore[call-overload]
        except (TypeError, ValueError, OverflowError):
            return value
        return whole if whole == value else value
    return value


def ids_of(values: Any, noun: str) -> Ids:
    """One or several ids or titles; SettingError for a table, or for lists within a list."""
    if is_one(values):
        return [plain(values)]
    if isinstance(values, Mapping) or _is_table(values):
        raise SettingError(f"{noun} must be one id or a list of ids, got {_kind(values)}.")
    given = values.to_pylist() if hasattr(values, "to_pylist") else as_sequence(values)  # pyarrow
    if isinstance(given, pl.Series):
        of_numpy = given.dtype.is_integer() and "128" not in str(given.dtype)
        if of_numpy and not given.has_nulls():
            return given.to_numpy()
        given = given.to_list()
    if isinstance(given, np.ma.MaskedArray):
        given = np.array(given.tolist(None), object)  # what is masked is None
    if isinstance(given, np.ndarray):
        if given.ndim != 1:
            shape = " x ".join(map(str, given.shape))
            raise SettingError(f"{noun} must be a list of ids, got an array of {shape}.")
        if given.dtype.kind in "iu":
            return given
    ids = [plain(value) for value in given]
    for value in ids:
        if isinstance(value, Iterable) and not isinstance(value, str):
            raise SettingError(f"{noun} must be a list of ids, got {shortened(value)} in it.")
    if all(type(value) is int and -(2**63) <= value < 2**63 for value in ids):
        return np.array(ids, np.int64)
    return ids


def one_id(value: Any, noun: str) -> Any:
    """One id or title; SettingError for several."""
    value = plain(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        raise SettingError(f"Give the id of one {noun}, got {shortened(value)}.")
    return value


def rated_items(ratings: Any) -> list[tuple[Any, Any]]:
    """Pairs of an item, as given, and its rating or None; see `Recommender.fold_in`."""
    if isinstance(ratings, Mapping):
        return list(ratings.items())
    if _is_table(ratings):
        items, *values = _columns(ratings, ("item_id", "title"), ("rating",)) or [[]]
        return list(zip(items, *values or [[None] * len(items)], strict=True))
    if hasattr(ratings, "index") and hasattr(ratings, "to_numpy"):  # a series of pandas
        values = ratings.to_numpy().tolist()
        if list(ratings.index) == list(range(len(values))):  # which names nothing
            return [(value, None) for value in values]
        return list(zip(ratings.index, values, strict=True))
    if is_one(ratings):
        return [(ratings, None)]
    return [_pair(entry) or (entry, None) for entry in as_sequence(ratings)]


def user_item_pairs(pairs: Any, name: str) -> tuple[Any, Any]:
    """The users and the items of a frame, or of a list of pairs; see `Recommender.recommend`."""
    if _is_table(pairs):
        columns = _columns(pairs, ("user_id",), ("item_id", "title"))
    elif isinstance(pairs, Mapping) or is_one(pairs):
        columns = []
    else:
        found = [_pair(entry) for entry in as_sequence(pairs)]
        columns = [] if None in found else list(zip(*found, strict=True)) or [(), ()]
    if len(columns) != 2:
        raise SettingError(
            f"{name} must be a frame with the columns user_id and item_id, or a list of pairs of "
            "a user and an item."
        )
    return columns[0], columns[1]


def _is_table(values: Any) -> bool:
    return isinstance(values, pl.LazyFrame) or hasattr(values, "columns")


def _columns(frame: Any, *wanted: tuple[str, ...]) -> list[Any]:
    """The columns with the names we know, or else the first so many; fewer if there are fewer."""
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    names = list(frame.columns)
    known = recognized([str(name) for name in names], COMMON_NAMES)
    chosen = [next((known[name] for name in group if name in known), None) for group in wanted]
    if None in chosen:
        chosen = names[: len(wanted)]
    return [as_sequence(frame[name]) for name in chosen]


def _pair(entry: Any) -> tuple[Any, Any] | None:
    """An entry of two values as a pair, None for any other."""
    is_list = isinstance(entry, tuple | list) or getattr(entry, "ndim", 0) == 1
    if is_list and len(entry) == 2:
        return entry[0], entry[1]
    return None


def _kind(value: Any) -> str:
    return {"dict": "a dict", "DataFrame": "a frame"}.get(type(value).__name__, "a table")
