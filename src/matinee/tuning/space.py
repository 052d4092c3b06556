"""What a search may try: for each setting of a recipe a range, some values, or one."""

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee.data import Ratings
from matinee.errors import SettingError
from matinee.models import Trainer
from matinee.models.recipes import recipe_class
from matinee.models.settings import nested_settings

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
class Space:
    """What a search may try for a recipe.

    Parameters
    ----------
    recipe : str
        Name of its class.
    searched : mapping of str to Range or Choice
        By setting; ``"weight_decay.factors"`` is an entry of a setting that is a mapping.
    fixed : mapping of str to value
        Settings that are always the same.

    Examples
    --------
    >>> space = Space("EASE", {"regularization": Range(10, 1000, log=True, steps=3)})
    >>> space.grid()
    [{'regularization': 10.0}, {'regularization': 100.0}, {'regularization': 1000.0}]
    """

    recipe: str
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
            usual: Any = recipe_with(self.recipe, others)
            settings[name] = values[name] * usual.usual_regularization(ratings)
        return settings

    def default(self) -> dict[str, Any] | None:
        """The recipe's own defaults as values of a trial; None where they are not in the space."""
        usual = recipe_class(self.recipe)()
        values = {}
        for name, part in self.searched.items():
            outer, _, inner = name.partition(".")
            value = getattr(usual, outer)
            if inner:
                value = value.get(inner) if isinstance(value, Mapping) else None
            if name in self.relative:
                value = 1.0
            if not part.holds(value):
                return None
            values[name] = value
        alone = {name: value for name, value in values.items() if name not in self.relative}
        if recipe_with(self.recipe, {**self.fixed, **alone}) != usual:
            return None  # something is fixed that has another default
        return {name: kept(value) for name, value in values.items()}

    def unsearched(self, ratings: Ratings) -> dict[str, Any]:
        """The settings that are not searched, and of relative ones what 1 is for these ratings."""
        recipe: Any = recipe_with(self.recipe, self.fixed)
        usual = {name: recipe.usual_regularization(ratings) for name in self.relative}
        searched = {name.partition(".")[0] for name in self.searched}
        settings = {
            name: kept(value) for name, value in asdict(recipe).items() if name not in searched
        }
        return {**settings, **usual}

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
        return {"recipe": self.recipe, "searched": searched, "fixed": fixed}


def recipe_with(name: str, settings: Mapping[str, Any], **more: Any) -> Trainer:
    """A recipe from flat settings; of `more`, what it knows.

    Examples
    --------
    >>> recipe_with("EASE", {"regularization": 20.0}, seed=3)
    EASE(regularization=20.0, liked=None)
    """
    kind = recipe_class(name)
    known = {one.name for one in fields(kind)}
    fitting = {key: value for key, value in more.items() if key in known}
    recipe: Trainer = kind(**fitting, **nested_settings(settings))
    return recipe


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
