"""An exam: what to train on, whom to judge, and by which movies."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matinee.data import Dataset
from matinee.errors import SettingError
from matinee.kernels import Rows, take_rows


@dataclass(frozen=True, eq=False)
class Exam:
    """What to train on, whom to judge, and by which movies.

    Parameters
    ----------
    protocol : str
        ``"held-out"``, ``"leave-last-out"``, ``"strong"``, ``"time"`` or ``"ncf"``.
    train : Dataset
    users : int32 (viewers,)
        Codes of the judged viewers, ascending.
    history : Rows
        A row for each judged viewer: what they are known by, and is left out of their list.
        Codes ascend; values are stars.
    folded_in : bool
        The judged viewers are not in `train`: a model has to fold their history in.
    relevant : Rows
        A row for each judged viewer: held-out movies that count, at least one. Codes ascend;
        values are stars.
    candidates : Rows, optional
        A row for each judged viewer: rank only these, the positive among them. Codes ascend;
        values mean nothing.
    note : str
        A sentence for tables.
    test : Dataset, optional
        All held-out ratings, where the protocol holds ratings out: for errors of stars.

    Raises
    ------
    SettingError
        If nobody is judged.
    """

    protocol: str
    train: Dataset
    users: NDArray[np.int32]
    history: Rows
    folded_in: bool
    relevant: Rows
    candidates: Rows | None = None
    note: str = ""
    test: Dataset | None = None

    def __post_init__(self) -> None:
        if len(self.users) == 0:
            raise SettingError(
                f"{self.train.name}: nobody can be judged; "
                "no viewer has both a history and a held-out movie that counts."
            )

    def __len__(self) -> int:
        return len(self.users)

    def sample(self, n: int, seed: int = 0) -> "Exam":
        """The same exam for at most `n` of the judged viewers, drawn at random."""
        if n < 1:
            raise SettingError(f"At least 1 viewer is judged, not {n}.")
        if n >= len(self):
            return self
        return self.take(np.sort(generator_of(seed).choice(len(self), n, replace=False)))

    def take(self, rows: NDArray[np.integer]) -> "Exam":
        """The same exam for some of the judged viewers, by their place among `users`."""
        return replace(
            self,
            users=self.users[rows],
            history=take_rows(self.history, rows),
            relevant=take_rows(self.relevant, rows),
            candidates=None if self.candidates is None else take_rows(self.candidates, rows),
        )


def generator_of(seed: int) -> np.random.Generator:
    """The generator of this seed; SettingError for one below 0."""
    if seed < 0:
        raise SettingError(f"A seed is a whole number from 0 on, not {seed}.")
    return np.random.default_rng(seed)
