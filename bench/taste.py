"""Do lists listen? The default order against who watched what, popularity and EASE.

    python bench/taste.py [DATASET ...] [--seeds N] [--json FILE]

A random fifth of the ratings is held out, seeds 0 to N - 1; values are means over seeds. Watched:
NDCG@10 of all that is held out. Liked: of what was rated 4 or more. Disliked: the share of hits
that lie a standard deviation or more under the user's mean. Then the flip: a new user rates popular
films of two genres, loving the one and hating the other, and the reverse; how much do both lists
share, and whose genre is in them? Takes three minutes.
"""

import argparse
import json
from itertools import starmap
from pathlib import Path
from statistics import mean

import numpy as np

import matinee
from matinee.evaluation import evaluate_ranking, holdout
from matinee.models import EASE, ImplicitALS, Popularity

DATASETS = ("ml-100k", "ml-latest-small", "ml-1m")
PURE_SHARE = 0.9  # of today's regularization: what it was when ratings did not count
LIKED = 4.0
PAIRS = (
    ("Horror", "Romance"),
    ("Horror", "Children"),
    ("Action", "Romance"),
    ("Sci-Fi", "Musical"),
    ("War", "Animation"),
    ("Crime", "Children"),
    ("Western", "Sci-Fi"),
    ("Comedy", "Thriller"),
    ("Animation", "Horror"),
    ("Drama", "Action"),
)
METRIC_NAMES = ("watched", "liked", "disliked", "coverage")


def who_watched_what(train):
    """The ranking model as it was: every rating is a positive, whatever it says."""
    regularization = PURE_SHARE * ImplicitALS().default_regularization(train.ratings)
    return ImplicitALS(rating_weight=0, regularization=regularization).fit(train)


MODELS = {
    "who watched what": who_watched_what,
    "default": matinee.fit,
    "EASE": lambda train: EASE().fit(train),
    "popularity": lambda train: Popularity().fit(train),
}


def evaluate_all(dataset, seed):
    """Of all models on one split."""
    train, test = dataset.split("random", test_fraction=0.2, seed=seed)
    watched, liked = holdout(train, test), holdout(train, test, min_rating=LIKED)
    result = {}
    for name, fit in MODELS.items():
        model = fit(train)
        metrics = evaluate_ranking(model, watched)
        result[name] = dict(
            zip(
                METRIC_NAMES,
                (
                    metrics["ndcg@10"],
                    evaluate_ranking(model, liked)["ndcg@10"],
                    metrics["disliked_share@10"],
                    metrics["coverage@10"],
                ),
                strict=True,
            )
        )
    return result


def flip(dataset, per_genre=4):
    """For each pair of genres: how many items both rankings share, and what is in each."""
    model = matinee.fit(dataset)
    catalog, counts = dataset.catalog, model.item_counts
    columns = catalog.genre_matrix.T > 0
    # "Children's" in older editions
    names = [name.removesuffix("'s") for name in catalog.genre_names]
    genres = dict(zip(names, columns, strict=True))

    def favourites(own, other):
        only = np.flatnonzero(genres[own] & ~genres[other])
        return only[np.argsort(-counts[only], kind="stable")][:per_genre]

    def ask(loved, hated):
        rated = {
            catalog.ids.values[int(k)]: dataset.ratings.scale.high for k in favourites(loved, hated)
        }
        low = dataset.ratings.scale.low
        rated |= {catalog.ids.values[int(k)]: low for k in favourites(hated, loved)}
        listed = model.recommend(model.fold_in(rated))
        codes = catalog.ids.codes(listed["item_id"])
        inside = [
            int((genres[a] & ~genres[b])[codes].sum()) for a, b in ((loved, hated), (hated, loved))
        ]
        better = float(listed["predicted_rating"].mean()) >= mean(rated.values())
        return set(codes.tolist()), *inside, better

    def pair(first, second):
        one, other = ask(first, second), ask(second, first)
        return {
            "pair": f"{first}, {second}",
            "shared": len(one[0] & other[0]),
            "rankings": [one[1:], other[1:]],
        }

    return list(starmap(pair, PAIRS))


def parser_of(doc, seeds):
    """The options of this file, and of those that go by the same data."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=DATASETS)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--json", type=Path)
    return parser


def main():
    arguments = parser_of(__doc__, seeds=5).parse_args()
    everything = {}
    for name in arguments.datasets:
        dataset = matinee.read(name)
        rows = [evaluate_all(dataset, seed) for seed in range(arguments.seeds)]
        means = {
            model: {name: mean(row[model][name] for row in rows) for name in METRIC_NAMES}
            for model in MODELS
        }
        before = means["who watched what"]
        print(f"\n{dataset.name}, {arguments.seeds} seeds")
        for model, values in means.items():
            text = "  ".join(
                f"{name} {value:.4f} ({value / before[name] - 1:+.1%})"
                for name, value in values.items()
            )
            print(f"{model:17} {text}")
        flips = flip(dataset)
        print("  genres: shared of ten; (loved, hated, rated as high as the mean) of each ranking")
        for row in flips:
            print(f"  {row['pair']}: {row['shared']}; {row['rankings']}")
        everything[dataset.name] = {"metrics": means, "flips": flips}
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
