"""From a recipe's settings to PyTorch's optimizers."""

from typing import TYPE_CHECKING

import torch

from matinee.models.neural.modules import Scorer

if TYPE_CHECKING:
    from matinee.models.neural.base import GradientEstimator

ROWS_PER_EXAMPLE = 8  # a table with so many rows for each example is updated row by row


def wants_sparse(estimator: "GradientEstimator", rows: int) -> bool:
    """Whether gradients should hold only the rows in a batch, for tables of so many rows.

    Of SGD and Adagrad this changes nothing but the speed: rows without a gradient stay. Weight
    decay would move them.
    """
    if estimator.optimizer == "sparse-adam":
        return True
    decays = any(estimator.decay_of(group) for group in estimator.GROUPS)
    small = 0 < estimator.batch_size * ROWS_PER_EXAMPLE < rows
    return estimator.optimizer in ("sgd", "adagrad") and small and not decays


def build_optimizers(estimator: "GradientEstimator", module: Scorer) -> list[torch.optim.Optimizer]:
    """What updates the parameters of a module: one optimizer, or one for each kind of gradient."""
    device = next(module.parameters()).device
    if module.sparse:  # said aloud, or torch warns that it does not check what it made itself
        torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]
    fused = device.type in ("cpu", "cuda")
    rate = estimator.learning_rate
    groups = [
        {"params": parameters, "weight_decay": estimator.decay_of(name)}
        for name, parameters in module.groups.items()
    ]
    if estimator.optimizer == "sgd":
        return [torch.optim.SGD(groups, lr=rate, fused=fused and not module.sparse)]
    if estimator.optimizer == "adagrad":
        return [
            torch.optim.Adagrad(groups, lr=rate, fused=device.type == "cpu" and not module.sparse)
        ]
    if estimator.optimizer == "adam":
        return [torch.optim.AdamW(groups, lr=rate, fused=fused)]
    embeddings = [p for name in ("factors", "biases") for p in module.groups.get(name, [])]
    found: list[torch.optim.Optimizer] = [torch.optim.SparseAdam(embeddings, lr=rate)]
    if module.groups.get("layers"):
        found.append(
            torch.optim.AdamW(module.groups["layers"], lr=rate, weight_decay=0, fused=fused)
        )
    return found
