"""The loop: epochs of steps, a history, stopping early, and going on after being killed."""

import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from matinee.errors import DivergedWarning, SettingError
from matinee.models.base import Callback
from matinee.models.neural.checkpoint import TrainingCheckpoint
from matinee.models.neural.losses import Loss
from matinee.models.neural.optimizers import build_optimizers
from matinee.progress import progress

if TYPE_CHECKING:
    from matinee.models.neural.base import GradientEstimator

EXPLODED = 10.0  # times a bad loss, or that before training: more is no learning
SAMPLE = 4096  # examples that tell whether the weights are sane

Weights = dict[str, Tensor]


@dataclass
class TrainingState:
    """How far a training is, beside its weights and optimizers."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best: Weights = field(default_factory=dict)
    """Weights to end with: of the best validation figure, or the last that were sane."""
    best_epoch: int = 0


def train(
    loss: Loss,
    estimator: "GradientEstimator",
    what: str,
    checkpoint: TrainingCheckpoint | None = None,
    callback: Callback | None = None,
) -> pl.DataFrame:
    """Train the module of a task; leave it with the weights to keep.

    Parameters
    ----------
    loss : Loss
    estimator : GradientEstimator
    what : str
        What the progress bar says.
    checkpoint : TrainingCheckpoint, optional
        Where to go on from, and where to leave the state as it goes.
    callback : callable, optional
        Sees each row of the history as it is made.

    Returns
    -------
    polars.DataFrame
        A row for each epoch: `iteration`, `loss` (mean over the epoch as it went, penalties
        included), the figures of the task, `learning_rate`, `seconds` since the start.

    Warns
    -----
    DivergedWarning
        If the loss explodes: training stops, and the last good weights are kept.

    Raises
    ------
    SettingError
        If it explodes in the first epoch.
    """
    module, state = loss.module, TrainingState()
    optimizers = build_optimizers(estimator, module)
    if checkpoint:
        state = checkpoint.restore(module, optimizers)
    limit = EXPLODED * max(_loss_of_some(loss), loss.default)
    if state.history:
        limit = state.history[0]["limit"]
    before = state.history[-1]["seconds"] if state.history else 0.0
    started = time.perf_counter()
    with progress(f"{what} on {_name(loss)}", estimator.epochs) as tick:
        for epoch in range(len(state.history) + 1, estimator.epochs + 1):
            if _is_over(loss, estimator, state):
                break
            value, error = _one_epoch(loss, estimator, optimizers, epoch)
            if not (value <= limit and _loss_of_some(loss) <= limit):  # NaN is not, either
                _break_down(loss, estimator, state, epoch)
                break
            row = {"iteration": epoch, "loss": value, **loss.metrics(error)}
            row["learning_rate"] = float(optimizers[0].param_groups[0]["lr"])
            row["seconds"] = before + time.perf_counter() - started
            state.history.append({**row, "limit": limit})
            if not estimator.patience or _is_best(loss, state):
                state.best, state.best_epoch = _copied(loss), epoch
            if checkpoint:
                checkpoint.keep(module, optimizers, state)
            tick(epoch, _note(row))
            if callback:
                callback(row)
    module.load_state_dict(state.best)
    return pl.DataFrame(state.history).drop("limit")


def _one_epoch(
    loss: Loss, estimator: "GradientEstimator", optimizers: list[torch.optim.Optimizer], epoch: int
) -> tuple[float, float]:
    """All batches once; mean loss and mean error over the examples as it went."""
    examples, device = loss.examples, next(loss.module.parameters()).device
    steps, step = estimator.epochs * len(examples), (epoch - 1) * len(examples)
    sizes: list[int] = []
    found: list[Tensor] = []  # read once an epoch: a look at each step would wait for the device
    for batch, generator in examples.epoch(epoch):
        _set_rate(optimizers, estimator.rate_at(step / steps))
        step += 1
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=estimator.amp):
            value, error = loss.loss(batch, generator)
        value.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
        sizes.append(len(batch[0]))
        found.append(torch.stack([value, error]).detach())
    means = np.average(torch.stack(found).cpu().numpy(), axis=0, weights=sizes)
    return float(means[0]), float(means[1])


def _set_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


@torch.no_grad()
def _loss_of_some(loss: Loss) -> float:
    """Loss of the first examples; NaN if any weight is no number."""
    if not all(bool(torch.isfinite(part).all()) for part in loss.module.parameters()):
        return float("nan")
    some = tuple(column[:SAMPLE] for column in loss.examples.columns)
    return float(loss.loss(some, loss.examples.generator(0))[0])


def _break_down(
    loss: Loss, estimator: "GradientEstimator", state: TrainingState, epoch: int
) -> None:
    """Say so, and which weights are left; SettingError if none are."""
    rate = estimator.learning_rate
    advice = f"Try a lower one, such as {rate / 10:g}."
    if not state.best:
        raise SettingError(
            f"The loss exploded in the first epoch with learning rate {rate:g}. {advice}"
        )
    warnings.warn(
        f"The loss exploded in epoch {epoch} with learning rate {rate:g}; the model has the "
        f"weights of epoch {state.best_epoch}. {advice}",
        DivergedWarning,
        stacklevel=6,  # who called `fit`
    )


def _watched(loss: Loss, state: TrainingState) -> list[float]:
    return [row[f"validation_{loss.metric}"] for row in state.history]


def _is_best(loss: Loss, state: TrainingState) -> bool:
    """Whether the last epoch's validation figure is better than all before."""
    *earlier, last = _watched(loss, state)
    if loss.higher_is_better:
        return all(last > metric for metric in earlier)
    return all(last < metric for metric in earlier)


def _is_over(loss: Loss, estimator: "GradientEstimator", state: TrainingState) -> bool:
    """Whether patience has run out."""
    waited = len(state.history) - state.best_epoch
    return bool(estimator.patience) and bool(state.history) and waited >= estimator.patience


def _copied(loss: Loss) -> Weights:
    return {name: value.detach().clone() for name, value in loss.module.state_dict().items()}


def _name(loss: Loss) -> str:
    return str(next(loss.module.parameters()).device)


def _note(row: dict[str, Any]) -> str:
    shown = [name for name in row if name == "loss" or name.endswith(("_rmse", "_hit_rate"))]
    return "  ".join(f"{name} {row[name]:.4f}" for name in shown if np.isfinite(row[name]))
