"""The training loop: epochs of steps, a history, early stopping, divergence, and resuming."""

import time
import warnings

import numpy as np
import polars as pl
import torch
from torch import Tensor

from matinee.errors import DivergedWarning, SettingError
from matinee.models.base import Callback
from matinee.models.neural.checkpoint import TrainingCheckpoint, TrainingState
from matinee.models.neural.config import TrainingConfig
from matinee.models.neural.losses import Loss
from matinee.models.neural.optimizers import build_optimizers
from matinee.progress import metrics_note, progress

DIVERGENCE_FACTOR = 10.0  # times the initial loss, or that of chance: more is no learning
SANITY_EXAMPLES = 4096  # on which the weights are checked after each epoch


def train(
    loss: Loss,
    config: TrainingConfig,
    label: str,
    checkpoint: TrainingCheckpoint | None = None,
    callback: Callback | None = None,
) -> pl.DataFrame:
    """Train the module of a loss, leave it with the best weights, and return the history.

    If the loss diverges, training ends with a DivergedWarning and the last good weights, or with a
    SettingError if it does so in the first epoch.
    """
    module, state = loss.module, TrainingState()
    device = next(module.parameters()).device
    optimizers = build_optimizers(config, module)
    if checkpoint:
        state = checkpoint.restore(module, optimizers)
    limit = DIVERGENCE_FACTOR * max(_sample_loss(loss), loss.chance_loss)
    seconds_before = 0.0
    if state.history:
        limit, seconds_before = state.history[0]["limit"], state.history[-1]["seconds"]
    started = time.perf_counter()
    with progress(f"{label} on {device}", config.epochs) as advance:
        for epoch in range(len(state.history) + 1, config.epochs + 1):
            waited = len(state.history) - state.best_epoch
            if state.history and config.patience and waited >= config.patience:
                break
            mean_loss, mean_error = _run_epoch(loss, config, optimizers, epoch)
            if not (mean_loss <= limit and _sample_loss(loss) <= limit):  # NaN fails, too
                _handle_divergence(config, state, epoch)
                break
            row = {"iteration": epoch, "loss": mean_loss, **loss.metrics(mean_error)}
            row["learning_rate"] = float(optimizers[0].param_groups[0]["lr"])
            row["seconds"] = seconds_before + time.perf_counter() - started
            state.history.append({**row, "limit": limit})
            if not config.patience or _has_improved(loss, state):
                weights = module.state_dict()
                state.best_weights = {k: value.detach().clone() for k, value in weights.items()}
                state.best_epoch = epoch
            if checkpoint:
                checkpoint.save(module, optimizers, state)
            advance(epoch, metrics_note(row))
            if callback:
                callback(row)
    module.load_state_dict(state.best_weights)
    return pl.DataFrame(state.history).drop("limit")


def _run_epoch(
    loss: Loss, config: TrainingConfig, optimizers: list[torch.optim.Optimizer], epoch: int
) -> tuple[float, float]:
    """All batches once; mean loss and mean error over the examples as it went."""
    batches, device = loss.batches, next(loss.module.parameters()).device
    n_steps, step = config.epochs * len(batches), (epoch - 1) * len(batches)
    sizes: list[int] = []
    losses: list[Tensor] = []  # read once an epoch: a look at each step would wait for the device
    for batch, generator in batches.epoch(epoch):
        _set_learning_rate(optimizers, config.learning_rate_at(step / n_steps))
        step += 1
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.amp):
            value, error = loss(batch, generator)
        value.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
        sizes.append(len(batch[0]))
        losses.append(torch.stack([value, error]).detach())
    means = np.average(torch.stack(losses).cpu().numpy(), axis=0, weights=sizes)
    return float(means[0]), float(means[1])


def _set_learning_rate(optimizers: list[torch.optim.Optimizer], rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


@torch.no_grad()
def _sample_loss(loss: Loss) -> float:
    """Loss of the first examples; NaN if any weight is not finite."""
    if not all(bool(torch.isfinite(weights).all()) for weights in loss.module.parameters()):
        return float("nan")
    sample = tuple(column[:SANITY_EXAMPLES] for column in loss.batches.columns)
    return float(loss(sample, loss.batches.generator(0))[0])


def _handle_divergence(config: TrainingConfig, state: TrainingState, epoch: int) -> None:
    """Warn, and say which weights are left; SettingError if none are."""
    rate = config.learning_rate
    advice = f"Try a lower one, such as {rate / 10:g}."
    if not state.best_weights:
        raise SettingError(
            f"The loss diverged in the first epoch with learning rate {rate:g}. {advice}"
        )
    warnings.warn(
        f"The loss diverged in epoch {epoch} with learning rate {rate:g}; the model has the "
        f"weights of epoch {state.best_epoch}. {advice}",
        DivergedWarning,
        stacklevel=7,  # the caller of `fit`
    )


def _has_improved(loss: Loss, state: TrainingState) -> bool:
    """Whether the validation metric of the last epoch is better than all before."""
    *earlier, last = (row[f"validation_{loss.metric}"] for row in state.history)
    return all(last > value if loss.higher_is_better else last < value for value in earlier)
