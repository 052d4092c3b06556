"""What attributes are worth: lists of new items, and for new users, with attributes and without.

    python bench/cold_start.py [DATASET ...] [--seeds N] [--json FILE]

A random tenth of the items, then of the users, is held out whole, seeds 0 to N - 1, and only the
new items are ranked. NDCG@10 of the default lists, means over seeds: with all attributes; with
genres alone; with none (then all new items are alike, in the order of their ids); expected of a
random order. Takes a minute.
"""

import argparse
import json
import re
from pathlib import Path
from statistics import mean

import matinee
from matinee.evaluation import cold_items, cold_users, evaluate_ranking

DATASETS = ("ml-100k", "ml-latest-small", "ml-1m")
FEATURES = ("all", "genres", "none")


def measured(task):
    """NDCG@10 by what the models know of attributes, and of a random order."""
    values = {"random": float(re.search(r"\d\.\d+", task.note)[0])}
    for features in FEATURES:
        model = matinee.fit(
            task.train, matinee.ALS(features=features), matinee.ImplicitALS(features=features)
        )
        values[features] = evaluate_ranking(model, task)["ndcg@10"]
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=DATASETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.datasets:
        dataset = matinee.read(name)
        protocols = [cold_items, cold_users] if dataset.users.groups else [cold_items]
        for protocol in protocols:
            tasks = [protocol(dataset, seed=seed) for seed in range(arguments.seeds)]
            of_seeds = [measured(task) for task in tasks]
            row = {key: mean(values[key] for values in of_seeds) for key in of_seeds[0]}
            rows.append({"data": name, "protocol": tasks[0].protocol, **row})
            text = "  ".join(f"{key} {value:.4f}" for key, value in row.items())
            print(f"{name:16} {tasks[0].protocol:11} {text}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
