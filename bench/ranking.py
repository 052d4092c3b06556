"""How good lists are, on published protocols and against peers; and how fast a sweep is.

    python bench/ranking.py [--json FILE] [--trials N] [--seeds N] [--only PART]

Needs ml-1m and ml-100k in the cache (`matinee data fetch ml-1m`), and for the sampled protocol
the NCF paper's test files in a folder `ncf-ml-1m` beside them. Peers are installed into
environments of their own under the cache folder.
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
from matinee.data.cache import cache_folder
from matinee.evaluation import evaluate_ranking, read_negatives, strong
from matinee.experiments import Split, train_and_evaluate
from peers import run_peer

# chosen on the last rating of each user's training part, 99 sampled movies against it
NCF = {"factors": 192, "unobserved": 0.25, "regularization": 0.0075, "iterations": 12}
HELD_OUT = 600  # users of strong generalization, for tuning as for testing
LIKED = 4.0  # least stars of a positive there, as in Liang et al. 2018
PAIRS = 7  # of timed runs, one of ours and one of the peer's in turn
SWEEPS = 9


class Vectors:
    """A peer's vectors as a model that `evaluate_ranking` can ask, users in the order of the exam."""

    def __init__(self, users: np.ndarray, items: np.ndarray) -> None:
        self.users, self.items, self.asked = users, items, 0

    def scores(self, users, *, head=None):
        first, self.asked = self.asked, self.asked + len(users)
        return self.users[first : self.asked] @ self.items.T


def ours(settings, task):
    return matinee.ImplicitALS(min_rating=LIKED, **settings).fit(task.train)


def ease(settings, task):
    return matinee.EASE(min_rating=LIKED, **settings).fit(task.train)


def implicit(settings, task):
    """The peer's ALS, fitted in its own environment on the same positives."""
    ratings = task.train.ratings
    min_rating = ratings.take(ratings.values >= LIKED).by_user
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "in.npz"), Path(folder, "out.npz")
        save_matrices(given, len(task.train.catalog), train=min_rating, asked=task.history)
        run_peer("implicit", "peer_implicit.py", "factors", given, out, json.dumps(settings))
        made = np.load(out)
        return Vectors(made["users"], made["items"])


def save_matrices(path, items, **named):
    arrays = {"items": np.int64(items)}
    for name, rows in named.items():
        arrays |= {f"{name}_indptr": rows.indptr, f"{name}_indices": rows.indices}
    np.savez(path, **arrays)


def random_settings(model, trial, trials, rng):
    """A trial's hyperparameters; all models get the same number of trials."""

    def between(low, high):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    if model is ease:  # one setting: an even grid covers it better than chance
        return {"regularization": float(np.geomspace(50, 3000, trials)[trial])}
    factors = int(rng.choice([128, 256, 512]))
    if model is implicit:
        return {
            "factors": factors,
            "regularization": between(3, 300),
            "alpha": between(1, 20),
            "iterations": 15,
        }
    return {
        "factors": factors,
        "regularization": between(0.003, 0.02),
        "unobserved": between(0.05, 0.5),
    }


def strong_generalization(data, seeds, trials):
    """Mean figures over seeds, each model tuned on other held-out users of the training part."""
    found = {}
    for seed in range(seeds):
        task = strong(data, users=HELD_OUT, min_rating=LIKED, seed=seed)
        tuning = strong(task.train, users=HELD_OUT, min_rating=LIKED, seed=1000 + seed)
        for model in (ours, ease, implicit):
            rng = np.random.default_rng(seed)
            tried = []
            for trial in range(trials):
                settings = random_settings(model, trial, trials, rng)
                tried.append(
                    (evaluate_ranking(model(settings, tuning), tuning)["ndcg@100"], trial, settings)
                )
            best = max(tried)
            note(f"seed {seed} {model.__name__}: tuned to {best[0]:.4f} with {best[2]}")
            add(found, NAMES[model], evaluate_ranking(model(best[2], task), task), best[2])
        values = matinee.ALS().fit(task.train)
        add(found, "rating head (als, defaults)", evaluate_ranking(values, task, head="rating"), {})
        popular = matinee.Popularity(min_rating=LIKED).fit(task.train)
        add(found, "most watched", evaluate_ranking(popular, task), {})
    return {
        name: {
            "ndcg@100": statistics.mean(one["ndcg@100"] for one in rows),
            "recall@20": statistics.mean(one["recall_capped@20"] for one in rows),
            "coverage@10": statistics.mean(one["coverage@10"] for one in rows),
            "popularity_share@10": statistics.mean(one["popularity_share@10"] for one in rows),
            "by_seed": rows,
        }
        for name, rows in found.items()
    }


NAMES = {ours: "matinee ials", ease: "matinee ease", implicit: "implicit ALS"}


def add(found, name, metrics, settings):
    kept = ("ndcg@100", "recall_capped@20", "coverage@10", "popularity_share@10")
    row = {**{key: metrics[key] for key in kept}, "settings": settings}
    note(f"    {name}: " + "  ".join(f"{key} {metrics[key]:.4f}" for key in kept))
    found.setdefault(name, []).append(row)


def sampled_protocol(data, seeds):
    """The NCF paper's own test pairs and negatives."""
    task = read_negatives(data, cache_folder() / "ncf-ml-1m")
    rows = []
    for seed in range(seeds):
        metrics = evaluate_ranking(matinee.ImplicitALS(seed=seed, **NCF).fit(task.train), task)
        rows.append({"hr@10": metrics["hit_rate@10"], "ndcg@10": metrics["ndcg@10"]})
        note(f"ncf, seed {seed}: {rows[-1]}")
    means = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
    return {**means, "settings": NCF, "by_seed": rows, "users": len(task)}


def official_folds():
    """Lists of the defaults on u1 ... u5 of ml-100k: all that `matinee train` reports."""
    data = matinee.read("ml-100k")
    kept = ("ndcg@10", "coverage@10", "popularity_share@10")
    rows = []
    for k in range(1, 6):
        ranking = matinee.ImplicitALS()
        result = train_and_evaluate(data, matinee.ALS(), Split(f"u{k}"), ranker=ranking)
        rows.append({key: result.lists[key] for key in kept})
    return {key: statistics.mean(row[key] for row in rows) for key in kept}


def our_seconds(factors):
    """Median seconds of a sweep of a fresh process, the first left out."""
    code = (
        "import matinee, numpy as np; from matinee.experiments.training import compile_kernels;"
        f"compile_kernels(); data = matinee.read('ml-1m'); model = matinee.ImplicitALS("
        f"factors={factors}, iterations={SWEEPS}).fit(data, threads=2);"
        "print(np.median(np.diff(model.ranking.history['seconds'].to_numpy())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return float(done.stdout)


def speed(data, factors):
    """Seconds of a sweep, ours and `implicit`'s in turn; the ratio is the median of pairs."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder, "in.npz")
        save_matrices(given, len(data.catalog), train=data.ratings.by_user)
        for _ in range(PAIRS):
            asked = ("seconds", str(given), str(factors), str(SWEEPS))
            theirs = float(run_peer("implicit", "peer_implicit.py", *asked))
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
        print(f" NDCG@100 {row['ndcg@100']:.4f}   Recall@20 {row['recall@20']:.4f}")
    if folds := metrics.get("folds"):
        print("ml-100k, five folds, defaults        ", end="")
        print("   ".join(f"{key} {value:.4f}" for key, value in folds.items()))
    for factors, row in metrics.get("speed", {}).items():
        print(f"ml-1m, seconds per sweep, {factors:>3} factors  {row['seconds']:.4f}", end="")
        print(f"   implicit {row['implicit_seconds']:.4f}   ratio {row['ratio']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="Write the figures to this file, too.")
    parser.add_argument("--trials", type=int, default=15, help="Per model and seed.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=["ncf", "strong-generalization", "folds", "speed"])
    given = parser.parse_args()
    started = time.perf_counter()
    data = matinee.read("ml-1m")
    parts = {
        "speed": lambda: {factors: speed(data, factors) for factors in (64, 256)},
        "ncf": lambda: sampled_protocol(data, given.seeds),
        "folds": official_folds,
        "strong-generalization": lambda: strong_generalization(data, given.seeds, given.trials),
    }
    metrics = {name: part() for name, part in parts.items() if given.only in (None, name)}
    show(metrics)
    if given.json:
        environment = {"processors": os.cpu_count(), "python": sys.version.split()[0]}
        environment |= {"trials": given.trials, "minutes": (time.perf_counter() - started) / 60}
        given.json.write_text(json.dumps({"metrics": metrics, **environment}, indent=2) + "\n")


if __name__ == "__main__":
    main()
