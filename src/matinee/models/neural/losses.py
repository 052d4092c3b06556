"""What training is about: the loss of a batch, and how good the model is after an epoch."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from matinee._types import Ints
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, row_of_entries
from matinee.models.implicit_feedback import positives, user_positives
from matinee.models.neural.batches import NegativeSampler, ShuffledBatches, generator_of
from matinee.models.neural.modules import Scorer

if TYPE_CHECKING:
    from matinee.models.neural.base import GradientEstimator

RIVALS = 99  # drawn movies that a watched one is ranked among
MAX_EVAL_USERS = 10_000  # watched movies that are ranked, at most
PAIRS = 1_000_000  # scored at a time


class Loss(Protocol):
    """What the loop asks for."""

    module: Scorer
    examples: ShuffledBatches
    default: float
    """A loss that is bad, and yet no sign of an explosion."""
    metric: str
    """The figure that tells whether training still gets better, without its part: rmse ..."""
    higher_is_better: bool

    def loss(self, batch: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What is minimized, and its part without penalties: both means over a batch, ()."""

    def metrics(self, error: float) -> dict[str, float]:
        """What the history notes of an epoch whose mean error was this, and of the judged parts."""


class RatingLoss:
    """Learn stars: mean squared error.

    Parameters
    ----------
    module : Scorer
    train : Dataset
    evaluated : mapping of str to Dataset
        Parts whose error the history notes, by name; before stars are clipped to the scale.
    batch : int
    seed : int
    device : torch.device
    """

    metric, higher_is_better = "rmse", False

    def __init__(
        self,
        module: Scorer,
        train: Dataset,
        evaluated: Mapping[str, Dataset],
        *,
        batch: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.module = module.to(device)
        scale = train.ratings.scale
        self.default = (scale.high - scale.low) ** 2 or 1.0  # every guess off by the whole scale
        self.examples = ShuffledBatches(_columns(train, device), batch, seed)
        self.evaluated = {name: _columns(part, device) for name, part in evaluated.items()}

    def loss(self, batch: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `Loss.loss`."""
        user, item, values = batch
        score, penalty = self.module(user, item)
        error = (score - values).square().mean()
        return error + penalty, error

    def metrics(self, error: float) -> dict[str, float]:
        """`train_rmse` over the epoch as it went, and `{part}_rmse` after it."""
        found = {"train_rmse": float(np.sqrt(error))}
        for name, (user, item, values) in self.evaluated.items():
            miss = (score_pairs(self.module, user, item) - values).cpu().numpy()
            found[f"{name}_rmse"] = float(np.sqrt(np.mean(np.square(miss, dtype=np.float64))))
        return found


class ImplicitLoss:
    """Learn who watches what: binary cross-entropy, against unwatched movies that are drawn.

    Parameters
    ----------
    module : Scorer
    watched : Rows
        Watched movies by user.
    evaluated : mapping of str to Rows
        The same of the judged parts.
    negatives : int
        Unwatched movies drawn for each watched one, anew in every epoch.
    batch : int
        Examples of a batch, watched and drawn.
    seed : int
    device : torch.device
    """

    default = math.log(2)  # knowing nothing
    metric, higher_is_better = "hit_rate", True

    def __init__(
        self,
        module: Scorer,
        watched: Rows,
        evaluated: Mapping[str, Rows],
        *,
        negatives: int,
        batch: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.module, self.negatives = module.to(device), negatives
        self.draw = NegativeSampler(watched, device)
        each = -(-batch // (1 + negatives))
        self.examples = ShuffledBatches(_pairs(watched, device), each, seed)
        self.evaluated = {
            name: _task(rows, NegativeSampler(_both(watched, rows), device), seed, device)
            for name, rows in evaluated.items()
        }

    def loss(self, batch: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `Loss.loss`."""
        user, item = batch
        users = user.repeat(1 + self.negatives)
        items = torch.cat([item, self.draw(users[len(user) :], generator)])
        score, penalty = self.module(users, items)
        truth = torch.zeros_like(score)
        truth[: len(user)] = 1
        error = functional.binary_cross_entropy_with_logits(score, truth)
        return error + penalty, error

    def metrics(self, error: float) -> dict[str, float]:
        """`{part}_hit_rate`: watched movies that are among the best 10 of them and 99 others."""
        return {
            f"{name}_hit_rate": hit_rate(self.module, user, items)
            for name, (user, items) in self.evaluated.items()
        }


class OrderTask(ImplicitLoss):
    """Learn to put watched movies before others: Bayesian personalized ranking.

    ``-log sigmoid(score(u, i) - score(u, j))`` for a watched movie i and a drawn movie j (Rendle
    et al. 2009); each watched movie is compared with `negatives` drawn ones.
    """

    def loss(self, batch: tuple[Tensor, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `Loss.loss`."""
        user, item = (column.repeat(self.negatives) for column in batch)
        better, penalty = self.module(user, item)
        worse, second = self.module(user, self.draw(user, generator))
        error = functional.softplus(worse - better).mean()
        return error + penalty + second, error


def rating_loss(
    estimator: "GradientEstimator",
    module: Scorer,
    train: Dataset,
    evaluated: Mapping[str, Dataset],
    device: torch.device,
) -> RatingLoss:
    """What a recipe for stars trains on."""
    return RatingLoss(
        module, train, evaluated, batch=estimator.batch_size, seed=estimator.seed, device=device
    )


def lists_task(
    kind: type[ImplicitLoss],
    estimator: Any,
    module: Scorer,
    train: Dataset,
    evaluated: Mapping[str, Dataset],
    device: torch.device,
) -> ImplicitLoss:
    """What a recipe for lists trains on: the ratings of at least its `min_rating` stars."""
    parts = {
        name: positives(part.ratings.by_user, estimator.min_rating)
        for name, part in evaluated.items()
    }
    if estimator.patience and not len(parts["validation"].indices):
        raise SettingError(
            f"patience: no validation rating has {estimator.min_rating:g} stars or more."
        )
    return kind(
        module,
        user_positives(train, estimator.min_rating),
        parts,
        negatives=estimator.negatives,
        batch=estimator.batch_size,
        seed=estimator.seed,
        device=device,
    )


@torch.no_grad()
def score_pairs(module: Scorer, user: Tensor, item: Tensor) -> Tensor:
    """Scores (n,) of any number of pairs."""
    parts = [
        module(user[first : first + PAIRS], item[first : first + PAIRS])[0]
        for first in range(0, len(user), PAIRS)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, device=user.device)


def hit_rate(module: Scorer, user: Tensor, items: Tensor) -> float:
    """Share of rows whose first movie is among their ten best; ties count against it."""
    width = items.shape[1]
    scores = score_pairs(module, user.repeat_interleave(width), items.reshape(-1)).view(-1, width)
    rank = (scores[:, 1:] >= scores[:, :1]).sum(dim=1)
    return float((rank < 10).float().mean())


def _task(
    rows: Rows, draw: NegativeSampler, seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Users (n,) and for each a watched movie and `RIVALS` others (n, 1 + RIVALS)."""
    user, item = _pairs(rows, device)
    generator = generator_of(device, seed)
    order = torch.randperm(len(user), generator=generator, device=device)[:MAX_EVAL_USERS]
    user, item = user[order], item[order]
    rivals = draw(user.repeat_interleave(RIVALS), generator).view(-1, RIVALS)
    return user, torch.cat([item[:, None], rivals], dim=1)


def _both(a: Rows, b: Rows) -> Rows:
    """The entries of two tables with the same rows, columns ascending."""
    pairs = [np.stack([row_of_entries(rows), rows.indices]) for rows in (a, b)]
    row, column = np.unique(np.concatenate(pairs, axis=1), axis=1)
    indptr = np.searchsorted(row, np.arange(len(a.indptr)))
    return Rows(indptr, column.astype(np.int32), np.ones(len(column), np.float32))


def _columns(dataset: Dataset, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Codes and stars of all ratings, on the device."""
    ratings = dataset.ratings
    return _codes(ratings.user, device), _codes(ratings.item, device), _on(ratings.values, device)


def _pairs(rows: Rows, device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column of every entry, on the device."""
    return _codes(row_of_entries(rows), device), _codes(rows.indices, device)


def _codes(values: Ints, device: torch.device) -> Tensor:
    return _on(values.astype(np.int64), device)


def _on(values: NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(values)).to(device)  # a copy: ratings are read-only
