"""The Gibbs sampler: what is drawn, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from matinee._types import F32, F64, I32, I64, Array, Ints
from matinee.data.dataset import Dataset
from matinee.kernels.gibbs import draw_rows, score_entries
from matinee.kernels.linalg import inner, padded, times
from matinee.kernels.parallel import aligned_zeros, balanced_blocks, run_blocks, uniform_blocks
from matinee.kernels.simd import LANES
from matinee.models.bayesian.likelihoods import Outcome, likelihood_of
from matinee.models.bayesian.side_information import (
    FeatureLink,
    Features,
    features_of_items,
    features_of_users,
)
from matinee.models.bayesian.temporal import (
    FIRST_MEMORIES,
    FIRST_VARIANCE,
    Drift,
    RatingTimeline,
    date_cuts,
)

PRIOR_ROWS = 2.0  # observations that the prior of the mean counts as
SPREAD = 0.1  # root of the scale of dates' prior: they change little


@dataclass
class FactorBlock:
    """The rows ``first`` to ``first + size`` of the model, normal around ``mean + features @ B``.

    Mean and precision matrix have a normal-Wishart prior (Salakhutdinov & Mnih 2008, section 3.2).
    """

    number: int  # 0 for users, 1 for items, 2 for dates
    first: int
    size: int
    indptr: I64  # (size + 1,)
    entries: I32  # (ratings,) the ratings of each row, as places in the order of the sampler
    link: FeatureLink
    mean: F64  # (width,) bias first, then factors, as everywhere
    precision: F64  # (width, width)

    @classmethod
    def start(
        cls, number: int, first: int, codes: Ints, features: Features, width: int
    ) -> "FactorBlock":
        """A block whose row codes[k] is the one of rating k."""
        size = len(features.by_row.indptr) - 1
        order = np.argsort(codes, kind="stable").astype(np.int32)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=size))))
        link, precision = FeatureLink.start(features, width), np.eye(width) / SPREAD**2
        indptr = indptr.astype(np.int64)
        return cls(number, first, size, indptr, order, link, np.zeros(width), precision)

    @property
    def mean_is_free(self) -> bool:
        """Not that of dates, which could not be told from the other biases: it is zero."""
        return self.number < 2

    def draw_prior(self, rows: F64, burn_in: bool, rng: np.random.Generator) -> F64:
        """Draw precision, mean, groups' precisions and B given the rows; the new prior means."""
        count, width = rows.shape
        linked = self.link.features.columns > 0
        centred = rows - self.link.means() if linked else rows
        expected = np.eye(width)
        if self.mean_is_free:
            average = centred.mean(axis=0)
            shrunk = count * PRIOR_ROWS / (count + PRIOR_ROWS)
            around = centred - average
            scatter = inner(around, around) + shrunk * np.outer(average, average)
        else:
            expected *= SPREAD**2
            scatter = inner(centred, centred)
        if linked:
            scatter += self.link.scatter()
        freedom = width + count + self.link.features.columns
        self.precision = draw_wishart(expected + scatter, freedom, rng)
        if self.mean_is_free:
            root = np.linalg.cholesky(self.precision)
            noise = np.linalg.solve(root.T, rng.standard_normal(width))
            self.mean = (count * average + np.sqrt(count + PRIOR_ROWS) * noise) / (
                count + PRIOR_ROWS
            )
        if not linked:
            return np.broadcast_to(self.mean, rows.shape)
        if not burn_in:  # while rows are close to zero, these would grow for hundreds of sweeps
            self.link.draw_precisions(self.precision, rng)
        self.link.draw(rows - self.mean, self.precision, rng)
        return self.mean + self.link.means()


PriorWeights = tuple[F32, F32, np.float32, F32]


def prior_weights(precision: F64, unit: float, away: F64, noise: F32, width: int) -> PriorWeights:
    """The arguments of `draw_rows` from `precision` to `noise`; `away` is prior means less rows."""
    factors = len(precision) - 1
    scaled = precision / unit  # the precision of the noise around scores: the kernel takes it for 1
    prior = np.zeros((width, width + LANES), np.float32)
    np.fill_diagonal(prior, 1.0)
    prior[:factors, :factors] = scaled[1:, 1:]
    prior[:factors, width + 1] = scaled[0, 1:]
    wide = np.zeros((2, len(away), 1 + width), np.float32)
    wide[0, :, : 1 + factors] = times(away, scaled)
    wide[1, :, : 1 + factors] = noise / np.sqrt(unit)
    return prior, wide[0], np.float32(scaled[0, 0]), wide[1]


def draw_wishart(inverse_scale: F64, freedom: float, rng: np.random.Generator) -> F64:
    """A draw from the Wishart distribution, by Bartlett's decomposition."""
    width = len(inverse_scale)
    root = np.linalg.cholesky(np.linalg.inv(inverse_scale))
    lower = np.tril(rng.standard_normal((width, width)), -1)
    lower[np.diag_indices(width)] = np.sqrt(rng.chisquare(freedom - np.arange(width)))
    half = root @ lower
    return np.asarray(half @ half.T)


INIT_STD = 0.1  # of the first factors
BURN_IN = 40  # sweeps before features get precisions of their own
FEATURES = ("raters", "rated", "date", "drift")
"""What ratings depend on beside user, item and their attributes; each can be left out."""


class GibbsSampler:
    """The state of the sampler for one data set: one draw of everything, and how to get the next.

    With x = [b, p] the row of a user, w that of an item and t that of a date,

        score = b_u + b_i + b_t + p_u . p_i + p_u . p_t + p_i . p_t + drift_u(time)

    and a rating is the score seen through a `Likelihood`, as the `Outcome` says. What is by rating,
    such as `values`, is in the order of users and times; `table` holds the factors of users, items
    and dates, (rows, width), padded with zeros to whole lanes, and `biases` their biases, (rows,).
    """

    def __init__(
        self,
        train: Dataset,
        factors: int,
        outcome: Outcome,
        features: Sequence[str],
        seed: int = 0,
    ) -> None:
        self.factors, self.seed, self.sweep = factors, seed, 0
        self.timeline = RatingTimeline.of(train.ratings)
        ratings = train.ratings.take(self.timeline.order)
        train = replace(train, ratings=ratings)  # rows in another order give the same chain
        self.values = values = ratings.values
        self.outcome, self.likelihood = outcome, likelihood_of(outcome, values)
        codes = [ratings.user, ratings.item]
        groups = [features_of_users(train, features), features_of_items(train, features)]
        _, self.user_features = train.users.select(features)
        self.n_user_features = train.users.n_features
        self.date_cuts = np.empty(0, np.int64)
        times = ratings.timestamp
        if times is not None and "date" in features:
            self.date_cuts = date_cuts(times)
            date = np.searchsorted(self.date_cuts, times, side="right")
            codes.append(date.astype(np.int32))
            groups.append(Features.of_groups(len(self.date_cuts) + 1, {}))
        sizes = [len(of.by_row.indptr) - 1 for of in groups]
        self.firsts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        self.sides = [
            FactorBlock.start(number, int(first), codes[number], groups[number], 1 + factors)
            for number, first in enumerate(self.firsts[:-1])
        ]
        shifted = [code + first for code, first in zip(codes, self.firsts, strict=False)]
        self.codes = np.ascontiguousarray(np.stack(shifted, axis=1).astype(np.int32))
        self.table = aligned_zeros(int(self.firsts[-1]), padded(factors))
        self.biases = np.zeros(len(self.table), np.float32)
        start = self._random(0).standard_normal((self.firsts[2], factors), np.float32)
        self.table[: len(start), :factors] = INIT_STD * start
        self.drifts = [
            Drift(memory, FIRST_VARIANCE, np.zeros(len(self.timeline.gaps), np.float32))
            for memory in FIRST_MEMORIES
            if times is not None and "drift" in features
        ]
        self.likelihood.residual -= self.scores(self.codes)

    def _random(self, sweep: int) -> np.random.Generator:
        """A stream of its own for each sweep, so that a checkpoint needs no state of it."""
        return np.random.default_rng([self.seed, sweep])

    def scores(self, codes: I32) -> F32:
        """Scores of ratings by their rows on all sides, without drift, (n,)."""
        out = np.empty(len(codes), np.float32)
        arguments = codes, self.table, self.biases, out
        run_blocks(score_entries, uniform_blocks(len(codes), 1000), *arguments)
        return out

    def rows(self, side: FactorBlock) -> F64:
        """The rows of a side, bias first, (size, 1 + factors)."""
        part = slice(side.first, side.first + side.size)
        return np.column_stack([self.biases[part], self.table[part, : self.factors]]).astype(
            np.float64
        )

    def draw(self) -> None:
        """One sweep: everything once, each given all the rest."""
        self.sweep += 1
        rng = self._random(self.sweep)
        self.likelihood.draw(self.sweep, rng)
        for side in self.sides:
            self._draw_side(side, rng)
        data = self.likelihood.residual, self.likelihood.precision
        for drift in self.drifts:
            drift.draw(self.timeline, *data, self.sweep, rng)

    def _draw_side(self, side: FactorBlock, rng: np.random.Generator) -> None:
        rows = self.rows(side)
        expected = side.draw_prior(rows, self.sweep <= BURN_IN, rng)
        noise = rng.standard_normal(rows.shape, np.float32)
        unit, width = self.likelihood.precision, self.table.shape[1]
        prior = prior_weights(side.precision, unit, expected - rows, noise, width)
        place = side.indptr, side.entries, side.number, side.first
        state = self.codes, self.table, self.biases, self.likelihood.residual
        blocks = balanced_blocks(side.indptr)
        run_blocks(draw_rows, blocks, *place, *state, *prior)

    def mean_drift(self) -> tuple[F32, float]:
        """Mean drift of each user over their ratings (none: 0), and its variance around that."""
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
        """Standard deviations of the noise and of the scores."""
        residual = self.likelihood.residual
        signal = self.likelihood.target() - residual
        return {"noise": float(residual.std()), "signal": float(signal.std())}

    def state(self) -> dict[str, Array]:
        """All that the next sweep depends on, by name."""
        arrays = {"table": self.table, "biases": self.biases, **self.likelihood.state()}
        for side in self.sides:
            arrays[f"link{side.number}"] = side.link.table
            arrays[f"precisions{side.number}"] = side.link.precisions
        for number, drift in enumerate(self.drifts):
            arrays[f"path{number}"] = drift.path
            arrays[f"drift{number}"] = np.array([drift.memory, drift.variance])
        return arrays

    def restore(self, sweep: int, state: dict[str, Array]) -> None:
        """Resume after that sweep, from arrays like those that `state` gives."""
        self.sweep = sweep
        self.table[:], self.biases[:] = state["table"], state["biases"]
        self.likelihood.restore(state)
        for side in self.sides:
            side.link.table = state[f"link{side.number}"].copy()
            side.link.precisions = state[f"precisions{side.number}"].copy()
        for number, drift in enumerate(self.drifts):
            drift.path[:] = state[f"path{number}"]
            drift.memory, drift.variance = map(float, state[f"drift{number}"])
