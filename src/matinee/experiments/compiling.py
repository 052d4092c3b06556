"""Compiling ahead: what an estimator needs, before its time is taken; or all there is, at once.

Kernels are compiled for the types that they are called with, so a tiny model goes through all that
a real one will.
"""

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from matinee.data.dataset import Dataset
from matinee.data.reading import read
from matinee.data.synthetic import write_generated
from matinee.evaluation.evaluator import evaluate_ranking, evaluate_ratings, holdout_or_none
from matinee.kernels.cache import compiled_here, place_of_kernels
from matinee.kernels.parallel import usable_threads
from matinee.models.als import ALS
from matinee.models.base import Estimator
from matinee.models.baselines import EASE
from matinee.models.bayesian.estimator import BayesianMF
from matinee.models.implicit_als import ImplicitALS
from matinee.models.next_item import NextItem
from matinee.models.recommender import Recommender
from matinee.progress import compiling

DEFAULT = (ALS(), ImplicitALS())
ALL = (
    ALS(solver="cholesky"),
    ImplicitALS(solver="blocks"),
    EASE(),
    NextItem(),
    BayesianMF(),
    BayesianMF(likelihood="ordinal"),
    *DEFAULT,
)
COMPILED = {type(estimator) for estimator in ALL}  # others have few kernels of their own
SIDE = 8  # users and items of the tiny data
SWEEPS = 8  # of a sampler: some for its posterior


class Compiled(NamedTuple):
    """What `warm_up` has compiled, where all kernels are (None: nowhere), and how long it took."""

    kernels: tuple[str, ...]
    folder: Path | None
    seconds: float


def warm_up() -> Compiled:
    """Compile every kernel that is not on disk yet.

    >>> warm_up().seconds < 600
    True
    """
    started, before = time.perf_counter(), len(compiled_here)
    for model in compile_kernels(ALL):
        _ask(model)
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder) / "tiny"
        write_generated(tiny, users=SIDE, items=SIDE, ratings=4 * SIDE)
        read(tiny)
    seconds = time.perf_counter() - started
    return Compiled(tuple(compiled_here[before:]), place_of_kernels(), seconds)


def compile_kernels(estimators: Iterable[Estimator] = DEFAULT) -> list[Recommender]:
    """Compile the kernels that training and evaluation of these need, or load them from disk.

    Returns what the tiny data made of each, and of the last two heads together.
    """
    compiled = [estimator for estimator in estimators if type(estimator) in COMPILED]
    tiny, models = _tiny(), []
    with compiling(len(compiled) + 1) as tick, _unlogged():
        for done, estimator in enumerate(compiled, 1):
            models.append(_small(estimator).fit(tiny, threads=1))
            _evaluate(models[-1], tiny)
            tick(done, "")
        heads = {name: model for model in models for name in model.heads}
        if len(heads) == 2:
            models.append(heads["rating"].with_ranking(heads["ranking"]))
            _evaluate(models[-1], tiny)
    return models


@contextmanager
def _unlogged() -> Iterator[None]:
    """Trainings that are not told in the log."""
    log = logging.getLogger(Estimator.__module__)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def compiling_beside() -> Iterator[None]:
    """Let a second process compile what the default estimators need, in the opposite order.

    numba compiles one function at a time in a process. Each of the two finds on disk what the other
    has compiled. Where kernels are compiled already, or there is one processor, there is no second.
    """
    second = None
    if usable_threads() > 1 and place_of_kernels() is None:
        code = f"from {__name__} import DEFAULT, compile_kernels; compile_kernels(DEFAULT[::-1])"
        silent = subprocess.DEVNULL
        try:
            second = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", code], stdin=silent, stdout=silent, stderr=silent
            )
        except OSError:  # where a process may not start others
            second = None
    try:
        yield
    finally:
        if second is not None:
            second.terminate()  # what it has not written whole is compiled when it is needed
            second.wait()


def _tiny() -> Dataset:
    """Ratings by which every kernel has something to do."""
    pairs = [(user, item) for user in range(SIDE) for item in range(SIDE) if (user + item) % 3]
    return read(
        [(user, item, 1 + (user * item) % 5, 10**9 + user) for user, item in pairs],
        items={
            "item": range(SIDE),
            "title": [f"Movie {item} (199{item})" for item in range(SIDE)],
            "genres": [("Drama", "Comedy")[item % 2] for item in range(SIDE)],
        },
    )


def _small(estimator: Estimator) -> Estimator:
    """The same estimator for the tiny data, which have few ratings and no validation set."""
    iterations = SWEEPS if isinstance(estimator, BayesianMF) else 1
    settings = {"factors": 2, "iterations": iterations, "patience": 0, "min_rating": None}
    own = {field.name for field in fields(cast(Any, estimator))}
    small = replace(cast(Any, estimator), **{k: v for k, v in settings.items() if k in own})
    return cast(Estimator, small)


def _evaluate(model: Recommender, data: Dataset) -> None:
    """What follows a training: errors of ratings, lists for many users, and for one."""
    if model.rating_head:
        evaluate_ratings(model, data, data)
    task = holdout_or_none(*data.split("random", test_fraction=0.3, seed=0))
    if task is not None:
        evaluate_ranking(model, task)
    model.recommend(0, n=1)
    if "next" in model.orders:
        model.recommend(0, n=1, head="next")


def _ask(model: Recommender) -> None:
    """All that may be asked of a model."""
    new = model.fold_in({0: 5, 1: 3})
    model.recommend([new], n=1)
    model.recommend(0, n=1, allow=[(0, 0)], exclude_seen=False)
    model.recommend(0, n=1, min_ratings=2, discover=0.5)
    if model.rating_head:
        model.predict(new, 1)
        model.predict(0, 1, 0)
    if model.heads_with("items"):
        model.recommend(0, n=1, diverse=0.5)
        model.similar_items(0, n=1)
        model.explain(0, 1)
