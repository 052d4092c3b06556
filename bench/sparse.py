"""Do the defaults hold where there are few ratings of everything? Against biases alone.

    python bench/sparse.py [--seeds N] [--json FILE]

Generated ratings on a scale of 1 to 10, of 5, 10 and 20 a user on average, of items of which half
are rated twice or less; with the patterns of generated data, with weak ones and with none. And
ml-1m with as many ratings of each user. A random fifth is held out, seeds 0 to N - 1. RMSE of
`ALS` and `BayesianMF` over that of `Bias`, the worst of the seeds. Takes about twenty minutes for
a seed.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import matinee
from few_ratings import thinned
from matinee.data import RatingScale, generate
from matinee.evaluation import evaluate_ratings

AVERAGES = 5, 10, 20
PATTERNS = {"patterns": 1.0, "weak patterns": 0.4, "no patterns": 0.0}
NOISE = 0.75  # standard deviation


def generated(average, patterns, seed):
    """About 60,000 ratings; what a rating owes to factors is multiplied by `patterns`."""
    users = 24_000 // average + 3_000
    data, truth = generate(users=users, items=2 * users, ratings=users * average, seed=seed)
    user, item = data.ratings.user, data.ratings.item
    inner = np.einsum("nk,nk->n", truth.user_factors[user], truth.item_factors[item])
    values = truth.user_bias[user] + truth.item_bias[item] + patterns * inner
    values += np.random.default_rng(seed).normal(0, NOISE, len(data))
    values = np.clip(np.round(2 * (values - values.mean() + 3.8)), 1, 10).astype(np.float32)
    ratings = replace(data.ratings, values=values, scale=RatingScale(1, 10, 1))
    return replace(data, ratings=ratings)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    movies = matinee.read("ml-1m")
    sets = [
        (f"{average} a user, {name}", lambda s, a=average, p=p: generated(a, p, s))
        for average in AVERAGES
        for name, p in PATTERNS.items()
    ]
    sets += [
        (f"{average} a user of ml-1m", lambda s, a=average: thinned(movies, "at random", a, s))
        for average in AVERAGES
    ]
    rows = []
    for name, make in sets:
        ratios = {"als": [], "bayes": []}
        for seed in range(arguments.seeds):
            train, test = make(seed).split("random", test_fraction=0.2, seed=seed)
            biases = evaluate_ratings(matinee.Bias().fit(train), train, test).rmse
            for model, estimator in (("als", matinee.ALS()), ("bayes", matinee.BayesianMF())):
                rmse = evaluate_ratings(estimator.fit(train), train, test).rmse
                ratios[model].append(rmse / biases)
        rows.append({"data": name, **{model: max(values) for model, values in ratios.items()}})
        print("{data:32} als {als:.4f}  bayes {bayes:.4f}".format(**rows[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
