"""What all recipes for gradient descent have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
import torch
from torch import Tensor

from matinee._types import F32
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.kernels.csr import transpose
from matinee.models.als_common import genre_prior
from matinee.models.base import Callback, Estimator, FitContext, best_epoch
from matinee.models.implicit_feedback import positives
from matinee.models.network_head import NetworkHead
from matinee.models.neural.checkpoint import TrainingCheckpoint
from matinee.models.neural.devices import choose_device, torch_threads
from matinee.models.neural.losses import Loss
from matinee.models.neural.trainer import train as run
from matinee.models.queries import TrainingIndex
from matinee.models.recommender import Recommender
from matinee.storage.checkpoint import Checkpoint

OPTIMIZERS = ("adam", "sgd", "adagrad", "sparse-adam")
SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True, kw_only=True)
class GradientEstimator(Estimator):
    """Settings of gradient descent, which every recipe of this room has.

    Parameters
    ----------
    epochs : int
        Passes over the training ratings.
    batch_size : int
        Examples of a step; 0 is all of them (gradient descent proper).
    optimizer : {"adam", "sgd", "adagrad", "sparse-adam"}
        Adam with decoupled weight decay (Loshchilov & Hutter 2019); plain SGD; Adagrad; Adam that
        touches, of the embeddings, only the rows in the batch, for tables much larger than one.
        SGD and Adagrad skip the other rows by themselves where that changes nothing.
    learning_rate : float
        At the start.
    schedule : {"constant", "linear", "cosine"}
        How the learning rate falls to zero over all steps.
    weight_decay : float or mapping of str to float
        For all parameters, or by group (``"factors"``, ``"biases"``, ``"layers"``).
    patience : int
        Stop when the figure of the validation part has not improved for so many epochs, and
        restore the best weights; 0 runs all epochs. Needs `validation` in `fit`.
    amp : bool
        Matrix products in bfloat16: networks gain by it on GPUs. Embeddings stay float32.
    device : str
        ``"auto"`` picks CUDA, else MPS, else the CPU.
    seed : int
        On a CPU, the same seed and number of threads give the same model to the last bit.
    """

    epochs: int = 20
    batch_size: int = 1024
    optimizer: str = "adam"
    learning_rate: float = 0.005
    schedule: str = "cosine"
    weight_decay: float | Mapping[str, float] = 0.0
    patience: int = 0
    amp: bool = False
    device: str = "auto"
    seed: int = 0

    supports_checkpoint = True
    supports_callback = True
    supports_device = True
    GROUPS: ClassVar[tuple[str, ...]] = ("factors",)

    def __post_init__(self) -> None:
        self._check_at_least(epochs=1, batch_size=0, patience=0, seed=0)
        self._check_positive("learning_rate")
        self._check_one_of(optimizer=OPTIMIZERS, schedule=SCHEDULES)
        decay = self.weight_decay
        if isinstance(decay, Mapping):
            unknown = [name for name in decay if name not in self.GROUPS]
            if unknown:
                raise SettingError(
                    f"weight_decay has groups {', '.join(self.GROUPS)}, not {unknown[0]!r}."
                )
        decays = list(decay.values()) if isinstance(decay, Mapping) else [decay]
        if not all(0 <= value < np.inf for value in decays):
            raise SettingError(f"weight_decay is 0 or more, not {decay}.")
        if self.optimizer == "sparse-adam" and any(decays):
            raise SettingError("sparse-adam has no weight decay: set weight_decay=0, or use adam.")

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        with torch_threads(context.threads):
            module, history = self.trained(
                train, context.eval_sets, context.checkpoint, context.callback
            )
        return self.model(module, train, history)

    def trained(
        self,
        train: Dataset,
        evaluated: Mapping[str, Dataset],
        checkpoint: Checkpoint | None,
        callback: Callback | None = None,
    ) -> tuple[Any, pl.DataFrame]:
        """The trained module, and its history."""
        device = choose_device(self.device)
        module = self.start(train, evaluated, checkpoint)
        loss = self.loss(module, train, evaluated, device)
        where = TrainingCheckpoint.of(checkpoint, self, train, evaluated) if checkpoint else None
        return module, run(loss, self, f"Training {type(self).__name__}", where, callback)

    def start(
        self, train: Dataset, evaluated: Mapping[str, Dataset], checkpoint: Checkpoint | None
    ) -> Any:
        """The module before the first step."""
        raise NotImplementedError

    def loss(
        self, module: Any, train: Dataset, evaluated: Mapping[str, Dataset], device: torch.device
    ) -> Loss:
        """What the module is to learn."""
        raise NotImplementedError

    def model(self, module: Any, train: Dataset, history: pl.DataFrame) -> Recommender:
        """The model that a trained module makes."""
        raise NotImplementedError

    def decay_of(self, group: str) -> float:
        """Weight decay of a group of parameters."""
        if isinstance(self.weight_decay, Mapping):
            return float(self.weight_decay.get(group, 0.0))
        return float(self.weight_decay)

    def rate_at(self, done: float) -> float:
        """The learning rate when a share of all steps is done."""
        left = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + np.cos(np.pi * done)) / 2}
        return self.learning_rate * float(left[self.schedule])

    def to_config(self) -> dict[str, Any]:
        """As of any estimator, but for the device: another machine may have another one."""
        return {**super().to_config(), "device": "auto"}


def network_model(
    estimator: "GradientEstimator",
    train: Dataset,
    history: pl.DataFrame,
    *,
    tables: tuple[Tensor, Tensor],
    item_bias: Tensor | None = None,
    layers: Sequence[tuple[Tensor, Tensor]],
    widths: list[int],
    mean: float = 0.0,
    unobserved: int,
    min_rating: float | None,
) -> Recommender:
    """The model of a trained network: with a rating head if nothing unobserved was drawn.

    Parameters
    ----------
    estimator : GradientEstimator
    train : Dataset
    history : polars.DataFrame
    tables : tensors (users, width), (items, width)
    item_bias : tensor (items, 1), optional
    layers : sequence of tensors (outputs, inputs), (outputs,)
        Of the tower, and the output layer.
    widths : list of int
        See `Network.unpack`.
    mean : float
    unobserved : int
    min_rating : float or None
    """
    ratings, is_rating = train.ratings, not unobserved
    watched = ratings.by_user if is_rating else positives(ratings.by_user, min_rating)
    user_params, item_params = (as_array(table) for table in tables)
    bias = np.zeros((len(item_params), 1), np.float32) if item_bias is None else as_array(item_bias)
    known = np.diff(watched.indptr) > 0
    user_params[~known] = user_params[known].mean(axis=0, dtype=np.float64)
    of_items = transpose(watched, len(item_params))
    _, linked = genre_prior(of_items, train.catalog, np.hstack([bias, item_params]))
    head = NetworkHead(
        mean=mean,
        user_params=user_params,
        item_params=np.ascontiguousarray(linked[:, 1:]),
        item_bias=np.ascontiguousarray(linked[:, 0]),
        widths=np.array(widths, np.int32),
        dense=as_array(torch.cat([part.reshape(-1) for layer in layers for part in layer])),
        noise=float(history["train_rmse"][best_epoch(history, estimator.patience)]) ** 2
        if is_rating
        else 1.0,
        unobserved=float(unobserved),
        min_rating=min_rating,
        estimator=estimator.to_config(),
        history=history,
    )
    return Recommender(
        TrainingIndex.of(train),
        **{"rating_head" if is_rating else "ranking_head": head},  # type: ignore[arg-type]
    )


def as_array(values: Tensor) -> F32:
    """A copy of a tensor, on the CPU."""
    return values.detach().cpu().numpy().copy()
