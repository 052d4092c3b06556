"""Matrix factorization by gradient descent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
import torch
from torch import Tensor

from matinee._types import F32, I64
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.models.als_common import genre_prior
from matinee.models.base import best_epoch
from matinee.models.neural.base import GradientEstimator, as_array
from matinee.models.neural.batches import generator_of
from matinee.models.neural.losses import Loss, rating_loss
from matinee.models.neural.modules import Factorization
from matinee.models.neural.optimizers import wants_sparse
from matinee.models.queries import TrainingIndex
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender
from matinee.storage.checkpoint import Checkpoint

LEAST_RIDGE = 1e-3  # squared stars: a training part that is learned by heart leaves none


@dataclass(frozen=True, kw_only=True)
class MatrixFactorization(GradientEstimator):
    """Recipe for ``values = mean + b_u + b_i + p_u . q_i``, or ``p_u . q_i``, by gradient descent.

    Minimized is

        mean over the N ratings of (stars - score)^2
        + regularization / N * sum_u n_u^v |x_u|^2 + regularization / N * sum_i n_i^v |w_i|^2
        + l2 * mean over users of |x_u|^2 + l2 * mean over movies of |w_i|^2
        + gravity * mean over all pairs of (p_u . q_i)^2

    with x = [b_u, p_u], w = [b_i, q_i] and n a row's number of ratings. The first two lines are
    what `ALS` minimizes, with all prior means zero; the others are the terms of Google's course.
    Gravity pulls the scores of pairs that nobody rated to zero; it goes with ``biases=False``.
    Penalties act on a row when a rating uses it, so rows without ratings are not in them.
    Afterwards, movies without ratings get what the learned vectors say of their genres. Somebody
    new is solved by least squares with a bias, also where training had none.

    Parameters
    ----------
    factors : int
        Length of a vector.
    biases : bool
        Without them there is no mean either: the dot product alone is the stars.
    init_stddev : float
        Of the first entries of all vectors.
    regularization : float
        In squared stars, as that of `ALS`.
    exponent : float
        v above.
    l2, gravity : float
        Of the other two terms.
    epochs, batch_size, optimizer and the rest
        See `GradientEstimator`; weight decay has the groups ``"factors"`` and ``"biases"``.

    Notes
    -----
    Koren, Bell & Volinsky 2009 (model and SGD); Google's recommendation systems course (gravity);
    Kingma & Ba 2015 (Adam).

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> estimator = MatrixFactorization(factors=4, epochs=3, device="cpu")
    >>> model = estimator.fit(train, test=test)
    >>> model.history.columns[:5]
    ['head', 'iteration', 'loss', 'train_rmse', 'test_rmse']
    """

    predicts = "rating"

    factors: int = 64
    biases: bool = True
    init_stddev: float = 0.025
    regularization: float = 1.2
    exponent: float = 0.5
    l2: float = 0.0
    gravity: float = 0.0

    GROUPS: ClassVar[tuple[str, ...]] = ("factors", "biases")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(factors=1, regularization=0, exponent=0, l2=0, gravity=0)
        self._check_positive("init_stddev")
        if self.exponent > 1:
            raise SettingError(f"exponent lies between 0 and 1, not at {self.exponent}.")
        if self.gravity and self.optimizer == "sparse-adam":
            raise SettingError("gravity moves every row, and sparse-adam only some; use adam.")

    def start(
        self, train: Dataset, evaluated: Mapping[str, Dataset], checkpoint: Checkpoint | None
    ) -> Factorization:
        """See `GradientEstimator.start`."""
        ratings = train.ratings
        counts = ratings.user_counts, ratings.item_counts
        generator = generator_of(torch.device("cpu"), self.seed)
        users, items = (
            self.init_stddev * torch.randn(len(count), self.factors, generator=generator)
            for count in counts
        )
        sparse = not self.gravity and wants_sparse(self, len(users) + len(items))
        user_weights, item_weights = (self._weights(count) for count in counts)
        return Factorization(
            users,
            items,
            mean=float(ratings.values.mean(dtype=np.float64)) if self.biases else 0.0,
            biases="both" if self.biases else "none",
            gravity=self.gravity,
            user_weights=user_weights,
            item_weights=item_weights,
            sparse=sparse,
        )

    def _weights(self, counts: I64) -> Tensor:
        """Weight of each row's squared length whenever a rating uses it, so that sums are right."""
        n = np.maximum(counts, 1).astype(np.float64)
        by_ratings = self.regularization * n ** (self.exponent - 1)
        by_rows = self.l2 * counts.sum() / len(counts) / n
        return torch.from_numpy((by_ratings + by_rows).astype(np.float32))

    def loss(
        self,
        module: Factorization,
        train: Dataset,
        evaluated: Mapping[str, Dataset],
        device: torch.device,
    ) -> Loss:
        """See `GradientEstimator.loss`."""
        return rating_loss(self, module, train, evaluated, device)

    def model(self, module: Factorization, train: Dataset, history: pl.DataFrame) -> Recommender:
        """See `GradientEstimator.model`."""
        ratings = train.ratings
        user_params, item_params = (
            np.concatenate([bias, factors], axis=1)
            for bias, factors in (
                (_bias(module, "user"), as_array(module.user_factors)),
                (_bias(module, "item"), as_array(module.item_factors)),
            )
        )
        known = ratings.user_counts > 0
        prior, ridge, exponent = np.zeros_like(user_params[0]), self.regularization, self.exponent
        if not ridge and self.l2:  # the same for every user, as their share of the mean
            ridge, exponent = self.l2 * len(train) / len(user_params), 0.0
        elif not ridge:  # what is most probable, if users are a Gaussian sample of people
            prior = user_params[known].mean(axis=0, dtype=np.float64).astype(np.float32)
            spread = float(np.mean((user_params[known, 1:] - prior[1:]) ** 2, dtype=np.float64))
            noise = float(history["train_rmse"][best_epoch(history, self.patience)]) ** 2
            ridge, exponent = max(noise / spread, LEAST_RIDGE) if spread else 1.0, 0.0
        user_params[~known] = prior
        link, item_params = genre_prior(ratings.by_item, train.catalog, item_params)
        head = FactorRatingHead(
            mean=module.mean,
            user_params=user_params,
            item_params=item_params,
            user_prior=prior,
            item_prior=link,
            regularization=ridge,
            exponent=exponent,
            estimator=self.to_config(),
            history=history,
        )
        return Recommender(TrainingIndex.of(train), rating_head=head)


def _bias(module: Factorization, side: str) -> F32:
    """Biases of a side, (rows, 1); zeros without."""
    if module.biases == "none":
        return np.zeros((len(getattr(module, f"{side}_factors")), 1), np.float32)
    return as_array(getattr(module, f"{side}_bias"))
