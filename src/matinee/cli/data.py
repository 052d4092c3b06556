"""matinee data: list, fetch, add, clean"""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from matinee.cli import options
from matinee.cli.options import open_dataset, reads_data
from matinee.cli.output import answer, print_json, print_table, say, short

PURPOSE = "List data sets, fetch a MovieLens edition, add your own."

data_app = typer.Typer(help=PURPOSE, no_args_is_help=True, rich_markup_mode=None)


@data_app.command("list")
def list_data(json: options.Json = False) -> None:
    """List MovieLens editions and your own data."""
    import polars as pl

    from matinee.data.cache import cached, cached_names
    from matinee.data.movielens import EDITIONS
    from matinee.storage.cache_folder import cache_folder

    shown = ("name", "ratings", "users", "items", "scale", "year")
    rows: list[dict[str, Any]] = [
        {key: getattr(each, key) or None for key in shown} for each in EDITIONS.values()
    ]
    rows += [{"name": name} for name in cached_names() if name not in EDITIONS]
    frame = pl.DataFrame([{**row, "path": str(cached(row["name"]) or "")} for row in rows])
    if json:
        print_json(frame.to_dicts())
        return
    frame = frame.with_columns(
        pl.col("year").cast(pl.String),  # no thousands separator
        here=pl.when(pl.col("path") == "").then(pl.lit("")).otherwise(pl.lit("yes")),
    )
    print_table(frame, {name: name for name in (*shown, "here")}, numbers={"year"})
    say()
    say(f"Kept in {short(cache_folder())}; the environment variable MATINEE_CACHE changes that.")


@data_app.command()
def fetch(
    name: Annotated[str, Argument(metavar="NAME", help="See matinee data list.")],
    json: options.Json = False,
) -> None:
    """Download a MovieLens edition from GroupLens.

    It is verified, and an interrupted download is resumed.
    """
    from matinee.data.cache import cached
    from matinee.data.download import fetch as download
    from matinee.data.movielens import TERMS

    path = cached(name) or download(name)
    text = f"{name} is in {short(path)}. Terms of use: {TERMS}."
    answer(json, {"name": name, "path": str(path)}, text)


@data_app.command()
@reads_data
def add(
    path: Annotated[str, Argument(metavar="PATH", help="An archive, a folder or a file.")],
    name: Annotated[str | None, Option(help="What to call it.")] = None,
    reading: options.Reading = None,
    json: options.Json = False,
) -> None:
    """Check your own data and keep a copy under a name."""
    from matinee.data.cache import add as add_to_cache
    from matinee.data.cache import cached, check_name, default_name
    from matinee.data.movielens import check_edition
    from matinee.storage.cache_folder import cache_folder
    from matinee.storage.writing import check_place

    kept_as = name or default_name(Path(path))
    check_name(kept_as)
    earlier = cached(kept_as)
    check_place(cache_folder() / kept_as)
    dataset = open_dataset(path, reading)
    check_edition(kept_as, len(dataset))
    kept = add_to_cache(Path(path), kept_as, dataset.reading)
    replaced = f", replacing the earlier {kept.name}" if earlier else ""
    text = f"{len(dataset):,} {dataset.unit}s{replaced}. Next: matinee describe {kept.name}"
    answer(json, {"name": kept.name, "path": str(kept), "ratings": len(dataset)}, text)


@data_app.command()
def clean(json: options.Json = False) -> None:
    """Remove the cache of parsed files.

    It makes reading quick, and is rebuilt at the next reading; the data themselves stay.
    """
    from matinee.data.parsed_cache import clear

    freed = clear()
    text = f"{freed / 1e6:,.0f} MB freed. The cache is rebuilt on the next read."
    answer(json, {"bytes": freed}, text)
