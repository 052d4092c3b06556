"""matinee evaluate, compare, cross-validate"""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from matinee.cli import options
from matinee.cli.hyperparameters import DEFAULT_MODEL, build_estimators
from matinee.cli.options import find_run, open_dataset, output_path, reads_data, say_unrated
from matinee.cli.output import heading, print_json, print_table, say, section
from matinee.errors import SettingError, shortened

if TYPE_CHECKING:
    from matinee.experiments.comparison_result import Comparison
    from matinee.experiments.cross_validation import CrossValidation
    from matinee.experiments.leaderboard import LeaderboardRow

PROTOCOL_ALIASES = {"ncf": "sampled-negatives"}
FOLDS_A_TABLE = 5
MAX_DIGITS = 18  # of a number of folds


def evaluate(
    runs: Annotated[
        list[str] | None,
        Argument(metavar="RUN", help="Folders or names; by default the newest run."),
    ] = None,
    protocol: Annotated[
        str,
        Option(
            metavar="NAME",
            help="holdout, leave-one-out, strong-generalization, temporal, sampled-negatives, "
            "cold-items or cold-users.",
        ),
    ] = "holdout",
    min_rating: Annotated[
        float | None, Option(metavar="X", help="Only test ratings of at least X count as relevant.")
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Evaluate one run or several on the same test set.

    Both heads are evaluated, side by side. holdout evaluates a run as it is, on its own test set.
    The others train its estimators once more on what they allow: leave-one-out (what will each
    user rate next?), strong-generalization (users unknown in training), temporal (train before a
    day, test after it), sampled-negatives (99 sampled items against one, also called ncf: only to
    compare with papers), cold-items and cold-users (new ones, known by their attributes alone).
    """
    from matinee.experiments.leaderboard import evaluate_runs
    from matinee.models.loading import load

    folders = [find_run(run) for run in runs or (None,)]
    models = {str(folder): load(folder) for folder in folders}
    protocol = PROTOCOL_ALIASES.get(protocol, protocol)
    rows = evaluate_runs(models, protocol, min_rating=min_rating, seed=seed)
    if json:
        print_json([{**row.to_dict(), "min_rating": min_rating, "seed": seed} for row in rows])
        return
    if not runs:
        say(f"{folders[0]}, the newest run")
    _print_leaderboard(rows, list(models), next(iter(models.values())).catalog.noun)


def _print_leaderboard(rows: "list[LeaderboardRow]", runs: list[str], noun: str) -> None:
    import polars as pl

    from matinee.evaluation.metrics import REPORTED_METRICS
    from matinee.experiments.comparison_result import short_names

    ranking = rows[0].ranking
    heading(f"{ranking.protocol}: top-10 ranking for {ranking.n_users:,} test users")
    if ranking.note:
        say(ranking.note)
    letters = short_names(runs)
    run = {"run": "run"} if len(runs) > 1 else {}
    if run:
        _print_letters(letters)
    labels = {
        name: metric.label for name, metric in REPORTED_METRICS.items() if name in ranking.metrics
    }
    table = [
        {"run": letters.get(row.model, ""), "by": row.label, **{k: row.ranking[k] for k in labels}}
        for row in rows
    ]
    formats = {name: metric.format for name, metric in REPORTED_METRICS.items()}
    print_table(pl.DataFrame(table), {**run, "by": "ranked by", **labels}, formats)
    best = max(rows, key=lambda row: row.ranking["ndcg@10"])
    metric = best.ranking.metrics["ndcg@10"]
    say(
        f"NDCG@10 of {best.label}: {metric.value:.4f} "
        f"(95% CI {metric.ci_low:.4f} to {metric.ci_high:.4f})"
    )
    ratings = [
        {"run": letters.get(row.model, ""), "by": row.estimator, **row.rating.to_dict()}
        for row in rows
        if row.rating
    ]
    if ratings:
        section(f"Rating prediction on {ratings[0]['n_ratings']:,} test ratings")
        cold_start = {
            "cold_start_user_ratings": "by new users",
            "cold_start_item_ratings": f"of new {noun}s",
        }
        columns = {**run, "by": "predicted by", "rmse": "RMSE", "mae": "MAE", **cold_start}
        print_table(pl.DataFrame(ratings), columns, formats)


def _print_letters(letters: Mapping[str, str]) -> None:
    """The letters of runs: names may be long, and numbers must not give way to them."""
    for name, letter in letters.items():
        say(f"{letter}  {name}")


def compare(
    runs: Annotated[
        list[str] | None,
        Argument(metavar="RUN", help="Folders or names; the others are compared with the first."),
    ] = None,
    html: options.Html = False,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Compare runs: which is better, how sure, and what differs.

    The runs need the same test set. Shows the hyperparameters that differ, the metrics of both
    heads, and the difference of each run to the first, with 95% confidence intervals over the same
    users.
    """
    from matinee.experiments.comparison import compare as compare_models
    from matinee.experiments.comparison_result import short_names
    from matinee.models.loading import load

    if not runs or len(runs) < 2:
        raise SettingError("Name two runs or more to compare; matinee runs lists them.")
    folders = [find_run(run) for run in runs]
    for folder, other in combinations(folders, 2):
        if folder.samefile(other):
            raise SettingError(f"{folder} is named twice; name different runs.")
    letters = short_names([str(folder) for folder in folders])
    page = output_path(out, Path("comparison.html"), ".html") if html or out else None
    if page:  # so that a missing package is reported before the work
        from matinee.report.pages import write_comparison_report
    models = {str(folder): load(folder) for folder in folders}
    comparison = compare_models(models)
    if page:
        write_comparison_report(comparison, models, page)
    if json:
        print_json({**comparison.to_dict(), "html": str(page) if page else None})
        return
    _print_letters(letters)
    _print_comparison(comparison.renamed(letters))
    if page:
        say(f"More in {page}; open it in a browser.")


def _print_comparison(comparison: "Comparison") -> None:
    import polars as pl

    from matinee.evaluation.metrics import PRIMARY_METRIC

    section(comparison.title)
    rows = pl.DataFrame(comparison.run_rows())
    print_table(rows, {name: name.replace("_", " ") for name in rows.columns})
    section("Hyperparameters that differ")
    if differing := comparison.hyperparameters.rows(comparison.runs):
        print_table(pl.DataFrame(differing), {name: name for name in differing[0]})
    say(comparison.hyperparameters.summary)
    section("Metrics (95% CI over users)")
    first = next(iter(comparison.runs))
    columns = {"metric": "metric", "run": "run", "value": "value", "ci": "95% CI"}
    rows = pl.DataFrame(comparison.metric_rows())
    print_table(rows, {**columns, "difference": f"difference to {first}"})
    primary = [each for each in comparison.differences if each.metric in PRIMARY_METRIC.values()]
    for line in (comparison.directions, *comparison.notes, *map(str, primary)):
        say(line)


@reads_data
def cross_validate(
    dataset: options.DatasetArgument,
    model: options.Model = None,
    ranker: Annotated[
        str | None,
        Option(
            metavar=options.RANKERS,
            help="What makes rankings: by default none, or ials where there are no ratings to "
            "predict.",
        ),
    ] = None,
    settings: options.Settings = None,
    folds: Annotated[
        str, Option(metavar="K|official", help="How many, or those of the edition (ml-100k).")
    ] = "5",
    seed: options.Seed = 0,
    threads: options.Threads = None,
    reading: options.Reading = None,
    json: options.Json = False,
) -> None:
    """Train and test on k folds, with mean and std of metrics.

    Every rating is tested once, by a model trained on the other folds. Nothing is saved.
    """
    from matinee.experiments.cross_validation import cross_validate as cross_validate_dataset

    if folds != "official" and not folds.isdecimal():
        raise SettingError(f"--folds must be a number or official, got {shortened(folds)}.")
    if len(folds) > MAX_DIGITS:
        raise SettingError(f"--folds must be a number or official, got {len(folds):,} digits.")
    own = seed, settings or ()
    rating, ranking = build_estimators(model or DEFAULT_MODEL, ranker or "none", *own)
    data = open_dataset(dataset, reading)
    if model is None and not data.ratings.differ:
        rating, ranking = build_estimators("none", ranker or "ials", *own)
        say_unrated(data, "evaluating a ranking model only", json)
    k = int(folds) if folds.isdecimal() else folds
    result = cross_validate_dataset(data, rating, ranking, folds=k, seed=seed, threads=threads)
    if json:
        print_json({"data": data.name, "seed": seed, **result.to_dict()})
        return
    names = " and ".join(str(estimator["name"]) for estimator in result.estimators.values())
    heading(f"{data.name}: {names}, {len(data):,} {data.unit}s in {len(result.folds)} folds")
    for first in range(0, len(result.folds), FOLDS_A_TABLE):
        _print_folds(result, result.folds[first : first + FOLDS_A_TABLE])
    say("std: sample standard deviation over folds")


def _print_folds(result: "CrossValidation", folds: tuple[str, ...]) -> None:
    """A table of some folds; mean and std of all stand beside the last ones."""
    import polars as pl

    from matinee.evaluation.metrics import REPORTED_METRICS

    rows = []
    for name, values in result.metrics.items():
        cells = {k: value for k, value in zip(result.folds, values, strict=True) if k in folds}
        if folds[-1] == result.folds[-1]:
            cells |= {"mean": result.mean(name), "std": result.std(name)}
        metric = REPORTED_METRICS[name]
        rows.append({"": metric.label, **{k: format(v, metric.format) for k, v in cells.items()}})
    headings = {name: f"fold {name}" if name.isdecimal() else name for name in rows[0]}
    print_table(pl.DataFrame(rows), headings, numbers=set(headings) - {""})
