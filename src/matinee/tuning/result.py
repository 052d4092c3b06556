"""What a search found: its trials, its winner, and both in sentences."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.tuning.search_space import (
    Choice,
    Range,
    SearchSpace,
)

if TYPE_CHECKING:
    pass

NEAR = 0.1  # part of a range that counts as its end


@dataclass(frozen=True)
class BestModel:
    """The best trial, trained on the whole training part and judged on the test part.

    Parameters
    ----------
    trial : int
        Its number, from 0 on.
    settings : mapping of str to value
        Those that were searched or fixed, as the recipe knows them.
    run : str
        Where the model is; below the working folder, from there.
    test : mapping of str to float or None
        Of the test part: ``rmse`` and ``mae`` of what predicts stars, ``ndcg@10`` of what makes
        lists, and the metric.
    tests : int
        How many winners of this study were judged on the test part.
    """

    trial: int
    settings: Mapping[str, Any]
    run: str
    test: Mapping[str, float | None]
    tests: int


@dataclass(frozen=True)
class TuningResult:
    """What a search found.

    Parameters
    ----------
    study : Path
    metric : str
    of_lists : bool
        Whether the metric is about lists.
    space : SearchSpace
        What was searched.
    trials : list of dict
        Of each finished trial, the best first: ``trial``, ``value`` (on the validation part; of a
        pruned one of ``als`` and ``ials``, when it was stopped, and else None), ``state``
        (``"complete"``, ``"pruned"``, ``"broke"``), ``seconds``, its ``settings`` as they were
        searched, and ``why`` it broke.
    wanted : int
        How many trials were asked for.
    points : int or None
        Of the grid, if it is one.
    winner : BestModel or None
        None where others still work on the study, no trial got to the end, or it was interrupted.
    interrupted, others : bool
        Whether the keyboard stopped it; whether other processes still work on it.
    """

    study: Path
    metric: str
    of_lists: bool
    space: SearchSpace
    trials: list[dict[str, Any]]
    wanted: int
    points: int | None
    winner: "BestModel | None"
    interrupted: bool
    others: bool

    @property
    def whole(self) -> list[dict[str, Any]]:
        """The trials that got to their end, the best first."""
        return [one for one in self.trials if one["state"] == "complete"]

    @property
    def default(self) -> dict[str, Any] | None:
        """The trial of the default settings, where they were tried and got to the end."""
        default = self.space.default()
        return next((one for one in self.whole if one["settings"] == default), None)

    @property
    def headings(self) -> dict[str, str]:
        """What to call each setting that was searched, above its values."""
        relative = self.space.relative
        return {
            name: f"{name} (x usual)" if name in relative else name for name in self.space.searched
        }

    @property
    def tried(self) -> str:
        """How many trials there are, and how they ended."""
        states = [one["state"] for one in self.trials]
        whole, pruned, broke = (states.count(name) for name in ("complete", "pruned", "broke"))
        tried = "1 trial" if len(states) == 1 else f"{len(states):,} trials"
        of_grid = f" of a grid of {self.points:,}" if self.points else ""
        nowhere = f", {broke:,} with settings that lead nowhere" if broke else ""
        return f"{tried}{of_grid}, {whole:,} to the end, {pruned:,} stopped early{nowhere}."

    @property
    def standing(self) -> str:
        """How often the test part was looked at, or why there is no winner yet."""
        made = len(self.trials)
        if self.interrupted and made >= self.wanted:
            return "Stopped while the winner was trained. The same command goes on."
        if self.interrupted:
            best = f"; with --trials {made} it trains the best of these" if self.whole else ""
            return f"Stopped at {made:,} of {self.wanted:,} trials. The same command goes on{best}."
        if self.others:
            return (
                "Others still work on this study. The last of them to end trains the winner; "
                "should it be stopped, the same command does."
            )
        part = f"Made were {made:,} of {self.wanted:,} trials; the same command goes on. "
        part = part if made < self.wanted else ""
        if self.winner is None:
            return f"{part}No trial got to its end, so there is no winner."
        times = "once" if self.winner.tests == 1 else f"by {self.winner.tests} winners"
        return f"{part}The test part was looked at {times}."

    @property
    def has_ends(self) -> bool:
        """Whether anything that was searched has a least and a greatest value."""
        return any(len(_numbers(part)) > 1 for part in self.space.searched.values())

    @property
    def at_an_end(self) -> dict[str, str]:
        """The ``"low"`` or ``"high"`` end, by the settings whose best value lies at one.

        Better values may lie beyond. An end of a range is its outer tenth; of a list of
        numbers, the least or the greatest.

        Examples
        --------
        >>> space = SearchSpace("ALS", {"factors": Range(16, 128, log=True), "exponent": Range(0.2, 0.8)})
        >>> best = {"state": "complete", "settings": {"factors": 110, "exponent": 0.6}}
        >>> one = {"winner": None, "interrupted": True, "others": False}
        >>> TuningResult(Path("study"), "rmse", False, space, [best], 5, None, **one).at_an_end
        {'factors': 'high'}
        """
        best = self.whole[0]["settings"] if self.whole else {}
        places = {
            name: _place(part, best[name])
            for name, part in self.space.searched.items()
            if name in best
        }
        return {
            name: "low" if place < 0.5 else "high"
            for name, place in places.items()
            if place is not None and min(place, 1 - place) <= NEAR
        }

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            **asdict(self),
            "study": str(self.study),
            "space": self.space.as_json(),
            "default": None if self.default is None else self.default["value"],
        }


def _numbers(part: Range | Choice) -> list[float]:
    """The ends of a range, or the values of a list of numbers, ascending."""
    plain = all(type(one) in (int, float) for one in part.ends)
    return sorted(set(part.ends)) if plain else []


def _place(part: Range | Choice, value: Any) -> float | None:
    """Where a value lies between the least, 0, and the greatest, 1; None where none is greater."""
    numbers = _numbers(part)
    if len(numbers) < 2:
        return None
    if isinstance(part, Choice):
        return numbers.index(value) / (len(numbers) - 1)
    low, here, high = (math.log(one) if part.log else one for one in (part.low, value, part.high))
    return (here - low) / (high - low)
