"""How accurate `BayesianMF` is, how well it knows that, and how fast it is, beside its peers.

The parts of `bench/accuracy.py` that take chains. Settings are the defaults everywhere, and each
chain has one seed: what they were chosen by is told in docs/evaluation.md.
"""

import statistics
import sys
import time
from dataclasses import replace

import numpy as np

import matinee
from accuracy_peers import PRESETS, peer_errors
from matinee.data import Dataset
from matinee.evaluation import calibration
from matinee.experiments.training import compile_kernels
from matinee.models.bayesian import GibbsSampler

TEST_ROWS = 100_021  # of ml-1m, the first after the published shuffle
ROUNDS, SWEEPS = 3, 12  # of the comparison of speed: rounds of as many sweeps
BURN_IN = 48  # sweeps before ours are timed: from then on all of it is drawn
PEERS_OF_100K = ("myfm ordered", "myfm regression", "myfm indicators")
PEERS_OF_SMALL = ("myfm indicators", "myfm regression", "cmfrec", "lenskit")

OURS = {
    "bayes": {},
    "bayes without drift": {"features": "genres,years,raters,traits,rated,date"},
    "bayes without time": {"features": "genres,years,raters,traits,rated"},
}

Figures = dict[str, float]


def ours(train: Dataset, test: Dataset, **settings: str) -> Figures:
    """Errors on the test part of a chain on the training part, and how well it knows them."""
    estimator = matinee.BayesianMF(**settings)
    compile_kernels([estimator])
    started = time.perf_counter()
    model = estimator.fit(train)
    seconds = time.perf_counter() - started
    found, known = matinee.evaluate(model, train, test), calibration(model, train, test)
    return {
        "rmse": found.rmse,
        "mae": found.mae,
        "seconds": seconds,
        "log-loss": known.log_loss,
        "log-loss of the best constant": known.log_loss_of_constant,
        **{f"coverage of {promise:.0%}": share for promise, share in known.coverage.items()},
    }


def peer(preset: str, train: Dataset, test: Dataset) -> Figures:
    return peer_errors(PRESETS[preset][0], train, test, PRESETS[preset][1])


def over_folds(name: str, folds: list[tuple[Dataset, Dataset]], others: tuple[str, ...]) -> Figures:
    """Errors by fold and on average, of ours and of others: variants, and peers."""
    metrics: Figures = {}
    for who in ("bayes", *others):
        found = []
        for train, test in folds:
            fitted = ours(train, test, **OURS[who]) if who in OURS else peer(who, train, test)
            found.append(fitted)
            print(f"{name}, {who}, fold {len(found)}: {found[-1]['rmse']:.4f}", file=sys.stderr)
        if who == "bayes":
            metrics[f"{name} first fold, RMSE of bayes"] = found[0]["rmse"]
            metrics[f"{name} first fold, log-loss of bayes"] = found[0]["log-loss"]
            metrics[f"{name}, seconds of a chain"] = statistics.mean(f["seconds"] for f in found)
        for error in ("rmse", "mae"):
            mean = statistics.mean(one[error] for one in found)
            metrics[f"{name} mean of folds, {error.upper()} of {who}"] = mean
    return metrics


def ml_100k() -> Figures:
    """The five official splits, u1 first."""
    data = matinee.read("ml-100k")
    folds = [data.split(f"u{number}") for number in range(1, 6)]
    return over_folds("ml-100k", folds, (*list(OURS)[1:], *PEERS_OF_100K))


def small() -> Figures:
    """Five folds of ml-latest-small."""
    folds = list(matinee.read("ml-latest-small").folds(5, seed=0))
    return over_folds("ml-latest-small", folds, PEERS_OF_SMALL)


def published_split(data: Dataset) -> tuple[Dataset, Dataset]:
    """ml-1m with the test part that the published figures are for, by rows of its file."""
    rows = np.arange(len(data))
    np.random.RandomState(0).shuffle(rows)
    test = np.zeros(len(data), bool)
    test[rows[:TEST_ROWS]] = True
    return replace(data, official={"published": test}).split("published")


def ml_1m() -> Figures:
    """The published split, with levels and with normal stars."""
    train, test = published_split(matinee.read("ml-1m"))
    metrics: Figures = {}
    for likelihood in ("ordinal", "normal"):
        for name, value in ours(train, test, likelihood=likelihood).items():
            metrics[f"ml-1m, {name} of bayes, {likelihood}"] = value
    return metrics


def speed() -> Figures:
    """Seconds of a sweep on ml-1m with 32 factors and the features of the published run.

    Ours and the peer's take turns; what either does before its first sweep does not count: ours
    is timed sweep by sweep, the peer by the difference of a longer and a shorter run.
    """
    train, test = published_split(matinee.read("ml-1m"))
    levels = np.unique(train.ratings.values)
    chains = {
        "date and indicators": ("date", "rated", "raters"),
        "all features": ("date", "rated", "raters", "genres", "years", "traits", "drift"),
    }
    compile_kernels([matinee.BayesianMF()])
    started = {name: GibbsSampler(train, 32, levels, features) for name, features in chains.items()}
    for chain in started.values():
        for _ in range(BURN_IN):
            chain.draw()
    settings = {"rank": 32, "kind": "ordered", "features": ["date", "indicators"]}
    found: dict[str, list[float]] = {"peer": [], **{name: [] for name in chains}}
    for _ in range(ROUNDS):
        for name, chain in started.items():
            begun = time.perf_counter()
            for _ in range(SWEEPS):
                chain.draw()
            found[name].append((time.perf_counter() - begun) / SWEEPS)
        runs = [
            peer_errors("myfm", train, test, {**settings, "iterations": sweeps})["seconds"]
            for sweeps in (2, 2 + SWEEPS)
        ]
        found["peer"].append((runs[1] - runs[0]) / SWEEPS)
    same = found["date and indicators"]
    ratios = [slow / fast for slow, fast in zip(found["peer"], same, strict=True)]
    return {
        "ml-1m, seconds of a sweep, date and indicators": statistics.median(same),
        "ml-1m, seconds of a sweep, all features": statistics.median(found["all features"]),
        "ml-1m, seconds of a sweep of myfm, date and indicators": statistics.median(found["peer"]),
        "ml-1m, times as fast as myfm": statistics.median(ratios),
    }


PARTS = {"ml-100k": ml_100k, "ml-1m": ml_1m, "small": small, "speed": speed}
