"""Recipes that leave their state on disk as they go, so that one that was killed goes on."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from matinee.data.dataset import Dataset
from matinee.errors import RunError, SettingError
from matinee.models.recommender import Recommender
from matinee.storage.atomic import recover

STATE = "state.safetensors"
"""The file of a checkpoint that holds the state."""


@dataclass(frozen=True)
class Checkpointed:
    """A recipe whose training leaves its state in a folder as it goes.

    Killed and started again with the same folder, it goes on after the last state and ends with
    the same model (of those trained by gradients: on the same kind of device with the same number
    of threads).

    Parameters
    ----------
    estimator : Estimator
        One that can: `BayesianMF`, or any that is trained by gradients.
    folder : Path
        Each recipe has a folder of its own below it.
    every : int, optional
        Epochs or sweeps from one state to the next; by default as often as the recipe thinks.

    Examples
    --------
    >>> import tempfile
    >>> from matinee.data.synthetic import generate
    >>> from matinee.models.bayesian import BayesianMF
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> estimator = BayesianMF(factors=4, iterations=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Checkpointed(estimator, Path(folder)).fit(data)
    Recommender(BayesianMF, 60 users, 50 movies)
    """

    estimator: Any
    folder: Path
    every: int | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise SettingError(f"every is at least 1, not {self.every}.")

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
    ) -> Recommender:
        """Train as the recipe does, going on from the folder's state."""
        model: Recommender = self.estimator.fit(
            train, validation=validation, test=test, threads=threads, checkpoint=self
        )
        return model


def identity_of(
    recorded: Mapping[str, Any], train: Dataset, evaluated: Mapping[str, Dataset]
) -> str:
    """What a training is, by settings and data: a state of another one is refused."""
    parts = {"train": train, **evaluated}
    data = {name: part.ratings.fingerprint() for name, part in parts.items()}
    return json.dumps({**recorded, "data": data}, sort_keys=True)


@contextmanager
def state_in(
    folder: Path, identity: str, framework: str = "numpy", device: str = "cpu"
) -> Iterator[tuple[dict[str, Any], dict[str, Any]] | None]:
    """What a checkpoint says of itself and its arrays, by name; None if there is none.

    What goes wrong in the block, while the state is put back, is the state's fault too.

    Parameters
    ----------
    folder : Path
    identity : str
        What is to go on; see `identity_of`.
    framework : {"numpy", "pt"}
        What the arrays are: of numpy, or tensors on `device`.

    Raises
    ------
    RunError
        If it cannot be read, or is of another training.
    """
    recover(folder)
    path = folder / STATE
    if not path.exists():
        if folder.exists():
            raise RunError(f"{folder}: this is there and is no checkpoint.")
        yield None
        return
    try:
        with safe_open(path, framework=framework, device=device) as file:
            metadata = json.loads((file.metadata() or {})["state"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata["identity"] != identity:
            raise RunError(
                f"{folder}: a checkpoint of other settings or other data. Name another "
                "folder, or remove this one."
            )
        yield metadata, arrays
    except (
        SafetensorError,
        OSError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as problem:
        raise RunError(f"{path}: this checkpoint cannot be read ({problem}).") from None


def under(named: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Of a state, what has this in front of its name, without it."""
    return {
        name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)
    }
