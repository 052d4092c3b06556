"""Values of attributes that people pass: of one who is new, and of those who are wanted.

In plain Python: expressions of polars never end in a forked child, where its threads are gone.
"""

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import polars as pl

from matinee.data.id_map import as_sequence
from matinee.errors import UNPRINTABLE, SettingError, cut, printable, shortened

DATE = r"^\d{4}-\d{2}-\d{2}"  # texts that all begin so are dates
LISTED, LENGTH = 12, 40  # values in a message, and characters of each
COMPARED = 10_000  # values that are looked through for similar ones

Value = str | list[str] | float | None
"""A text, several, or a number (a year, too); None where nothing is known."""


def value_of_new(name: str, value: Any, dtype: pl.DataType) -> Value:
    """The value of one who is new, as a column of this type would hold it.

    SettingError for a value of another kind; None, NaN and texts without letters are unknown.
    """
    kind, convert = {
        pl.String: ("a text", _text),
        pl.List(pl.String): ("a text or several", _texts),
    }.get(dtype, ("a number", _number))
    try:
        return convert(_plain(value))
    except (TypeError, ValueError, OverflowError):
        raise SettingError(f"{_cut(name)} must be {kind}, got {_shown(value)}.") from None


def wanted_texts(name: str, wanted: Any) -> list[str]:
    """One text or several that an attribute may have; SettingError for all else."""
    one = wanted is None or isinstance(wanted, bytes | Mapping)
    texts = [] if one else [_plain(each) for each in as_sequence(wanted)]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise SettingError(f"{_cut(name)} must be a text or several, got {_shown(wanted)}.")
    return texts


def wanted_range(name: str, wanted: Any) -> tuple[float, float]:
    """The lowest and the highest number that an attribute may be; SettingError for what is none."""
    is_pair = isinstance(wanted, tuple | list) and len(wanted) == 2
    low, high = (_plain(limit) for limit in (wanted if is_pair else [wanted] * 2))
    limits = [limit for limit in (low, high) if limit is not None]
    if not limits or not all(_is_number(limit) for limit in limits):
        raise SettingError(f"{_cut(name)} must be a number or (low, high), got {_shown(wanted)}.")
    low, high = -math.inf if low is None else float(low), math.inf if high is None else float(high)
    if low > high:
        raise SettingError(f"{_cut(name)}: the lower number comes first, got {_shown(wanted)}.")
    return low, high


def no_attribute(name: Any, present: Sequence[str]) -> str:
    """What to say of an attribute that there is none of."""
    return f"no attribute {_shown(name)}; there are {listed(present) or 'none'}."


def no_value(name: str, text: str, values: set[str]) -> str:
    """What to say of a value that no row has: similar ones, or a few."""
    present = sorted(values)
    close = difflib.get_close_matches(text[:LENGTH], present[:COMPARED], n=3, cutoff=0.5)
    message = f"No {_cut(name.removesuffix('s'))} {_cut(text)!r}"
    if close:
        return f"{message}. Did you mean {' or '.join(map(_cut, close))}?"
    return f"{message}; there are {listed(present)}."


def listed(values: Sequence[str]) -> str:
    """The first of some values, and how many more there are, for a message."""
    more = f" and {len(values) - LISTED:,} more" if len(values) > LISTED else ""
    return ", ".join(map(_cut, values[:LISTED])) + more


def printable_text(text: pl.Expr) -> pl.Expr:
    """Text without control characters and surrounding spaces: it is printed on terminals."""
    return text.str.replace_all(r"[\p{Cc}\p{Cf}\u2028\u2029]", " ").str.strip_chars()


def _printable(text: str) -> str:
    """The same of one text."""
    return "".join(" " if unicodedata.category(c) in UNPRINTABLE else c for c in text).strip()


def _plain(value: Any) -> Any:
    """A scalar of numpy or pandas as Python has it; None where it is missing."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.datetime64):  # finer ones are whole numbers to Python
        return value.astype("datetime64[D]").item()
    if isinstance(value, np.timedelta64):
        return value.astype("timedelta64[s]").item()
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _text(value: Any) -> str | None:
    """One text; whole numbers have no point."""
    text = value
    if isinstance(value, bool):
        text = str(value).lower()
    elif _is_number(value):
        text = str(int(value) if value == int(value) else value)
    elif _is_nan(value):
        return None
    if text is not None and (not isinstance(text, str) or "|" in text):
        raise TypeError
    return _printable(text or "") or None


def _texts(value: Any) -> list[str]:
    """One text, several with bars between them, or a list of them."""
    if isinstance(value, bytes | Mapping):
        raise TypeError
    if isinstance(value, str):
        parts: Iterable[str | None] = map(_printable, value.split("|"))
    else:
        parts = [
            _printable(each) if isinstance(each, str) else _text(_plain(each))
            for each in as_sequence(value)
        ]
    return [text for text in parts if text]


def _number(value: Any) -> float | None:
    """A number, the number in a text, or the year of a date."""
    if isinstance(value, date):
        value = value.year
    elif isinstance(value, str):
        text = _printable(value)
        value = (text[:4] if re.match(DATE, text) else text) or None
    if value is None or _is_nan(value):
        return None
    if not (isinstance(value, str) or _is_number(value)):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _is_number(value: Any) -> bool:
    """Whether this is a number that others can be compared with."""
    is_real = isinstance(value, Real | Decimal) and not isinstance(value, bool)
    try:
        return is_real and not math.isnan(value)
    except (OverflowError, ValueError):  # of hundreds of digits; a NaN that says so
        return False


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | Decimal) and value != value


def _cut(text: str) -> str:
    """A name or a value, as it may be printed."""
    return cut(printable(text), LENGTH)


def _shown(value: Any) -> str:
    """A value that a person passed, in one line of a message."""
    try:
        return " ".join(shortened(value).split())
    except ValueError:  # of thousands of digits
        return "a number of thousands of digits"
