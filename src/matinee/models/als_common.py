"""What ALS and iALS share: one side of a factorization in training, and default regularization."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from matinee._types import F32, F64, I32, I64, U16, Array, Bools, Ints
from matinee.data.attribute_values import no_attribute
from matinee.data.attributes import Attributes, feature_means
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, sum_over_entries, sum_weighted_rows
from matinee.kernels.linalg import float16_buffer, to_float16
from matinee.kernels.parallel import aligned_zeros, balanced_blocks, run_blocks
from matinee.models.recommender import Recommender
from matinee.models.ridge import WeightedRidge


@dataclass
class FactorMatrix:
    """The users or the items in training: their ratings, parameters, and prior means."""

    interactions: Rows
    weights: F64  # (rows,) of the distance to the prior mean; 0: no say in it
    features: Rows  # of each row; column 0 is the constant
    columns: I64  # which of all features of its attributes these are
    rows: F32  # (rows, width): bias, then factors
    coefficients: F64  # (features, width)
    prior: F32  # (rows, width) = features @ coefficients
    bias_weights: F64 | None = None  # of the distance of biases, where they are others
    regressions: Sequence[WeightedRidge] = ()  # of rows on features, and of biases where others
    preferences: F32 | None = None  # (n,) of each interaction, of implicit feedback
    half: U16 | None = None  # buffer of `float16`

    @classmethod
    def start(
        cls,
        interactions: Rows,
        attributes: Attributes,
        names: Sequence[str],
        width: int,
        weights: F64,
        bias_weights: F64 | None = None,
    ) -> "FactorMatrix":
        """All rows and prior means zero; prior means will depend on the named attributes."""
        features, columns = attributes.select(names)
        n, k = len(weights), len(columns)
        fitted = aligned_zeros(n, width), np.zeros((k, width)), aligned_zeros(n, width)
        return cls(interactions, weights, features, columns, *fitted, bias_weights)

    def all_coefficients(self, n_features: int) -> F32:
        """The coefficients among those of all features, (n_features, width); none if but one."""
        every = np.zeros((n_features, self.rows.shape[1]), np.float32)
        if n_features == 1:  # the constant, which every row has
            return every[:0]
        every[self.columns] = self.coefficients
        return every

    @property
    def average_prior(self) -> F32:
        """The mean of the prior means of rows with interactions, float32 (width,)."""
        means = feature_means(self.features, self.weights > 0, len(self.columns))
        return np.asarray(np.einsum("f,fk->k", means, self.coefficients), np.float32)

    def warm_start(self, known: I32, rows: F32, prior_ridge: float) -> None:
        """Start from rows of an earlier training, of as many columns or fewer.

        `known`, (rows,), says which of them is whose, -1 where there is none: such a row starts at
        the prior mean that the known ones suggest.
        """
        old = known >= 0
        self.rows[old, : rows.shape[1]] = rows[known[old]]
        self._fit_prior(self._regressions(prior_ridge, old))
        self.rows[~old] = self.prior[~old]

    def copy(self) -> "FactorMatrix":
        """The same, with rows and prior means of its own."""
        fitted = self.rows.copy(), self.coefficients.copy(), self.prior.copy()
        return replace(self, rows=fitted[0], coefficients=fitted[1], prior=fitted[2])

    def float16(self, skip: int) -> U16:
        """The rows as they are now, from column `skip` on, as conjugate gradients read them."""
        if self.half is None:
            self.half = float16_buffer(len(self.rows), self.rows.shape[1] - skip)
        to_float16(self.rows, skip, self.half)
        return self.half

    def update_prior(self, prior_ridge: float) -> None:
        """Fit the prior means to the rows, by weighted ridge regression on the features."""
        self.regressions = self.regressions or self._regressions(prior_ridge, np.True_)
        self._fit_prior(self.regressions)

    def _regressions(self, prior_ridge: float, counted: Bools | np.bool_) -> list[WeightedRidge]:
        """Those of the rows that count."""
        return [
            WeightedRidge(self.features, np.where(counted, weights, 0.0), len(self.columns), ridge)
            for weights, ridge in self._weightings(prior_ridge)
        ]

    def _weightings(self, prior_ridge: float) -> list[tuple[F64, float]]:
        """Weights and ridge of all columns, and of that of biases where they are others."""
        if self.bias_weights is None:
            return [(self.weights, prior_ridge)]
        share = float(self.bias_weights.mean() / self.weights.mean())
        return [(self.weights, prior_ridge), (self.bias_weights, share * prior_ridge)]

    def _fit_prior(self, regressions: Sequence[WeightedRidge]) -> None:
        before = self.coefficients
        self.coefficients = regressions[0].fit(self.rows, before)
        for of_biases in regressions[1:]:
            biases = np.ascontiguousarray(self.rows[:, :1])
            self.coefficients[:, :1] = of_biases.fit(biases, before[:, :1])
        self._apply_prior()

    def _apply_prior(self) -> None:
        blocks = balanced_blocks(self.features.indptr)
        arguments = *self.features, self.coefficients, self.prior
        run_blocks(sum_weighted_rows, blocks, *arguments)

    def penalties(self, prior_ridge: float) -> F64:
        """Weighted squared distances of rows from their prior means, and squares of the
        coefficients, of each column, (width,).
        """
        away, squares = self.rows - self.prior, np.square(self.coefficients)
        found = np.empty(self.rows.shape[1])
        for start, (weights, ridge) in enumerate(reversed(self._weightings(prior_ridge))):
            columns = away[:, start:]
            found[start:] = np.einsum("n,nk,nk->k", weights, columns, columns)
            found[start:] += ridge * squares[:, start:].sum(axis=0)
        return found


def check_converged(regularization: float, *rows: Array) -> None:
    """Raise SettingError unless all rows are finite."""
    if not all(np.isfinite(each).all() for each in rows):
        raise SettingError(
            f"Training diverged with regularization {regularization:g}; choose a larger one."
        )


def weights_in_prior(counts: Ints, exponent: float) -> F64:
    """n^v of rows with n ratings each, of their say in the prior mean: 0 without ratings."""
    return np.where(counts > 0, counts.astype(np.float64) ** exponent, 0.0)


def feature_names(features: str, train: Dataset, further: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The attributes that a hyperparameter names: ``"all"``, ``"none"`` or names with commas.

    SettingError for a name that neither users nor items have, and that is none of `further` ones.
    """
    names = (*train.catalog.attributes.names, *train.users.names, *further)
    present = tuple(dict.fromkeys(names))
    if features in ("all", "none"):
        return present if features == "all" else ()
    names = tuple(name.strip() for name in features.split(","))
    for name in names:
        if name not in (*present, *train.catalog.frame.columns):
            raise SettingError(f"features: {no_attribute(name, present)}")
    return names


def known_rows(earlier: Recommender, train: Dataset) -> tuple[I32, I32]:
    """For each user and each item of a training set, the row of an earlier model, or -1.

    Rows of users without ratings there are no more than guesses, and count as none. SettingError
    if there is no item in common: users alone tell nothing of items.
    """
    users = earlier.user_ids.codes(train.ratings.user_ids.values)
    users[earlier.user_counts[users] == 0] = -1
    items = earlier.catalog.ids.codes(train.ratings.item_ids.values)
    if (items < 0).all():
        raise SettingError("warm_start knows none of these items; train without it.")
    return users, items


def attribute_prior(
    interactions: Rows, attributes: Attributes, names: Sequence[str], rows: F32
) -> tuple[FactorMatrix, F32]:
    """The prior fitted to trained rows, and the rows, those without interactions replaced by it."""
    counts = np.diff(interactions.indptr)
    side = FactorMatrix.start(interactions, attributes, names, rows.shape[1], np.sqrt(counts))
    side.rows[:] = rows
    side.update_prior(float(np.sqrt(len(interactions.indices))))
    known = (counts > 0)[:, None]
    return side, np.where(known, rows, side.prior)


RATING_SHARE = 0.5  # of the regularization that would suppress all noise: see docs/defaults.md
RANKING_SHARE = 0.3  # the same for implicit feedback: see docs/defaults.md


def noise_regularization(ratings: Ratings, exponent: float) -> float:
    """A regularization that keeps patterns and suppresses noise, in squared rating units.

    With the penalty ``regularization * (sum_u n_u^v |p_u|^2 + sum_i n_i^v |q_i|^2)``, a matrix
    factorization shrinks every singular value of the residual ratings, each divided by
    ``(n_u n_i)^(v/2)``, by the regularization, and drops those below it (Srebro & Salakhutdinov
    2010; Mazumder, Hastie & Tibshirani 2010). Noise of standard deviation s contributes
    singular values of at most about

        s * (sqrt(mean n_i^(1-v) / n_u^v) + sqrt(mean n_u^(1-v) / n_i^v))

    with means over ratings: the bound of Bandeira & van Handel (2016) for random matrices, typical
    rows in the place of the largest. Patterns a little weaker than that are still worth their
    noise, so a share of it is best. s is the standard deviation of the ratings; v is `exponent`.
    """
    spread = max(float(ratings.values.std(dtype=np.float64)), float(np.finfo(np.float32).eps))
    sides = ratings.by_user, ratings.by_item
    lengths = [np.maximum(np.diff(side.indptr), 1).astype(np.float64) for side in sides]
    return RATING_SHARE * spread * _bound(sides, [length**exponent for length in lengths])


def implicit_noise_regularization(
    sides: tuple[Rows, Rows], prior_weights: tuple[F64, F64]
) -> float:
    """The same for positives by user and by item, of prior weights d_u and d_i; the bound is then

        sqrt(mean sum_i 1 / (d_u d_i)) + sqrt(mean sum_u 1 / (d_u d_i))

    with means over positives of the sums over those of the same row.
    """
    return RANKING_SHARE * _bound(sides, prior_weights)


def _bound(sides: Sequence[Rows], prior_weights: Sequence[F64]) -> float:
    """Both means of row lengths of the matrix whose entries are ``1 / sqrt(d_u d_i)``."""
    lengths = 0.0
    for side, own, others in zip(sides, prior_weights, prior_weights[::-1], strict=True):
        sums = np.empty(len(own))
        inverse = np.divide(1.0, others, out=np.zeros_like(others), where=others > 0)
        run_blocks(
            sum_over_entries, balanced_blocks(side.indptr), side.indptr, side.indices, inverse, sums
        )
        weight = np.divide(np.diff(side.indptr), own, out=np.zeros_like(own), where=own > 0)
        lengths += math.sqrt((weight * sums).sum() / max(1, len(side.indices)))
    return lengths
