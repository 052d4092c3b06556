"""Neural collaborative filtering: GMF, MLP, and both as one (He et al. 2017)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import torch

from matinee.data.dataset import Dataset
from matinee.errors import SettingError, check_whole, shortened
from matinee.models.base import FitContext
from matinee.models.implicit_feedback import check_min_rating
from matinee.models.neural.base import GradientEstimator, network_model
from matinee.models.neural.batches import seeded_generator
from matinee.models.neural.losses import ImplicitLoss, RatingLoss
from matinee.models.neural.modules import NCFModule
from matinee.models.neural.optimizers import use_sparse_gradients
from matinee.models.recommender import Recommender

FEEDBACK = ("implicit", "explicit")
WIDEST = 2**20  # layer of a network


@dataclass(frozen=True, kw_only=True)
class NCFEstimator(GradientEstimator):
    """What `GMF`, `MLP` and `NeuMF` have in common."""

    feedback: str = "implicit"
    negatives: int = 4
    min_rating: float | None = None
    init_stddev: float = 0.01
    learning_rate: float = 0.001  # with the weight decay: networks overfit easily
    weight_decay: float | Mapping[str, float] = field(default_factory=lambda: {"factors": 0.1})

    DECAY_GROUPS: ClassVar[tuple[str, ...]] = ("factors", "layers")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(negatives=1)
        self._check_positive("init_stddev")
        self._check_one_of(feedback=FEEDBACK)
        check_min_rating(self.min_rating)
        if "factors" in vars(self):
            self._check_at_least(factors=1)
        if "layers" in vars(self):
            layers = tuple(vars(self)["layers"])  # a list, where a run has it from JSON
            for width in layers:
                check_whole("layers", width, 1, WIDEST)
            if any(type(width) is not int for width in layers):  # but numpy's
                layers = tuple(map(int, layers))
            object.__setattr__(self, "layers", layers)
            if len(layers) < 2 or min(layers) < 1 or layers[0] % 2:
                raise SettingError(
                    "layers must be an even number of inputs, then the outputs of one layer or "
                    f"more, got {shortened(layers)}."
                )

    @property
    def predicts(self) -> str:  # type: ignore[override]
        """A ranking head from implicit feedback, a rating head from ratings."""
        return "ranking" if self.feedback == "implicit" else "rating"

    @property
    def loss_class(self) -> type[RatingLoss] | type[ImplicitLoss]:  # type: ignore[override]
        """By the head that it trains."""
        return RatingLoss if self.predicts == "rating" else ImplicitLoss

    @property
    def widths(self) -> tuple[int, ...]:
        """Length of the embeddings that are multiplied, 0 without; then `layers` of the tower."""
        raise NotImplementedError

    @property
    def checkpoint_name(self) -> str:
        """As of other estimators, with the feedback: a run may have a head from each."""
        return f"{super().checkpoint_name}-{self.feedback}"

    def build_module(self, train: Dataset) -> NCFModule:
        ratings = train.ratings
        n_users, n_items = len(ratings.user_ids), len(ratings.item_ids)
        mean = float(ratings.values.mean(dtype=np.float64)) if self.predicts == "rating" else 0.0
        return NCFModule(
            n_users,
            n_items,
            factors=self.widths[0],
            layers=self.widths[1:],
            mean=mean,
            stddev=self.init_stddev,
            generator=seeded_generator(torch.device("cpu"), self.seed),
            sparse=use_sparse_gradients(self, n_users + n_items),
        )

    def build_model(self, module: NCFModule, train: Dataset, history: pl.DataFrame) -> Recommender:
        return network_model(
            self,
            train,
            history,
            embeddings=module.embeddings(),
            layers=[*module.tower(), (module.output, module.output_bias)],
            widths=list(self.widths),
            mean=module.mean,
            negatives=self.negatives if self.predicts == "ranking" else 0,
            min_rating=self.min_rating,
        )


@dataclass(frozen=True, kw_only=True)
class GMF(NCFEstimator):
    """Generalized matrix factorization: ``score = output . (g_u * g_i) + bias``.

    He, Liao, Zhang, Nie, Hu & Chua 2017, "Neural collaborative filtering", section 3.2.

    Parameters
    ----------
    factors : int
        Length of the embeddings g.
    feedback : {"implicit", "explicit"}
        Tell positives from drawn negatives, which makes a ranking head, or predict ratings.
    negatives : int
        Items drawn for each positive among those that are not, anew in every epoch (implicit).
    min_rating : float or None
        The least rating that counts as positive; None: every rating (implicit).
    init_stddev : float
        Standard deviation of the initial embeddings.
    epochs, batch_size, optimizer, ...
        See `matinee.models.neural.config.TrainingConfig`; weight decay has the groups
        ``"factors"`` and ``"layers"``.

    Examples
    --------
    >>> matinee.GMF(factors=4, epochs=2, device="cpu").fit(data).recommend(1, n=2).columns
    ['item_id', 'title', 'genres', 'score']
    """

    factors: int = 32
    learning_rate: float = 0.002
    weight_decay: float | Mapping[str, float] = field(default_factory=lambda: {"factors": 0.06})

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.factors,)


@dataclass(frozen=True, kw_only=True)
class MLP(NCFEstimator):
    """A score that a tower of layers computes from the embeddings of a user and an item.

    He et al. 2017, section 3.3.

    Parameters
    ----------
    layers : tuple of int
        Inputs of the tower (half of them the user's embedding, half the item's), then the outputs
        of each layer.
    feedback, negatives, min_rating, init_stddev, epochs, batch_size, optimizer, ...
        See `GMF`.

    Examples
    --------
    >>> estimator = matinee.MLP(layers=(8, 4), epochs=2, feedback="explicit", device="cpu")
    >>> estimator.fit(data).predict(1, 2).shape
    (1,)
    """

    layers: tuple[int, ...] = (128, 64, 32)

    @property
    def widths(self) -> tuple[int, ...]:
        return (0, *self.layers)


@dataclass(frozen=True, kw_only=True)
class NeuMF(NCFEstimator):
    """GMF and MLP in one network, with embeddings of their own and one output layer.

    He et al. 2017, section 3.4.

    Parameters
    ----------
    factors : int
        Length of the embeddings of the GMF half.
    layers : tuple of int
        As in `MLP`.
    pretrain_epochs : int
        Train `GMF` and `MLP` for this many epochs first, with Adam, and start from both, their
        output layers weighed by a half each; 0 starts from random weights. If `optimizer`, which
        is that of the whole network, is ``"sgd"`` then, only the pretraining has weight decay.
    feedback, negatives, min_rating, init_stddev, epochs, batch_size, optimizer, ...
        See `GMF`.

    Examples
    --------
    >>> estimator = matinee.NeuMF(layers=(8, 4), epochs=2, pretrain_epochs=1, device="cpu")
    >>> estimator.fit(data).scores(1).shape
    (50,)
    """

    factors: int = 32
    layers: tuple[int, ...] = (128, 64, 32)
    pretrain_epochs: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(pretrain_epochs=0)

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.factors, *self.layers)

    def weight_decay_of(self, group: str) -> float:
        """Weight decay of a group of parameters: none by SGD after pretraining."""
        if self.pretrain_epochs and self.optimizer == "sgd":
            return 0.0
        return super().weight_decay_of(group)

    def pretrain(self, module: NCFModule, train: Dataset, context: FitContext) -> None:
        """Start from trained halves, if there are `pretrain_epochs`."""
        if not self.pretrain_epochs:
            return
        names = {field.name for field in fields(NCFEstimator)} - {"epochs", "optimizer"}
        shared = {name: getattr(self, name) for name in names}
        shared["epochs"] = self.pretrain_epochs
        checkpoint = context.checkpoint
        if checkpoint:
            checkpoint = replace(checkpoint, folder=Path(checkpoint.folder) / "neumf-halves")
        context = replace(context, checkpoint=checkpoint, callback=None)
        halves = GMF(factors=self.factors, **shared), MLP(layers=self.layers, **shared)
        gmf, mlp = (half.train_module(train, context)[0].cpu().state_dict() for half in halves)
        weights = {**gmf, **mlp}
        weights["output"] = torch.cat([gmf["output"], mlp["output"]], dim=1) / 2
        weights["output_bias"] = (gmf["output_bias"] + mlp["output_bias"]) / 2
        module.load_state_dict(weights)
