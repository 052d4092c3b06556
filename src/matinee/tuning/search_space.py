"""Search spaces: for each hyperparameter of an estimator a range, a few values, or one."""

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.models.base import Estimator
from matinee.models.registry import estimator_class, nested_settings

if TYPE_CHECKING:
    from optuna import Trial

GRID_STEPS = 5  # grid points of a range that gives no number of steps
MAX_GRID = 2_000  # points


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    With `log`, search and grid go by equal ratios rather than by equal differences. `integer` means
    whole numbers only; where a dict or a file gives the space, the type of the hyperparameter
    decides. `steps` is the number of points in a grid. With `relative`, values are multiples of the
    default that the estimator computes from the data: the ``regularization`` of `ALS` and
    `ImplicitALS`.

    Examples
    --------
    >>> Range(1, 100, log=True, steps=3, integer=True).grid()
    [1, 10, 100]
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    steps: int = GRID_STEPS
    relative: bool = False

    @property
    def bounds(self) -> tuple[Any, Any]:
        """The lowest and the highest value."""
        return self.low, self.high

    def suggest(self, trial: "Trial", name: str) -> Any:
        """A value for a trial."""
        if self.integer:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def grid(self) -> list[Any]:
        """The values of a grid, ascending."""
        space = np.geomspace if self.log else np.linspace
        values = space(self.low, self.high, self.steps).clip(self.low, self.high).tolist()
        return sorted({round(value) for value in values}) if self.integer else values

    def contains(self, value: Any) -> bool:
        """Whether a search could suggest this value."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few values: numbers, text, booleans, or tuples of integers.

    Examples
    --------
    >>> Choice(("genres", "none")).contains("none")
    True
    """

    values: tuple[Any, ...]

    @property
    def bounds(self) -> tuple[Any, ...]:
        """All values."""
        return self.values

    def suggest(self, trial: "Trial", name: str) -> Any:
        """A value for a trial."""
        return from_stored(trial.suggest_categorical(name, self.grid()))

    def grid(self) -> list[Any]:
        """The values as a study stores them."""
        return [to_stored(value) for value in self.values]

    def contains(self, value: Any) -> bool:
        """Whether a search could suggest this value."""
        return value in self.values


@dataclass(frozen=True)
class SearchSpace:
    """The values that a search may try for the hyperparameters of one estimator.

    `estimator` names its class. In `searched`, ``"weight_decay.factors"`` is one group of a
    hyperparameter that is given by group; `fixed` ones have one value in all trials, and all others
    keep their defaults.

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
        """Hyperparameters searched as multiples of the default computed from the data."""
        ranges = {name: each for name, each in self.searched.items() if isinstance(each, Range)}
        return tuple(name for name, values in ranges.items() if values.relative)

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """A value of each hyperparameter for a trial."""
        return {name: values.suggest(trial, name) for name, values in self.searched.items()}

    def has(self, params: Mapping[str, Any]) -> bool:
        """Whether a trial may have these values, as a study stores them."""
        return all(
            name in self.searched and self.searched[name].contains(value)
            for name, value in self.from_study(params).items()
        )

    def from_study(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a trial from what its study stores."""
        return {name: from_stored(value) for name, value in params.items()}

    def to_settings(self, values: Mapping[str, Any], ratings: Ratings) -> dict[str, Any]:
        """The estimator's settings from the values of a trial, relative ones resolved."""
        settings = {**self.fixed, **values}
        for name in self.relative:
            others = {key: value for key, value in settings.items() if key != name}
            estimator: Any = build_estimator(self.estimator, others)
            settings[name] = values[name] * estimator.default_regularization(ratings)
        return settings

    def default_values(self) -> dict[str, Any] | None:
        """The estimator's defaults as values of a trial; None where the space excludes them."""
        default = build_estimator(self.estimator, estimator_class(self.estimator).fallbacks)
        chosen = {}
        for name, values in self.searched.items():
            outer, _, group = name.partition(".")
            value = getattr(default, outer)
            if group:
                value = value.get(group) if isinstance(value, Mapping) else None
            if name in self.relative:
                value = 1.0
            if not values.contains(value):
                return None
            chosen[name] = value
        absolute = {name: value for name, value in chosen.items() if name not in self.relative}
        given = {**default.fallbacks, **self.fixed, **absolute}
        if build_estimator(self.estimator, given) != default:
            return None  # something is fixed at another value than its default
        return {name: to_stored(value) for name, value in chosen.items()}

    def unsearched(self, ratings: Ratings) -> dict[str, Any]:
        """All settings that are not searched, and the default that relative ones multiply."""
        estimator: Any = build_estimator(self.estimator, self.fixed)
        multiplied = {name: estimator.default_regularization(ratings) for name in self.relative}
        searched = {name.partition(".")[0] for name in self.searched}
        settings = asdict(estimator)
        kept = {name: to_stored(settings[name]) for name in settings if name not in searched}
        return {**kept, **multiplied}

    @property
    def finite(self) -> bool:
        """Whether there are finitely many combinations."""
        return all(isinstance(values, Choice) for values in self.searched.values())

    @property
    def grid_size(self) -> int:
        """Number of grid points."""
        return math.prod(len(values.grid()) for values in self.searched.values())

    def grid(self) -> list[dict[str, Any]]:
        """All grid points, the last varying fastest; SettingError if more than `MAX_GRID`."""
        if self.grid_size > MAX_GRID:
            raise SettingError(
                f"A grid must have at most {MAX_GRID:,} points, got {self.grid_size:,}; "
                "give fewer values, or fewer steps per range."
            )
        points = itertools.product(*(values.grid() for values in self.searched.values()))
        return [dict(zip(self.searched, point, strict=True)) for point in points]

    def to_dict(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        searched = {
            name: asdict(values) if isinstance(values, Range) else values.grid()
            for name, values in self.searched.items()
        }
        fixed = {name: to_stored(value) for name, value in self.fixed.items()}
        return {"estimator": self.estimator, "searched": searched, "fixed": fixed}


def build_estimator(name: str, settings: Mapping[str, Any], **common: Any) -> Estimator:
    """An estimator from flat settings, and from those of `common` that it has."""
    cls = estimator_class(name)
    shared = {field.name: common[field.name] for field in fields(cls) if field.name in common}
    estimator: Estimator = cls(**shared, **nested_settings(settings))
    return estimator


def to_stored(value: Any) -> Any:
    """A value as a study stores it: sequences are JSON text."""
    return json.dumps(value) if isinstance(value, tuple | list) else value


def from_stored(value: Any) -> Any:
    """A value from what a study stores."""
    if isinstance(value, str) and value.startswith("["):
        return tuple(json.loads(value))
    return value
