"""Matrix factorization by gradient descent."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from matinee._types import F32, I64
from matinee.data.dataset import Dataset
from matinee.errors import SettingError, shortened
from matinee.models.als_common import attribute_prior
from matinee.models.base import best_epoch
from matinee.models.neural.base import GradientEstimator, to_numpy
from matinee.models.neural.batches import seeded_generator
from matinee.models.neural.losses import RatingLoss
from matinee.models.neural.modules import FactorModule
from matinee.models.neural.optimizers import use_sparse_gradients
from matinee.models.queries import TrainingIndex
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender

MIN_REGULARIZATION = 1e-3  # squared rating units: an overfitted training set leaves no noise


@dataclass(frozen=True, kw_only=True)
class MatrixFactorization(GradientEstimator):
    """``rating = mean + b_u + b_i + p_u . q_i``, or ``p_u . q_i`` alone, by gradient descent.

    Minimizes

        mean over the N ratings of (rating - score)^2
        + regularization / N * sum_u n_u^v |x_u|^2 + regularization / N * sum_i n_i^v |w_i|^2
        + l2 * mean over users of |x_u|^2 + l2 * mean over items of |w_i|^2
        + gravity * mean over all pairs of (p_u . q_i)^2

    with x = [b_u, p_u], w = [b_i, q_i] and n a row's number of ratings. The first two lines are
    what `ALS` minimizes, with all prior means zero; the others are the terms of Google's course.
    Gravity shrinks the scores of unrated pairs to zero; it goes with ``biases=False``. Penalties
    act on a row when a rating uses it, so rows without ratings are not in them. Afterwards, items
    without ratings get the factors that a regression on genres predicts. New users are folded in
    by least squares with a bias, also where training had none. See Koren, Bell & Volinsky 2009
    (model and SGD), Google's recommendation systems course (gravity), Kingma & Ba 2015 (Adam).

    Parameters
    ----------
    factors : int
        Number of latent dimensions.
    biases : bool
        Without biases there is no mean either: the dot product alone predicts the rating.
    init_stddev : float
        Standard deviation of the initial factors.
    regularization : float
        In squared rating units, as that of `ALS`.
    exponent : float
        v above.
    l2, gravity : float
        Weights of the other two terms.
    epochs, batch_size, optimizer, ...
        See `matinee.models.neural.config.TrainingConfig`; weight decay has the groups
        ``"factors"`` and ``"biases"``.

    Examples
    --------
    >>> estimator = matinee.MatrixFactorization(factors=4, epochs=3, device="cpu")
    >>> model = estimator.fit(train, test=test)
    >>> model.history.columns[:5]
    ['head', 'iteration', 'loss', 'train_rmse', 'test_rmse']
    """

    predicts = "rating"
    loss_class = RatingLoss

    factors: int = 64
    biases: bool = True
    init_stddev: float = 0.025
    regularization: float = 1.2
    exponent: float = 0.5
    l2: float = 0.0
    gravity: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(factors=1, regularization=0, exponent=0, l2=0, gravity=0)
        self._check_positive("init_stddev")
        if self.exponent > 1:
            raise SettingError(f"exponent must be <= 1, got {shortened(self.exponent)}.")
        if self.gravity and self.optimizer == "sparse-adam":
            raise SettingError(
                "gravity updates every row, optimizer='sparse-adam' only some; use 'adam'."
            )

    def build_module(self, train: Dataset) -> FactorModule:
        ratings = train.ratings
        n_rows = len(ratings.user_ids) + len(ratings.item_ids)
        return FactorModule(
            factors=self.factors,
            stddev=self.init_stddev,
            generator=seeded_generator(torch.device("cpu"), self.seed),
            user_penalty=self._row_penalty(ratings.user_counts),
            item_penalty=self._row_penalty(ratings.item_counts),
            mean=float(ratings.values.mean(dtype=np.float64)) if self.biases else 0.0,
            biases="both" if self.biases else "none",
            gravity=self.gravity,
            sparse=not self.gravity and use_sparse_gradients(self, n_rows),
        )

    def _row_penalty(self, counts: I64) -> Tensor:
        """Weight of a row's squared length per use, such that the sums are those minimized."""
        n = np.maximum(counts, 1).astype(np.float64)
        from_regularization = self.regularization * n ** (self.exponent - 1)
        from_l2 = self.l2 * counts.sum() / len(counts) / n
        return torch.from_numpy((from_regularization + from_l2).astype(np.float32))

    def build_model(
        self, module: FactorModule, train: Dataset, history: pl.DataFrame
    ) -> Recommender:
        ratings = train.ratings
        user_params, item_params = _params(module, "user"), _params(module, "item")
        is_trained = ratings.user_counts > 0
        prior, exponent = np.zeros_like(user_params[0]), self.exponent
        regularization = self.regularization  # by which new users are folded in
        if not regularization and self.l2:  # the same for every user, as their share of the mean
            regularization, exponent = self.l2 * len(train) / len(user_params), 0.0
        elif not regularization:  # the most probable, if users are a Gaussian sample
            trained = user_params[is_trained]
            prior = trained.mean(axis=0, dtype=np.float64).astype(np.float32)
            variance = float(np.mean((trained[:, 1:] - prior[1:]) ** 2, dtype=np.float64))
            noise = float(history["train_rmse"][best_epoch(history, self.patience)]) ** 2
            regularization = max(noise / variance, MIN_REGULARIZATION) if variance else 1.0
            exponent = 0.0
        user_params[~is_trained] = prior
        attributes = train.catalog.attributes
        items, item_params = attribute_prior(
            ratings.by_item, attributes, attributes.names, item_params
        )
        head = FactorRatingHead(
            mean=module.mean,
            user_params=user_params,
            item_params=item_params,
            user_prior=prior,
            item_prior=items.average_prior,
            user_coefficients=np.empty((0, len(prior)), np.float32),
            regularization=regularization,
            exponent=exponent,
            bias_regularization=regularization,
            bias_exponent=exponent,
            estimator=self.to_config(),
            history=history,
        )
        return Recommender(TrainingIndex.of(train), rating_head=head)


def _params(module: FactorModule, side: str) -> F32:
    """Bias and factors of each row of a side, (rows, 1 + factors); bias 0 where there is none."""
    factors = to_numpy(getattr(module, f"{side}_factors"))
    if module.biases == "none":
        bias = np.zeros((len(factors), 1), np.float32)
    else:
        bias = to_numpy(getattr(module, f"{side}_bias"))
    return np.concatenate([bias, factors], axis=1)
