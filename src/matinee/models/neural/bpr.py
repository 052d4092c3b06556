"""Bayesian personalized ranking."""

from dataclasses import dataclass

import polars as pl
import torch

from matinee.data.dataset import Dataset
from matinee.models.implicit_feedback import check_min_rating
from matinee.models.neural.base import GradientEstimator, network_model
from matinee.models.neural.batches import seeded_generator
from matinee.models.neural.losses import BPRLoss
from matinee.models.neural.modules import FactorModule
from matinee.models.neural.optimizers import use_sparse_gradients
from matinee.models.recommender import Recommender


@dataclass(frozen=True, kw_only=True)
class BPR(GradientEstimator):
    """Bayesian personalized ranking: positives before others, by ``score = b_i + p_u . q_i``.

    Minimizes the mean over a user's positives i, and drawn negatives j, of

        -log sigmoid(score(u, i) - score(u, j))
        + regularization * (2 |p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2)

    (Rendle, Freudenthaler, Gantner & Schmidt-Thieme 2009, "BPR: Bayesian Personalized Ranking from
    Implicit Feedback").

    Parameters
    ----------
    factors : int
        Number of latent dimensions.
    regularization : float
    negatives : int
        Items drawn for each positive among those that are not, anew in every epoch.
    min_rating : float or None
        The least rating that counts as positive; None: every rating.
    init_stddev : float
        Standard deviation of the initial factors.
    epochs, batch_size, optimizer, ...
        See `matinee.models.neural.config.TrainingConfig`; weight decay has the groups
        ``"factors"`` and ``"biases"``.

    Examples
    --------
    >>> matinee.BPR(factors=4, epochs=2, device="cpu").fit(data).recommend(1, n=2).columns
    ['item_id', 'title', 'genres', 'score']
    """

    predicts = "ranking"
    loss_class = BPRLoss

    factors: int = 64
    regularization: float = 0.005
    negatives: int = 2
    min_rating: float | None = None
    init_stddev: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(factors=1, regularization=0, negatives=1)
        self._check_positive("init_stddev")
        check_min_rating(self.min_rating)

    def build_module(self, train: Dataset) -> FactorModule:
        sizes = len(train.ratings.user_ids), len(train.ratings.item_ids)
        user_penalty, item_penalty = (torch.full((n,), float(self.regularization)) for n in sizes)
        return FactorModule(
            factors=self.factors,
            stddev=self.init_stddev,
            generator=seeded_generator(torch.device("cpu"), self.seed),
            user_penalty=user_penalty,
            item_penalty=item_penalty,
            biases="items",
            sparse=use_sparse_gradients(self, sum(sizes)),
        )

    def build_model(
        self, module: FactorModule, train: Dataset, history: pl.DataFrame
    ) -> Recommender:
        return network_model(
            self,
            train,
            history,
            embeddings=(module.user_factors, module.item_factors),
            item_bias=module.item_bias,
            layers=[(torch.ones(1, self.factors), torch.zeros(1))],
            widths=[self.factors],
            negatives=self.negatives,
            min_rating=self.min_rating,
        )
