"""Attributes on the command line: filters of items, and what is known of a new user."""

import re
from typing import Any

from matinee.data.attributes import TEXTS, Attributes
from matinee.data.conditions import limits, named, parse_conditions, several
from matinee.errors import SettingError, shortened

YEARS = re.compile(r"(\d{4})|(\d{4})?\s*[-\u2013\u2014]\s*(\d{4})?")


def parse_where(
    attributes: Attributes, texts: list[str] | None, genres: list[str] | None, years: str | None
) -> dict[str, Any]:
    """The conditions of ``NAME=VALUE,VALUE`` and ``NAME=LOW:HIGH``, of --genre and --years."""
    conditions = parse_conditions(attributes, texts or (), "--where")
    chosen: dict[str, Any] = {"genres": genres} if genres else {}
    if years is not None:
        chosen["year"] = parse_years(years)
    if twice := conditions.keys() & chosen.keys():
        name = min(twice)
        raise SettingError(f"--where {name} is given twice; name all values: {name}=A,B.")
    return chosen | conditions


def parse_known(attributes: Attributes, texts: list[str]) -> dict[str, Any]:
    """What is known of a new user, from ``NAME=VALUE``."""
    known: dict[str, Any] = {}
    for text in texts:
        name, value = named(text, "--known")
        attributes.check_name(name)
        dtype = attributes.frame[name].dtype
        if dtype in TEXTS:
            known[name] = value if dtype == TEXTS[0] else several(value)
        else:
            known[name], _ = limits(name, value)
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
