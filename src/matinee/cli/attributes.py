"""Attributes on the command line: filters of items, and what is known of a new user."""

import math
import re
from typing import Any

from matinee.data.attributes import TEXTS, Attributes
from matinee.errors import SettingError, shortened

YEARS = re.compile(r"(\d{4})|(\d{4})?\s*[-\u2013\u2014]\s*(\d{4})?")


def parse_where(
    attributes: Attributes, texts: list[str] | None, genres: list[str] | None, years: str | None
) -> dict[str, Any]:
    """The conditions of ``NAME=VALUE,VALUE`` and ``NAME=LOW:HIGH``, of --genre and --years."""
    conditions: dict[str, Any] = {"genres": genres} if genres else {}
    if years is not None:
        conditions["year"] = parse_years(years)
    for text in texts or ():
        name, value = _named(text, "--where")
        if name in conditions:
            raise SettingError(f"--where {name} is given twice; name all values: {name}=A,B.")
        attributes.check_name(name)
        of_text = attributes.frame[name].dtype in TEXTS
        conditions[name] = _texts(value) if of_text else _limits(name, value)
    return conditions


def parse_known(attributes: Attributes, texts: list[str]) -> dict[str, Any]:
    """What is known of a new user, from ``NAME=VALUE``."""
    known: dict[str, Any] = {}
    for text in texts:
        name, value = _named(text, "--known")
        attributes.check_name(name)
        dtype = attributes.frame[name].dtype
        if dtype in TEXTS:
            known[name] = value if dtype == TEXTS[0] else _texts(value)
        else:
            known[name], _ = _limits(name, value)
    return known


def parse_years(text: str) -> tuple[int | None, int | None]:
    """The first and the last year of ``1994``, ``1990-1999``, ``2000-`` or ``-1980``."""
    match = YEARS.fullmatch(text.strip())
    year, first, last = match.groups() if match else (None, None, None)
    if not (year or first or last):
        raise SettingError(
            f"--years must be 1994, 1990-1999, 2000- or -1980, got {shortened(text)}."
        )
    low, high = (int(limit) if limit else None for limit in (year or first, year or last))
    if low is not None and high is not None and low > high:
        raise SettingError(f"--years must have the earlier year first, got {shortened(text)}.")
    return low, high


def _named(text: str, option: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise SettingError(f"{option} must be NAME=VALUE, got {shortened(text)}.")
    return name, value


def _texts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",")]


def _limits(name: str, value: str) -> tuple[float | None, float | None]:
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
