"""The base class of estimators trained by gradient descent, and the models that networks make."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import torch
from torch import Tensor

from matinee._types import F32
from matinee.data.dataset import Dataset
from matinee.kernels.csr import transpose
from matinee.models.als_common import attribute_prior
from matinee.models.base import FitContext, best_epoch, training_identity
from matinee.models.implicit_feedback import positives
from matinee.models.network_head import NetworkHead
from matinee.models.neural.checkpoint import TrainingCheckpoint
from matinee.models.neural.config import TrainingConfig
from matinee.models.neural.devices import choose_device, torch_threads
from matinee.models.neural.losses import ImplicitLoss, RatingLoss
from matinee.models.neural.trainer import train as run_training
from matinee.models.queries import TrainingIndex
from matinee.models.recommender import Recommender


@dataclass(frozen=True, kw_only=True)
class GradientEstimator(TrainingConfig):
    """An estimator says how its module starts, what its loss is, and which model it becomes."""

    supports_checkpoint = True
    supports_callback = True
    supports_device = True

    loss_class: ClassVar[type[RatingLoss] | type[ImplicitLoss]]  # what the module minimizes

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        with torch_threads(context.threads):
            module, history = self.train_module(train, context)
        return self.build_model(module, train, history)

    def train_module(self, train: Dataset, context: FitContext) -> tuple[Any, pl.DataFrame]:
        """The trained module and its history."""
        device = choose_device(self.device)
        module = self.build_module(train)
        self.pretrain(module, train, context)
        loss = self.loss_class(self, module, train, context.eval_sets, device)
        checkpoint = None
        if given := context.checkpoint:
            folder = Path(given.folder) / self.checkpoint_name
            identity = training_identity(self.to_config(), train, context.eval_sets)
            checkpoint = TrainingCheckpoint(folder, given.every or 1, identity)
        label = f"Training {type(self).__name__}"
        return module, run_training(loss, self, label, checkpoint, context.callback)

    @property
    def checkpoint_name(self) -> str:
        """The folder of its state, below that of the checkpoint."""
        return type(self).__name__.lower()

    def build_module(self, train: Dataset) -> Any:
        """The module with random initial weights, on the CPU."""
        raise NotImplementedError

    def pretrain(self, module: Any, train: Dataset, context: FitContext) -> None:
        """Give the module better initial weights, where there is a way to."""

    def build_model(self, module: Any, train: Dataset, history: pl.DataFrame) -> Recommender:
        """The model that a trained module makes."""
        raise NotImplementedError

    def to_config(self) -> dict[str, Any]:
        """As of any estimator, but for the device: another machine may have another one."""
        return {**super().to_config(), "device": "auto"}


def network_model(
    estimator: GradientEstimator,
    train: Dataset,
    history: pl.DataFrame,
    *,
    embeddings: tuple[Tensor, Tensor],  # (users, width), (items, width)
    item_bias: Tensor | None = None,  # (items, 1)
    layers: Sequence[tuple[Tensor, Tensor]],  # (outputs, inputs), (outputs,)
    widths: list[int],  # see `Network.unpack`
    mean: float = 0.0,
    negatives: int,
    min_rating: float | None,
) -> Recommender:
    """The model of a trained network: with a rating head if training drew no negatives."""
    ratings, is_rating = train.ratings, not negatives
    by_user = ratings.by_user if is_rating else positives(ratings.by_user, min_rating)
    user_params, item_params = (to_numpy(table) for table in embeddings)
    bias = np.zeros((len(item_params), 1), np.float32) if item_bias is None else to_numpy(item_bias)
    is_trained = np.diff(by_user.indptr) > 0
    user_params[~is_trained] = user_params[is_trained].mean(axis=0, dtype=np.float64)
    by_item = transpose(by_user, len(item_params))
    attributes = train.catalog.attributes
    rows = np.hstack([bias, item_params])
    _, item_params = attribute_prior(by_item, attributes, attributes.names, rows)
    noise = 1.0
    if is_rating:
        noise = float(history["train_rmse"][best_epoch(history, estimator.patience)]) ** 2
    head = NetworkHead(
        mean=mean,
        user_params=user_params,
        item_params=np.ascontiguousarray(item_params[:, 1:]),
        item_bias=np.ascontiguousarray(item_params[:, 0]),
        widths=np.array(widths, np.int32),
        dense=to_numpy(torch.cat([tensor.reshape(-1) for layer in layers for tensor in layer])),
        noise=noise,
        negatives=float(negatives),
        min_rating=min_rating,
        estimator=estimator.to_config(),
        history=history,
    )
    return Recommender(
        TrainingIndex.of(train),
        **{"rating_head" if is_rating else "ranking_head": head},  # type: ignore[arg-type]
    )


def to_numpy(values: Tensor) -> F32:
    """A copy of a tensor, on the CPU."""
    return values.detach().cpu().numpy().copy()
