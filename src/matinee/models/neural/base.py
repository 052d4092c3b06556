"""What all recipes for gradient descent have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
import torch
from torch import Tensor

from matinee._types import F32
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.kernels.csr import transpose
from matinee.models.als_common import genre_prior
from matinee.models.base import Watch, check_eval_sets, kept_epoch
from matinee.models.implicit_feedback import positives
from matinee.models.network_head import NetworkHead
from matinee.models.neural.checkpoint import Checkpoint
from matinee.models.neural.devices import choose_device, torch_threads
from matinee.models.neural.losses import Loss
from matinee.models.neural.trainer import train as run
from matinee.models.recommender import Recommender
from matinee.models.registry import to_params

if TYPE_CHECKING:
    from matinee.storage.checkpoint import Checkpointed

OPTIMIZERS = ("adam", "sgd", "adagrad", "sparse-adam")
SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True, kw_only=True)
class GradientEstimator:
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

    GROUPS: ClassVar[tuple[str, ...]] = ("factors",)

    def __post_init__(self) -> None:
        at_least(self, epochs=1, batch_size=0, patience=0, seed=0)
        above_zero(self, "learning_rate")
        one_of(self, optimizer=OPTIMIZERS, schedule=SCHEDULES)
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

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
        checkpoint: "Checkpointed | None" = None,
        callback: Watch | None = None,
    ) -> Recommender:
        """Train on `train` and return the model: with a rating head, or with a ranking head.

        Parameters
        ----------
        train : Dataset
        validation, test : Dataset, optional
            Judged after each epoch: for `patience`, and for the history alone. The figure is the
            RMSE, before stars are clipped to the scale; of recipes for lists, the share of
            watched movies that are among the ten best of them and 99 drawn ones.
        threads : int, optional
            Of torch on a CPU.
        checkpoint : Checkpointed, optional
            Where to leave the state, and go on from.
        callback : callable, optional
            Sees each row of the history as it is made; what it raises ends the training.

        Raises
        ------
        SettingError
            If the loss explodes at once, the device cannot be used, or parts do not fit.

        Warns
        -----
        DivergedWarning
            If the loss explodes later.
        """
        evaluated = check_eval_sets(train, self.patience, validation, test)
        with torch_threads(threads):
            module, history = self.trained(train, evaluated, checkpoint, callback)
        return self.model(module, train, history)

    def trained(
        self,
        train: Dataset,
        evaluated: Mapping[str, Dataset],
        checkpoint: "Checkpointed | None",
        callback: Watch | None = None,
    ) -> tuple[Any, pl.DataFrame]:
        """The trained module, and its history."""
        device = choose_device(self.device)
        module = self.start(train, evaluated, checkpoint)
        loss = self.loss(module, train, evaluated, device)
        where = Checkpoint.of(checkpoint, self, train, evaluated) if checkpoint else None
        return module, run(loss, self, f"Training {type(self).__name__}", where, callback)

    def start(
        self, train: Dataset, evaluated: Mapping[str, Dataset], checkpoint: "Checkpointed | None"
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

    def recorded(self) -> dict[str, Any]:
        """Name and settings, as a run notes them: another machine may have another device."""
        return {**to_params(self), "device": "auto"}


def at_least(estimator: Any, **least_of: float) -> None:
    """Refuse settings below these, and parts of whole numbers."""
    for name, least in least_of.items():
        kind = type(estimator).__dataclass_fields__[name].type
        if kind is int and type(getattr(estimator, name)) is not int:
            raise SettingError(f"{name} is a whole number, not {getattr(estimator, name)!r}.")
        if not least <= getattr(estimator, name) < np.inf:
            raise SettingError(f"{name} is at least {least}, not {getattr(estimator, name)}.")


def above_zero(estimator: Any, *names: str) -> None:
    """Refuse settings that are not positive numbers."""
    for name in names:
        if not 0 < getattr(estimator, name) < np.inf:
            raise SettingError(f"{name} is above 0, not {getattr(estimator, name)}.")


def one_of(estimator: Any, **known_of: tuple[str, ...]) -> None:
    """Refuse settings that name nothing known."""
    for name, known in known_of.items():
        if getattr(estimator, name) not in known:
            names = ", ".join(map(repr, known))
            raise SettingError(f"{name} is one of {names}, not {getattr(estimator, name)!r}.")


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
        noise=float(history["train_rmse"][kept_epoch(history, estimator.patience)]) ** 2
        if is_rating
        else 1.0,
        unobserved=float(unobserved),
        min_rating=min_rating,
        estimator=estimator.recorded(),
        history=history,
    )
    return Recommender(
        ratings.user_ids,
        train.catalog,
        ratings.scale,
        ratings.by_user,
        **{"rating_head" if is_rating else "ranking_head": head},  # type: ignore[arg-type]
    )


def as_array(values: Tensor) -> F32:
    """A copy of a tensor, on the CPU."""
    return values.detach().cpu().numpy().copy()
