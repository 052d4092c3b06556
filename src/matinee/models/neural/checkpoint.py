"""The state of a training on disk, so that one that was killed goes on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from matinee.data.dataset import Dataset
from matinee.models.base import training_identity
from matinee.models.neural.modules import Scorer
from matinee.storage.atomic import new_folder
from matinee.storage.checkpoint import STATE, Checkpoint, open_state, strip_prefix

if TYPE_CHECKING:
    from matinee.models.neural.base import GradientEstimator
    from matinee.models.neural.trainer import TrainingState

MOMENTS = {"step", "exp_avg", "exp_avg_sq"}
KEPT = {"AdamW": MOMENTS, "SparseAdam": MOMENTS, "Adagrad": {"step", "sum"}, "SGD": set()}
"""What torch's optimizers keep of each parameter."""


@dataclass(frozen=True)
class TrainingCheckpoint:
    """A folder that holds the state of one training, whole or not at all.

    Parameters
    ----------
    folder : Path
    every : int
        Epochs from one state to the next.
    identity : str
        What the training is: a state of another one is refused.
    """

    folder: Path
    every: int
    identity: str

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        estimator: "GradientEstimator",
        train: Dataset,
        evaluated: Mapping[str, Dataset],
    ) -> "TrainingCheckpoint":
        """Where the state of a recipe on these parts of the data goes."""
        name = "-".join(
            filter(None, (type(estimator).__name__.lower(), getattr(estimator, "feedback", "")))
        )
        identity = training_identity(estimator.to_config(), train, evaluated)
        return cls(Path(checkpoint.folder) / name, checkpoint.every or 1, identity)

    def keep(
        self, module: Scorer, optimizers: list[torch.optim.Optimizer], state: "TrainingState"
    ) -> None:
        """Write the state of this epoch, if it is one that counts."""
        if len(state.history) % self.every:
            return
        tensors = {f"weights.{name}": value for name, value in module.state_dict().items()}
        if state.best_epoch < len(state.history):  # else they are the same
            tensors |= {f"best.{name}": value for name, value in state.best.items()}
        numbers: dict[str, Any] = {}
        for at, parameter, optimizer in _parameters(optimizers):
            for name, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{at}.{name}"] = value
                elif value is not None:
                    numbers[f"{at}.{name}"] = value
        metadata = {
            "identity": self.identity,
            "numbers": numbers,
            "history": state.history,
            "best_epoch": state.best_epoch,
        }
        with new_folder(self.folder) as fresh:
            whole = {name: value.detach().cpu().clone() for name, value in tensors.items()}
            save_file(whole, fresh / STATE, metadata={"state": json.dumps(metadata)})

    def restore(self, module: Scorer, optimizers: list[torch.optim.Optimizer]) -> "TrainingState":
        """Put module and optimizers where the state left them; a fresh one if there is none.

        Raises
        ------
        RunError
            If the state cannot be read, or is of another training.
        """
        from matinee.models.neural.trainer import TrainingState

        device = str(next(module.parameters()).device)
        with open_state(self.folder, self.identity, "pt", device) as found:
            if found is None:
                return TrainingState()
            metadata, tensors = found
            state = TrainingState(metadata["history"], {}, metadata["best_epoch"])
            _check_history(state)
            weights = module.state_dict()
            _check_tensors(strip_prefix(tensors, "weights."), weights)
            module.load_state_dict(strip_prefix(tensors, "weights."))
            last = state.best_epoch == len(state.history)
            state.best = strip_prefix(tensors, "weights." if last else "best.")
            _check_tensors(state.best, weights)
            for at, parameter, optimizer in _parameters(optimizers):
                known = strip_prefix(tensors, f"optimizer.{at}.")
                numbers = strip_prefix(metadata["numbers"], f"{at}.")
                _check_optimizer(optimizer, parameter, known, numbers)
                if "step" in known:  # counts on the CPU unless the update is fused
                    fused = optimizer.defaults.get("fused")
                    known["step"] = known["step"].to(device if fused else "cpu")
                optimizer.state[parameter] = {**known, **numbers}
            return state


def _check_history(state: "TrainingState") -> None:
    """Raise ValueError unless this is the history of a training, with sensible numbers."""
    for number, row in enumerate(state.history, start=1):
        plain = all(type(value) in (int, float) for value in row.values())
        if not plain or row["iteration"] != number or not {"limit", "seconds"} <= set(row):
            raise ValueError("the history is none of a training")
    if type(state.best_epoch) is not int or not 0 < state.best_epoch <= len(state.history):
        raise ValueError("the best epoch is none of the history")


def _check_tensors(found: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless these are float32 tensors of the names and shapes wanted."""
    if found.keys() != wanted.keys():
        raise ValueError("a part is missing or unknown")
    for name, value in found.items():
        right = value.dtype == torch.float32 and value.shape == wanted[name].shape
        if not right or not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} has another type or shape than it should")


def _check_optimizer(
    optimizer: torch.optim.Optimizer,
    parameter: torch.nn.Parameter,
    tensors: dict[str, Tensor],
    numbers: dict[str, Any],
) -> None:
    """Raise ValueError unless this is what the optimizer keeps of a parameter; kernels trust it."""
    if KEPT[type(optimizer).__name__] != tensors.keys() | numbers.keys():
        raise ValueError("a part of an optimizer is missing or unknown")
    count = torch.zeros(())
    _check_tensors(tensors, {name: count if name == "step" else parameter for name in tensors})
    if any(type(value) is not int or value < 0 for value in numbers.values()):
        raise ValueError("a number of an optimizer makes no sense")


def _parameters(
    optimizers: list[torch.optim.Optimizer],
) -> list[tuple[int, torch.nn.Parameter, torch.optim.Optimizer]]:
    """Every parameter with a number of its own, and what updates it."""
    every = [
        (parameter, optimizer)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    return [(at, parameter, optimizer) for at, (parameter, optimizer) in enumerate(every)]
