"""The chain: what is drawn, in which order."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data import Dataset
from matinee.kernels import (
    aligned_zeros,
    draw_rows,
    equal_blocks,
    even_blocks,
    padded,
    run_blocks,
    score_entries,
)
from matinee.models.bayes.drifts import FIRST_MEMORIES, FIRST_VARIANCE, Drift
from matinee.models.bayes.features import Features, features_of_movies, features_of_viewers
from matinee.models.bayes.likelihoods import Likelihood, NormalLikelihood, OrdinalLikelihood
from matinee.models.bayes.moments import Timeline, date_cuts
from matinee.models.bayes.sides import Side, pulls

FIRST_SPREAD = 0.1  # standard deviation of the first factors
SETTLING = 40  # sweeps before features get precisions of their own
FEATURES = ("genres", "years", "raters", "traits", "rated", "date", "drift")
"""Groups of what ratings depend on beside viewer and movie; each can be left out."""


class Chain:
    """The state of the sampler for one data set: one draw of everything, and how to get the next.

    With x = [b, p] the row of a viewer, w that of a movie and t that of a date,

        score = b_u + b_i + b_t + p_u . p_i + p_u . p_t + p_i . p_t + drift_u(time)

    and stars are the score seen through a `Likelihood`.

    Parameters
    ----------
    train : Dataset
    factors : int
    levels : float32 (levels,) or None
        The stars there are, for the ordinal likelihood; None for the normal one.
    features : collection of str
        Among `FEATURES`.
    seed : int

    Attributes
    ----------
    stars : float32 (ratings,)
        By viewer and time, the order of everything that is by rating.
    table : float32 (viewers + movies + dates, width), biases : float32 (viewers + movies + dates,)
        Factors, padded with zeros to the width that kernels like; biases.
    """

    def __init__(
        self,
        train: Dataset,
        factors: int,
        levels: NDArray[np.float32] | None,
        features: tuple[str, ...] = FEATURES,
        seed: int = 0,
    ) -> None:
        self.factors, self.seed, self.sweep = factors, seed, 0
        self.timeline = Timeline.of(train.ratings)
        ratings = train.ratings.take(self.timeline.order)
        train = replace(train, ratings=ratings)  # rows in another order: the same chain
        self.stars = stars = ratings.stars
        self.mean = float(stars.mean(dtype=np.float64)) if levels is None else 0.0
        self.likelihood: Likelihood
        if levels is None:
            self.likelihood = NormalLikelihood(stars, self.mean)
        else:
            seen = np.searchsorted(levels, stars).astype(np.int8)
            self.likelihood = OrdinalLikelihood(seen, len(levels))
        codes = [ratings.user, ratings.item]
        known = [features_of_viewers(train, features), features_of_movies(train, features)]
        self.date_cuts = np.empty(0, np.int64)
        times = ratings.timestamp
        if times is not None and "date" in features:
            self.date_cuts = date_cuts(times)
            date = np.searchsorted(self.date_cuts, times, side="right")
            codes.append(date.astype(np.int32))
            known.append(Features.of_groups(len(self.date_cuts) + 1, {}))
        sizes = [len(of.by_row.indptr) - 1 for of in known]
        self.firsts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        self.sides = [
            Side.start(number, int(first), codes[number], known[number], 1 + factors)
            for number, first in enumerate(self.firsts[:-1])
        ]
        shifted = [code + first for code, first in zip(codes, self.firsts, strict=False)]
        self.codes = np.ascontiguousarray(np.stack(shifted, axis=1).astype(np.int32))
        self.table = aligned_zeros(int(self.firsts[-1]), padded(factors))
        self.biases = np.zeros(len(self.table), np.float32)
        start = self._random(0).standard_normal((self.firsts[2], factors), np.float32)
        self.table[: len(start), :factors] = FIRST_SPREAD * start
        self.drifts = [
            Drift(memory, FIRST_VARIANCE, np.zeros(len(self.timeline.gaps), np.float32))
            for memory in FIRST_MEMORIES
            if times is not None and "drift" in features
        ]
        self.likelihood.residual -= self.scores(self.codes)

    def _random(self, sweep: int) -> np.random.Generator:
        """A stream of its own for each sweep: a chain goes on without any state of it."""
        return np.random.default_rng([self.seed, sweep])

    def scores(self, codes: NDArray[np.int32], threads: int | None = None) -> NDArray[np.float32]:
        """Scores of ratings by their rows on all sides, without drift, float32 (n,)."""
        out = np.empty(len(codes), np.float32)
        arguments = codes, self.table, self.biases, out
        run_blocks(score_entries, even_blocks(len(codes), 1000), *arguments, threads=threads)
        return out

    def rows(self, side: Side) -> NDArray[np.float64]:
        """The rows of a side, bias first, (size, 1 + factors)."""
        part = slice(side.first, side.first + side.size)
        return np.column_stack([self.biases[part], self.table[part, : self.factors]]).astype(
            np.float64
        )

    def draw(self, threads: int | None = None) -> None:
        """One sweep: everything once, each given all the rest."""
        self.sweep += 1
        rng = self._random(self.sweep)
        self.likelihood.draw(self.sweep, rng, threads)
        for side in self.sides:
            self._draw_side(side, rng, threads)
        for drift in self.drifts:
            drift.draw(
                self.timeline,
                self.likelihood.residual,
                self.likelihood.precision,
                self.sweep,
                rng,
                threads,
            )

    def _draw_side(self, side: Side, rng: np.random.Generator, threads: int | None) -> None:
        rows = self.rows(side)
        expected = side.draw_prior(rows, self.sweep > SETTLING, rng, threads)
        noise = rng.standard_normal(rows.shape, np.float32)
        unit, width = self.likelihood.precision, self.table.shape[1]
        prior = pulls(side.precision, unit, expected - rows, noise, width, threads)
        run_blocks(
            draw_rows,
            equal_blocks(side.indptr),
            side.indptr,
            side.entries,
            side.number,
            side.first,
            self.codes,
            self.table,
            self.biases,
            self.likelihood.residual,
            *prior,
            threads=threads,
        )

    def usual(self) -> tuple[NDArray[np.float32], float]:
        """Mean drift of each viewer over their ratings, and its variance around that.

        A viewer without ratings has the mean of all, 0.
        """
        moments, first = self.timeline.moments, self.timeline.first
        total = np.sum([drift.path for drift in self.drifts], axis=0, dtype=np.float64)
        if not self.drifts:
            total = np.zeros(len(moments.times))
        counts = np.diff(first)
        ratings = first[moments.starts]
        weighted = np.concatenate(([0.0], np.cumsum(total * counts)))
        sums = np.diff(weighted[moments.starts])
        mean = sums / np.maximum(np.diff(ratings), 1)
        around = total - np.repeat(mean, np.diff(moments.starts))
        return mean.astype(np.float32), float(np.average(around * around, weights=counts))

    def summary(self) -> dict[str, float]:
        """How much of the stars (or latent values) is noise, and how much scores vary."""
        residual = self.likelihood.residual
        signal = self.likelihood.target() - residual
        return {"noise": float(residual.std()), "signal": float(signal.std())}

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next sweep depends on, by name."""
        arrays = {"table": self.table, "biases": self.biases, **self.likelihood.state()}
        for side in self.sides:
            arrays[f"link{side.number}"] = side.link.table
            arrays[f"precisions{side.number}"] = side.link.precisions
        for number, drift in enumerate(self.drifts):
            arrays[f"path{number}"] = drift.path
            arrays[f"drift{number}"] = np.array([drift.memory, drift.variance])
        return arrays

    def restore(self, sweep: int, state: dict[str, NDArray[Any]]) -> None:
        """Go on after that sweep; `state` has the names, types and shapes that `state` gives."""
        self.sweep = sweep
        self.table[:], self.biases[:] = state["table"], state["biases"]
        self.likelihood.restore(state)
        for side in self.sides:
            side.link.table = state[f"link{side.number}"].copy()
            side.link.precisions = state[f"precisions{side.number}"].copy()
        for number, drift in enumerate(self.drifts):
            drift.path[:] = state[f"path{number}"]
            drift.memory, drift.variance = map(float, state[f"drift{number}"])
