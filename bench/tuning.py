"""What tuning reaches on the published splits, and what a search costs.

    python bench/tuning.py [folds|cost ...] [--trials N] [--pairs N] [--json FILE]

`folds`: each official fold of ml-100k tuned within its training set, the best model tested once.
`cost`: in turn a search on ml-1m whose trials grow, one whose trials are all full fits, and one fit
of the defaults. Needs ml-100k and ml-1m in the cache.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import optuna

import matinee
from matinee.evaluation import evaluate_ratings
from matinee.experiments import Split
from matinee.experiments.compiling import compile_kernels
from matinee.tuning import default_search_space, tune
from matinee.tuning.objective import Objective, validation_splits
from matinee.tuning.search_space import build_estimator
from matinee.tuning.study import make_sampler

PEER = {"cmfrec, hand-tuned, with implicit features": 0.9048, "without": 0.9132}


def folds(trials: int, pairs: int) -> dict[str, object]:
    """Test RMSE of the best models on u1 ... u5."""
    data = matinee.read("ml-100k")
    rows = []
    for k in range(1, 6):
        with tempfile.TemporaryDirectory() as folder:
            best = tune(
                data,
                "als",
                trials=trials,
                split=Split(f"u{k}"),
                study=Path(folder, "study"),
                run=Path(folder, "run"),
            ).best
        rows.append({**best.test_metrics, "settings": best.settings})
        log(f"u{k}: {rows[-1]}")
    mean = statistics.mean(row["rmse"] for row in rows)
    print(f"ml-100k u1-u5, als, {trials} trials: RMSE {mean:.4f}; published {PEER}")
    return {"rmse": mean, "by_fold": rows}


def cost(trials: int, pairs: int) -> dict[str, object]:
    """Seconds of searches, and the test RMSE of their best models."""
    data = matinee.read("ml-1m")
    train, test = Split().apply(data)
    compile_kernels([matinee.ALS(), matinee.ImplicitALS()])
    rows = []
    for _ in range(pairs):
        row = {**growing_search(data, trials), **full_search(train, trials)}
        started = time.perf_counter()
        inner, _ = validation_splits(train, "random", 0)[0]
        matinee.ALS().fit(inner)
        row["one_fit"] = time.perf_counter() - started
        row["of_full_search"] = row["growing"] / row["full"]
        row["of_default_fits"] = row["growing"] / (trials * row["one_fit"])
        log(f"{row}")
        rows.append(row)
    for name in ("growing_settings", "full_settings"):
        model = build_estimator("ALS", rows[0][name]).fit(train)
        rows[0][name.replace("settings", "rmse")] = evaluate_ratings(model, train, test).rmse
    medians = {
        name: statistics.median(row[name] for row in rows)
        for name in (
            *("growing", "with_refit", "full", "one_fit"),
            *("of_full_search", "of_default_fits"),
        )
    }
    medians |= {name: rows[0][name] for name in ("growing_rmse", "full_rmse")}
    print(
        f"ml-1m, {trials} als trials: {medians['growing']:.1f} s, with the best model refit, tested"
    )
    print(f"  and saved {medians['with_refit']:.1f} s. The trials take")
    print(f"  {medians['of_full_search']:.0%} of a search by full fits ({medians['full']:.1f} s),")
    print(f"  {medians['of_default_fits']:.0%} of {trials} fits of {medians['one_fit']:.2f} s;")
    print(f"  test RMSE {medians['growing_rmse']:.4f} (growing), {medians['full_rmse']:.4f} (full)")
    return {**medians, "pairs": rows}


def growing_search(data: matinee.Dataset, trials: int) -> dict[str, object]:
    """The search as users have it: study on disk, best model refit, tested and saved."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = tune(
            data, "als", trials=trials, study=Path(folder, "study"), run=Path(folder, "run")
        )
        seconds = time.perf_counter() - started
        storage = f"sqlite:///{folder}/study/study.sqlite3"
        finished = optuna.load_study(study_name="matinee", storage=storage).trials
    last = max(trial.datetime_complete for trial in finished)
    return {
        "growing": (last - finished[0].datetime_start).total_seconds(),
        "with_refit": seconds,
        "complete": len(result.completed),
        "growing_settings": result.best.settings,
    }


def full_search(train: matinee.Dataset, trials: int) -> dict[str, object]:
    """The same search in memory, every trial a full fit."""
    space, objective = default_search_space("ALS"), Objective("rmse")
    inner = validation_splits(train, "random", 0)[0]
    score = objective.scorer(*inner)

    def trial(trial: optuna.Trial) -> float:
        settings = space.to_settings(space.suggest(trial), inner[0].ratings)
        return score(build_estimator("ALS", settings).fit(inner[0]))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=make_sampler("tpe", 0))
    study.enqueue_trial(space.default_values())
    started = time.perf_counter()
    study.optimize(trial, n_trials=trials)
    seconds = time.perf_counter() - started
    settings = space.to_settings(space.from_study(study.best_params), train.ratings)
    return {"full": seconds, "full_settings": settings}


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    benchmarks = {"folds": folds, "cost": cost}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmarks", nargs="*", metavar="NAME", help=", ".join(benchmarks))
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=3, help="Number of timed searches.")
    parser.add_argument("--json", type=Path, help="Write the results to this file, too.")
    args = parser.parse_args()
    if unknown := set(args.benchmarks) - set(benchmarks):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; choose {', '.join(benchmarks)}")
    results = {
        name: benchmarks[name](args.trials, args.pairs) for name in args.benchmarks or benchmarks
    }
    if args.json:
        environment = {"processors": os.cpu_count(), "python": sys.version.split()[0]}
        args.json.write_text(json.dumps({**results, **environment}, indent=2) + "\n")


if __name__ == "__main__":
    main()
