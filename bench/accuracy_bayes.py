"""How accurate `BayesianMF` is, how well it knows that, and how fast it is, beside its peers.

The parts of `bench/accuracy.py` that take long. Settings are the defaults everywhere, with one
seed each: docs/evaluation.md says how the defaults were chosen.
"""

import statistics
import sys
import time
from dataclasses import replace

import numpy as np

import matinee
from accuracy_peers import PEERS, peer_errors
from matinee.data import Dataset
from matinee.evaluation import evaluate_calibration, evaluate_ratings
from matinee.experiments.compiling import compile_kernels
from matinee.models.bayesian.sampler import FEATURES, GibbsSampler

TEST_ROWS = 100_021  # of ml-1m, the first after the published shuffle
ROUNDS, SWEEPS = 3, 12  # of the comparison of speed: rounds, and sweeps per round
BURN_IN = 48  # sweeps before ours are timed: from then on all parameters are drawn
PEERS_OF_100K = ("myfm ordered", "myfm regression", "myfm indicators")
PEERS_OF_SMALL = ("myfm indicators", "myfm regression", "cmfrec", "lenskit")

OURS = {
    "bayes": (),
    "bayes without drift": ("drift",),
    "bayes without time": ("drift", "date"),
}
"""Which features each variant goes without."""

Results = dict[str, float]


def ours(train: Dataset, test: Dataset, **settings: str) -> Results:
    """Errors and calibration on the test set, of a model of the training set."""
    estimator = matinee.BayesianMF(**settings)
    compile_kernels([estimator])
    started = time.perf_counter()
    model = estimator.fit(train)
    seconds = time.perf_counter() - started
    errors = evaluate_ratings(model, train, test)
    calibration = evaluate_calibration(model, train, test)
    return {
        "rmse": errors.rmse,
        "mae": errors.mae,
        "seconds": seconds,
        "log-loss": calibration.log_loss,
        "log-loss of the best constant": calibration.baseline_log_loss,
        **{f"coverage of {level:.0%}": share for level, share in calibration.coverage.items()},
    }


def all_but(train: Dataset, left_out: tuple[str, ...]) -> str:
    """The features of a data set without some of them."""
    names = (*train.catalog.attributes.names, *train.users.names, *FEATURES)
    return ",".join(name for name in names if name not in left_out)


def peer(name: str, train: Dataset, test: Dataset) -> Results:
    package, settings = PEERS[name]
    return peer_errors(package, train, test, settings)


def over_folds(name: str, folds: list[tuple[Dataset, Dataset]], others: tuple[str, ...]) -> Results:
    """Errors by fold and on average, of ours and of others: variants and peers."""
    metrics: Results = {}
    for model in ("bayes", *others):
        results = []
        for train, test in folds:
            if model in OURS:
                result = ours(train, test, features=all_but(train, OURS[model]))
            else:
                result = peer(model, train, test)
            results.append(result)
            print(f"{name}, {model}, fold {len(results)}: {result['rmse']:.4f}", file=sys.stderr)
        if model == "bayes":
            metrics[f"{name} first fold, RMSE of bayes"] = results[0]["rmse"]
            metrics[f"{name} first fold, log-loss of bayes"] = results[0]["log-loss"]
            seconds = statistics.mean(result["seconds"] for result in results)
            metrics[f"{name}, seconds of a fit"] = seconds
        for error in ("rmse", "mae"):
            mean = statistics.mean(result[error] for result in results)
            metrics[f"{name} mean of folds, {error.upper()} of {model}"] = mean
    return metrics


def ml_100k() -> Results:
    """The five official splits, u1 first."""
    data = matinee.read("ml-100k")
    folds = [data.split(f"u{number}") for number in range(1, 6)]
    return over_folds("ml-100k", folds, (*list(OURS)[1:], *PEERS_OF_100K))


def small() -> Results:
    """Five folds of ml-latest-small."""
    folds = list(matinee.read("ml-latest-small").folds(5, seed=0))
    return over_folds("ml-latest-small", folds, PEERS_OF_SMALL)


def published_split(data: Dataset) -> tuple[Dataset, Dataset]:
    """ml-1m with the test set of the published results, by rows of its file."""
    rows = np.arange(len(data))
    np.random.RandomState(0).shuffle(rows)
    test = np.zeros(len(data), bool)
    test[rows[:TEST_ROWS]] = True
    return replace(data, official={"published": test}).split("published")


def ml_1m() -> Results:
    """The published split, with an ordinal and with a normal likelihood."""
    train, test = published_split(matinee.read("ml-1m"))
    metrics: Results = {}
    for likelihood in ("ordinal", "normal"):
        for name, value in ours(train, test, likelihood=likelihood).items():
            metrics[f"ml-1m, {name} of bayes, {likelihood}"] = value
    return metrics


def speed() -> Results:
    """Seconds of a sweep on ml-1m with 32 factors and the features of the published run.

    Ours and the peer's take turns. What either does before its first sweep does not count: ours
    is timed sweep by sweep, the peer by the difference of a longer and a shorter run.
    """
    train, test = published_split(matinee.read("ml-1m"))
    levels = np.unique(train.ratings.values)
    feature_sets = {
        "date and indicators": ("date", "rated", "raters"),
        "all features": matinee.BayesianMF().groups(train),
    }
    compile_kernels([matinee.BayesianMF()])
    samplers = {
        name: GibbsSampler(train, 32, levels, names) for name, names in feature_sets.items()
    }
    for sampler in samplers.values():
        for _ in range(BURN_IN):
            sampler.draw()
    settings = {"rank": 32, "kind": "ordered", "features": ["date", "indicators"]}
    seconds: dict[str, list[float]] = {"peer": [], **{name: [] for name in samplers}}
    for _ in range(ROUNDS):
        for name, sampler in samplers.items():
            begun = time.perf_counter()
            for _ in range(SWEEPS):
                sampler.draw()
            seconds[name].append((time.perf_counter() - begun) / SWEEPS)
        runs = [
            peer_errors("myfm", train, test, {**settings, "iterations": sweeps})["seconds"]
            for sweeps in (2, 2 + SWEEPS)
        ]
        seconds["peer"].append((runs[1] - runs[0]) / SWEEPS)
    same = seconds["date and indicators"]
    ratios = [slow / fast for slow, fast in zip(seconds["peer"], same, strict=True)]
    return {
        "ml-1m, seconds of a sweep, date and indicators": statistics.median(same),
        "ml-1m, seconds of a sweep, all features": statistics.median(seconds["all features"]),
        "ml-1m, seconds of a sweep, myfm": statistics.median(seconds["peer"]),
        "ml-1m, times as fast as myfm": statistics.median(ratios),
    }


PARTS = {"ml-100k": ml_100k, "ml-1m": ml_1m, "small": small, "speed": speed}
