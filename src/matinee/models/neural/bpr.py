"""Bayesian personalized ranking."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import polars as pl
import torch

from matinee.data.dataset import Dataset
from matinee.models.implicit_feedback import check_min_rating
from matinee.models.neural.base import GradientEstimator, network_model
from matinee.models.neural.batches import generator_of
from matinee.models.neural.losses import Loss, OrderTask, lists_task
from matinee.models.neural.modules import Factorization
from matinee.models.neural.optimizers import wants_sparse
from matinee.models.recommender import Recommender
from matinee.storage.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class BPR(GradientEstimator):
    """Recipe for lists by ``score = b_i + p_u . q_i``, where watched movies come before others.

    Minimized is the mean over a user's watched movies i, and drawn unwatched ones j, of

        -log sigmoid(score(u, i) - score(u, j))
        + regularization * (2 |p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2)

    Parameters
    ----------
    factors : int
        Length of a vector.
    regularization : float
    negatives : int
        Unwatched movies drawn for each watched one, anew in every epoch.
    min_rating : float or None
        Least stars of what counts as watched; None: every rating.
    init_stddev : float
    epochs, batch_size, optimizer and the rest
        See `GradientEstimator`; weight decay has the groups ``"factors"`` and ``"biases"``.

    Notes
    -----
    Rendle, Freudenthaler, Gantner & Schmidt-Thieme 2009, "BPR: Bayesian Personalized Ranking from
    Implicit Feedback".

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> BPR(factors=4, epochs=2, device="cpu").fit(data).recommend(1, n=2).columns
    ['item_id', 'title', 'genres', 'score']
    """

    predicts = "ranking"

    factors: int = 64
    regularization: float = 0.005
    negatives: int = 2
    min_rating: float | None = None
    init_stddev: float = 0.05

    GROUPS: ClassVar[tuple[str, ...]] = ("factors", "biases")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(factors=1, regularization=0, negatives=1)
        self._check_positive("init_stddev")
        check_min_rating(self.min_rating)

    def start(
        self, train: Dataset, evaluated: Mapping[str, Dataset], checkpoint: Checkpoint | None
    ) -> Factorization:
        """See `GradientEstimator.start`."""
        sides = len(train.ratings.user_ids), len(train.ratings.item_ids)
        generator = generator_of(torch.device("cpu"), self.seed)
        users, items = (
            self.init_stddev * torch.randn(rows, self.factors, generator=generator)
            for rows in sides
        )
        user_weights, item_weights = (
            torch.full((rows,), float(self.regularization)) for rows in sides
        )
        return Factorization(
            users,
            items,
            biases="items",
            user_weights=user_weights,
            item_weights=item_weights,
            sparse=wants_sparse(self, sum(sides)),
        )

    def loss(
        self,
        module: Factorization,
        train: Dataset,
        evaluated: Mapping[str, Dataset],
        device: torch.device,
    ) -> Loss:
        """See `GradientEstimator.loss`."""
        return lists_task(OrderTask, self, module, train, evaluated, device)

    def model(self, module: Factorization, train: Dataset, history: pl.DataFrame) -> Recommender:
        """See `GradientEstimator.model`."""
        return network_model(
            self,
            train,
            history,
            tables=(module.user_factors, module.item_factors),
            item_bias=module.item_bias,
            layers=[(torch.ones(1, self.factors), torch.zeros(1))],
            widths=[self.factors],
            unobserved=self.negatives,
            min_rating=self.min_rating,
        )
