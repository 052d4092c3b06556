"""What a search may try: for each setting of a recipe a range, some values, or one."""

import itertools
import json
import math
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.models.base import Estimator
from matinee.models.registry import NON_HYPERPARAMETERS, estimator_class, nested_settings

if TYPE_CHECKING:
    from optuna import Trial

GRID_STEPS = 5  # points of a range in a grid, where none are named
MOST_POINTS = 2_000  # of a grid


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, even or, with `log`, even by ratio; whole ones if `whole`.

    `relative` ones are times what the data ask for by themselves.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False
    steps: int = GRID_STEPS
    relative: bool = False

    @property
    def ends(self) -> tuple[Any, Any]:
        """The least and the greatest value."""
        return self.low, self.high

    def suggest(self, trial: "Trial", name: str) -> Any:
        """A value for a trial."""
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def points(self) -> list[Any]:
        """The values of a grid, ascending.

        Examples
        --------
        >>> Range(1, 100, log=True, steps=3, whole=True).points()
        [1, 10, 100]
        """
        spaced = np.geomspace if self.log else np.linspace
        values = spaced(self.low, self.high, self.steps).clip(self.low, self.high).tolist()
        return sorted({round(value) for value in values}) if self.whole else values

    def holds(self, value: Any) -> bool:
        """Whether a search could come to this value."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few values: numbers, text, true or false, or lists of numbers."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    def suggest(self, trial: "Trial", name: str) -> Any:
        """A value for a trial."""
        return value_again(trial.suggest_categorical(name, self.points()))

    def points(self) -> list[Any]:
        """The values as a study keeps them: a list is text there."""
        return [kept(value) for value in self.values]

    def holds(self, value: Any) -> bool:
        """Whether a search could come to this value."""
        return value in self.values


@dataclass(frozen=True)
class SearchSpace:
    """What a search may try for a recipe.

    Parameters
    ----------
    estimator : str
        Name of its class.
    searched : mapping of str to Range or Choice
        By setting; ``"weight_decay.factors"`` is an entry of a setting that is a mapping.
    fixed : mapping of str to value
        Settings that are always the same.

    Examples
    --------
    >>> space = SearchSpace("EASE", {"regularization": Range(10, 1000, log=True, steps=3)})
    >>> space.grid()
    [{'regularization': 10.0}, {'regularization': 100.0}, {'regularization': 1000.0}]
    """

    estimator: str
    searched: Mapping[str, Range | Choice]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def relative(self) -> tuple[str, ...]:
        """Settings whose values are times what the data ask for."""
        parts = self.searched.items()
        return tuple(name for name, part in parts if isinstance(part, Range) and part.relative)

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """A value of each setting for a trial."""
        return {name: part.suggest(trial, name) for name, part in self.searched.items()}

    def of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a trial from what its study keeps of them."""
        return {name: value_again(value) for name, value in params.items()}

    def settings(self, values: Mapping[str, Any], ratings: Ratings) -> dict[str, Any]:
        """Settings of the recipe from values of a trial: what is relative follows these ratings."""
        settings = {**self.fixed, **values}
        for name in self.relative:
            others = {key: value for key, value in settings.items() if key != name}
            default: Any = estimator_with(self.estimator, others)
            settings[name] = values[name] * default.default_regularization(ratings)
        return settings

    def default(self) -> dict[str, Any] | None:
        """The recipe's own defaults as values of a trial; None where they are not in the space."""
        default = estimator_class(self.estimator)()
        values = {}
        for name, part in self.searched.items():
            outer, _, inner = name.partition(".")
            value = getattr(default, outer)
            if inner:
                value = value.get(inner) if isinstance(value, Mapping) else None
            if name in self.relative:
                value = 1.0
            if not part.holds(value):
                return None
            values[name] = value
        alone = {name: value for name, value in values.items() if name not in self.relative}
        if estimator_with(self.estimator, {**self.fixed, **alone}) != default:
            return None  # something is fixed that has another default
        return {name: kept(value) for name, value in values.items()}

    def unsearched(self, ratings: Ratings) -> dict[str, Any]:
        """The settings that are not searched, and of relative ones what 1 is for these ratings."""
        estimator: Any = estimator_with(self.estimator, self.fixed)
        default = {name: estimator.default_regularization(ratings) for name in self.relative}
        searched = {name.partition(".")[0] for name in self.searched}
        settings = {
            name: kept(value) for name, value in asdict(estimator).items() if name not in searched
        }
        return {**settings, **default}

    @property
    def finite(self) -> bool:
        """Whether a search could try all there is."""
        return all(isinstance(part, Choice) for part in self.searched.values())

    @property
    def points(self) -> int:
        """Of a grid."""
        return math.prod(len(part.points()) for part in self.searched.values())

    def grid(self) -> list[dict[str, Any]]:
        """All points of a grid, the last setting the fastest.

        Raises
        ------
        SettingError
            If there are more than anybody waits for.
        """
        if self.points > MOST_POINTS:
            raise SettingError(
                f"A grid of {self.points:,} points is too large (more than {MOST_POINTS:,}); "
                "give fewer values, or fewer steps of ranges."
            )
        values = [part.points() for part in self.searched.values()]
        return [
            dict(zip(self.searched, point, strict=True)) for point in itertools.product(*values)
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        searched = {
            name: asdict(part) if isinstance(part, Range) else list(part.points())
            for name, part in self.searched.items()
        }
        fixed = {name: kept(value) for name, value in self.fixed.items()}
        return {"estimator": self.estimator, "searched": searched, "fixed": fixed}


def estimator_with(name: str, settings: Mapping[str, Any], **more: Any) -> Estimator:
    """A recipe from flat settings; of `more`, what it knows.

    Examples
    --------
    >>> estimator_with("EASE", {"regularization": 20.0}, seed=3)
    EASE(regularization=20.0, liked=None)
    """
    kind = estimator_class(name)
    known = {one.name for one in fields(kind)}
    fitting = {key: value for key, value in more.items() if key in known}
    estimator: Estimator = kind(**fitting, **nested_settings(settings))
    return estimator


def value_of(said: Any) -> Any:
    """A value as recipes know it: TOML has no tuples."""
    return tuple(said) if isinstance(said, list) else said


def kept(value: Any) -> Any:
    """A value as a study keeps it."""
    return json.dumps(value) if isinstance(value, tuple | list) else value


def value_again(kept: Any) -> Any:
    """A value from what a study keeps."""
    if isinstance(kept, str) and kept.startswith("["):
        return tuple(json.loads(kept))
    return kept


SHIPPED = "spaces.toml"
RANGE_KEYS = ("low", "high", "log", "steps", "relative")
NOT_TUNED = (
    *NON_HYPERPARAMETERS,
    "patience",
)  # no settings, or none that a trial on a part can tell of
WHOLE = (int, int | None)  # types of settings that are whole numbers
RELATIVE = "regularization"  # the setting whose default follows from the data, where it does


def default_search_space(estimator: str) -> SearchSpace:
    """The space that ships with a recipe.

    Examples
    --------
    >>> default_search_space("EASE").searched
    {'regularization': Range(low=10.0, high=3000.0, log=True, whole=False, steps=5, relative=False)}

    Raises
    ------
    SettingError
        If the recipe has nothing to tune.
    """
    spaces = tomllib.loads((files("matinee.tuning") / SHIPPED).read_text(encoding="utf-8"))
    if estimator not in spaces:
        raise SettingError(f"{estimator} has no settings that are worth tuning.")
    return space_of(estimator, spaces[estimator], SHIPPED)


def read_space(estimator: str, path: str | Path) -> SearchSpace:
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
    return space_of(estimator, said, str(path))


def space_of(estimator: str, said: Mapping[str, Any], where: str) -> SearchSpace:
    """A space from what a TOML file says; `where` is what errors call it.

    Examples
    --------
    >>> space_of("EASE", {"regularization": {"low": 9, "high": 5}}, "mine.toml")
    Traceback (most recent call last):
        ...
    matinee.errors.SettingError: mine.toml: regularization: low (9) is not below high (5).
    """
    kind = estimator_class(estimator)
    types = {one.name: one.type for one in fields(kind)}
    searched: dict[str, Range | Choice] = {}
    fixed: dict[str, Any] = {}
    for name, value in _flat(said, types).items():
        outer, _, inner = name.partition(".")
        if outer not in types or outer in NOT_TUNED or (inner and not _is_mapping(types[outer])):
            known = ", ".join(one for one in types if one not in NOT_TUNED)
            raise SettingError(
                f"{where}: {estimator} has no setting {name!r} to tune; it has {known}."
            )
        if isinstance(value, dict):
            searched[name] = _range(estimator, name, value, types[outer], f"{where}: {name}")
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
            _check(estimator, name, value, types, where)
    for name, value in fixed.items():
        _check(estimator, name, value, types, where)
    if not searched:
        raise SettingError(f"{where}: nothing to search; give a range or a list of values.")
    return SearchSpace(estimator, searched, fixed)


def _flat(said: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of settings that are mappings, under names of their own."""
    flat: dict[str, Any] = {}
    for name, value in said.items():
        if isinstance(value, dict) and _is_mapping(types.get(name)) and "low" not in value:
            flat |= {f"{name}.{key}": one for key, one in value.items()}
        else:
            flat[name] = value
    return flat


def _range(estimator: str, name: str, said: Mapping[str, Any], kind: Any, where: str) -> Range:
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
    by_data = name == RELATIVE and hasattr(estimator_class(estimator), "default_regularization")
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


def _check(estimator: str, name: str, value: Any, types: Mapping[str, Any], where: str) -> None:
    """Refuse a value that the recipe refuses."""
    kind = types[name.partition(".")[0]]
    if kind in WHOLE and type(value) is not int:
        raise SettingError(f"{where}: {name} is a whole number, not {value!r}.")
    try:
        estimator_with(estimator, {name: value})
    except SettingError as problem:
        raise SettingError(f"{where}: {problem}") from None
    except (TypeError, ValueError, AttributeError):
        raise SettingError(f"{where}: {name} cannot be {value!r}.") from None


def _is_mapping(kind: Any) -> bool:
    return "Mapping" in str(kind)
