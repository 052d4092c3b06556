"""Search spaces from TOML files and dicts, checked against the estimator."""

import sys
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from matinee.errors import SettingError, shortened
from matinee.models.registry import estimator_class, settings_of, type_alternatives
from matinee.storage.regular import read_regular
from matinee.tuning.search_space import (
    GRID_STEPS,
    MAX_GRID,
    Choice,
    Range,
    SearchSpace,
    build_estimator,
    to_stored,
)

DEFAULT_SPACES = "search_spaces.toml"
MAX_BYTES = 2**20  # of a file
RANGE_KEYS = ("low", "high", "log", "steps", "relative")
RELATIVE = "regularization"  # the hyperparameter whose default may be computed from the data


def default_search_space(estimator: str) -> SearchSpace:
    """The default search space of an estimator.

    Raises SettingError if the estimator has nothing to tune.

    Examples
    --------
    >>> default_search_space("EASE").searched["regularization"].bounds
    (10.0, 3000.0)
    """
    spaces = tomllib.loads((files("matinee.tuning") / DEFAULT_SPACES).read_text(encoding="utf-8"))
    if estimator not in spaces:
        raise SettingError(f"{estimator} has no hyperparameters to tune.")
    return parse_space(estimator, spaces[estimator], DEFAULT_SPACES)


def read_space(estimator: str, path: str | Path) -> SearchSpace:
    """A search space from a TOML file; `search_spaces.toml` of this package explains the form.

    Raises SettingError if the file cannot be read, or has hyperparameters or values that the
    estimator refuses.
    """
    try:
        entries = tomllib.loads(read_regular(Path(path), MAX_BYTES).decode())
    except OSError as error:
        raise SettingError(f"{path}: cannot read the file ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingError(f"{path}: not a TOML file ({error}).") from None
    return parse_space(estimator, entries, str(path))


def parse_space(estimator: str, entries: Mapping[str, Any], where: str = "space") -> SearchSpace:
    """A search space from a dict, as a TOML file or a person gives it; `where` names it in errors.

    `estimator` is the name of its class. An entry, by hyperparameter, is a `Range`, or the tuple
    ``(low, high)``, or a mapping with ``low`` and ``high`` and perhaps ``log``, ``steps``,
    ``relative``; a `Choice` or a list of values; or a single value, which is fixed. For a
    hyperparameter that is itself a tuple, such as ``layers``, a tuple is a single value. Raises
    SettingError if the estimator has no such hyperparameter, or refuses a value.

    Examples
    --------
    >>> space = parse_space("ALS", {"factors": (16, 64), "solver": ["cg", "cholesky"]})
    >>> space.searched["factors"].integer, space.searched["solver"]
    (True, Choice(values=('cg', 'cholesky')))
    """
    types = hyperparameter_types(estimator)
    searched: dict[str, Range | Choice] = {}
    fixed: dict[str, Any] = {}
    for name, given in _flatten(entries, types).items():
        outer, _, group = name.partition(".")
        if outer not in types or (group and not _is_a(Mapping, types[outer])):
            raise SettingError(
                f"{where}: {estimator} has no hyperparameter {shortened(name)} to tune; "
                f"it has {', '.join(types)}."
            )
        entry = _plain_entry(given, types[outer], f"{where}: {name}")
        if isinstance(entry, dict):
            searched[name] = _parse_range(estimator, name, entry, types[outer], f"{where}: {name}")
        elif isinstance(entry, list) and len(entry) != 1:
            searched[name] = _parse_choice(entry, f"{where}: {name}")
        else:
            value = entry[0] if isinstance(entry, list) else entry
            fixed[name] = tuple(value) if isinstance(value, list) else value
    both = {name.partition(".")[0] for name in (*searched, *fixed) if "." in name}
    for name in sorted(both & {*searched, *fixed}):
        raise SettingError(f"{where}: give {name} either whole or by group, not both.")
    tried = [(name, value) for name, values in searched.items() for value in values.bounds]
    for name, value in (*tried, *fixed.items()):
        _check_value(estimator, name, value, types, where)
    if not searched:
        raise SettingError(f"{where}: nothing to search; give a range or a list of values.")
    return SearchSpace(estimator, searched, fixed)


def hyperparameter_types(estimator: str) -> dict[str, Any]:
    """The type of each hyperparameter that can be tuned."""
    cls = estimator_class(estimator)
    hints = get_type_hints(cls)
    # patience would need a validation set of its own
    return {name: hints[name] for name in settings_of(cls) if name != "patience"}


def _flatten(entries: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Groups of hyperparameters under names of their own, such as ``weight_decay.factors``."""
    flat: dict[str, Any] = {}
    for name, entry in entries.items():
        by_group = name in types and _is_a(Mapping, types[name])
        if isinstance(entry, dict) and by_group and "low" not in entry:
            flat |= {f"{name}.{group}": value for group, value in entry.items()}
        else:
            flat[name] = entry
    return flat


def _plain_entry(entry: Any, hint: Any, where: str) -> Any:
    """An entry as TOML has it: a dict is a range, a list is a choice, all else is fixed."""
    if isinstance(entry, Range):
        return {key: getattr(entry, key) for key in RANGE_KEYS}
    if isinstance(entry, Choice):
        return list(entry.values)
    if isinstance(entry, tuple) and not _is_a(tuple, hint):
        if len(entry) != 2:
            raise SettingError(
                f"{where}: a tuple must be (low, high), got {shortened(entry)}; "
                "give a list to choose among values."
            )
        return {"low": entry[0], "high": entry[1]}
    return entry


def _parse_range(
    estimator: str, name: str, entry: Mapping[str, Any], hint: Any, where: str
) -> Range:
    for key in entry:
        if key not in RANGE_KEYS:
            raise SettingError(
                f"{where}: a range has {', '.join(RANGE_KEYS)}, got {shortened(key)}."
            )
    low, high = entry.get("low"), entry.get("high")
    for value in (low, high):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not abs(value) <= sys.float_info.max:  # type: ignore[arg-type]
            raise SettingError(f"{where}: low and high must be numbers, got {shortened(value)}.")
    integer = _is_integer(hint)
    if integer and not (isinstance(low, int) and isinstance(high, int)):
        raise SettingError(
            f"{where}: low and high must be integers, got {shortened(low)} and {shortened(high)}."
        )
    for key in ("log", "relative"):
        if not isinstance(entry.get(key, False), bool):
            raise SettingError(
                f"{where}: {key} must be true or false, got {shortened(entry[key])}."
            )
    steps = entry.get("steps", GRID_STEPS)
    if type(steps) is not int or not 2 <= steps <= MAX_GRID:
        limits = f"an integer from 2 to {MAX_GRID:,}"
        raise SettingError(f"{where}: steps must be {limits}, got {shortened(steps)}.")
    if not low < high:  # type: ignore[operator]
        raise SettingError(
            f"{where}: low must be < high, got {shortened(low)} and {shortened(high)}."
        )
    if entry.get("log") and not low > 0:  # type: ignore[operator]
        raise SettingError(f"{where}: low must be > 0 with log, got {shortened(low)}.")
    computed = name == RELATIVE and hasattr(estimator_class(estimator), "default_regularization")
    if entry.get("relative") and not computed:
        raise SettingError(f"{where}: relative is for the {RELATIVE} of als and ials only.")
    number_type: Any = int if integer else float
    bounds = {"low": number_type(low), "high": number_type(high)}
    return Range(**{**entry, **bounds}, integer=integer)


def _parse_choice(entry: list[Any], where: str) -> Choice:
    values = tuple(tuple(value) if isinstance(value, list) else value for value in entry)
    if not values:
        raise SettingError(f"{where}: the list of values is empty.")
    for value in values:
        if not isinstance(value, str | int | float | bool | tuple):
            raise SettingError(f"{where}: {shortened(value)} is not a value of a hyperparameter.")
    if len({to_stored(value) for value in values}) < len(values):
        raise SettingError(f"{where}: the list has a value twice.")
    return Choice(values)


def _check_value(
    estimator: str, name: str, value: Any, types: Mapping[str, Any], where: str
) -> None:
    """Raise a SettingError for a value that the estimator refuses."""
    if _is_integer(types[name.partition(".")[0]]) and type(value) is not int:
        raise SettingError(f"{where}: {name} must be an integer, got {shortened(value)}.")
    try:
        build_estimator(estimator, {name: value})
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from None
    except (TypeError, ValueError, AttributeError):
        raise SettingError(f"{where}: {name} cannot be {shortened(value)}.") from None


def _is_integer(hint: Any) -> bool:
    alternatives = type_alternatives(hint)
    return int in alternatives and float not in alternatives


def _is_a(cls: type, hint: Any) -> bool:
    return cls in {get_origin(kind) or kind for kind in type_alternatives(hint)}
