"""Spaces as files: the ones that ship, and people's own."""

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from matinee.errors import SettingError
from matinee.models.recipes import recipe_class
from matinee.models.settings import APART
from matinee.tuning.space import (
    GRID_STEPS,
    MOST_POINTS,
    Choice,
    Range,
    Space,
    kept,
    recipe_with,
    value_of,
)

SHIPPED = "spaces.toml"
RANGE_KEYS = ("low", "high", "log", "steps", "relative")
NOT_TUNED = (*APART, "patience")  # no settings, or none that a trial on a part can tell of
WHOLE = (int, int | None)  # types of settings that are whole numbers
RELATIVE = "regularization"  # the setting whose default follows from the data, where it does


def usual_space(recipe: str) -> Space:
    """The space that ships with a recipe.

    Examples
    --------
    >>> usual_space("EASE").searched
    {'regularization': Range(low=10.0, high=3000.0, log=True, whole=False, steps=5, relative=False)}

    Raises
    ------
    SettingError
        If the recipe has nothing to tune.
    """
    spaces = tomllib.loads((files("matinee.tuning") / SHIPPED).read_text(encoding="utf-8"))
    if recipe not in spaces:
        raise SettingError(f"{recipe} has no settings that are worth tuning.")
    return space_of(recipe, spaces[recipe], SHIPPED)


def read_space(recipe: str, path: str | Path) -> Space:
    """A space from a TOML file; `spaces.toml` of this package says how one looks.

    Raises
    ------
    SettingError
        If the file cannot be read, or names settings or values that the recipe does not know.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        said = tomllib.loads(text)
    except OSError as problem:
        raise SettingError(f"{path}: the file cannot be read ({problem.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise SettingError(f"{path}: this is no TOML ({problem}).") from None
    return space_of(recipe, said, str(path))


def space_of(recipe: str, said: Mapping[str, Any], where: str) -> Space:
    """A space from what a TOML file says; `where` is what errors call it.

    Examples
    --------
    >>> space_of("EASE", {"regularization": {"low": 9, "high": 5}}, "mine.toml")
    Traceback (most recent call last):
        ...
    matinee.errors.SettingError: mine.toml: regularization: low (9) is not below high (5).
    """
    kind = recipe_class(recipe)
    types = {one.name: one.type for one in fields(kind)}
    searched: dict[str, Range | Choice] = {}
    fixed: dict[str, Any] = {}
    for name, value in _flat(said, types).items():
        outer, _, inner = name.partition(".")
        if outer not in types or outer in NOT_TUNED or (inner and not _is_mapping(types[outer])):
            known = ", ".join(one for one in types if one not in NOT_TUNED)
            raise SettingError(
                f"{where}: {recipe} has no setting {name!r} to tune; it has {known}."
            )
        if isinstance(value, dict):
            searched[name] = _range(recipe, name, value, types[outer], f"{where}: {name}")
        elif isinstance(value, list) and len(value) != 1:
            searched[name] = _choice(value, f"{where}: {name}")
        else:
            fixed[name] = value_of(value[0] if isinstance(value, list) else value)
    for name in (*searched, *fixed):
        outer, dot, _ = name.partition(".")
        if dot and (outer in searched or outer in fixed):
            raise SettingError(f"{where}: {outer} is given both whole and in parts.")
    for name, part in searched.items():
        for value in part.ends:
            _check(recipe, name, value, types, where)
    for name, value in fixed.items():
        _check(recipe, name, value, types, where)
    if not searched:
        raise SettingError(f"{where}: nothing to search; give a range or a list of values.")
    return Space(recipe, searched, fixed)


def _flat(said: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of settings that are mappings, under names of their own."""
    flat: dict[str, Any] = {}
    for name, value in said.items():
        if isinstance(value, dict) and _is_mapping(types.get(name)) and "low" not in value:
            flat |= {f"{name}.{key}": one for key, one in value.items()}
        else:
            flat[name] = value
    return flat


def _range(recipe: str, name: str, said: Mapping[str, Any], kind: Any, where: str) -> Range:
    for key in said:
        if key not in RANGE_KEYS:
            raise SettingError(f"{where}: a range has {', '.join(RANGE_KEYS)}, not {key!r}.")
    low, high = said.get("low"), said.get("high")
    for value in (low, high):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not abs(value) <= sys.float_info.max:  # type: ignore[arg-type]
            raise SettingError(f"{where}: a range has numbers low and high, not {value!r}.")
    whole = kind in WHOLE
    if whole and not (isinstance(low, int) and isinstance(high, int)):
        raise SettingError(f"{where}: whole numbers are wanted, not {low!r} to {high!r}.")
    for key in ("log", "relative"):
        if not isinstance(said.get(key, False), bool):
            raise SettingError(f"{where}: {key} is true or false, not {said[key]!r}.")
    steps = said.get("steps", GRID_STEPS)
    if type(steps) is not int or not 2 <= steps <= MOST_POINTS:
        raise SettingError(
            f"{where}: steps are a whole number from 2 to {MOST_POINTS:,}, not {steps!r}."
        )
    if not low < high:  # type: ignore[operator]
        raise SettingError(f"{where}: low ({low!r}) is not below high ({high!r}).")
    if said.get("log") and not low > 0:  # type: ignore[operator]
        raise SettingError(f"{where}: with log, low is above 0, not {low!r}.")
    by_data = name == RELATIVE and hasattr(recipe_class(recipe), "usual_regularization")
    if said.get("relative") and not by_data:
        raise SettingError(f"{where}: relative is for the {RELATIVE} of als and ials only.")
    to = int if whole else float
    return Range(
        to(low),  # type: ignore[arg-type]
        to(high),  # type: ignore[arg-type]
        said.get("log", False),
        whole,
        steps,
        said.get("relative", False),
    )


def _choice(said: list[Any], where: str) -> Choice:
    values = tuple(value_of(value) for value in said)
    if not values:
        raise SettingError(f"{where}: an empty list leaves nothing to choose.")
    for value in values:
        if not isinstance(value, str | int | float | bool | tuple):
            raise SettingError(f"{where}: {value!r} is no value of a setting.")
    if len({kept(value) for value in values}) < len(values):
        raise SettingError(f"{where}: a value stands there twice.")
    return Choice(values)


def _check(recipe: str, name: str, value: Any, types: Mapping[str, Any], where: str) -> None:
    """Refuse a value that the recipe refuses."""
    kind = types[name.partition(".")[0]]
    if kind in WHOLE and type(value) is not int:
        raise SettingError(f"{where}: {name} is a whole number, not {value!r}.")
    try:
        recipe_with(recipe, {name: value})
    except SettingError as problem:
        raise SettingError(f"{where}: {problem}") from None
    except (TypeError, ValueError, AttributeError):
        raise SettingError(f"{where}: {name} cannot be {value!r}.") from None


def _is_mapping(kind: Any) -> bool:
    return "Mapping" in str(kind)
