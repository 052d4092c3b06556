"""matinee data: list, fetch, add, clean"""

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.options import Columns, Duplicates, Json, ScaleOption, open_dataset
from matinee.cli.output import print_json, print_table, say, short

data_app = typer.Typer(
    help="Data sets: list them, fetch an edition, add your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@data_app.command("list")
def list_data(json: Json = False) -> None:
    """The MovieLens editions and your own data, and which of them are here."""
    import polars as pl

    from matinee.data.cache import cache_folder, cached, cached_names
    from matinee.data.movielens import EDITIONS

    rows = [
        {
            "name": edition.name,
            "ratings": edition.ratings or None,
            "users": edition.users or None,
            "items": edition.items or None,
            "scale": edition.scale,
            "year": edition.year,
            "path": str(cached(edition.name) or ""),
        }
        for edition in EDITIONS.values()
    ]
    rows += [
        {"name": name, "path": str(cached(name))} for name in cached_names() if name not in EDITIONS
    ]
    frame = pl.DataFrame(rows).with_columns(
        here=pl.when(pl.col("path") == "").then(pl.lit("")).otherwise(pl.lit("yes"))
    )
    if json:
        print_json(frame.drop("here").to_dicts())
        return
    names = ("name", "ratings", "users", "items", "scale", "year", "here")
    print_table(frame, {name: name for name in names})
    say()
    say(f"Kept in {short(cache_folder())} (set MATINEE_DATA to keep them elsewhere).")


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See matinee data list.")],
    json: Json = False,
) -> None:
    """Download a MovieLens edition from GroupLens, checksum checked; goes on where it stopped."""
    from matinee.data.cache import cached
    from matinee.data.download import fetch as download
    from matinee.data.movielens import TERMS

    already = cached(name)
    path = already or download(name)
    if json:
        print_json({"name": name, "path": str(path)})
    else:
        say(f"{name} is in {short(path)}. Terms: {TERMS}.")


@data_app.command()
def add(
    path: Annotated[str, typer.Argument(metavar="PATH", help="An archive, a folder or a file.")],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    columns: Columns = None,
    scale: ScaleOption = None,
    duplicates: Duplicates = None,
    json: Json = False,
) -> None:
    """Check data of your own and keep them under a name."""
    from matinee.data.cache import add as keep
    from matinee.data.cache import cached
    from matinee.data.movielens import check_edition

    before = cached(name or Path(path).stem)
    dataset = open_dataset(path, columns, scale, duplicates)
    check_edition(name or Path(path).stem, len(dataset))
    kept = keep(Path(path), name, dataset.reading)
    if json:
        print_json({"name": kept.name, "path": str(kept), "ratings": len(dataset)})
    else:
        again = ", in place of what was there under that name" if before else ""
        say(f"{len(dataset):,} ratings{again}; next: matinee describe {kept.name}.")


@data_app.command()
def clean(json: Json = False) -> None:
    """Remove what large data were prepared to for quick reading; the data themselves stay."""
    from matinee.data.parsed_cache import clear

    freed = clear()
    if json:
        print_json({"bytes": freed})
    else:
        say(f"{freed / 1e6:,.0f} MB freed. What is needed is prepared anew when it is read.")
