"""Who finds what is liked: ours and ALS of `implicit`, tuned with the same number of trials.

    python bench/taste_peers.py [DATASET ...] [--seeds N] [--trials N] [--json FILE]

A random fifth of the ratings is held out, and of the rest a tenth for tuning. The metric is NDCG@10
of held-out ratings of 4 and more; nothing that a user rated in training is listed. `implicit` may
learn from all ratings, or from those of 3.5 or 4 and more: its trials try that, too. It is
installed into an environment of its own under the cache folder. Takes ten minutes.
"""

import json
import tempfile
from pathlib import Path
from statistics import mean

import numpy as np

import matinee
from matinee.evaluation import evaluate_ranking, holdout
from matinee.kernels.csr import take_rows
from matinee.models import ALS, ImplicitALS
from peers import run_peer
from ranking import PeerModel, between, save_matrices
from taste import LIKED, parser_of

FACTORS = (64, 128, 256)


def our_settings(rng):
    """Of a trial; the regularization is a multiple of the default."""
    return {
        "factors": int(rng.choice(FACTORS)),
        "regularization": between(rng, 0.5, 3),
        "unobserved": between(rng, 0.05, 0.5),
        "rating_weight": between(rng, 0.04, 0.2),
    }


def their_settings(rng):
    """Of a trial; the last one is which ratings are positives."""
    return {
        "factors": int(rng.choice(FACTORS)),
        "regularization": between(rng, 1, 300),
        "alpha": between(rng, 0.5, 20),
        "iterations": 15,
        "min_rating": float(rng.choice([0.0, 3.5, 4.0])),
    }


def ours(settings, task):
    settings = dict(settings)
    estimator = ImplicitALS(unobserved=settings["unobserved"])
    settings["regularization"] *= estimator.default_regularization(task.train.ratings)
    return matinee.fit(task.train, ALS(), ImplicitALS(**settings))


def theirs(settings, task):
    settings = dict(settings)
    ratings = task.train.ratings
    positives = ratings.take(ratings.values >= settings.pop("min_rating")).by_user
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "in.npz"), Path(folder, "out.npz")
        # all users in the order of the task: of those, what they are known to like
        own = take_rows(positives, task.users)
        save_matrices(path, len(task.train.catalog), train=positives, evaluated=own)
        run_peer("implicit", "peer_implicit.py", "factors", path, out, json.dumps(settings))
        factors = np.load(out)
        return PeerModel(factors["users"], factors["items"])


def liked(model, task):
    """NDCG@10 of what is liked."""
    return evaluate_ranking(model, task)["ndcg@10"]


def tuned(fit, settings, tuning, task, trials, seed):
    """Of the best trial, trained once more with the tuning set."""
    rng = np.random.default_rng(seed)
    tried = [settings(rng) for _ in range(trials)]
    best = max(tried, key=lambda each: liked(fit(each, tuning), tuning))
    return liked(fit(best, task), task)


def main():
    parser = parser_of(__doc__, seeds=3)
    parser.add_argument("--trials", type=int, default=10)
    arguments = parser.parse_args()
    everything = {}
    for name in arguments.datasets:
        dataset = matinee.read(name)
        rows = []
        for seed in range(arguments.seeds):
            train, test = dataset.split("random", test_fraction=0.2, seed=seed)
            tuning = holdout(*train.split("random", test_fraction=0.1, seed=seed), min_rating=LIKED)
            task = holdout(train, test, min_rating=LIKED)
            budget = tuning, task, arguments.trials, seed
            rows.append(
                {
                    "default": liked(matinee.fit(train), task),
                    "tuned": tuned(ours, our_settings, *budget),
                    "implicit": tuned(theirs, their_settings, *budget),
                }
            )
            print(f"{name}, seed {seed}: {rows[-1]}", flush=True)
        means = {model: mean(row[model] for row in rows) for model in rows[0]}
        text = "  ".join(
            f"{model} {value:.4f} ({value / means['implicit'] - 1:+.1%})"
            for model, value in means.items()
        )
        print(f"{name}: {text}")
        everything[name] = {"means": means, "by_seed": rows}
    if arguments.json:
        arguments.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
