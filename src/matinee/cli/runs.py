"""matinee runs: list, rename, remove"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from matinee.cli import options
from matinee.cli.options import find_run, given_options, runs_here
from matinee.cli.output import answer, heading, print_json, print_table, say
from matinee.errors import SettingError, printable, shortened

SORTS = ("created", "rmse", "ndcg@10")

runs_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@runs_app.callback()
def runs(
    context: typer.Context,
    data: Annotated[str | None, Option(metavar="NAME", help="Only runs on this data set.")] = None,
    model: Annotated[
        str | None,
        Option(metavar="NAME", help="Only runs with this model or ranker: als, ials, ..."),
    ] = None,
    sort: Annotated[
        str, Option(metavar="|".join(SORTS), help="The newest first, or the best.")
    ] = "created",
    n: Annotated[
        int | None, Option("-n", metavar="N", min=1, help="How many to list; by default all.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List, rename and remove the runs in runs/."""
    if context.invoked_subcommand:
        for option in given_options(context).values():
            raise SettingError(
                f"{option} belongs to the list; put options of {context.invoked_subcommand} "
                "after its name."
            )
        return
    if sort not in SORTS:
        raise SettingError(f"--sort must be one of {', '.join(SORTS)}, got {shortened(sort)}.")
    wanted = model and _estimator_name(model)
    every = [_row(folder, manifest) for folder, manifest in runs_here()]
    rows = [
        row
        for row in every
        if data in (None, row["data"]) and wanted in (None, row["model"], row["ranker"])
    ]
    if sort != "created":
        sign = 1 if sort == "rmse" else -1
        rows.sort(key=lambda row: (row[sort] is None, sign * (row[sort] or 0.0)))
    rows = rows[:n]
    if json:
        print_json(rows)
    elif rows:
        _show(rows)
    elif every:
        say("No run matches; matinee runs lists all of them.")
    else:
        say("There is no run in runs/. Make one: matinee train DATASET")


@runs_app.command()
def rename(
    run: Annotated[str, Argument(metavar="RUN", help="Its folder or name.")],
    new: Annotated[str, Argument(metavar="NEW", help="Its new name, in the same folder.")],
    json: options.Json = False,
) -> None:
    """Give a run another name."""
    from matinee.storage.runs import rename_run

    old = find_run(run)
    renamed = rename_run(old, new)
    value = {"from": str(old), "run": str(renamed)}
    answer(json, value, f"Renamed {old} to {renamed}.")


@runs_app.command()
def remove(
    runs: Annotated[list[str], Argument(metavar="RUN", help="Folders or names.")],
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Remove runs for good, with everything in their folders."""
    from matinee.storage.runs import check_is_run, remove_run

    folders: list[Path] = []
    for folder in map(find_run, runs):
        check_is_run(folder)  # all of them, before the first one goes
        if not any(folder.samefile(other) for other in folders):
            folders.append(folder)
    if not yes:
        if not sys.stdin.isatty():
            raise SettingError("Not a terminal: confirm with --yes.")
        names = ", ".join(map(str, folders))
        if not typer.confirm(f"Remove {printable(names)} for good?", err=True):
            say("Nothing was removed.")
            return
    for folder in folders:
        remove_run(folder)
        if not json:
            say(f"Removed {folder}.")
    if json:
        print_json({"removed": [str(folder) for folder in folders]})


def _row(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """A run as the list shows it; a manifest may say anything, and None stands for nonsense."""
    from matinee.storage.runs import finite_or_none

    ranking = _at(manifest, "metrics", "ranking")
    if _at(ranking, "protocol") != "holdout":  # ranked among other items: not to be compared
        ranking = None
    return {
        "run": str(folder),
        "created": str(manifest.get("created", ""))[:19],
        "model": _head_name(manifest, "rating"),
        "ranker": _head_name(manifest, "ranking"),
        "data": _text(_at(manifest, "data", "name")),
        "split": _split(manifest),
        "rmse": finite_or_none(_at(manifest, "metrics", "rmse")),
        "ndcg@10": finite_or_none(_at(ranking, "metrics", "ndcg@10", "value")),
    }


def _split(manifest: dict[str, Any]) -> str | None:
    """How the test set was made; "none" if there is none."""
    if _at(manifest, "split", "test_fraction") == 0:
        return "none"
    return _text(_at(manifest, "split", "method"))


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _head_name(manifest: dict[str, Any], head: str) -> str | None:
    """What one types for the estimator of a head, or its class if it has no such name."""
    from matinee.models.registry import RANKING, RATING

    cls = _text(_at(manifest, "heads", head, "estimator", "name"))
    names = {cls: name for name, cls in (RATING if head == "rating" else RANKING).items()}
    return names.get(cls, cls) if cls else None


def _estimator_name(text: str) -> str:
    """The name of an estimator, given as for `matinee train` or as its class."""
    from matinee.models.registry import RANKING, RATING

    known = {**RATING, **RANKING}
    for name, cls in known.items():
        if text in (name, cls):
            return name
    raise SettingError(f"--model must be one of {', '.join(known)}, got {shortened(text)}.")


def _show(rows: list[dict[str, Any]]) -> None:
    import polars as pl

    # a folder may have a name that is no text, and polars takes none of those
    printed = [{**row, "run": printable(Path(row["run"]).name)} for row in rows]
    frame = pl.DataFrame(printed, schema_overrides={"rmse": pl.Float64, "ndcg@10": pl.Float64})
    shown = ["run", "model", "ranker", *(["split"] if frame["split"].n_unique() > 1 else [])]
    headings = {**{name: name for name in shown}, "rmse": "RMSE", "ndcg@10": "NDCG@10"}
    # a table for each data set: on different ones metrics are not to be compared
    for number, ((data,), own) in enumerate(frame.group_by("data", maintain_order=True)):
        if number:
            say()
        heading(f"{data or 'unknown data'}")
        known = {name: title for name, title in headings.items() if own[name].count()}
        print_table(own, known, {"rmse": ".4f", "ndcg@10": ".4f"})
