"""Do the defaults hold where people rated little? Against popularity and EASE.

    python bench/few_ratings.py [--seeds N] [--json FILE]

Of every user of ml-1m only some ratings are kept, chosen at random, in a row or the last ones; how
many is drawn from a geometric distribution of the given mean. Of what is kept a random fifth is
held out, seeds 0 to N - 1. NDCG@10 of what was watched, and of what was rated 4 or more: means over
seeds. Takes three minutes.
"""

import argparse
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import numpy as np

import matinee
from matinee.evaluation import evaluate_ranking, holdout

SETS = (  # how ratings are chosen, how many a user has on average
    ("at random", 6), ("at random", 25), ("at random", 50),
    ("in a row", 6), ("in a row", 12), ("in a row", 25), ("the last", 6),
)  # fmt: skip
LIKED = 4.0


def thinned(dataset, how, average, seed):
    """The data set with fewer ratings of each user."""
    ratings, rng = dataset.ratings, np.random.default_rng(seed)
    order = np.lexsort((ratings.timestamp, ratings.user))
    starts = np.concatenate(([0], np.cumsum(ratings.user_counts)))
    kept = []
    for start, stop in pairwise(starts):
        rows = order[start:stop]
        count = min(len(rows), 1 + rng.geometric(1 / (average - 1)))
        if how == "at random":
            kept.append(rng.choice(rows, count, replace=False))
        else:
            last = len(rows) - count
            first = last if how == "the last" else rng.integers(0, last + 1)
            kept.append(rows[first : first + count])
    return replace(dataset, ratings=ratings.take(np.sort(np.concatenate(kept))), official={})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    dataset = matinee.read("ml-1m")
    rows = []
    for how, average in SETS:
        values = {"default": [], "EASE": [], "popularity": [], "chosen": []}
        for seed in range(arguments.seeds):
            few = thinned(dataset, how, average, seed)
            train, test = few.split("random", test_fraction=0.2, seed=seed)
            tasks = holdout(train, test), holdout(train, test, min_rating=LIKED)
            models = {
                "default": matinee.fit(train),
                "EASE": matinee.EASE().fit(train),
                "popularity": matinee.Popularity().fit(train),
            }
            values["chosen"].append(models["default"].ranking_head.unobserved)
            for name, model in models.items():
                values[name].append([evaluate_ranking(model, task)["ndcg@10"] for task in tasks])
        row = {"chosen": how, "ratings": average, "unobserved": values.pop("chosen")}
        for name, runs in values.items():
            row[name] = [mean(column) for column in zip(*runs, strict=True)]
        rows.append(row)
        text = "  ".join(f"{name} {row[name][0]:.4f} / {row[name][1]:.4f}" for name in values)
        print(f"{average:2} {how:10} watched / liked: {text}  unobserved {row['unobserved']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
