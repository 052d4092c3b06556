"""Folding in: the rows of new users, drawn from what the sampler would draw them from."""

from collections.abc import Iterator, Sequence

import numpy as np

from matinee._types import F32, I8, I32
from matinee.kernels.csr import Rows, row_of_entries
from matinee.kernels.gibbs import draw_rows, score_entries
from matinee.kernels.ordinal import draw_latent
from matinee.models.bayesian.likelihoods import Outcome
from matinee.models.bayesian.posterior import PosteriorDraw
from matinee.models.bayesian.sampler import prior_weights
from matinee.models.profiles import UserBatch

TURNS = 4  # of latent values and rows, where ratings are levels


def fold_in_draws(
    draws: Sequence[PosteriorDraw], batch: UserBatch, users: int, outcome: Outcome, dated: bool
) -> Iterator[F32]:
    """For each draw, the rows of the new users of a batch, float32 (new users, 1 + factors).

    Their ratings count as given in one moment, the one that is asked about: what a drift adds goes
    into the bias. Noise comes in pairs of opposite sign, which hardly adds to averages. Where
    ratings are levels, latent values and rows take `TURNS` turns from the prior mean: nearly far
    enough.
    """
    of_new = batch.take(np.flatnonzero(batch.codes < 0))
    interactions = of_new.interactions
    new, entries = len(interactions.indptr) - 1, len(interactions.indices)
    rng = np.random.default_rng(0)
    user = row_of_entries(interactions).astype(np.int32)
    rows, width = len(draws[0].table), len(draws[0].precision)
    items = interactions.indices + users
    sides = [rows + user, items, np.full(entries, rows - 3)]
    codes = np.stack(sides if dated else sides[:2], axis=1).astype(np.int32)
    values = interactions.values
    level = np.clip(np.searchsorted(outcome.levels, values), 0, len(outcome.levels) - 1)
    scaled = ((values - outcome.center) / outcome.unit).astype(np.float32)
    counts = np.maximum(np.diff(interactions.indptr), 1)[:, None]
    noise = np.zeros((new, width), np.float32)
    for number, draw in enumerate(draws):
        fresh = rng.standard_normal((new, width)).astype(np.float32)
        noise = -noise if number % 2 else fresh
        unknown = draw.biases[rows - 2], *draw.table[rows - 2, : width - 1]
        unrated = np.array(unknown, np.float32)
        prior = of_new.prior_means(unrated, draw.traits.astype(np.float32))
        if len(draw.rated):
            shares = draw.rated.astype(np.float32)[interactions.indices] / np.sqrt(counts[user])
            np.add.at(prior, user, shares)
        yield _drawn(
            draw,
            interactions._replace(values=scaled),
            level.astype(np.int8),
            codes,
            prior,
            noise,
            rng,
        )


def _drawn(
    draw: PosteriorDraw, interactions: Rows, levels: I8, codes: I32, prior: F32, noise: F32,
    rng: np.random.Generator,
) -> F32:  # fmt: skip
    """The rows of new users given their ratings and one draw."""
    indptr, _, values = interactions
    first, width = draw.table.shape
    table, biases = draw.with_rows(prior)
    spread = np.linalg.inv(draw.precision.astype(np.float64))
    spread[0, 0] += draw.drifts[:, 1].sum()
    precision = np.asarray(np.linalg.inv(spread), np.float64)
    entries = np.arange(len(values), dtype=np.int32)

    def rows() -> F32:
        return np.column_stack([biases[first:], table[first:, : prior.shape[1] - 1]])

    def draw_all(residual: F32, noise: F32) -> None:
        away = (prior - rows()).astype(np.float64)
        weights = prior_weights(precision, 1 / draw.noise[0], away, noise, width)
        place, state = (indptr, entries, 0, first), (codes, table, biases, residual)
        draw_rows(0, len(noise), *place, *state, *weights)

    scores = np.empty(len(values), np.float32)
    score_entries(0, len(values), codes, table, biases, scores)
    if len(draw.cuts) == 0:
        draw_all(values - scores, noise)
        return rows()
    latent, residual = scores.copy(), np.zeros_like(scores)
    for turn in range(TURNS):
        uniforms = rng.random(len(values), np.float32)
        draw_latent(0, len(values), levels, draw.limits, uniforms, latent, residual)
        other = rng.standard_normal(noise.shape).astype(np.float32)
        draw_all(residual, noise if turn == TURNS - 1 else other)
    return rows()
