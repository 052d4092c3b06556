"""How good rankings are, on published protocols and against peers; and how fast a sweep is.

    python bench/ranking.py [--json FILE] [--trials N] [--seeds N] [--only PART]

Needs ml-1m and ml-100k in the cache (`matinee data fetch ml-1m`), and for sampled negatives the
NCF paper's test files in a folder `ncf-ml-1m` beside them. Peers are installed into environments
of their own under the cache folder.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import matinee
from matinee.evaluation import evaluate_ranking, read_negatives, strong_generalization
from matinee.experiments import Split, train_and_evaluate
from matinee.storage.cache_folder import cache_folder
from peers import run_peer

# chosen on the last rating of each user's training set, among 99 sampled movies
NCF = {
    "rating_weight": 0,
    "factors": 192,
    "unobserved": 0.25,
    "regularization": 0.0075,
    "iterations": 12,
}
HELD_OUT = 600  # users of strong generalization, for tuning as for testing
MIN_RATING = 4.0  # of a positive there, as in Liang et al. 2018
PAIRS = 7  # of timed runs, one of ours and one of the peer's in turn
SWEEPS = 9


class PeerModel:
    """A peer's factors as a model for `evaluate_ranking`, users in the order of the task."""

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        self.users, self.items, self.scored = users, items, 0

    def scores(self, users, *, head=None):
        first, self.scored = self.scored, self.scored + len(users)
        return self.users[first : self.scored] @ self.items.T


def ours(settings, task):
    """As all others here: what is liked is a positive, and no more is known of it."""
    return matinee.ImplicitALS(min_rating=MIN_RATING, rating_weight=0, **settings).fit(task.train)


def ease(settings, task):
    return matinee.EASE(min_rating=MIN_RATING, **settings).fit(task.train)


def implicit(settings, task):
    """The peer's ALS, fitted in its own environment on the same positives."""
    ratings = task.train.ratings
    positives = ratings.take(ratings.values >= MIN_RATING).by_user
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "in.npz"), Path(folder, "out.npz")
        save_matrices(path, len(task.train.catalog), train=positives, evaluated=task.history)
        run_peer("implicit", "peer_implicit.py", "factors", path, out, json.dumps(settings))
        factors = np.load(out)
        return PeerModel(factors["users"], factors["items"])


def save_matrices(path, items, **named):
    arrays = {"items": np.int64(items)}
    for name, rows in named.items():
        arrays |= {f"{name}_indptr": rows.indptr, f"{name}_indices": rows.indices}
    np.savez(path, **arrays)


def between(rng, low, high):
    """A random number, even in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_settings(model, trial, trials, rng):
    """A trial's hyperparameters; all models get the same number of trials."""
    if model is ease:  # one hyperparameter: an even grid covers it better than random values
        return {"regularization": float(np.geomspace(50, 3000, trials)[trial])}
    factors = int(rng.choice([128, 256, 512]))
    if model is implicit:
        return {
            "factors": factors,
            "regularization": between(rng, 3, 300),
            "alpha": between(rng, 1, 20),
            "iterations": 15,
        }
    return {
        "factors": factors,
        "regularization": between(rng, 0.003, 0.02),
        "unobserved": between(rng, 0.05, 0.5),
    }


def unknown_users(data, seeds, trials):
    """Mean metrics over seeds, each model tuned on other held-out users of the training set."""
    results = {}
    for seed in range(seeds):
        task = strong_generalization(data, n_users=HELD_OUT, min_rating=MIN_RATING, seed=seed)
        tuning = strong_generalization(
            task.train, n_users=HELD_OUT, min_rating=MIN_RATING, seed=1000 + seed
        )
        for model in (ours, ease, implicit):
            rng = np.random.default_rng(seed)
            trials_done = []
            for trial in range(trials):
                settings = random_settings(model, trial, trials, rng)
                trials_done.append(
                    (evaluate_ranking(model(settings, tuning), tuning)["ndcg@100"], trial, settings)
                )
            best = max(trials_done)
            note(f"seed {seed} {model.__name__}: tuned to {best[0]:.4f} with {best[2]}")
            add(results, NAMES[model], evaluate_ranking(model(best[2], task), task), best[2])
        als = matinee.ALS().fit(task.train)
        add(results, "rating head (als, defaults)", evaluate_ranking(als, task, head="rating"), {})
        popular = matinee.Popularity(min_rating=MIN_RATING).fit(task.train)
        add(results, "most popular", evaluate_ranking(popular, task), {})
    return {
        name: {
            **{metric: statistics.mean(row[metric] for row in rows) for metric in REPORTED},
            "by_seed": rows,
        }
        for name, rows in results.items()
    }


NAMES = {ours: "matinee ials", ease: "matinee ease", implicit: "implicit ALS"}
REPORTED = ("ndcg@100", "recall_capped@20", "coverage@10", "popularity_share@10")


def add(results, name, metrics, settings):
    row = {metric: metrics[metric] for metric in REPORTED}
    note(f"    {name}: " + "  ".join(f"{metric} {value:.4f}" for metric, value in row.items()))
    results.setdefault(name, []).append({**row, "settings": settings})


def ncf_paper(data, seeds):
    """The NCF paper's own test items and negatives."""
    task = read_negatives(data, cache_folder() / "ncf-ml-1m")
    rows = []
    for seed in range(seeds):
        metrics = evaluate_ranking(matinee.ImplicitALS(seed=seed, **NCF).fit(task.train), task)
        rows.append({"hr@10": metrics["hit_rate@10"], "ndcg@10": metrics["ndcg@10"]})
        note(f"ncf, seed {seed}: {rows[-1]}")
    means = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
    return {**means, "settings": NCF, "by_seed": rows, "users": len(task)}


def official_folds():
    """Rankings of the defaults on u1 ... u5 of ml-100k, as `matinee train` reports them."""
    data = matinee.read("ml-100k")
    metrics = ("ndcg@10", "coverage@10", "popularity_share@10")
    rows = []
    for k in range(1, 6):
        ranker = matinee.ImplicitALS()
        result = train_and_evaluate(data, matinee.ALS(), Split(f"u{k}"), ranker=ranker)
        rows.append({metric: result.ranking[metric] for metric in metrics})
    return {metric: statistics.mean(row[metric] for row in rows) for metric in metrics}


def our_seconds(factors):
    """Median seconds of a sweep of a fresh process, the first left out."""
    code = (
        "import matinee, numpy as np; from matinee.experiments.compiling import compile_kernels;"
        f"compile_kernels(); data = matinee.read('ml-1m'); model = matinee.ImplicitALS("
        f"factors={factors}, iterations={SWEEPS}).fit(data, threads=2);"
        "print(np.median(np.diff(model.ranking_head.history['seconds'].to_numpy())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return float(done.stdout)


def speed(data, factors):
    """Seconds of a sweep, ours and `implicit`'s in turn; the ratio is the median of pairs."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in.npz")
        save_matrices(path, len(data.catalog), train=data.ratings.by_user)
        for _ in range(PAIRS):
            arguments = ("seconds", str(path), str(factors), str(SWEEPS))
            theirs = float(run_peer("implicit", "peer_implicit.py", *arguments))
            pairs.append((our_seconds(factors), theirs))
    ratio = statistics.median(theirs / mine for mine, theirs in pairs)
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    note(f"sweep, {factors} factors: {mine:.4f} s, implicit {theirs:.4f} s, ratio {ratio:.2f}")
    return {"seconds": mine, "implicit_seconds": theirs, "ratio": ratio, "pairs": pairs}


def note(text):
    print(text, file=sys.stderr, flush=True)


def show(metrics):
    """The table on stdout."""
    if ncf := metrics.get("ncf"):
        print(f"ml-1m, NCF protocol, 192 factors     HR@10 {ncf['hr@10']:.4f}", end="")
        print(f"   NDCG@10 {ncf['ndcg@10']:.4f}")
    for name, row in metrics.get("strong-generalization", {}).items():
        print(f"ml-1m, strong generalization, {name:28}", end="")
        recall = row["recall_capped@20"]
        print(f" NDCG@100 {row['ndcg@100']:.4f}   Recall@20 (capped) {recall:.4f}")
    if folds := metrics.get("folds"):
        print("ml-100k, five folds, defaults        ", end="")
        print("   ".join(f"{key} {value:.4f}" for key, value in folds.items()))
    for factors, row in metrics.get("speed", {}).items():
        print(f"ml-1m, seconds per sweep, {factors:>3} factors  {row['seconds']:.4f}", end="")
        print(f"   implicit {row['implicit_seconds']:.4f}   ratio {row['ratio']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="Write the results to this file, too.")
    parser.add_argument("--trials", type=int, default=15, help="Per model and seed.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=["ncf", "strong-generalization", "folds", "speed"])
    options = parser.parse_args()
    started = time.perf_counter()
    data = matinee.read("ml-1m")
    parts = {
        "speed": lambda: {factors: speed(data, factors) for factors in (64, 256)},
        "ncf": lambda: ncf_paper(data, options.seeds),
        "folds": official_folds,
        "strong-generalization": lambda: unknown_users(data, options.seeds, options.trials),
    }
    metrics = {name: part() for name, part in parts.items() if options.only in (None, name)}
    show(metrics)
    if options.json:
        environment = {"processors": os.cpu_count(), "python": sys.version.split()[0]}
        environment |= {"trials": options.trials, "minutes": (time.perf_counter() - started) / 60}
        options.json.write_text(json.dumps({"metrics": metrics, **environment}, indent=2) + "\n")


if __name__ == "__main__":
    main()
