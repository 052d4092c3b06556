"""Conditions on attributes as people write them: ``NAME=VALUE,VALUE`` and ``NAME=LOW:HIGH``."""

import math
from collections.abc import Iterable
from typing import Any

from matinee.data.attributes import TEXTS, Attributes
from matinee.errors import SettingError, shortened


def parse_conditions(attributes: Attributes, written: Iterable[str], option: str) -> dict[str, Any]:
    """What `recommend` takes as `where`; `option` is what the conditions are called in errors.

    >>> parse_conditions(data.catalog.attributes, ["genres=Drama, Crime", "year=1990:"], "where")
    {'genres': ['Drama', 'Crime'], 'year': (1990.0, None)}
    """
    conditions: dict[str, Any] = {}
    for text in written:
        name, value = named(text, option)
        if name in conditions:
            raise SettingError(f"{option} {name} is given twice; name all values: {name}=A,B.")
        attributes.check_name(name)
        of_text = attributes.frame[name].dtype in TEXTS
        conditions[name] = several(value) if of_text else limits(name, value)
    return conditions


def named(text: str, option: str) -> tuple[str, str]:
    """The name and the value of ``NAME=VALUE``; else SettingError."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise SettingError(f"{option} must be NAME=VALUE, got {shortened(text)}.")
    return name, value


def several(value: str) -> list[str]:
    """The texts of ``A, B``."""
    return [part.strip() for part in value.split(",")]


def limits(name: str, value: str) -> tuple[float | None, float | None]:
    """``90``, ``90:120``, ``90:`` or ``:120`` as limits."""
    low, colon, high = value.partition(":")
    try:
        first, last = (float(t) if t.strip() else None for t in (low, high if colon else low))
    except ValueError:
        first = last = None
    if math.isnan(first or 0) or math.isnan(last or 0):  # which would say nothing
        first = last = None
    if first is None and last is None:
        raise SettingError(f"{name} must be a number, or LOW:HIGH, got {shortened(value)}.")
    return first, last
