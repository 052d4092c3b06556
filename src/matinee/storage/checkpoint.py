"""Checkpoints: the state of a training on disk, so that one that was killed can be resumed."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from matinee._types import Array
from matinee.errors import RunError, SettingError, bounded, shortened
from matinee.storage.atomic import recover
from matinee.storage.regular import check_regular
from matinee.storage.writing import check_place

log = logging.getLogger(__name__)

STATE = "state.safetensors"
"""The file of a checkpoint that holds the state."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training leaves its state as it goes; `fit(checkpoint=...)` resumes from there.

    Killed and started again with the same folder, a training resumes from the last state and ends
    with the same model (gradient models: on the same kind of device with as many threads).

    Parameters
    ----------
    folder : Path
        Each estimator has a folder of its own below it.
    every : int, optional
        Epochs or sweeps between two states, at least 1 (else SettingError); by default 1 epoch, 16
        sweeps.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = matinee.Checkpoint(folder, every=2)
    ...     matinee.BayesianMF(factors=4, iterations=4).fit(data, checkpoint=checkpoint)
    Recommender(BayesianMF, 60 users, 50 items)
    """

    folder: Path | str
    every: int | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise SettingError(f"every must be >= 1, got {shortened(self.every)}.")


@contextmanager
def open_state(
    folder: Path, identity: str
) -> Iterator[tuple[dict[str, Any], dict[str, Array]] | None]:
    """Metadata and arrays of a state, or None; RunError if it is of another identity, cannot be
    read, or cannot be restored in the block.
    """
    recover(folder)
    check_place(folder)  # before the training that is to be kept there
    path = folder / STATE
    if not path.exists():
        if folder.exists():
            raise RunError(f"{folder}: exists and is not a checkpoint.")
        yield None
        return
    try:
        check_regular(path)
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {})["state"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["identity"] != identity:
            raise RunError(
                f"{folder}: a checkpoint of other hyperparameters or other data. Name another "
                "folder, or remove this one."
            )
        log.info("resuming from %s", bounded(str(folder)))
        yield metadata, arrays
    except (
        *(SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError),
        *(AttributeError, ArithmeticError),
    ) as problem:
        raise RunError(f"{path}: this checkpoint cannot be read ({problem}).") from None


def check_arrays(arrays: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """Raise ValueError unless these are finite arrays of the names, types and shapes expected."""
    if arrays.keys() != expected.keys():
        raise ValueError("an array is missing or unknown")
    for name, array in arrays.items():
        like = expected[name]
        if array.dtype != like.dtype or array.shape != like.shape or not np.isfinite(array).all():
            raise ValueError(f"{name} has the wrong type or shape, or is not finite")


def strip_prefix(entries: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The entries of a state whose names start with a prefix, under the rest of their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in entries.items()
        if name.startswith(prefix)
    }
