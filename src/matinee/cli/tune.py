"""matinee tune"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from matinee.cli import options
from matinee.cli.hyperparameters import DEFAULT_MODEL, train_command
from matinee.cli.options import make_split, open_dataset, output_path, reads_data, say_unrated
from matinee.cli.output import print_json, print_table, say
from matinee.errors import require_extra

if TYPE_CHECKING:
    from matinee.data.dataset import Dataset
    from matinee.tuning.result import TuningResult

SHOWN = 5  # of the best trials

Model = Annotated[
    str | None,
    Option(
        metavar="als|bayes|bias|mf|gmf|mlp|neumf|ials|ease|itemknn|userknn|bpr",
        help="Estimator to tune, by default als, or ials where there are no ratings to predict; "
        "for gmf, mlp and neumf, --metric decides which head.",
    ),
]
Trials = Annotated[
    int | None,
    Option(
        metavar="N",
        min=1,
        help="Trials of the study, earlier ones included; by default 50, or a whole grid.",
    ),
]
Minutes = Annotated[float | None, Option(metavar="M", help="Begin no trial after so many minutes.")]
MetricName = Annotated[
    str | None,
    Option(
        metavar="rmse|mae|ndcg@10|...",
        help="What to optimize; by default RMSE of a rating head, NDCG@10 of a ranking head.",
    ),
]
Space = Annotated[
    str | None, Option(metavar="FILE", help="Search space, a TOML file of ranges and values.")
]
Search = Annotated[
    str,
    Option(
        metavar="tpe|random|grid",
        help="How to choose the next trial; few combinations are always searched as a grid.",
    ),
]
Validation = Annotated[
    str | None,
    Option(
        metavar="random|temporal|leave-last-out|K-fold",
        help="Validation set within the training set: a random tenth (the default), the latest "
        "tenth, the last item of each user (the default of next), or each of K folds in turn.",
    ),
]
StudyFolder = Annotated[
    str | None, Option(metavar="DIR", help="The study's folder; by default under studies/.")
]


@reads_data
def tune(
    dataset: options.DatasetArgument,
    model: Model = None,
    trials: Trials = None,
    minutes: Minutes = None,
    metric: MetricName = None,
    space: Space = None,
    search: Search = "tpe",
    validation: Validation = None,
    split: options.SplitOption = None,
    test_fraction: options.TestFraction = None,
    seed: options.Seed = 0,
    study: StudyFolder = None,
    run: options.NewRun = None,
    threads: options.Threads = None,
    reading: options.Reading = None,
    html: options.Html = False,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Search hyperparameters, then train the best model.

    Trials use validation sets within the training set; only the best one is evaluated on the test
    set. Unpromising trials are pruned. Every finished trial is kept: press Ctrl-C at any time and
    run the same command to continue. Several processes may work on one study.
    --html writes study.html with charts into the study's folder, --out to any other place.
    """
    require_extra("tuning", "optuna")
    from matinee.tuning.search import STUDIES
    from matinee.tuning.search import tune as search_best

    page = None
    if html or out:
        page = output_path(out, Path(study or STUDIES, "study.html"), ".html")
        from matinee.report.pages import write_study_report  # fails now if an extra is missing
    data = open_dataset(dataset, reading)
    model = model or _default_model(data, metric, json)
    result = search_best(
        data, model, metric=metric, trials=trials, minutes=minutes, space=space, search=search,
        split=make_split(split, test_fraction, seed), validation=validation, study=study,
        run=run, threads=threads,
    )  # fmt: skip
    other = DEFAULT_MODEL if data.ratings.differ else "none"
    given: dict[str, Any] = {
        "split": split, "test_fraction": test_fraction, "seed": seed or None, **(reading or {})
    }  # fmt: skip
    command: Callable[[str], str | None] = partial(
        _command_without_search, result, model, other, **given
    )
    if page:
        page = page if out else result.study / page.name
        # pages are passed on, so they do not reveal where the data lie
        write_study_report(result, data, page, command(Path(dataset).absolute().name))
    if json:
        links = {"command": command(dataset), "html": str(page) if page else None}
        print_json({**result.to_dict(), **links})
    else:
        _print_result(result, command(dataset), page)
    if result.interrupted:
        raise KeyboardInterrupt


def _default_model(data: "Dataset", metric: str | None, as_json: bool) -> str:
    """What is tuned by default; says why where that is a ranking model."""
    from matinee.tuning.objective import get_objective
    from matinee.tuning.search import default_model

    model = default_model(data.ratings)
    get_objective(model, metric, data)  # refuses what makes no sense before anything is said
    say_unrated(data, "tuning a ranking model", as_json)
    return model


def _command_without_search(
    result: "TuningResult", model: str, other: str, dataset: str, **given: Any
) -> str | None:
    """The command that trains the best model, a ranking model beside this `other` one."""
    if result.best is None:
        return None
    rating, ranking = (model, "ials") if result.head == "rating" else (other, model)
    settings: dict[str, Any] = {result.head: result.best.settings}
    return train_command(dataset, rating, ranking, **settings, **given)


def _print_result(result: "TuningResult", command: str | None, page: Path | None) -> None:
    """The best trials, the best model's test metrics, and how to train it without the search."""
    from matinee.evaluation.metrics import METRICS

    say(f"{result.summary} Study: {result.study}")
    if error := next((trial["error"] for trial in result.trials if trial["error"]), None):
        say(f"First failure: {error}")
    if result.completed:
        _print_trials(result)
    if result.best is None:
        say(result.status)
    else:
        known = {k: value for k, value in result.best.test_metrics.items() if value is not None}
        metrics = ", ".join(f"{METRICS[k].label} {value:.4f}" for k, value in known.items())
        metrics = metrics or "no metric: no user of the test set can be evaluated"
        tested = f": test {metrics}" if result.best.test_evaluations else ", without a test set"
        say(f"Best trial, refit on the full training set{tested}")
        say(result.status)
        say("The same model without the search:")
        say(f"  {command}")
        say(f"Saved in {result.best.run}.")
    if page:
        say(f"Charts: {page}; open it in a browser.")


def _print_trials(result: "TuningResult") -> None:
    """The best trials as a table, and the default settings beside them."""
    import polars as pl

    from matinee.evaluation.metrics import METRICS
    from matinee.models.registry import format_value
    from matinee.tuning.search_space import from_stored

    shown = [trial for trial in result.trials if trial["value"] is not None][:SHOWN]
    columns = {key: [trial[key] for trial in shown] for key in ("trial", "value", "state")}
    for name in result.space.searched:
        values = [from_stored(trial["settings"][name]) for trial in shown]
        numeric = all(type(value) in (int, float) for value in values)
        columns[name] = values if numeric else [format_value(value) for value in values]
    frame = pl.DataFrame(columns, strict=False)
    metric = METRICS[result.metric].label
    # pruned trials have fewer factors and iterations: shown only where there is room
    state = {"state": "state"} if len(shown) > len(result.completed) else {}
    headings = {"trial": "trial", "value": f"validation {metric}", **state, **result.labels}
    floats = [name for name in frame.columns if frame[name].dtype.is_float()]
    print_table(frame, headings, {**dict.fromkeys(floats, ".4g"), "value": ".4f"})
    if result.default_trial is not None:
        value = f"validation {metric} {result.default_trial['value']:.4f}"
        if result.default_trial is result.completed[0]:
            say(f"No trial beats the default settings ({value}).")
        else:
            say(f"Default settings: {value}.")
