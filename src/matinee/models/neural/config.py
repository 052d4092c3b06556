"""Hyperparameters that all estimators trained by gradient descent share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from matinee.errors import SettingError, check_number, shortened
from matinee.models.base import Estimator

OPTIMIZERS = ("adam", "sgd", "adagrad", "sparse-adam")
SCHEDULES = ("constant", "linear", "cosine")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Estimator):
    """Hyperparameters of gradient descent.

    Parameters
    ----------
    epochs : int
        Passes over the training set.
    batch_size : int
        Examples per step; 0 uses all of them (full-batch gradient descent).
    optimizer : {"adam", "sgd", "adagrad", "sparse-adam"}
        Adam with decoupled weight decay (Loshchilov & Hutter 2019); plain SGD; Adagrad; Adam that
        updates only the embedding rows in the batch, for tables much larger than a batch. SGD and
        Adagrad skip the other rows by themselves where that changes nothing.
    learning_rate : float
        At the first step.
    schedule : {"constant", "linear", "cosine"}
        How the learning rate falls to zero over all steps.
    weight_decay : float or mapping of str to float
        For all parameters, or by group (``"factors"``, ``"biases"``, ``"layers"``).
    patience : int
        Stop when the validation metric has not improved for this many epochs, and restore the
        best weights; 0 runs all epochs. Needs `validation` in `fit`.
    amp : bool
        Matrix products in bfloat16, which makes networks faster on GPUs. Embeddings stay float32.
    device : str
        ``"auto"`` picks CUDA, else MPS, else the CPU.
    seed : int
        On a CPU, the same seed and number of threads give the same model, bit for bit.
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

    DECAY_GROUPS: ClassVar[tuple[str, ...]] = ("factors", "biases")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(epochs=1, batch_size=0, patience=0, seed=0)
        self._check_positive("learning_rate")
        self._check_one_of(optimizer=OPTIMIZERS, schedule=SCHEDULES)
        decay = self.weight_decay
        by_group = decay if isinstance(decay, Mapping) else {"all": decay}
        for group, value in by_group.items():
            if isinstance(decay, Mapping) and group not in self.DECAY_GROUPS:
                groups = ", ".join(map(repr, self.DECAY_GROUPS))
                raise SettingError(
                    f"weight_decay must name groups of {groups}, got {shortened(group)}."
                )
            check_number("weight_decay", value, lambda decay: 0 <= decay < np.inf, ">= 0")
        if self.optimizer == "sparse-adam" and any(by_group.values()):
            raise SettingError(
                "optimizer='sparse-adam' has no weight decay; set weight_decay=0 or use 'adam'."
            )

    def weight_decay_of(self, group: str) -> float:
        """Weight decay of a group of parameters."""
        if isinstance(self.weight_decay, Mapping):
            return float(self.weight_decay.get(group, 0.0))
        return float(self.weight_decay)

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate when this fraction of all steps is done."""
        left = {
            "constant": 1.0,
            "linear": 1 - progress,
            "cosine": (1 + np.cos(np.pi * progress)) / 2,
        }
        return self.learning_rate * float(left[self.schedule])
