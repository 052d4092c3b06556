"""The draws that are kept, thinned to a stated memory, and their average."""

from copy import copy
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.ratings import Ratings
from matinee.kernels.linalg import inner, times
from matinee.models.bayesian.predictive import Asked, LeftOut, Predictive, scores_of
from matinee.models.bayesian.sampler import Chain

PROBES = 20_000  # training ratings that tell how to read scores in stars, and how wide ranges are
STEPS = 127  # of a path's values on either side of zero, as they are kept


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw as it is kept: 16 bits for a factor, 8 for a state of a drift.

    Parameters
    ----------
    table : float16 (rows, width), biases : float32 (rows,)
        Rows of viewers, movies, dates, then of no date in particular (if there are dates), of a
        viewer, and of a movie, of whom nothing is known. Of normal stars, the biases of movies
        hold the mean.
    paths : int8 (drifts, moments), steps : float32 (drifts,)
        States of the drifts, in steps of so much.
    drifts : float64 (drifts, 2)
        Memory and variance of each.
    usual : float32 (viewers,)
        Mean drift of each viewer, for what is asked at no time in particular.
    restless : float64 (1,)
        Variance of drifts around it.
    cuts : float64 (levels - 1,)
        Between levels; none with the normal likelihood.
    noise : float64 (1,)
        Variance of the noise.
    precision : float32 (1 + factors, 1 + factors)
        Of viewers around their prior means.
    rated : float16 (movies, 1 + factors)
        What having rated a movie says of a viewer; (0, ...) where that was no feature.
    """

    table: NDArray[np.float16]
    biases: NDArray[np.float32]
    paths: NDArray[np.int8]
    steps: NDArray[np.float32]
    drifts: NDArray[np.float64]
    usual: NDArray[np.float32]
    restless: NDArray[np.float64]
    cuts: NDArray[np.float64]
    noise: NDArray[np.float64]
    precision: NDArray[np.float32]
    rated: NDArray[np.float16]

    @classmethod
    def of(cls, chain: Chain) -> "Draw":
        """The chain as it stands."""
        table, biases = with_average_rows(chain)
        paths = [drift.path for drift in chain.drifts]
        steps = np.array([max(np.abs(path).max(), 1e-6) / STEPS for path in paths], np.float32)
        states = [np.rint(path / step) for path, step in zip(paths, steps, strict=True)]
        moments = len(chain.timeline.gaps)
        link = chain.sides[0].link
        usual, restless = chain.usual()
        rated = link.table[:0]
        if "rated" in link.features.names:
            rated = link.table[link.features.group == link.features.names.index("rated")]
        return cls(
            table.astype(np.float16),
            biases,
            np.array(states, np.int8).reshape(len(paths), moments),
            steps,
            np.array([(d.memory, d.variance) for d in chain.drifts], np.float64).reshape(-1, 2),
            usual,
            np.array([restless]),
            chain.likelihood.cuts[1:-1].copy(),
            np.array([1 / chain.likelihood.precision]),
            chain.sides[0].precision.astype(np.float32),
            rated.astype(np.float16),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays().values())


def with_average_rows(
    chain: Chain, threads: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Table and biases of a chain, and the rows of what nothing is known of: see `Draw`."""
    viewers, movies, *dates = chain.sides
    added = []
    if dates:
        counts = np.diff(dates[0].indptr)
        added.append(np.average(chain.rows(dates[0]), axis=0, weights=counts))
    # who has rated nothing is like the average viewer in all but what they rated
    traits = viewers.link.features.only(
        set(viewers.link.features.names) - {"rated"}, viewers.link.table
    )
    added.append(viewers.mean + viewers.link.features.times(traits, threads).mean(axis=0))
    added.append(movies.mean + movies.link.means(threads).mean(axis=0))
    rows = np.array(added, np.float32)
    table = np.zeros((len(rows), chain.table.shape[1]), np.float32)
    table[:, : chain.factors] = rows[:, 1:]
    biases = np.concatenate([chain.biases, rows[:, 0]])
    biases[movies.first : movies.first + movies.size] += np.float32(chain.mean)
    biases[-1] += np.float32(chain.mean)
    return np.vstack([chain.table, table]), biases


def pulls_of(chain: Chain) -> NDArray[np.float64]:
    """How strongly bias and factors of a viewer are pulled to their means, as ridge penalties.

    In units of the noise's precision, (2,). What a drift adds to a viewer is bias to whoever asks
    at no time in particular.
    """
    spread = np.diag(np.linalg.inv(chain.sides[0].precision)).copy()
    spread[0] += sum(drift.variance for drift in chain.drifts)
    return 1 / (np.array([spread[0], spread[1:].mean()]) * chain.likelihood.precision)


class Keeper:
    """Keeps draws of a chain as it goes.

    When the memory is full, every other draw is dropped, and from then on half as many are kept:
    at any time the draws kept lie as far apart as can be.

    Parameters
    ----------
    chain : Chain
    memory : int
        Bytes that all draws together may have.
    levels : float32 (levels,)
    """

    def __init__(self, chain: Chain, memory: int, levels: NDArray[np.float32]) -> None:
        self.memory, self.apart, self.count = memory, 1, 0
        self.draws: dict[int, Draw] = {}
        self.reference = np.empty((0, 0), np.float32)
        self.total, self.total_bias = np.empty((0, 0)), np.empty(0)
        self.pulls = np.zeros(2)
        n = len(chain.codes)
        some = np.random.default_rng(0).permutation(n)[:PROBES]
        codes = chain.codes[some].copy()
        if codes.shape[1] > 2:  # at no date in particular
            codes[:, 2] = len(chain.table)
        self.probes = Asked.at(codes, chain.timeline.moments, codes[:, 0], None)
        self.some = some
        self.left_out = LeftOut(chain.stars[some], levels)
        self.probed = Predictive(len(some), levels, len(chain.likelihood.cuts) > 0)

    def add(self, chain: Chain, threads: int | None = None) -> None:
        """Keep the chain's present draw if it is one that counts; average over all of them.

        Whoever interrupts this finds all of the draw added, or nothing.
        """
        if self.count == 0:
            self.begin(chain)
        table, biases = with_average_rows(chain, threads)
        # factors of different draws are turned against each other: turned back before the sum
        left, _, right = np.linalg.svd(inner(table, self.reference, threads).astype(np.float64))
        total = self.total + times(table, left @ right, threads)
        usual, restless = chain.usual()
        total_bias = self.total_bias + biases
        total_bias[: len(usual)] += usual
        found = scores_of(self.probes, table, biases, [], usual, restless, threads)
        noise, cuts = 1 / chain.likelihood.precision, chain.likelihood.cuts
        probed = self.probed.copy()
        probed.add(*found, noise, cuts, threads)
        score = (chain.likelihood.target() - chain.likelihood.residual)[self.some]
        left_out = copy(self.left_out)  # which adds to sums of its own
        left_out.add(score, noise, cuts, chain.mean, threads)
        draws, apart = self.draws, self.apart
        if self.count % apart == 0:
            new = Draw.of(chain)
            draws = {**draws, self.count: new}
            if len(draws) > max(1, self.memory // new.bytes):
                apart *= 2
                draws = {at: it for at, it in draws.items() if at % apart == 0}
        vars(self).update(  # at once
            total=total,
            total_bias=total_bias,
            pulls=self.pulls + pulls_of(chain),
            probed=probed,
            left_out=left_out,
            draws=draws,
            apart=apart,
            count=self.count + 1,
        )

    def begin(self, chain: Chain) -> None:
        """Take the chain's present factors for those that all others are turned to."""
        self.reference, biases = with_average_rows(chain)
        self.total, self.total_bias = np.zeros(self.reference.shape), np.zeros(len(biases))

    def average(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean table and biases, with rows as `Draw` has them."""
        table, biases = self.total / self.count, self.total_bias / self.count
        return table.astype(np.float32), biases.astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint has to hold beside the draws."""
        return {
            "reference": self.reference,
            "total": self.total,
            "total_bias": self.total_bias,
            "pulls": self.pulls,
            "probed": self.probed.sums,
            "left_out": self.left_out.sums,
        }

    def restore(self, count: int, apart: int, state: dict[str, NDArray[Any]]) -> None:
        """Go on after so many draws."""
        self.count, self.apart, self.probed.draws = count, apart, count
        self.reference, self.total = state["reference"].copy(), state["total"].copy()
        self.total_bias, self.probed.sums = state["total_bias"].copy(), state["probed"].copy()
        self.left_out.sums, self.pulls = state["left_out"].copy(), state["pulls"].copy()


class Judged:
    """What a chain says of held-out ratings, averaged over its draws.

    Parameters
    ----------
    chain : Chain
    ratings : Ratings
        Of the same codes.
    levels : float32 (levels,)
    """

    def __init__(self, chain: Chain, ratings: Ratings, levels: NDArray[np.float32]) -> None:
        self.ratings, self.levels = ratings, levels
        codes = [ratings.user, ratings.item + chain.firsts[1]]
        if len(chain.sides) > 2:
            at = np.full(len(ratings), len(chain.table))  # at no date in particular
            if ratings.timestamp is not None:
                at = np.searchsorted(chain.date_cuts, ratings.timestamp, side="right")
                at += chain.firsts[2]
            codes.append(at)
        stacked = np.ascontiguousarray(np.stack(codes, axis=1).astype(np.int32))
        self.asked = Asked.at(stacked, chain.timeline.moments, ratings.user, ratings.timestamp)
        self.average = self._fresh(chain)

    def _fresh(self, chain: Chain) -> Predictive:
        return Predictive(len(self.ratings), self.levels, len(chain.likelihood.cuts) > 0)

    def rmse(self, chain: Chain, counts: bool, threads: int | None = None) -> float:
        """RMSE of the average with the present draw, or of that alone where it does not count."""
        table, biases = with_average_rows(chain, threads)
        paths = [(drift.memory, drift.variance, drift.path) for drift in chain.drifts]
        found = self.average if counts else self._fresh(chain)
        noise, cuts = 1 / chain.likelihood.precision, chain.likelihood.cuts
        scores = scores_of(self.asked, table, biases, paths, *chain.usual(), threads)
        found.add(*scores, noise, cuts, threads)
        scale = self.ratings.scale
        miss = np.clip(found.stars(), scale.low, scale.high) - self.ratings.stars
        return float(np.sqrt(np.square(miss).mean()))
