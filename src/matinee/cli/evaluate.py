"""matinee evaluate"""

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.hyperparameters import both_estimators
from matinee.cli.options import (
    Columns,
    DatasetArgument,
    Duplicates,
    Html,
    Json,
    Out,
    ScaleOption,
    Seed,
    Settings,
    Threads,
    find_run,
    open_dataset,
    place_of,
)
from matinee.cli.output import heading, print_json, print_table, say
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.experiments.cross_validation import CrossValidation


def evaluate(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Folders or names; head default the newest run."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="held-out|leave-last-out|strong_generalization|time|ncf", help="What to ask."
        ),
    ] = "holdout",
    min_rating: Annotated[
        float | None,
        typer.Option(metavar="X", help="Only held-out ratings of at least so many values count."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of what is drawn.")] = 0,
    json: Json = False,
) -> None:
    """Judge stars and lists of one run or several on what they have not seen, side by side.

    held-out judges a run as it is, on the ratings kept aside in its training. The others train
    its recipes again on what they allow: leave-last-out (what will each user watch next?),
    strong (users unknown in training), time (train before a day, judge after), and ncf (99
    sampled movies against one: only to compare with papers).
    """
    import polars as pl

    from matinee.evaluation.metrics import REPORTED_METRICS
    from matinee.experiments.comparison_result import short_names
    from matinee.experiments.leaderboard import evaluate_runs
    from matinee.models.loading import load

    folders = [find_run(run) for run in runs] if runs else [find_run(None)]
    models = {str(folder): load(folder) for folder in folders}
    rows = evaluate_runs(models, protocol, min_rating=min_rating, seed=seed)
    if json:
        print_json([{**row.to_dict(), "min_rating": min_rating, "seed": seed} for row in rows])
        return
    lists = rows[0].ranking
    heading(f"{lists.protocol}: lists of {lists.n_users:,} users")
    if lists.note:
        say(lists.note)
    shown = [name for name in REPORTED_METRICS if name in lists.metrics]
    several = len(models) > 1
    letters = short_names(list(models))
    for name, letter in letters.items():
        if several:  # names may be long, and figures must not give way to them
            say(f"{letter}  {name}")
    table = pl.DataFrame(
        [
            {
                "run": letters.get(row.model, ""),
                "estimator": row.estimator,
                **{name: row.ranking[name] for name in shown},
                "rmse": row.rating.rmse if row.rating else None,
            }
            for row in rows
        ],
        schema_overrides={"rmse": pl.Float64},
    )
    columns = {"run": "run"} if several else {}
    columns |= {"estimator": "lists by", **{name: REPORTED_METRICS[name].label for name in shown}}
    if any(row.rating for row in rows):
        columns |= {"rmse": REPORTED_METRICS["rmse"].label}
    print_table(table, columns, {name: kind.format for name, kind in REPORTED_METRICS.items()})
    best = max(rows, key=lambda row: row.ranking["ndcg@10"])
    metric = best.ranking.metrics["ndcg@10"]
    say(
        f"NDCG@10 of {best.estimator}: {metric.value:.4f}, with other users "
        f"{metric.ci_low:.4f} to {metric.ci_high:.4f} (95 % bootstrap)."
    )
    for row in rows:
        if row.rating:
            say(
                f"Stars of {row.estimator}: RMSE {row.rating.rmse:.4f}, MAE {row.rating.mae:.4f} on "
                f"{row.rating.n_ratings:,} ratings, {row.rating.cold_start_user_ratings:,} by users and "
                f"{row.rating.cold_start_item_ratings:,} of movies without a training rating."
            )


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN RUN...", help="Folders or names; the others are compared with the first."
        ),
    ] = None,
    html: Html = False,
    out: Out = None,
    json: Json = False,
) -> None:
    """Which of several runs with the same test ratings is better, how sure that is, what differs.

    Shows the settings that differ, figures of stars and lists, and by how much each run differs
    from the first, with 95 % intervals from the same users for both.
    """
    import polars as pl

    from matinee.evaluation.metrics import PRIMARY_METRIC
    from matinee.experiments.comparison import compare as compare_models
    from matinee.experiments.comparison_result import METRIC_DIRECTIONS, short_names
    from matinee.models.loading import load

    if not runs or len(runs) < 2:
        raise SettingError("Name two runs or more to compare; matinee runs lists them.")
    places = [find_run(run) for run in runs]
    for place, other in combinations(places, 2):
        if place.samefile(other):
            raise SettingError(f"{place} is named twice; name different runs.")
    folders = [str(place) for place in places]
    letters = short_names(folders)
    page = place_of(out, Path("comparison.html"), ".html") if html or out else None
    if page:  # so that what is missing is told now
        from matinee.report.pages import write_comparison_report
    models = {folder: load(folder) for folder in folders}
    found = compare_models(models)
    if page:
        write_comparison_report(found, models, page)
    if json:
        print_json({**found.to_dict(), "html": str(page) if page else None})
        return
    for folder, letter in letters.items():  # names may be long, and figures must not give way
        say(f"{letter}  {folder}")
    found = found.renamed(letters)
    say()
    heading(found.title)
    rows = pl.DataFrame(found.run_rows())
    print_table(rows, {name: name.replace("_", " ") for name in rows.columns})
    say()
    heading("Hyperparameters that differ")
    if differ := found.hyperparameters.rows(found.runs):
        print_table(pl.DataFrame(differ), {name: name for name in differ[0]})
    say(found.hyperparameters.summary)
    say()
    heading("Metrics (95% CI over users)")
    first = next(iter(found.runs))
    columns = {"metric": "metric", "run": "run", "value": "value", "ci": "95% CI"}
    print_table(
        pl.DataFrame(found.metric_rows()), {**columns, "difference": f"difference to {first}"}
    )
    say(METRIC_DIRECTIONS)
    for note in found.notes:
        say(note)
    for one in found.differences:
        if one.metric in PRIMARY_METRIC.values():
            say(str(one))
    if page:
        say(f"More in {page}; open it in a browser.")


WIDE = 5  # folds beside one another
DIGITS = 18  # of a number that may be meant


def cross_validate(
    dataset: DatasetArgument,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="What predicts values, or none; as for train.")
    ] = "als",
    ranker: Annotated[
        str, typer.Option(metavar="NAME", help="What lists are made head, or none; as for train.")
    ] = "none",
    settings: Settings = None,
    folds: Annotated[
        str, typer.Option(metavar="K|official", help="How many, or those of the edition (ml-100k).")
    ] = "5",
    seed: Seed = 0,
    threads: Threads = None,
    columns: Columns = None,
    scale: ScaleOption = None,
    duplicates: Duplicates = None,
    json: Json = False,
) -> None:
    """Train and test on k folds: each metric on each fold, with mean and spread, and the times.

    Every rating is tested once, by a model trained on the other folds. Nothing is saved.
    """
    from matinee.experiments.cross_validation import cross_validate

    if folds != "official" and not folds.isdecimal():
        raise SettingError(f"--folds is a number or official, not {folds!r}.")
    if len(folds) > DIGITS:
        raise SettingError(f"--folds is a number or official, not one of {len(folds):,} digits.")
    rating, ranking = both_estimators(model, ranker, seed, settings or ())
    data = open_dataset(dataset, columns, scale, duplicates)
    found = cross_validate(
        data,
        rating,
        ranking,
        folds=int(folds) if folds.isdecimal() else folds,
        seed=seed,
        threads=threads,
    )
    if json:
        print_json({"data": data.name, "seed": seed, **found.to_dict()})
        return
    names = " and ".join(str(estimator["name"]) for estimator in found.estimators.values())
    heading(f"{data.name}: {names}, {len(data):,} ratings in {len(found.folds)} folds")
    for first in range(0, len(found.folds), WIDE):
        _show(found, found.folds[first : first + WIDE])
    say("std is the sample standard deviation over folds (divided by folds - 1).")


def _show(found: "CrossValidation", folds: tuple[str, ...]) -> None:
    """A table of some folds; mean and spread of all stand beside the last ones."""
    import polars as pl

    from matinee.evaluation.metrics import REPORTED_METRICS

    rows = []
    for name, values in found.metrics.items():
        per_fold = dict(zip(found.folds, values, strict=True))
        cells = {fold: per_fold[fold] for fold in folds}
        if folds[-1] == found.folds[-1]:
            cells |= {"mean": found.mean(name), "std": found.std(name)}
        kind = REPORTED_METRICS[name]
        shown = {head: format(value, kind.format) for head, value in cells.items()}
        rows.append({"": kind.label, **shown})
    heads = {fold: f"fold {fold}" if fold.isdecimal() else fold for fold in folds}
    headings = {name: heads.get(name, name) for name in rows[0]}
    print_table(pl.DataFrame(rows), headings, numbers=set(headings) - {""})
