"""matinee data: list, fetch, add, clean"""

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.options import Columns, Duplicates, Json, ScaleOption, open_dataset
from matinee.cli.output import print_json, print_table, say, short

data_app = typer.Typer(
    help="List data sets, fetch a MovieLens edition, add your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@data_app.command("list")
def list_data(json: Json = False) -> None:
    """List the MovieLens editions and your own data, and which of them are here."""
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
    frame = pl.DataFrame(rows)
    if json:
        print_json(frame.to_dicts())
        return
    frame = frame.with_columns(
        pl.col("year").cast(pl.String),  # no thousands separator
        here=pl.when(pl.col("path") == "").then(pl.lit("")).otherwise(pl.lit("yes")),
    )
    names = ("name", "ratings", "users", "items", "scale", "year", "here")
    print_table(frame, {name: name for name in names}, numbers={"year"})
    say()
    say(f"Kept in {short(cache_folder())}; the environment variable MATINEE_DATA changes that.")


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See matinee data list.")],
    json: Json = False,
) -> None:
    """Download a MovieLens edition from GroupLens and verify it; resumes where it stopped."""
    from matinee.data.cache import cached
    from matinee.data.download import fetch as download
    from matinee.data.movielens import TERMS

    path = cached(name) or download(name)
    if json:
        print_json({"name": name, "path": str(path)})
    else:
        say(f"{name} is in {short(path)}. Terms of use: {TERMS}.")


@data_app.command()
def add(
    path: Annotated[str, typer.Argument(metavar="PATH", help="An archive, a folder or a file.")],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    columns: Columns = None,
    scale: ScaleOption = None,
    duplicates: Duplicates = None,
    json: Json = False,
) -> None:
    """Check your own data and keep a copy under a name."""
    from matinee.data.cache import add as add_to_cache
    from matinee.data.cache import cached
    from matinee.data.movielens import check_edition

    earlier = cached(name or Path(path).stem)
    dataset = open_dataset(path, columns, scale, duplicates)
    check_edition(name or Path(path).stem, len(dataset))
    kept = add_to_cache(Path(path), name, dataset.reading)
    if json:
        print_json({"name": kept.name, "path": str(kept), "ratings": len(dataset)})
    else:
        replaced = f", replacing the earlier {kept.name}" if earlier else ""
        say(f"{len(dataset):,} ratings{replaced}. Next: matinee describe {kept.name}")


@data_app.command()
def clean(json: Json = False) -> None:
    """Remove the cache of parsed files, which makes reading quick; the data themselves stay."""
    from matinee.data.parsed_cache import clear

    freed = clear()
    if json:
        print_json({"bytes": freed})
    else:
        say(f"{freed / 1e6:,.0f} MB freed. The cache is rebuilt on the next read.")
