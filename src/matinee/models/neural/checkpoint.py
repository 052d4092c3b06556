"""The state of a training on disk, so that one that was killed can be resumed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from matinee._types import Array
from matinee.models.neural.modules import Scorer
from matinee.storage.atomic import new_folder
from matinee.storage.checkpoint import STATE, check_arrays, open_state, strip_prefix

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}
OPTIMIZER_STATE = {
    "AdamW": MOMENTS,
    "SparseAdam": MOMENTS,
    "Adagrad": {"step", "sum"},
    "SGD": set(),
}
"""What torch's optimizers keep for each parameter."""


@dataclass
class TrainingState:
    """How far a training is, apart from its current weights and optimizers."""

    history: list[dict[str, Any]] = field(default_factory=list)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    """Those to end with: of the best validation metric, or of the last epoch."""
    best_epoch: int = 0


@dataclass(frozen=True)
class TrainingCheckpoint:
    """The folder with the state of one training; a state of another identity is refused."""

    folder: Path
    every: int  # epochs between two states
    identity: str

    def save(
        self, module: Scorer, optimizers: list[torch.optim.Optimizer], state: TrainingState
    ) -> None:
        """Write the state of this epoch if it is due."""
        if len(state.history) % self.every:
            return
        tensors = {f"weights.{name}": value for name, value in module.state_dict().items()}
        if state.best_epoch < len(state.history):  # else they are the same
            tensors |= {f"best.{name}": value for name, value in state.best_weights.items()}
        numbers: dict[str, Any] = {}
        for index, parameter, optimizer in _numbered_parameters(optimizers):
            for name, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{index}.{name}"] = value
                elif value is not None:
                    numbers[f"{index}.{name}"] = value
        metadata = {
            "identity": self.identity,
            "numbers": numbers,
            "history": state.history,
            "best_epoch": state.best_epoch,
        }
        with new_folder(self.folder) as folder:
            copies = {name: value.detach().cpu().clone() for name, value in tensors.items()}
            save_file(copies, folder / STATE, metadata={"state": json.dumps(metadata)})

    def restore(self, module: Scorer, optimizers: list[torch.optim.Optimizer]) -> TrainingState:
        """Set module and optimizers to the saved state and return it, or a fresh one."""
        device = next(module.parameters()).device
        with open_state(self.folder, self.identity) as saved:
            if saved is None:
                return TrainingState()
            metadata, arrays = saved
            history, best_epoch = metadata["history"], metadata["best_epoch"]
            _check_history(history, best_epoch)
            expected = {name: t.numpy(force=True) for name, t in module.state_dict().items()}
            weights = strip_prefix(arrays, "weights.")
            best = weights if best_epoch == len(history) else strip_prefix(arrays, "best.")
            check_arrays(weights, expected)
            check_arrays(best, expected)
            module.load_state_dict({name: torch.from_numpy(a) for name, a in weights.items()})
            for index, parameter, optimizer in _numbered_parameters(optimizers):
                moments = strip_prefix(arrays, f"optimizer.{index}.")
                numbers = strip_prefix(metadata["numbers"], f"{index}.")
                _check_optimizer(optimizer, parameter.numpy(force=True), moments, numbers)
                fused = optimizer.defaults.get("fused")
                optimizer.state[parameter] = numbers
                for name, array in moments.items():  # a step lives on the CPU unless fused
                    place = device if fused or name != "step" else "cpu"
                    optimizer.state[parameter][name] = torch.from_numpy(array).to(place)
            best_weights = {name: torch.from_numpy(a).to(device) for name, a in best.items()}
            return TrainingState(history, best_weights, best_epoch)


def _check_history(history: list[dict[str, Any]], best_epoch: Any) -> None:
    """Raise ValueError unless this is the history of a training, with sensible numbers."""
    for epoch, row in enumerate(history, start=1):
        is_numeric = all(type(value) in (int, float) for value in row.values())
        if not is_numeric or row["iteration"] != epoch or not {"limit", "seconds"} <= set(row):
            raise ValueError("the history is not that of a training")
    if type(best_epoch) is not int or not 0 < best_epoch <= len(history):
        raise ValueError("the best epoch is not in the history")


def _check_optimizer(
    optimizer: torch.optim.Optimizer,
    parameter: Array,
    moments: Mapping[str, Array],
    numbers: Mapping[str, Any],
) -> None:
    """Raise ValueError unless this is what the optimizer keeps; its compiled updates trust it."""
    if OPTIMIZER_STATE[type(optimizer).__name__] != moments.keys() | numbers.keys():
        raise ValueError("a part of an optimizer's state is missing or unknown")
    scalar = np.zeros((), np.float32)
    check_arrays(moments, {name: scalar if name == "step" else parameter for name in moments})
    if any(type(value) is not int or value < 0 for value in numbers.values()):
        raise ValueError("a number of an optimizer's state makes no sense")


def _numbered_parameters(
    optimizers: list[torch.optim.Optimizer],
) -> Iterator[tuple[int, torch.nn.Parameter, torch.optim.Optimizer]]:
    """Every parameter with a number of its own and its optimizer."""
    index = 0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                yield index, parameter, optimizer
                index += 1
