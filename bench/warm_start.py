"""Starting from an earlier run where data have grown: how much sooner, and how good?

    python bench/warm_start.py [DATASET] [--rounds N] [--json FILE]

Of the training set of ml-1m a random twentieth of the ratings and all ratings of a twentieth of the
users are new. Models of the rest are the start; a full training and one that starts there take
turns, N rounds. Medians of seconds and their ratio, RMSE and NDCG@10 on the test set. Takes a
minute.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import numpy as np

import matinee
from matinee.evaluation import evaluate_ranking, evaluate_ratings, holdout
from matinee.experiments.compiling import compile_kernels
from matinee.experiments.warm_start import fit_from

SHARE = 0.05  # of the ratings, and of the users, are new


def earlier_data(train, seed=0):
    """The data before they grew: another table, with its own users and items."""
    rng = np.random.default_rng(seed)
    new_users = rng.random(len(train.ratings.user_ids)) < SHARE
    old = (rng.random(len(train)) >= SHARE) & ~new_users[train.ratings.user]
    return matinee.read(train.ratings.take(old).to_frame())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", nargs="?", default="ml-1m")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    train, test = matinee.read(arguments.dataset).split("random", test_fraction=0.1, seed=0)
    before, task = earlier_data(train), holdout(train, test)
    compile_kernels()
    results = {}
    for estimator in (matinee.ALS(), matinee.ImplicitALS()):
        start = estimator.fit(before)
        seconds, models = {"full": [], "warm": []}, {}
        for _ in range(arguments.rounds):
            for name, earlier in (("full", None), ("warm", start)):
                began = time.perf_counter()
                models[name] = fit_from(earlier, estimator, train)
                seconds[name].append(time.perf_counter() - began)
        row = {name: {"seconds": median(values)} for name, values in seconds.items()}
        for name, model in models.items():
            if estimator.predicts == "rating":
                row[name]["rmse"] = evaluate_ratings(model, train, test).rmse
            else:
                row[name]["ndcg@10"] = evaluate_ranking(model, task)["ndcg@10"]
        row["share of the time"] = row["warm"]["seconds"] / row["full"]["seconds"]
        results[type(estimator).__name__] = row
        print(type(estimator).__name__, json.dumps(row), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
