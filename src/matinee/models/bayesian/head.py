"""The Bayesian rating head: posterior draws, and their average as an ordinary rating head."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F16, F32, F64, I8, I32, I64, U16, Bools, Ints
from matinee.kernels.gibbs import score_entries
from matinee.kernels.linalg import padded
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.models.bayesian.fold_in import fold_in_draws
from matinee.models.bayesian.likelihoods import Outcome
from matinee.models.bayesian.posterior import DrawBuffer, PosteriorDraw
from matinee.models.bayesian.predictive import (
    COVERAGES,
    PredictionQuery,
    Predictive,
    scores_of,
    stretch_of,
)
from matinee.models.bayesian.sampler import GibbsSampler
from matinee.models.bayesian.temporal import RatingTimes
from matinee.models.head import solve
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes
from matinee.models.rating_head import FactorRatingHead


@dataclass(frozen=True, eq=False)
class BayesianHead(FactorRatingHead):
    """Draws from the posterior of a factorization, over which ratings of pairs are averaged.

    What needs one set of factors (scores of all items, similarity, maps, explanations) takes their
    average: the fields that every `FactorRatingHead` has.
    """

    levels: F32  # (levels,) the different ratings
    center: float  # with the unit, what scores of draws are in ratings: see `Outcome`
    unit: float
    stretch: F32  # (2, coverages) of intervals, for known users and for those of no rating
    moment_starts: I64  # (users + 1,) the distinct times at which each user rated
    moment_times: I64  # (moments,)
    date_cuts: I64  # (dates - 1,) Unix seconds; none if dates were no feature
    draw_table: F16  # (draws, ...), like all that follow: the fields of `PosteriorDraw`
    draw_biases: F32
    draw_paths: I8
    draw_steps: F32
    draw_drifts: F64
    draw_mean_drift: F32
    draw_drift_variance: F64
    draw_cuts: F64
    draw_noise: F64
    draw_precision: F32
    draw_rated: F16
    draw_traits: F16

    @property
    def ordinal(self) -> bool:
        """Whether ratings are levels to this model; else they are numbers."""
        return bool(self.draw_cuts.shape[1])

    @property
    def likelihood(self) -> str:
        """Which one was used, where the estimator left it to the data."""
        return "ordinal" if self.ordinal else "normal"

    @property
    def outcome(self) -> Outcome:
        """What scores of draws stand for."""
        return Outcome(self.levels, self.ordinal, self.center, self.unit)

    @property
    def moments(self) -> RatingTimes:
        """The distinct times at which each user rated."""
        return RatingTimes(self.moment_starts, self.moment_times)

    @cached_property
    def unrated(self) -> Bools:
        """Whether users have no ratings, (users + 1,); the last one is an unknown user."""
        return np.append(np.diff(self.moment_starts) == 0, True)

    @cached_property
    def draws(self) -> list[PosteriorDraw]:
        """The draws, one by one."""
        parts = (getattr(self, f"draw_{name}") for name in PosteriorDraw._fields)
        return [PosteriorDraw(*arrays) for arrays in zip(*parts, strict=True)]

    @property
    def dated(self) -> bool:
        """Whether dates are a feature."""
        users, items = len(self.user_params), len(self.item_params)
        return bool(self.draw_table.shape[1] > users + items + 2)

    def predictive(self, users: I32, items: I32, times: I64 | None = None) -> Predictive:
        """The distribution of ratings of pairs, given at some time or at no time in particular."""
        query = PredictionQuery.at(self._codes(users, items, times), self.moments, users, times)
        unknown = np.flatnonzero(users < 0)  # of unknown items, the spread is left out
        predictive = Predictive(len(users), self.outcome, self.stretch, self.unrated[users])
        for draw in self.draws:
            scores, spread = _scores(draw, query, draw.table.view(np.uint16), draw.biases)
            if len(unknown):
                spread[unknown] += self._spread_of_unknown(draw, query.codes[unknown, 1:])
                if times is None:  # else all of the drift is in it
                    spread[unknown] += np.float32(draw.drifts[:, 1].sum())
            predictive.add(scores, spread, float(draw.noise[0]), draw.limits)
        return predictive

    def predictive_of(self, batch: UserBatch, who: Ints, items: I32) -> Predictive:
        """The same for item ``items[k]`` and user ``who[k]`` of the batch, at no time."""
        users = batch.codes[who]
        new = np.flatnonzero(users < 0)
        if len(new) == 0:
            return self.predictive(users, items)
        codes = self._codes(users, items, None)
        query = PredictionQuery.at(codes, self.moments, users, None)
        place = np.cumsum(batch.codes < 0) - 1  # of a new user among all that are
        query.codes[new, 0] = self.draw_table.shape[1] + place[who[new]]
        predictive = Predictive(len(users), self.outcome, self.stretch)
        folded = fold_in_draws(self.draws, batch, len(self.user_params), self.outcome, self.dated)
        for draw, rows in zip(self.draws, folded, strict=True):
            scores = _scores(draw, query, *draw.with_rows(rows))
            predictive.add(*scores, float(draw.noise[0]), draw.limits)
        return predictive

    def pairs(self, users: I32, items: I32, times: I64 | None = None) -> F32:
        return self.predictive(users, items, times).mean().astype(np.float32)

    def listed(self, batch: UserBatch, who: Ints, items: I32) -> F32:
        return self.predictive_of(batch, who, items).mean().astype(np.float32)

    def _codes(self, users: I32, items: I32, times: I64 | None) -> I32:
        """Rows of the table of a draw."""
        n_users, n_items = len(self.user_params), len(self.item_params)
        rows = self.draw_table.shape[1]
        codes = [
            np.where(users < 0, rows - 2, users),
            np.where(items < 0, rows - 1, items + n_users),
        ]
        if self.dated:
            date = np.full(len(users), rows - 3)
            if times is not None:
                date = n_users + n_items + np.searchsorted(self.date_cuts, times, side="right")
            codes.append(date)
        return np.ascontiguousarray(np.stack(codes, axis=1).astype(np.int32))

    def _spread_of_unknown(self, draw: PosteriorDraw, others: I32) -> F32:
        """Variance of the scores of an unknown user, against some rows."""
        factors = draw.precision.shape[0] - 1
        design = draw.table[others].astype(np.float64).sum(axis=1)[:, :factors]
        design = np.column_stack([np.ones(len(design)), design])
        solved = solve(draw.precision.astype(np.float64), design.T)
        return np.asarray(np.einsum("nk,kn->n", design, solved), np.float32)

    def check(self, sizes: Sizes) -> None:
        super().check(sizes)
        check_draws(self, sizes)


def _scores(
    draw: PosteriorDraw, query: PredictionQuery, table: F32 | U16, biases: F32
) -> tuple[F32, F32]:
    """Scores by a draw, and the variance that drifts leave."""
    paths = [
        (float(memory), float(variance), path * step)
        for (memory, variance), path, step in zip(draw.drifts, draw.paths, draw.steps, strict=True)
        if query.timed
    ]
    drift = draw.mean_drift, float(draw.drift_variance[0])
    return scores_of(query, table, biases, paths, *drift)


def check_draws(head: BayesianHead, sizes: Sizes) -> None:
    """Raise ValueError unless draws and moments fit: kernels follow codes without looking."""
    users, items, user_features = sizes
    draws, rows, _ = head.draw_table.shape
    unit = head.user_params.shape[1]
    dates = len(head.date_cuts) + 2 if rows > users + items + 2 else 0
    moments, drifts, levels = len(head.moment_times), head.draw_paths.shape[1], len(head.levels)
    cuts = head.draw_cuts.shape[-1]
    shapes = {
        "draw_table": (np.float16, (draws, users + items + dates + 2, padded(unit - 1))),
        "draw_biases": (np.float32, (draws, rows)),
        "draw_paths": (np.int8, (draws, drifts, moments)),
        "draw_steps": (np.float32, (draws, drifts)),
        "draw_drifts": (np.float64, (draws, drifts, 2)),
        "draw_mean_drift": (np.float32, (draws, users)),
        "draw_drift_variance": (np.float64, (draws, 1)),
        "draw_cuts": (np.float64, (draws, cuts)),
        "draw_noise": (np.float64, (draws, 1)),
        "draw_precision": (np.float32, (draws, unit, unit)),
        "draw_rated": (np.float16, (draws, items if head.draw_rated.shape[1] else 0, unit)),
        "draw_traits": (
            np.float16,
            (draws, user_features if head.draw_traits.shape[1] else 0, unit),
        ),
        "levels": (np.float32, (levels,)),
        "stretch": (np.float32, (2, len(COVERAGES))),
        "moment_starts": (np.int64, (users + 1,)),
        "moment_times": (np.int64, (moments,)),
        "date_cuts": (np.int64, (len(head.date_cuts),)),
    }
    for name, (dtype, shape) in shapes.items():
        array = getattr(head, name)
        if array.dtype != dtype or array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"{name} has the wrong type, shape or range")
    starts = head.moment_starts
    valid = (
        draws > 0
        and np.isfinite(head.center)
        and 0 < head.unit < np.inf
        and levels > 1
        and cuts in (0, levels - 1)
        and starts[0] == 0
        and starts[-1] == moments
        # compared, not subtracted: differences may wrap around
        and all((a[1:] >= a[:-1]).all() for a in (starts, head.date_cuts))
        and (head.levels[1:] > head.levels[:-1]).all()
        and _ascending_within(head.moment_times, starts)
        and (np.diff(head.draw_cuts, axis=1) >= 0).all()
        and (head.stretch > 0).all()
        and (head.draw_drifts > 0).all()
        and (head.draw_drift_variance >= 0).all()
        and (head.draw_noise > 0).all()
        and (head.draw_precision == head.draw_precision.swapaxes(1, 2)).all()
        and (np.linalg.eigvalsh(head.draw_precision.astype(np.float64)) > 0).all()
    )
    if not valid:
        raise ValueError("the draws do not fit together")


def _ascending_within(times: I64, starts: I64) -> bool:
    """Whether each user's times ascend; `starts` do."""
    later = np.ones(len(times), bool)
    later[1:] = times[1:] > times[:-1]
    later[starts[starts < len(times)]] = True
    return bool(later.all())


def bayesian_head(
    sampler: GibbsSampler,
    buffer: DrawBuffer,
    estimator: Mapping[str, Any],
    history: pl.DataFrame,
) -> BayesianHead:
    """The head that a sampler leaves, scores of its average made ratings by a straight line."""
    table, biases = buffer.average()
    users, items = sampler.firsts[1], sampler.firsts[2] - sampler.firsts[1]
    slope, intercept = _line(buffer, table, biases)  # with levels, scores are in units of the noise
    rows = np.column_stack([biases, table[:, : sampler.factors]]).astype(np.float64)
    mean = intercept
    if len(sampler.sides) > 2:  # no date in particular: into the rows of items and users
        date, (unknown_user, unknown_item) = rows[-3], rows[-2:]
        for part in (rows[: users + items], unknown_user, unknown_item):
            part[..., 0] += part[..., 1:] @ date[1:]
        mean += slope * date[0]
    level = rows[users : users + items, 0].mean()  # into the mean, where it belongs
    rows[users : users + items, 0] -= level
    rows[-1, 0] -= level
    of_bias, of_factors = buffer.prior_weights / buffer.count
    length = slope * np.sqrt(of_factors / of_bias)  # so that one penalty serves both
    rows[:, 0] *= slope
    rows[:, 1:] *= slope / length
    rows[:users, 1:] *= length**2 / slope
    rows[-2, 1:] *= length**2 / slope
    draws = zip(PosteriorDraw._fields, zip(*buffer.draws.values(), strict=True), strict=True)
    head = BayesianHead(
        mean=float(mean + slope * level),
        user_params=rows[:users].astype(np.float32),
        item_params=rows[users : users + items].astype(np.float32),
        user_prior=rows[-2].astype(np.float32),
        item_prior=rows[-1].astype(np.float32),
        user_coefficients=np.empty((0, rows.shape[1]), np.float32),
        regularization=float(of_bias),
        exponent=0.0,
        bias_regularization=float(of_bias),
        bias_exponent=0.0,
        estimator=estimator,
        history=history,
        levels=sampler.outcome.levels,
        center=sampler.outcome.center,
        unit=sampler.outcome.unit,
        stretch=np.tile(buffer.loo.stretch(), (2, 1)),
        moment_starts=sampler.timeline.moments.starts,
        moment_times=sampler.timeline.moments.times,
        date_cuts=sampler.date_cuts,
        **{f"draw_{name}": np.stack(arrays) for name, arrays in draws},
    )
    of_unknown = _stretch_of_unknown(head, sampler, buffer)
    return replace(head, stretch=np.stack([head.stretch[0], of_unknown]))


def _stretch_of_unknown(head: BayesianHead, sampler: GibbsSampler, buffer: DrawBuffer) -> F32:
    """The same for users of whom no rating is known: training ratings, predicted without them.

    Such predictions differ little, so a level would be in nearly all intervals or in none: ratings
    are spread over the width of their levels.
    """
    sample = buffer.sample
    items = sampler.codes[sample, 1] - np.int32(sampler.firsts[1])
    predictive = head.predictive(np.full(len(sample), -1, np.int32), items, None)
    width = np.diff(head.levels).min() if head.ordinal else 0.0
    spread = width * (np.random.default_rng(0).random(len(sample)) - 0.5)
    return stretch_of(buffer.loo.values + spread, predictive.mean(), predictive.deviation())


def _line(buffer: DrawBuffer, table: F32, biases: F32) -> tuple[float, float]:
    """Slope and intercept of the line from scores to expected ratings."""
    codes = buffer.probes.codes
    scores = np.empty(len(codes), np.float32)
    run_blocks(score_entries, uniform_blocks(len(codes)), codes, table, biases, scores)
    expected, x = buffer.probed.mean(), scores.astype(np.float64)
    around = x - x.mean()
    slope = float(around @ (expected - expected.mean()) / max(around @ around, 1e-12))
    slope = max(slope, 1e-3)
    return slope, float(expected.mean() - slope * x.mean())
