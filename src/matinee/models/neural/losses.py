"""What training minimizes: the loss of a batch, and the metrics after an epoch."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee._types import Array
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, row_of_entries
from matinee.models.implicit_feedback import positives, user_positives
from matinee.models.neural.batches import NegativeSampler, ShuffledBatches, seeded_generator
from matinee.models.neural.config import TrainingConfig
from matinee.models.neural.modules import Scorer

EVAL_NEGATIVES = 99  # drawn items that a positive is ranked among
MAX_EVAL_POSITIVES = 10_000  # that are ranked
MAX_PAIRS = 1_000_000  # scored at a time

Batch = tuple[Tensor, ...]
EvalSets = Mapping[str, Dataset]


class RatingLoss:
    """Predict ratings: mean squared error. Predictions are not clipped to the scale."""

    metric, higher_is_better = "rmse", False  # of the validation set, for early stopping

    def __init__(
        self,
        config: TrainingConfig,
        module: Scorer,
        train: Dataset,
        eval_sets: EvalSets,
        device: torch.device,
    ) -> None:
        self.module = module.to(device)
        scale = train.ratings.known_scale
        # of a model that knows nothing: far above it training has diverged
        self.chance_loss = (scale.high - scale.low) ** 2 or 1.0  # always off by the whole scale
        self.batches = ShuffledBatches(_columns(train, device), config.batch_size, config.seed)
        self.eval_sets = {name: _columns(data, device) for name, data in eval_sets.items()}

    def __call__(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What is minimized, and the same without penalties: means over a batch, ()."""
        user, item, rating = batch
        score, penalty = self.module(user, item)
        error = (score - rating).square().mean()
        return error + penalty, error

    def metrics(self, error: float) -> dict[str, float]:
        """`train_rmse` over the epoch as it went, and `{set}_rmse` after it."""
        metrics = {"train_rmse": float(np.sqrt(error))}
        for name, (user, item, rating) in self.eval_sets.items():
            residual = (score_pairs(self.module, user, item) - rating).cpu().numpy()
            metrics[f"{name}_rmse"] = float(np.sqrt(np.mean(np.square(residual, dtype=np.float64))))
        return metrics


class ImplicitLoss:
    """Tell positives from negatives drawn anew in every epoch: binary cross-entropy."""

    metric, higher_is_better = "hit_rate", True
    chance_loss = math.log(2)

    def __init__(
        self, config: Any, module: Scorer, train: Dataset, eval_sets: EvalSets, device: torch.device
    ) -> None:
        negatives, min_rating = config.negatives, config.min_rating
        eval_positives = {
            name: positives(data.ratings.by_user, min_rating) for name, data in eval_sets.items()
        }
        if config.patience and not len(eval_positives["validation"].indices):
            raise SettingError(f"patience: no validation rating is >= {min_rating:g}.")
        by_user = user_positives(train, min_rating)
        self.module, self.negatives = module.to(device), negatives
        self.draw_negatives = NegativeSampler(by_user, device)
        pairs = _to_device(device, row_of_entries(by_user), by_user.indices)
        n_positives = -(-config.batch_size // (1 + negatives))
        self.batches = ShuffledBatches(pairs, n_positives, config.seed)
        self.eval_sets = {
            name: _ranking_set(rows, by_user, config.seed, device)
            for name, rows in eval_positives.items()
        }

    def __call__(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        user, item = batch
        users = user.repeat(1 + self.negatives)
        items = torch.cat([item, self.draw_negatives(users[len(user) :], generator)])
        score, penalty = self.module(users, items)
        label = torch.zeros_like(score)
        label[: len(user)] = 1
        error = functional.binary_cross_entropy_with_logits(score, label)
        return error + penalty, error

    def metrics(self, error: float) -> dict[str, float]:
        """`{set}_hit_rate`: share of positives among the best 10 of them and 99 negatives."""
        return {
            f"{name}_hit_rate": hit_rate(self.module, user, items)
            for name, (user, items) in self.eval_sets.items()
        }


class BPRLoss(ImplicitLoss):
    """``-log sigmoid(score(u, i) - score(u, j))`` for a positive i and each of `negatives` drawn j
    (Bayesian personalized ranking: Rendle et al. 2009).
    """

    def __call__(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        user, item = (column.repeat(self.negatives) for column in batch)
        positive, penalty = self.module(user, item)
        negative, negative_penalty = self.module(user, self.draw_negatives(user, generator))
        error = functional.softplus(negative - positive).mean()
        return error + penalty + negative_penalty, error


Loss = RatingLoss | ImplicitLoss


@torch.no_grad()
def score_pairs(module: Scorer, user: Tensor, item: Tensor) -> Tensor:
    """Scores (n,) of any number of pairs."""
    chunks = [
        module(user[start : start + MAX_PAIRS], item[start : start + MAX_PAIRS])[0]
        for start in range(0, len(user), MAX_PAIRS)
    ]
    return torch.cat(chunks) if chunks else torch.zeros(0, device=user.device)


def hit_rate(module: Scorer, user: Tensor, items: Tensor) -> float:
    """Share of rows whose first item is among their ten best; ties count against it."""
    width = items.shape[1]
    scores = score_pairs(module, user.repeat_interleave(width), items.reshape(-1)).view(-1, width)
    rank = (scores[:, 1:] >= scores[:, :1]).sum(dim=1)
    return float((rank < 10).float().mean())


def _ranking_set(rows: Rows, train: Rows, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Users (n,), and for each a positive of `rows` and negatives (n, 1 + EVAL_NEGATIVES)."""
    draw_negatives = NegativeSampler(_union(train, rows), device)
    user, item = _to_device(device, row_of_entries(rows), rows.indices)
    generator = seeded_generator(device, seed)
    order = torch.randperm(len(user), generator=generator, device=device)[:MAX_EVAL_POSITIVES]
    user, item = user[order], item[order]
    negatives = draw_negatives(user.repeat_interleave(EVAL_NEGATIVES), generator)
    return user, torch.cat([item[:, None], negatives.view(-1, EVAL_NEGATIVES)], dim=1)


def _union(a: Rows, b: Rows) -> Rows:
    """The entries of two tables with the same rows, columns ascending."""
    pairs = [np.stack([row_of_entries(rows), rows.indices]) for rows in (a, b)]
    row, column = np.unique(np.concatenate(pairs, axis=1), axis=1)
    indptr = np.searchsorted(row, np.arange(len(a.indptr)))
    return Rows(indptr, column.astype(np.int32), np.ones(len(column), np.float32))


def _columns(dataset: Dataset, device: torch.device) -> tuple[Tensor, ...]:
    """User and item indices and values of all ratings, on the device."""
    ratings = dataset.ratings
    return _to_device(device, ratings.user, ratings.item, ratings.values)


def _to_device(device: torch.device, *columns: Array) -> tuple[Tensor, ...]:
    """Copies of columns, for ratings are read-only: indices as int64, numbers as they are."""
    types = (np.int64 if column.dtype.kind == "i" else column.dtype for column in columns)
    copies = (column.astype(dtype) for column, dtype in zip(columns, types, strict=True))
    return tuple(torch.from_numpy(copy).to(device) for copy in copies)
