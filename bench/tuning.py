"""What tuning reaches on the published splits, and what a search costs.

    python bench/tuning.py [folds|cost ...] [--trials N] [--pairs N] [--json FILE]

`folds`: each official fold of ml-100k tuned within its own training part, the winner tested once.
`cost`: a search on ml-1m whose trials grow, and one whose trials are all whole, in turn; and so
many whole fits of the defaults. Needs ml-100k and ml-1m in the cache.
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
from matinee.evaluation import evaluate
from matinee.experiments import Split
from matinee.experiments.training import compile_kernels
from matinee.tuning import Objective, default_search_space, tune
from matinee.tuning.objective import validation_splits
from matinee.tuning.search_space import estimator_with
from matinee.tuning.study import sampler_of

PEER = {"cmfrec, hand-tuned, with implicit features": 0.9048, "without": 0.9132}


def folds(trials: int, pairs: int) -> dict[str, object]:
    """RMSE of the winners on u1 ... u5."""
    data = matinee.read("ml-100k")
    rows = []
    for k in range(1, 6):
        with tempfile.TemporaryDirectory() as folder:
            found = tune(
                data,
                "als",
                trials=trials,
                split=Split(f"u{k}"),
                study=Path(folder, "study"),
                run=Path(folder, "run"),
            )
        rows.append({**found.winner.test, "settings": found.winner.settings})
        note(f"u{k}: {rows[-1]}")
    mean = statistics.mean(row["rmse"] for row in rows)
    print(f"ml-100k u1-u5, als tuned within, {trials} trials: RMSE {mean:.4f}; published {PEER}")
    return {"rmse": mean, "by_fold": rows}


def cost(trials: int, pairs: int) -> dict[str, object]:
    """Seconds of searches, and what their winners are worth."""
    data = matinee.read("ml-1m")
    train, test = Split().apply(data)
    compile_kernels([matinee.ALS(), matinee.ImplicitALS()])
    rows = []
    for _ in range(pairs):
        row = {**growing(data, trials), **whole(train, trials)}
        started = time.perf_counter()
        inner, _ = validation_splits(train, "random", 0)[0]
        matinee.ALS().fit(inner)
        row["one_fit"] = time.perf_counter() - started
        row["of_whole_search"] = row["growing"] / row["whole"]
        row["of_default_fits"] = row["growing"] / (trials * row["one_fit"])
        note(f"{row}")
        rows.append(row)
    for name in ("growing_settings", "whole_settings"):
        model = estimator_with("ALS", rows[0][name]).fit(train)
        rows[0][name.replace("settings", "rmse")] = evaluate(model, train, test).rmse
    found = {
        name: statistics.median(row[name] for row in rows)
        for name in (
            *("growing", "with_winner", "whole", "one_fit"),
            *("of_whole_search", "of_default_fits"),
        )
    }
    found |= {name: rows[0][name] for name in ("growing_rmse", "whole_rmse")}
    print(f"ml-1m, {trials} als trials: {found['growing']:.1f} s, with the winner trained, tested")
    print(f"  and saved {found['with_winner']:.1f} s. The trials take")
    print(f"  {found['of_whole_search']:.0%} of a search by whole fits ({found['whole']:.1f} s),")
    print(f"  {found['of_default_fits']:.0%} of {trials} fits of {found['one_fit']:.2f} s;")
    print(f"  test RMSE of the winners {found['growing_rmse']:.4f}, {found['whole_rmse']:.4f}")
    return {**found, "pairs": rows}


def growing(data: matinee.Dataset, trials: int) -> dict[str, object]:
    """The search as users have it: study on disk, winner trained, tested and saved."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        found = tune(
            data, "als", trials=trials, study=Path(folder, "study"), run=Path(folder, "run")
        )
        seconds = time.perf_counter() - started
        storage = f"sqlite:///{folder}/study/study.sqlite3"
        made = optuna.load_study(study_name="matinee", storage=storage).trials
    between = max(one.datetime_complete for one in made) - made[0].datetime_start
    ended = sum(one["state"] == "complete" for one in found.trials)
    return {
        "growing": between.total_seconds(),
        "with_winner": seconds,
        "run_to_end": ended,
        "growing_settings": found.winner.settings,
    }


def whole(train: matinee.Dataset, trials: int) -> dict[str, object]:
    """The same search in memory, every trial fitted whole."""
    space, objective = default_search_space("ALS"), Objective("rmse")
    inner = validation_splits(train, "random", 0)[0]
    evaluate_ranking = objective.on(*inner)

    def trial(trial: optuna.Trial) -> float:
        settings = space.settings(space.suggest(trial), inner[0].ratings)
        return evaluate_ranking(estimator_with("ALS", settings).fit(inner[0]))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=sampler_of("tpe", 0))
    study.enqueue_trial(space.default())
    started = time.perf_counter()
    study.optimize(trial, n_trials=trials)
    seconds = time.perf_counter() - started
    settings = space.settings(space.of(study.best_params), train.ratings)
    return {"whole": seconds, "whole_settings": settings}


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parts = {"folds": folds, "cost": cost}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=3, help="Of timed searches.")
    parser.add_argument("--json", type=Path, help="Write the figures to this file, too.")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    found = {part: parts[part](given.trials, given.pairs) for part in given.parts or parts}
    if given.json:
        environment = {"processors": os.cpu_count(), "python": sys.version.split()[0]}
        given.json.write_text(json.dumps({**found, **environment}, indent=2) + "\n")


if __name__ == "__main__":
    main()
