"""The head that knows stars as a distribution: draws of a chain, and their average."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F16, F32, F64, I8, I32, I64, U16, Ints
from matinee.kernels.gibbs import score_entries
from matinee.kernels.linalg import padded
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.models.bayesian.fold_in import fold_in_draws
from matinee.models.bayesian.posterior import DrawBuffer, PosteriorDraw
from matinee.models.bayesian.predictive import COVERAGES, PredictionQuery, Predictive, scores_of
from matinee.models.bayesian.sampler import GibbsSampler
from matinee.models.bayesian.temporal import RatingTimes
from matinee.models.queries import UserBatch
from matinee.models.rating_head import FactorRatingHead


@dataclass(frozen=True, eq=False)
class BayesianHead(FactorRatingHead):
    """Draws from the posterior of a factorization, and its mean as an ordinary `FactorRatingHead`.

    What is said of single ratings (`pairs`, `listed`, `predictive`) is averaged over the draws.
    Whatever wants one vector for each user and movie (scores of whole lists, similarity, maps,
    explanations) gets the average: the fields that every `FactorRatingHead` has.

    Parameters
    ----------
    levels : float32 (levels,)
        The stars there are.
    stretch : float32 (promises,)
        What `LooCalibration.stretch` found.
    moment_starts, moment_times : int64 (users + 1,), (moments,)
        The distinct times at which each user rated.
    date_cuts : int64 (dates - 1,)
        Where one date ends and the next begins, Unix seconds; none if dates were no feature.
    draw_* : arrays (draws, ...)
        The fields of `PosteriorDraw`.
    """

    levels: F32
    stretch: F32
    moment_starts: I64
    moment_times: I64
    date_cuts: I64
    draw_table: F16
    draw_biases: F32
    draw_paths: I8
    draw_steps: F32
    draw_drifts: F64
    draw_default: F32
    draw_restless: F64
    draw_cuts: F64
    draw_noise: F64
    draw_precision: F32
    draw_rated: F16

    @property
    def ordinal(self) -> bool:
        """Whether stars are levels to this model; else they are numbers."""
        return bool(self.draw_cuts.shape[1])

    @property
    def likelihood(self) -> str:
        """Which one was used, where the estimator left it to the data."""
        return "ordinal" if self.ordinal else "normal"

    @property
    def moments(self) -> RatingTimes:
        return RatingTimes(self.moment_starts, self.moment_times)

    @cached_property
    def draws(self) -> list[PosteriorDraw]:
        """The draws, one by one."""
        names = list(PosteriorDraw.__dataclass_fields__)
        parts = zip(*(getattr(self, f"draw_{name}") for name in names), strict=True)
        return [PosteriorDraw(*part) for part in parts]

    @property
    def dated(self) -> bool:
        users, items = len(self.user_params), len(self.item_params)
        return bool(self.draw_table.shape[1] > users + items + 2)

    def predictive(
        self,
        users: I32,
        items: I32,
        times: I64 | None = None,
        threads: int | None = None,
    ) -> Predictive:
        """The distribution of the stars of pairs, given at some time or at no time in particular.

        Parameters
        ----------
        users, items : int32 (n,)
            -1 is the user or movie nothing is known of; such a movie counts as the average one,
            and how far it may be from that is left out of its range.
        times : int64 (n,), optional
            Unix seconds.
        """
        asked = PredictionQuery.at(self._codes(users, items, times), self.moments, users, times)
        unknown = np.flatnonzero(users < 0)
        found = Predictive(len(users), self.levels, self.ordinal, self.stretch)
        for draw in self.draws:
            scores, spread = _scores(draw, asked, draw.table.view(np.uint16), draw.biases, threads)
            if len(unknown):
                spread[unknown] += self._spread_of_anybody(draw, asked.codes[unknown, 1:])
                if times is None:  # else all of the drift is in it
                    spread[unknown] += np.float32(draw.drifts[:, 1].sum())
            self._add(found, draw, scores, spread, threads)
        return found

    def predictive_of(self, user_batch: UserBatch, who: Ints, items: I32) -> Predictive:
        """The same for movie ``items[k]`` and user ``who[k]`` of the audience, at no time."""
        users = user_batch.codes[who]
        new = np.flatnonzero(users < 0)
        if len(new) == 0:
            return self.predictive(users, items)
        codes = self._codes(users, items, None)
        asked = PredictionQuery.at(codes, self.moments, users, None)
        place = np.cumsum(user_batch.codes < 0) - 1  # of somebody new among all who are
        asked.codes[new, 0] = self.draw_table.shape[1] + place[who[new]]
        found = Predictive(len(users), self.levels, self.ordinal, self.stretch)
        folded = fold_in_draws(
            self.draws, user_batch, len(self.user_params), self.levels, self.dated
        )
        for draw, rows in zip(self.draws, folded, strict=True):
            table = np.zeros((len(draw.table) + len(rows), draw.table.shape[1]), np.float32)
            table[: len(draw.table)] = draw.table
            table[len(draw.table) :, : rows.shape[1] - 1] = rows[:, 1:]
            biases = np.concatenate([draw.biases, rows[:, 0]])
            scores, spread = _scores(draw, asked, table, biases)
            self._add(found, draw, scores, spread, None)
        return found

    def pairs(
        self,
        users: I32,
        items: I32,
        times: I64 | None = None,
        threads: int | None = None,
    ) -> F32:
        """Expected stars of pairs; -1 is the user or movie nothing is known of."""
        return self.predictive(users, items, times, threads).values().astype(np.float32)

    def listed(self, user_batch: UserBatch, who: Ints, items: I32) -> F32:
        """Expected stars of movie ``items[k]`` for user ``who[k]`` of the audience."""
        return self.predictive_of(user_batch, who, items).values().astype(np.float32)

    def _codes(
        self,
        users: I32,
        items: I32,
        times: I64 | None,
    ) -> I32:
        """Rows of the table of a draw."""
        n_users, n_items = len(self.user_params), len(self.item_params)
        rows = self.draw_table.shape[1]
        codes = [
            np.where(users < 0, rows - 2, users),
            np.where(items < 0, rows - 1, items + n_users),
        ]
        if self.dated:
            at = np.full(len(users), rows - 3)
            if times is not None:
                at = n_users + n_items + np.searchsorted(self.date_cuts, times, side="right")
            codes.append(at)
        return np.ascontiguousarray(np.stack(codes, axis=1).astype(np.int32))

    def _spread_of_anybody(self, draw: PosteriorDraw, others: I32) -> F32:
        """Variance of the scores of a user nothing is known of, against some rows."""
        factors = draw.precision.shape[0] - 1
        design = draw.table[others].astype(np.float64).sum(axis=1)[:, :factors]
        design = np.column_stack([np.ones(len(design)), design])
        solved = np.linalg.solve(draw.precision.astype(np.float64), design.T)
        return np.asarray(np.einsum("nk,kn->n", design, solved), np.float32)

    def _add(
        self,
        found: Predictive,
        draw: PosteriorDraw,
        scores: F32,
        spread: F32,
        threads: int | None,
    ) -> None:
        cuts = np.concatenate(([-np.inf], draw.cuts, [np.inf]))
        found.add(scores, spread, float(draw.noise[0]), cuts, threads)

    def check(self, users: int, items: int, genres: int) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""
        super().check(users, items, genres)
        check_draws(self, users, items)


def _scores(
    draw: PosteriorDraw,
    asked: PredictionQuery,
    table: F32 | U16,
    biases: F32,
    threads: int | None = None,
) -> tuple[F32, F32]:
    """Scores by a draw, and the variance that drifts leave."""
    paths = [
        (float(memory), float(variance), path * step)
        for (memory, variance), path, step in zip(draw.drifts, draw.paths, draw.steps, strict=True)
        if asked.timed
    ]
    return scores_of(asked, table, biases, paths, draw.default, float(draw.restless[0]), threads)


def check_draws(head: BayesianHead, users: int, items: int) -> None:
    """Raise ValueError unless the draws and moments of a head fit together.

    Kernels go where codes and moments point without looking.
    """
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
        "draw_default": (np.float32, (draws, users)),
        "draw_restless": (np.float64, (draws, 1)),
        "draw_cuts": (np.float64, (draws, cuts)),
        "draw_noise": (np.float64, (draws, 1)),
        "draw_precision": (np.float32, (draws, unit, unit)),
        "draw_rated": (np.float16, (draws, items if head.draw_rated.shape[1] else 0, unit)),
        "levels": (np.float32, (levels,)),
        "stretch": (np.float32, (len(COVERAGES),)),
        "moment_starts": (np.int64, (users + 1,)),
        "moment_times": (np.int64, (moments,)),
        "date_cuts": (np.int64, (len(head.date_cuts),)),
    }
    for name, (kind, shape) in shapes.items():
        array = getattr(head, name)
        if array.dtype != kind or array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f"{name} has another type, shape or range than it should")
    starts = head.moment_starts
    sensible = (
        draws > 0
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
        and (head.draw_restless >= 0).all()
        and (head.draw_noise > 0).all()
        and (head.draw_precision == head.draw_precision.swapaxes(1, 2)).all()
        and (np.linalg.eigvalsh(head.draw_precision.astype(np.float64)) > 0).all()
    )
    if not sensible:
        raise ValueError("the draws make no sense")


def _ascending_within(times: I64, starts: I64) -> bool:
    """Whether each user's times ascend; `starts` do."""
    later = np.ones(len(times), bool)
    later[1:] = times[1:] > times[:-1]
    later[starts[starts < len(times)]] = True
    return bool(later.all())


def head_of(
    sampler: GibbsSampler,
    keeper: DrawBuffer,
    levels: F32,
    estimator: Mapping[str, Any],
    history: pl.DataFrame,
) -> BayesianHead:
    """What a chain leaves.

    The average's scores are read as stars by a straight line, fitted to the stars that the draws
    expect for some of the training pairs: with levels, a score is in units of its noise.
    """
    table, biases = keeper.average()
    users, items = sampler.firsts[1], sampler.firsts[2] - sampler.firsts[1]
    slope, start = _line(keeper, table, biases)
    rows = np.column_stack([biases, table[:, : sampler.factors]]).astype(np.float64)
    mean = start
    if len(sampler.sides) > 2:  # no date in particular is a movie's and a user's own affair
        date, (default_user, nothing) = rows[-3], rows[-2:]
        for part in (rows[: users + items], default_user, nothing):
            part[..., 0] += part[..., 1:] @ date[1:]
        mean += slope * date[0]
    level = rows[users : users + items, 0].mean()  # into the mean, where one looks for it
    rows[users : users + items, 0] -= level
    rows[-1, 0] -= level
    of_bias, of_factors = keeper.prior_weights / keeper.count
    length = slope * np.sqrt(of_factors / of_bias)  # so that one penalty does for both
    rows[:, 0] *= slope
    rows[:, 1:] *= slope / length
    rows[:users, 1:] *= length**2 / slope
    rows[-2, 1:] *= length**2 / slope
    fields, draws = PosteriorDraw.__dataclass_fields__, keeper.draws.values()
    return BayesianHead(
        mean=float(mean + slope * level),
        user_params=rows[:users].astype(np.float32),
        item_params=rows[users : users + items].astype(np.float32),
        user_prior=rows[-2].astype(np.float32),
        item_prior=rows[-1:].astype(np.float32),
        regularization=float(of_bias),
        exponent=0.0,
        estimator=estimator,
        history=history,
        levels=levels,
        stretch=keeper.left_out.stretch(),
        moment_starts=sampler.timeline.moments.starts,
        moment_times=sampler.timeline.moments.times,
        date_cuts=sampler.date_cuts,
        **{f"draw_{name}": np.stack([getattr(draw, name) for draw in draws]) for name in fields},
    )


def _line(keeper: DrawBuffer, table: F32, biases: F32) -> tuple[float, float]:
    """Slope and start of the straight line from scores to the stars expected."""
    codes = keeper.probes.codes
    scores = np.empty(len(codes), np.float32)
    run_blocks(score_entries, uniform_blocks(len(codes)), codes, table, biases, scores)
    values, x = keeper.probed.values(), scores.astype(np.float64)
    around = x - x.mean()
    slope = float(around @ (values - values.mean()) / max(around @ around, 1e-12))
    slope = max(slope, 1e-3)
    return slope, float(values.mean() - slope * x.mean())
