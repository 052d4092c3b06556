"""How near each estimator's defaults are to settings tuned for the data.

    python bench/defaults.py [MODEL ...] [--data NAME ...] [--studies DIR] [--json FILE]

For each model and data set a study of `matinee tune` within the training set of a random 90/10
split; then the defaults and the best trial are fitted to all of it and evaluated on the test set.
Prints the table of docs/defaults.md. Run it again to resume a killed one (studies are in DIR).
Needs ml-100k, ml-latest-small and ml-1m in the cache.
"""

import argparse
import json
import time
from pathlib import Path

import matinee
from matinee.experiments import Split, train_and_evaluate
from matinee.models.registry import RANKING, RATING
from matinee.tuning import tune
from matinee.tuning.search_space import build_estimator

DATA = ("ml-100k", "ml-latest-small", "ml-1m")
TRIALS = {"als": 50, "bias": 30, "ials": 50}
SLOW = 8  # trials of the other models, which take up to a minute each
PLAN = {
    **dict.fromkeys(("als", "bias", "mf", "bayes"), "rmse"),
    **dict.fromkeys(("ials", "ease", "bpr", "gmf"), "ndcg@100"),
}
TOO_SLOW = {(name, "ml-1m") for name in ("bpr", "gmf")}


def compare(name: str, model: str, studies: Path) -> dict[str, object]:
    """Test metrics of the defaults and of tuned settings."""
    data = matinee.read(name)
    metric = PLAN[model]
    folder = studies / f"{name}-{model}"
    started = time.perf_counter()
    result = tune(
        data,
        model,
        metric=metric,
        trials=TRIALS.get(model, SLOW),
        study=folder / "study",
        run=folder / "run",
    )
    seconds = time.perf_counter() - started
    if result.head == "rating":
        estimator = build_estimator(RATING[model], {}, seed=0, feedback="explicit")
        default = train_and_evaluate(data, estimator, Split()).rating.rmse
    else:
        estimator = build_estimator(RANKING[model], {}, seed=0, feedback="implicit")
        default = train_and_evaluate(data, None, Split(), ranker=estimator).ranking[metric]
    tuned = result.best.test_metrics[metric]
    gain = tuned - default if result.higher_is_better else default - tuned
    return {
        "data": name,
        "model": model,
        "metric": metric,
        "trials": len(result.trials),
        "default": default,
        "tuned": tuned,
        "gap": gain,
        "relative": gain / tuned,
        "settings": result.best.settings,
        "search_seconds": seconds,
    }


def show(rows: list[dict[str, object]]) -> None:
    """The table as Markdown."""
    print("| model | data | metric | default | tuned | gap | tuned settings |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        settings = ", ".join(f"{key} {plain(value)}" for key, value in row["settings"].items())
        gap = f"{row['gap']:+.4f}" if row["metric"] == "rmse" else f"{row['relative']:+.1%}"
        print(
            f"| `{row['model']}` | {row['data']} | {row['metric']} | {row['default']:.4f} | "
            f"{row['tuned']:.4f} | {gap} | {settings} |"
        )


def plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(PLAN))
    parser.add_argument("--data", nargs="*", default=DATA, help=", ".join(DATA))
    parser.add_argument("--studies", type=Path, default=Path("studies/defaults"))
    parser.add_argument("--json", type=Path, help="Write the results to this file, too.")
    args = parser.parse_args()
    if unknown := set(args.models) - set(PLAN):
        parser.error(f"no model {', '.join(sorted(unknown))}; choose from {', '.join(PLAN)}")
    pairs = [(name, model) for model in args.models or PLAN for name in args.data]
    rows = [
        compare(name, model, args.studies) for name, model in pairs if (model, name) not in TOO_SLOW
    ]
    show(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
