"""From hyperparameters to PyTorch's optimizers."""

import torch

from matinee.models.neural.config import TrainingConfig
from matinee.models.neural.modules import Scorer

ROWS_PER_EXAMPLE = 8  # a table with more rows per example of a batch is updated row by row


def use_sparse_gradients(config: TrainingConfig, n_rows: int) -> bool:
    """Whether gradients of embeddings with `n_rows` rows should hold only those in a batch."""
    if config.optimizer == "sparse-adam":
        return True
    # rows without a gradient stay where they are, unless weight decay moves them
    decays = any(config.weight_decay_of(group) for group in config.DECAY_GROUPS)
    small_batch = 0 < config.batch_size * ROWS_PER_EXAMPLE < n_rows
    return config.optimizer in ("sgd", "adagrad") and small_batch and not decays


def build_optimizers(config: TrainingConfig, module: Scorer) -> list[torch.optim.Optimizer]:
    """One optimizer for all parameters, or one each for sparse and dense gradients."""
    device = next(module.parameters()).device
    if module.sparse:  # explicitly, or torch warns that it does not check what it made itself
        torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]
    fused = device.type in ("cpu", "cuda")
    rate = config.learning_rate
    groups = [
        {"params": parameters, "weight_decay": config.weight_decay_of(name)}
        for name, parameters in module.groups.items()
    ]
    if config.optimizer == "sgd":
        return [torch.optim.SGD(groups, lr=rate, fused=fused and not module.sparse)]
    if config.optimizer == "adagrad":
        return [
            torch.optim.Adagrad(groups, lr=rate, fused=device.type == "cpu" and not module.sparse)
        ]
    if config.optimizer == "adam":
        return [torch.optim.AdamW(groups, lr=rate, fused=fused)]
    embeddings = [p for name in ("factors", "biases") for p in module.groups.get(name, [])]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.SparseAdam(embeddings, lr=rate)]
    if layers := module.groups.get("layers"):
        optimizers.append(torch.optim.AdamW(layers, lr=rate, weight_decay=0, fused=fused))
    return optimizers
