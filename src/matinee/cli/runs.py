"""matinee runs: list, rename, remove"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from matinee.cli.options import Json, find_run, typed_options
from matinee.cli.output import print_json, print_table, say
from matinee.errors import SettingError, printable

SORTS = ("created", "rmse", "ndcg@10")

runs_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@runs_app.callback()
def runs(
    context: typer.Context,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those on this data set.")
    ] = None,
    estimator: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only those with this model or ranker: als, ials ..."),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="|".join(SORTS), help="What to begin with; the best, or newest.")
    ] = "created",
    n: Annotated[
        int | None,
        typer.Option("-n", metavar="N", min=1, help="How many to list; head default all."),
    ] = None,
    json: Json = False,
) -> None:
    """The runs under runs/, the newest first; rename and remove them."""
    if context.invoked_subcommand:
        for option in typed_options(context).values():
            raise SettingError(
                f"{option} goes with the list; put options of {context.invoked_subcommand} "
                "after its name."
            )
        return
    from matinee.storage.runs import finite_or_none, list_runs

    if sort not in SORTS:
        raise SettingError(f"--sort is {', '.join(SORTS)}, not {sort!r}.")
    kinds = _kinds(estimator)
    every: list[dict[str, Any]] = [
        {
            "run": str(folder),
            "created": str(manifest.get("created", ""))[:19],
            "stars_by": _estimator(manifest, "rating"),
            "lists_by": _estimator(manifest, "ranking"),
            "data": _text(manifest["data"].get("name")),
            "split": _text(manifest["split"].get("method")),
            "rmse": finite_or_none(manifest["metrics"].get("rmse")),
            "ndcg@10": _ndcg(manifest),
        }
        for folder, manifest in list_runs()
    ]
    found = [
        row
        for row in every
        if (data is None or row["data"] == data)
        and (estimator is None or {row["stars_by"], row["lists_by"]} & kinds)
    ]
    if sort != "created":
        found.sort(key=lambda row: _best_first(row[sort], least=sort == "rmse"))
    found = found[:n]
    if json:
        print_json(found)
    elif found:
        _show(found)
    elif every:
        say("There is no such run; matinee runs lists them all.")
    else:
        say("There is no run under runs/ yet. Make one: matinee train DATASET.")


@runs_app.command()
def rename(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its folder or name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name, in the same folder.")],
    json: Json = False,
) -> None:
    """Give a run another name."""
    from matinee.storage.runs import rename_run

    old = find_run(run)
    renamed = rename_run(old, new)
    if json:
        print_json({"from": str(old), "run": str(renamed)})
    else:
        say(f"{old} is {renamed} now.")


@runs_app.command()
def remove(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Folders or names.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove runs for good, with all that is in their folders."""
    from matinee.storage.runs import check_is_run, remove_run

    folders: list[Path] = []
    for folder in map(find_run, runs):
        check_is_run(folder)  # all of them, before the first one goes
        if not any(folder.samefile(other) for other in folders):
            folders.append(folder)
    if not yes:
        if not sys.stdin.isatty():
            raise SettingError("There is nobody to ask whether to remove them; say --yes.")
        named = ", ".join(map(str, folders))
        if not typer.confirm(f"Remove {printable(named)} for good?", err=True):
            say("Nothing was removed.")
            return
    for folder in folders:
        remove_run(folder)
        if not json:
            say(f"Removed {folder}.")
    if json:
        print_json({"removed": [str(folder) for folder in folders]})


def _text(said: Any) -> str | None:
    """What a manifest says where text should be; nothing if it is none."""
    return said if isinstance(said, str) else None


def _kinds(estimator: str | None) -> set[str]:
    """The classes that go by a name, typed as for `matinee train` or as lists show it."""
    from matinee.models.registry import RANKING, RATING

    known = {**RATING, **RANKING}
    kinds = {kind for name, kind in known.items() if estimator in (name, kind)}
    if estimator is not None and not kinds:
        raise SettingError(f"--recipe is {', '.join(known)}, not {estimator!r}.")
    return kinds


def _best_first(value: float | None, least: bool) -> tuple[bool, float]:
    """A key for sorting; those without a value come last."""
    if value is None:
        return True, 0.0
    return False, value if least else -value


def _show(found: list[dict[str, Any]]) -> None:
    import polars as pl

    # a folder may have a name that is no text, and polars takes none of those
    rows = [{**row, "run": printable(row["run"])} for row in found]
    frame = pl.DataFrame(rows, schema_overrides={"rmse": pl.Float64, "ndcg@10": pl.Float64})
    shown = [name for name in frame.columns if name != "created"]  # which the order says
    headings = {name: name.replace("_", " ") for name in shown}
    print_table(frame, headings, {"rmse": ".4f", "ndcg@10": ".4f"})


def _estimator(manifest: dict[str, Any], head: str) -> str | None:
    try:
        return str(manifest["heads"][head]["estimator"]["name"])
    except (KeyError, TypeError):
        return None


def _ndcg(manifest: dict[str, Any]) -> float | None:
    """Of lists that were ranked among all movies: other protocols give other figures."""
    from matinee.storage.runs import finite_or_none

    try:
        lists = manifest["metrics"]["ranking"]
        holdout = lists["protocol"] == "holdout"
        return finite_or_none(lists["metrics"]["ndcg@10"]["value"]) if holdout else None
    except (KeyError, TypeError):
        return None
