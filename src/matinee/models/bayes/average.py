"""The mean of the draws as an ordinary model in stars, and the head that holds both."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.kernels import even_blocks, run_blocks, score_entries
from matinee.models.bayes.chain import Chain
from matinee.models.bayes.draws import Draw, Keeper
from matinee.models.bayes.head import BayesHead


def head_of(
    chain: Chain,
    keeper: Keeper,
    levels: NDArray[np.float32],
    trainer: Mapping[str, Any],
    history: pl.DataFrame,
) -> BayesHead:
    """What a chain leaves.

    The average's scores are read as stars by a straight line, fitted to the stars that the draws
    expect for some of the training pairs: with levels, a score is in units of its noise.
    """
    table, biases = keeper.average()
    viewers, movies = chain.firsts[1], chain.firsts[2] - chain.firsts[1]
    slope, start = _line(keeper, table, biases)
    rows = np.column_stack([biases, table[:, : chain.factors]]).astype(np.float64)
    mean = start
    if len(chain.sides) > 2:  # no date in particular is a movie's and a viewer's own affair
        date, (nobody, nothing) = rows[-3], rows[-2:]
        for part in (rows[: viewers + movies], nobody, nothing):
            part[..., 0] += part[..., 1:] @ date[1:]
        mean += slope * date[0]
    level = rows[viewers : viewers + movies, 0].mean()  # into the mean, where one looks for it
    rows[viewers : viewers + movies, 0] -= level
    rows[-1, 0] -= level
    of_bias, of_factors = keeper.pulls / keeper.count
    length = slope * np.sqrt(of_factors / of_bias)  # so that one penalty does for both
    rows[:, 0] *= slope
    rows[:, 1:] *= slope / length
    rows[:viewers, 1:] *= length**2 / slope
    rows[-2, 1:] *= length**2 / slope
    fields, draws = Draw.__dataclass_fields__, keeper.draws.values()
    return BayesHead(
        mean=float(mean + slope * level),
        user_rows=rows[:viewers].astype(np.float32),
        item_rows=rows[viewers : viewers + movies].astype(np.float32),
        user_prior=rows[-2].astype(np.float32),
        genre_rows=rows[-1:].astype(np.float32),
        regularization=float(of_bias),
        exponent=0.0,
        trainer=trainer,
        history=history,
        levels=levels,
        stretch=keeper.left_out.stretch(),
        moment_starts=chain.timeline.moments.starts,
        moment_times=chain.timeline.moments.times,
        date_cuts=chain.date_cuts,
        **{f"draw_{name}": np.stack([getattr(draw, name) for draw in draws]) for name in fields},
    )


def _line(
    keeper: Keeper, table: NDArray[np.float32], biases: NDArray[np.float32]
) -> tuple[float, float]:
    """Slope and start of the straight line from scores to the stars expected."""
    codes = keeper.probes.codes
    scores = np.empty(len(codes), np.float32)
    run_blocks(score_entries, even_blocks(len(codes)), codes, table, biases, scores)
    stars, x = keeper.probed.stars(), scores.astype(np.float64)
    around = x - x.mean()
    slope = float(around @ (stars - stars.mean()) / max(around @ around, 1e-12))
    slope = max(slope, 1e-3)
    return slope, float(stars.mean() - slope * x.mean())
