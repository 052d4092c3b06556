"""What is kept aside within the training part, so that the test part is not looked at."""

import re

from matinee.data import Dataset
from matinee.errors import SettingError
from matinee.evaluation.experiment import VALIDATION_FRACTION
from matinee.tuning.trials import Part

FOLDS = re.compile(r"([1-9][0-9]{0,2})-fold")


def inner_parts(train: Dataset, how: str, seed: int) -> list[Part]:
    """Parts to train on and to judge by.

    Parameters
    ----------
    train : Dataset
        The training part of the split that the winner is tested on.
    how : str
        ``"random"``: a tenth of the ratings; ``"time"``: the latest tenth; ``"5-fold"`` and so on:
        each fold in turn.
    seed : int

    Examples
    --------
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> [(len(train), len(judged)) for train, judged in inner_parts(data, "3-fold", seed=0)]
    [(1000, 500), (1000, 500), (1000, 500)]

    Raises
    ------
    SettingError
        If there is no such validation.
    """
    if how in ("random", "time"):
        try:
            return [train.split(how, test_fraction=VALIDATION_FRACTION, seed=seed)]
        except SettingError as problem:
            raise SettingError(f"For the validation part: {problem}") from None
    folds = FOLDS.fullmatch(how)
    if not folds:
        raise SettingError(f"validation is random, time or K-fold (such as 5-fold), not {how!r}.")
    return list(train.folds(int(folds[1]), seed))
