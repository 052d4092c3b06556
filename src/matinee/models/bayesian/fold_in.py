"""Folding in: the rows of new users, drawn from what the sampler would draw them from."""

from collections.abc import Iterator, Sequence

import numpy as np

from matinee._types import F32, I8, I32, I64
from matinee.kernels.csr import row_of_entries, take_rows
from matinee.kernels.gibbs import draw_rows, score_entries
from matinee.kernels.ordinal import draw_latent
from matinee.models.bayesian.posterior import PosteriorDraw
from matinee.models.bayesian.sampler import prior_weights
from matinee.models.queries import UserBatch

TURNS = 4  # of latent values and rows, where ratings are levels


def fold_in_draws(
    draws: Sequence[PosteriorDraw], batch: UserBatch, users: int, levels: F32, dated: bool
) -> Iterator[F32]:
    """For each draw, the rows of the new users of a batch, float32 (new users, 1 + factors).

    Their ratings count as given in one moment, the one that is asked about: what a drift adds goes
    into the bias. Noise comes in pairs of opposite sign, which hardly adds to averages. Where
    ratings are levels, latent values and rows take `TURNS` turns from the prior mean: nearly far
    enough.
    """
    interactions = take_rows(batch.interactions, np.flatnonzero(batch.codes < 0))
    new, entries = len(interactions.indptr) - 1, len(interactions.indices)
    rng = np.random.default_rng(0)
    user = row_of_entries(interactions).astype(np.int32)
    rows, width = len(draws[0].table), len(draws[0].precision)
    items = interactions.indices + users
    sides = [rows + user, items, np.full(entries, rows - 3)]
    codes = np.stack(sides if dated else sides[:2], axis=1).astype(np.int32)
    level = np.clip(np.searchsorted(levels, interactions.values), 0, len(levels) - 1)
    counts = np.maximum(np.diff(interactions.indptr), 1)[:, None]
    noise = np.zeros((new, width), np.float32)
    for number, draw in enumerate(draws):
        fresh = rng.standard_normal((new, width)).astype(np.float32)
        noise = -noise if number % 2 else fresh
        prior = np.tile(_row(draw, rows - 2), (new, 1))
        if len(draw.rated):
            shares = draw.rated.astype(np.float32)[interactions.indices] / np.sqrt(counts[user])
            np.add.at(prior, user, shares)
        yield _NewRows(draw, interactions.indptr, codes, prior).drawn(
            interactions.values, level.astype(np.int8), noise, rng
        )


def _row(draw: PosteriorDraw, row: int) -> F32:
    factors = draw.precision.shape[0] - 1
    return np.concatenate([[draw.biases[row]], draw.table[row, :factors]]).astype(np.float32)


class _NewRows:
    """The rows of new users beside those of one draw."""

    def __init__(self, draw: PosteriorDraw, indptr: I64, codes: I32, prior: F32) -> None:
        self.draw, self.indptr, self.codes, self.prior = draw, indptr, codes, prior
        self.first, self.width = draw.table.shape
        self.table, self.biases = draw.with_rows(prior)

    def drawn(self, values: F32, levels: I8, noise: F32, rng: np.random.Generator) -> F32:
        """The rows given the ratings."""
        scores = np.empty(len(values), np.float32)
        score_entries(0, len(values), self.codes, self.table, self.biases, scores)
        if len(self.draw.cuts) == 0:
            self._draw(values - scores, noise)
            return self.rows()
        cuts, latent, residual = self.draw.limits, scores.copy(), np.zeros_like(scores)
        for turn in range(TURNS):
            uniforms = rng.random(len(values), np.float32)
            draw_latent(0, len(values), levels, cuts, uniforms, latent, residual)
            other = rng.standard_normal(noise.shape).astype(np.float32)
            self._draw(residual, noise if turn == TURNS - 1 else other)
        return self.rows()

    def rows(self) -> F32:
        factors = self.prior.shape[1] - 1
        new = slice(self.first, None)
        return np.column_stack([self.biases[new], self.table[new, :factors]])

    def _draw(self, residual: F32, noise: F32) -> None:
        unit = 1 / self.draw.noise[0]
        spread = np.linalg.inv(self.draw.precision.astype(np.float64))
        spread[0, 0] += self.draw.drifts[:, 1].sum()
        precision = np.asarray(np.linalg.inv(spread), np.float64)
        away = (self.prior - self.rows()).astype(np.float64)
        prior = prior_weights(precision, unit, away, noise, self.width)
        place = self.indptr, np.arange(len(residual), dtype=np.int32), 0, self.first
        state = self.codes, self.table, self.biases, residual
        draw_rows(0, len(noise), *place, *state, *prior)
