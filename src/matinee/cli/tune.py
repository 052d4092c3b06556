"""matinee tune"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.hyperparameters import train_command
from matinee.cli.options import (
    Columns,
    DatasetArgument,
    Duplicates,
    Html,
    Json,
    Out,
    ScaleOption,
    Threads,
    open_dataset,
    place_of,
)
from matinee.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from matinee.tuning.result import TuningResult

SHOWN = 5  # of the best trials


def tune(
    dataset: DatasetArgument,
    model: Annotated[
        str,
        typer.Option(
            metavar="als|bayes|bias|mf|gmf|mlp|neumf|ials|ease|bpr",
            help="What to tune; gmf, mlp and neumf head --metric for values or for lists.",
        ),
    ] = "als",
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Of the whole study, however often it goes on; head default 50, or a whole grid.",
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Begin no trial after so many minutes.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="rmse|mae|ndcg@10|...",
            help="What is best; head default RMSE for values, NDCG@10 for lists.",
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A TOML file of ranges and values to try instead."),
    ] = None,
    search: Annotated[
        str,
        typer.Option(
            metavar="tpe|random|grid",
            help="TrainingRuntime the next trial is; a few values are all tried, whatever is said.",
        ),
    ] = "tpe",
    validation: Annotated[
        str,
        typer.Option(
            metavar="random|time|K-fold",
            help="What of the training part to evaluate_ranking trials head: a random tenth, the latest tenth, "
            "or each of K parts in turn.",
        ),
    ] = "random",
    split: Annotated[
        str | None,
        typer.Option(
            metavar="random|last|time|u1...u5|ua|ub", help="What the winner is tested on."
        ),
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option(metavar="F", help="For random and time; head default 0.1.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of all that is drawn.")] = 0,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="TrainingRuntime trials are kept; head default under studies/."
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="TrainingRuntime to save the winner; head default a new run."
        ),
    ] = None,
    threads: Threads = None,
    columns: Columns = None,
    scale: ScaleOption = None,
    duplicates: Duplicates = None,
    html: Html = False,
    out: Out = None,
    json: Json = False,
) -> None:
    """Find the settings that suit your data, and train with them.

    Trials see the training part alone; the test part is used once, at the end, by the winner.
    Trials that promise nothing are stopped early. What is finished is kept: stop it when you like,
    and the same command goes on. Several may work on one study at the same time.
    --html shows the search in study.html in the study's folder, --out where you say.
    """
    from matinee.experiments.training import Split
    from matinee.tuning.search import tune as search_for
    from matinee.tuning.study import STUDIES

    default = Path(
        study or STUDIES, "study.html"
    )  # or in a folder of STUDIES that has its own name
    page = place_of(out, default, ".html") if html or out else None
    if page:  # so that what is missing is told now
        from matinee.report.pages import write_study_report
    how: dict[str, Any] = {"method": split, "test_fraction": test_fraction}
    chosen = {name: value for name, value in how.items() if value is not None}
    data = open_dataset(dataset, columns, scale, duplicates)
    found = search_for(
        data,
        model,
        metric=metric,
        trials=trials,
        minutes=minutes,
        space=space,
        search=search,
        split=Split(**chosen, seed=seed),
        validation=validation,
        study=study,
        run=run,
        threads=threads,
    )

    def command_on(data: str) -> str | None:
        if found.winner is None:
            return None
        settings = {"ranking" if found.of_lists else "rating": found.winner.settings}
        return train_command(
            data,
            "als" if found.of_lists else model,
            model if found.of_lists else "ials",
            **settings,
            split=split,
            test_fraction=test_fraction,
            seed=seed or None,
            columns=columns,
            scale=scale,
            duplicates=duplicates,
        )

    again = command_on(dataset)
    if page:
        page = page if out else found.study / page.name
        # a page is passed on: where things lie here is nobody's business
        write_study_report(found, data, page, command_on(Path(dataset).absolute().name))
    if json:
        print_json({**found.as_json(), "command": again, "html": str(page) if page else None})
    else:
        _report(found, again)
        if page:
            say(f"More in {page}; open it in a browser.")
    if found.interrupted:
        raise KeyboardInterrupt


def _report(found: "TuningResult", again: str | None) -> None:
    """What was tried, what is best, and how to have it again."""
    from matinee.evaluation.metrics import METRICS

    say(f"{found.study}: {found.tried}")
    broke = [one["why"] for one in found.trials if one["why"]]
    if found.whole:
        _table(found)
    elif broke:
        say(broke[0])
    if found.winner is None:
        say(found.standing)
    else:
        metrics = ", ".join(
            f"{METRICS[name].label} {value:.4f}"
            for name, value in found.winner.test.items()
            if value is not None
        )
        metrics = metrics or "no figure, for nobody in it can be judged"
        say(f"Trained on the whole training part, the best has on the test part {metrics}.")
        say(f"{found.standing} The same run without the search:")
        say(f"  {again}")
        say(f"Saved in {found.winner.run}.")


def _table(found: "TuningResult") -> None:
    import polars as pl

    from matinee.evaluation.metrics import METRICS

    shown = [one for one in found.trials if one["value"] is not None][:SHOWN]
    ends = {"complete": "whole", "pruned": "stopped early"}
    rows = [
        {"trial": one["trial"], "value": one["value"], "end": ends[one["state"]], **one["settings"]}
        for one in shown
    ]
    frame = pl.DataFrame(rows)
    # those that were stopped are of fewer factors and iterations: shown where there is room
    end = {"end": ""} if len(shown) > len(found.whole) else {}
    headings = {"trial": "trial", "value": METRICS[found.metric].label, **end, **found.headings}
    floats = [name for name in frame.columns if frame[name].dtype.is_float()]
    print_table(frame, headings, {**dict.fromkeys(floats, ".4g"), "value": ".4f"})
    if found.default is not None:
        value = found.default["value"]
        best = "; nothing was better" if found.default is found.whole[0] else ""
        metric = METRICS[found.metric].label
        say(f"The defaults have {metric} {value:.4f} on the same validation part{best}.")
