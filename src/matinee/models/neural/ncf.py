"""Neural collaborative filtering: GMF, MLP, and both as one (He et al. 2017)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import torch

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.models.implicit_feedback import check_min_rating
from matinee.models.neural.base import (
    GradientEstimator,
    network_model,
)
from matinee.models.neural.batches import generator_of
from matinee.models.neural.losses import ImplicitLoss, Loss, lists_task, rating_loss
from matinee.models.neural.modules import Collaborative
from matinee.models.neural.optimizers import wants_sparse
from matinee.models.recommender import Recommender
from matinee.storage.checkpoint import Checkpoint

FEEDBACK = ("implicit", "explicit")


@dataclass(frozen=True, kw_only=True)
class CollaborativeEstimator(GradientEstimator):
    """What `GMF`, `MLP` and `NeuMF` have in common.

    Parameters
    ----------
    feedback : {"implicit", "explicit"}
        Learn who watches what, by binary cross-entropy against drawn unwatched movies, and end in
        a ranking head; or learn stars, by squared error, and end in a rating head.
    negatives : int
        Unwatched movies drawn for each watched one (implicit).
    min_rating : float or None
        Least stars of what counts as watched; None: every rating (implicit).
    init_stddev : float
        Of the first entries of all vectors.
    learning_rate, weight_decay : float
        Lower and higher by default than of other recipes: networks learn by heart otherwise.
    """

    feedback: str = "implicit"
    negatives: int = 4
    min_rating: float | None = None
    init_stddev: float = 0.01
    learning_rate: float = 0.001
    weight_decay: float | Mapping[str, float] = field(default_factory=lambda: {"factors": 0.1})

    GROUPS: ClassVar[tuple[str, ...]] = ("factors", "layers")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(negatives=1)
        self._check_positive("init_stddev")
        self._check_one_of(feedback=FEEDBACK)
        check_min_rating(self.min_rating)
        factors, layers = self.shape()
        if "factors" in vars(self) and factors < 1:
            raise SettingError(f"factors is at least 1, not {factors}.")
        if "layers" in vars(self):
            object.__setattr__(self, "layers", tuple(layers))  # a list, where a run noted it
            if len(layers) < 2 or min(layers) < 1 or layers[0] % 2:
                raise SettingError(
                    "layers are the inputs of the tower, an even number, and the outputs of at "
                    f"least one layer, not {layers}."
                )

    @property
    def predicts(self) -> str:  # type: ignore[override]
        """A ranking head from implicit feedback, a rating head from ratings."""
        return "ranking" if self.feedback == "implicit" else "rating"

    def shape(self) -> tuple[int, tuple[int, ...]]:
        """Length of the vectors that are multiplied, and the tower; 0 or () where it has none."""
        raise NotImplementedError

    def start(
        self, train: Dataset, evaluated: Mapping[str, Dataset], checkpoint: Checkpoint | None
    ) -> Collaborative:
        """The module before the first step."""
        ratings = train.ratings
        users, items = len(ratings.user_ids), len(ratings.item_ids)
        factors, layers = self.shape()
        explicit = self.feedback == "explicit"
        return Collaborative(
            users,
            items,
            factors=factors,
            layers=layers,
            mean=float(ratings.values.mean(dtype=np.float64)) if explicit else 0.0,
            stddev=self.init_stddev,
            generator=generator_of(torch.device("cpu"), self.seed),
            sparse=wants_sparse(self, users + items),
        )

    def loss(
        self,
        module: Collaborative,
        train: Dataset,
        evaluated: Mapping[str, Dataset],
        device: torch.device,
    ) -> Loss:
        """See `GradientEstimator.loss`."""
        if self.feedback == "explicit":
            return rating_loss(self, module, train, evaluated, device)
        return lists_task(ImplicitLoss, self, module, train, evaluated, device)

    def model(self, module: Collaborative, train: Dataset, history: pl.DataFrame) -> Recommender:
        """See `GradientEstimator.model`."""
        return network_model(
            self,
            train,
            history,
            tables=module.tables(),
            layers=[*module.tower(), (module.output, module.output_bias)],
            widths=[module.factors, *module.layers],
            mean=module.mean,
            unobserved=self.negatives if self.feedback == "implicit" else 0,
            min_rating=self.min_rating,
        )


@dataclass(frozen=True, kw_only=True)
class GMF(CollaborativeEstimator):
    """Recipe for ``score = output . (g_u * g_i) + bias``: generalized matrix factorization.

    Parameters
    ----------
    factors : int
        Length of a vector.
    feedback, negatives, liked, init_stddev
        ``"implicit"`` learns who watches what, ``"explicit"`` stars; see `CollaborativeEstimator`.
    epochs, batch_size, optimizer and the rest
        See `GradientEstimator`; weight decay has the groups ``"factors"`` and ``"layers"``.

    Notes
    -----
    He, Liao, Zhang, Nie, Hu & Chua 2017, "Neural collaborative filtering", section 3.2.

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> GMF(factors=4, epochs=2, device="cpu").fit(data).recommend(1, n=2).columns
    ['item_id', 'title', 'genres', 'score']
    """

    factors: int = 32
    learning_rate: float = 0.002
    weight_decay: float | Mapping[str, float] = field(default_factory=lambda: {"factors": 0.06})

    def shape(self) -> tuple[int, tuple[int, ...]]:
        """See `CollaborativeEstimator.shape`."""
        return self.factors, ()


@dataclass(frozen=True, kw_only=True)
class MLP(CollaborativeEstimator):
    """Recipe for a score that a tower of layers makes of both vectors.

    Parameters
    ----------
    layers : tuple of int
        Inputs of the tower (half of them a user's vector, half a movie's), then the outputs of
        each layer.
    feedback, negatives, liked, init_stddev
        See `CollaborativeEstimator`.
    epochs, batch_size, optimizer and the rest
        See `GradientEstimator`.

    Notes
    -----
    He et al. 2017, section 3.3.

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> estimator = MLP(layers=(8, 4), epochs=2, feedback="explicit", device="cpu")
    >>> estimator.fit(data).predict(1, 2).shape
    (1,)
    """

    layers: tuple[int, ...] = (128, 64, 32)

    def shape(self) -> tuple[int, tuple[int, ...]]:
        """See `CollaborativeEstimator.shape`."""
        return 0, self.layers


@dataclass(frozen=True, kw_only=True)
class NeuMF(CollaborativeEstimator):
    """Recipe for GMF and MLP in one network, with vectors of their own and one output layer.

    Parameters
    ----------
    factors : int
        Length of a vector in the GMF half.
    layers : tuple of int
        As in `MLP`.
    pretrain_epochs : int
        Train `GMF` and `MLP` for so many epochs first, with Adam, and start from both, their
        output layers weighed by a half each; 0 starts from nothing. Weight decay is theirs alone
        then; `optimizer` is that of the network.
    feedback, negatives, liked, init_stddev
        See `CollaborativeEstimator`.
    epochs, batch_size, optimizer and the rest
        See `GradientEstimator`.

    Notes
    -----
    He et al. 2017, section 3.4.

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> estimator = NeuMF(factors=4, layers=(8, 4), epochs=2, pretrain_epochs=1, device="cpu")
    >>> estimator.fit(data).scores(1).shape
    (50,)
    """

    factors: int = 32
    layers: tuple[int, ...] = (128, 64, 32)
    pretrain_epochs: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(pretrain_epochs=0)

    def shape(self) -> tuple[int, tuple[int, ...]]:
        """See `CollaborativeEstimator.shape`."""
        return self.factors, self.layers

    def decay_of(self, group: str) -> float:
        """Weight decay of a group of parameters: none by SGD where the halves are trained first."""
        alone = self.pretrain_epochs and self.optimizer == "sgd"
        return 0.0 if alone else super().decay_of(group)

    def start(
        self, train: Dataset, evaluated: Mapping[str, Dataset], checkpoint: Checkpoint | None
    ) -> Collaborative:
        """The module before the first step, from both halves if they are trained first."""
        module = super().start(train, evaluated, checkpoint)
        if not self.pretrain_epochs:
            return module
        shared = {
            one.name: getattr(self, one.name)
            for one in fields(CollaborativeEstimator)
            if one.name not in ("epochs", "optimizer")
        } | {"epochs": self.pretrain_epochs}
        halves = GMF(factors=self.factors, **shared), MLP(layers=self.layers, **shared)
        if checkpoint:
            checkpoint = replace(checkpoint, folder=Path(checkpoint.folder) / "neumf-halves")
        learned = [
            half.trained(train, evaluated, checkpoint)[0].cpu().state_dict() for half in halves
        ]
        joined = {name: value for half in learned for name, value in half.items()}
        joined["output"] = torch.cat([half["output"] for half in learned], dim=1) / 2
        joined["output_bias"] = (learned[0]["output_bias"] + learned[1]["output_bias"]) / 2
        module.load_state_dict(joined)
        return module
