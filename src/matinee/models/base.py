"""The base class of estimators: hyperparameters with `fit`."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from types import MappingProxyType, UnionType
from typing import Any, ClassVar, get_args, get_origin

import numpy as np
import polars as pl

from matinee.data.dataset import Dataset
from matinee.data.ratings import NOT_RATED
from matinee.errors import (
    SettingError,
    bounded,
    check_choice,
    check_number,
    check_whole,
    cut,
    shortened,
)
from matinee.kernels.parallel import machine_memory, thread_limit
from matinee.models.recommender import Recommender
from matinee.storage.checkpoint import Checkpoint

log = logging.getLogger(__name__)

LARGEST = 2**31 - 1  # of a hyperparameter that counts something
LONG = 2**63 - 1  # of a seed
MOST = 1e30  # of a hyperparameter that is a number
Callback = Callable[[Mapping[str, Any]], None]
"""Sees each row of a history as it is made; what it raises ends the training."""


@dataclass(frozen=True)
class FitContext:
    """The arguments of `Estimator.fit` beside the training set, checked."""

    eval_sets: Mapping[str, Dataset]  # "validation" and "test", where given
    threads: int | None
    warm_start: Recommender | None
    checkpoint: Checkpoint | None
    callback: Callback | None
    on_interrupt: str


class Estimator:
    """Base of all estimators: frozen dataclasses of hyperparameters whose `fit` makes a model.

    The same hyperparameters, seed and data give the same model. ``seed`` and ``threads`` are
    scikit-learn's ``random_state`` and ``n_jobs``, but for this: a seed is an int, and the result
    is the same bits for any number of threads.

    Attributes
    ----------
    predicts : {"rating", "ranking"}
        Which head its models have.
    supports_checkpoint, supports_callback, supports_warm_start, supports_device : bool
        What `fit` can do: leave checkpoints, call back after each iteration, start from an earlier
        model; and whether there is a device to train on.
    fallbacks : mapping
        What hyperparameters that are None stand for where they are not chosen from the data.
    equations : bool
        Whether rows are solved by systems of as many equations as there are factors.
    """

    predicts: ClassVar[str]
    supports_checkpoint: ClassVar[bool] = False
    supports_callback: ClassVar[bool] = False
    supports_warm_start: ClassVar[bool] = False
    supports_device: ClassVar[bool] = False
    fallbacks: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    equations: ClassVar[bool] = False
    patience: int = 0

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The hyperparameters by name; `sklearn.base.clone` makes the same estimator of them.

        Examples
        --------
        >>> import matinee
        >>> matinee.EASE().get_params()
        {'regularization': 300.0, 'min_rating': None}
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def to_config(self) -> dict[str, Any]:
        """Class name and hyperparameters, as a run keeps them; see `estimator_from_config`."""
        return {"name": type(self).__name__, **self.get_params()}

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
        warm_start: Recommender | None = None,
        checkpoint: Checkpoint | None = None,
        callback: Callback | None = None,
        on_interrupt: str = "keep",
    ) -> Recommender:
        """Train on `train` and return a new model.

        Parameters
        ----------
        train : Dataset
        validation : Dataset, optional
            Evaluated after each iteration: for `patience`, and for the history. From the same
            split, so that users and items agree.
        test : Dataset, optional
            Evaluated after each iteration for the history alone; it decides nothing.
        threads : int, optional
            By default all processors. The model is the same for any number, to the last bit
            (gradient models: for the same number).
        warm_start : Recommender, optional
            Start from its factors, of as many dimensions or fewer. Users and items that it does
            not know are added, and it needs fewer iterations to end as well as a full training.
        checkpoint : Checkpoint, optional
            Where to leave the state as training goes, and to resume from.
        callback : callable, optional
            Called with each row of the history; what it raises ends the training.
        on_interrupt : {"keep", "raise"}
            What Ctrl-C does to estimators that average as they go (`BayesianMF`): return the
            average so far, or raise KeyboardInterrupt as all others do.

        Raises
        ------
        SettingError
            If there is nothing to learn from, the sets have other users or items, `patience` is
            set without `validation`, an argument is not supported, or training breaks down.
        RunError
            If a checkpoint cannot be read, or belongs to another training.
        """
        given = {"warm_start": warm_start, "checkpoint": checkpoint, "callback": callback}
        for name, value in given.items():
            if value is not None and not getattr(self, f"supports_{name}"):
                raise SettingError(f"{type(self).__name__} does not support {name}.")
        check_choice("on_interrupt", on_interrupt, ("keep", "raise"))
        if self.predicts == "rating" and train.ratings.scale is None:
            raise SettingError(f"{train.name}: {NOT_RATED}")
        eval_sets = check_eval_sets(train, self.patience, validation, test)
        context = FitContext(eval_sets, threads, warm_start, checkpoint, callback, on_interrupt)
        return self._fit_told(train, context)

    def _fit_told(self, train: Dataset, context: FitContext) -> Recommender:
        """`_fit` with lines in the log, and one line where memory ends."""
        refuse_too_large(self, len(train.ratings.user_ids), len(train.catalog))
        name, started = type(self).__name__, time.monotonic()
        users, items = len(train.ratings.user_ids), len(train.catalog)
        size = f"{len(train):,} {train.unit}s of {users:,} users and {items:,} items"
        log.info("training %s on %s: %s", name, bounded(train.name), size)
        try:
            with thread_limit(context.threads), np.errstate(all="ignore"):
                model = self._fit(train, context)
                _check_heads(model)
            log.info("trained %s in %.1f s", name, time.monotonic() - started)
            return model
        except MemoryError as problem:
            why = f" ({cut(str(problem), 200)})" if str(problem) else ""
            raise SettingError(f"Training {name} needs more memory than there is{why}.") from None
        except np.linalg.LinAlgError as problem:
            raise SettingError(
                f"Training {name} broke down, for its numbers are too extreme ({problem})."
            ) from None

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        raise NotImplementedError

    # checks of hyperparameters, for `__post_init__`

    def __post_init__(self) -> None:
        """Refuse what is not of the type of a hyperparameter; what is numpy's becomes Python's."""
        for field in fields(self):  # type: ignore[arg-type]
            value, of = getattr(self, field.name), field.type
            types = get_args(of) if isinstance(of, UnionType) else (of,)
            names = {(get_origin(each) or each).__name__ for each in types}
            several = isinstance(value, Mapping | list | tuple) and names & {"Mapping", "tuple"}
            if several or (value is None and "NoneType" in names):
                continue  # what holds several is checked by who has it
            if "float" in names:
                check_number(field.name, value, lambda number: True, "a number")
                check_number(field.name, value, _is_moderate, f"at most {MOST:g}")
                whole = type(value) is int and abs(value) < 2**53
                object.__setattr__(self, field.name, value if whole else float(value))
            elif "int" in names:
                check_whole(field.name, value, None, LONG if field.name == "seed" else LARGEST)
                object.__setattr__(self, field.name, int(value))
            elif "str" in names and not isinstance(value, str):
                raise SettingError(f"{field.name} must be a text, got {shortened(value)}.")

    def _check_at_least(self, **bounds: float) -> None:
        """Refuse hyperparameters below these bounds; None is left alone."""
        for name, bound in bounds.items():
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), partial(_is_from, bound), f">= {bound}")

    def _check_positive(self, *names: str) -> None:
        """Refuse hyperparameters that are not positive and finite; None is left alone."""
        for name in names:
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), _is_positive, "> 0")

    def _check_one_of(self, **choices: tuple[str | None, ...]) -> None:
        """Refuse hyperparameters that are none of these choices."""
        for name, allowed in choices.items():
            check_choice(name, getattr(self, name), allowed)


def _is_moderate(value: float) -> bool:
    """Whether sums of it over ratings are finite in 32 bits, or another check has to refuse it."""
    return not MOST < abs(value) < np.inf


def _is_from(bound: float, value: float) -> bool:
    return bound <= value < np.inf


def _is_positive(value: float) -> bool:
    return 0 < value < np.inf


def refuse_too_large(estimator: Estimator, users: int, items: int) -> None:
    """Refuse a training for whose factors the memory of this machine is too small."""
    factors = getattr(estimator, "factors", 0)
    squares = factors * estimator.equations
    needed, there = 4.0 * factors * (2 * (users + items) + squares), machine_memory()
    if needed > there:
        raise SettingError(
            f"factors={factors} needs at least {needed / 2**30:,.0f} GiB of memory for "
            f"{users:,} users and {items:,} items, and there are {there / 2**30:,.0f}. "
            "Fewer factors need less."
        )


def _check_heads(model: Recommender) -> None:
    """LinAlgError unless whoever saves the model can load it."""
    for head in model.heads.values():
        try:
            head.check(model.index.sizes)
        except ValueError as problem:
            raise np.linalg.LinAlgError(str(problem)) from None


def check_eval_sets(
    train: Dataset, patience: int, validation: Dataset | None, test: Dataset | None
) -> dict[str, Dataset]:
    """The sets to evaluate as training goes, by name; SettingError if they do not fit `train`."""
    if len(train) == 0:
        raise SettingError(f"{train.name}: no ratings to learn from.")
    if patience and not validation:
        raise SettingError("patience needs a validation set with ratings.")
    given = {"validation": validation, "test": test}
    eval_sets = {name: data for name, data in given.items() if data is not None}
    for name, data in eval_sets.items():
        if not data.ratings.same_codes_as(train.ratings):
            raise SettingError(
                f"The {name} set has other users or items than the training set. Read all "
                "ratings together and split them."
            )
    return eval_sets


def check_features(features: str) -> None:
    """Refuse what cannot be names of attributes; whether there are such, the data tell."""
    if not isinstance(features, str) or not features:
        raise SettingError(
            f"features must be 'all', 'none', or names joined by commas, got {shortened(features)}."
        )


def check_width(earlier: int, factors: int) -> None:
    """Refuse to start from an earlier model with more factors."""
    if earlier > factors:
        raise SettingError(
            f"warm_start has {earlier} factors, more than {factors}; a model can only grow."
        )


def training_identity(
    config: Mapping[str, Any], train: Dataset, eval_sets: Mapping[str, Dataset]
) -> str:
    """What a training is, by hyperparameters and data: a checkpoint of another one is refused."""
    sets = {"train": train, **eval_sets}
    data = {name: part.ratings.fingerprint() for name, part in sets.items()}
    return json.dumps({**config, "data": data}, sort_keys=True)


def best_epoch(history: pl.DataFrame, patience: int) -> int:
    """Row of the history whose weights were kept: the best one with patience, else the last."""
    if not patience:
        return history.height - 1
    if "validation_hit_rate" in history.columns:
        return int(history["validation_hit_rate"].arg_max() or 0)
    return int(history["validation_rmse"].arg_min() or 0)
