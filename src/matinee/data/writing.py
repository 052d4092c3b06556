"""Writing a data set as a folder of tables, which `read` makes the same data set of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data.dataset import Dataset
from matinee.data.reading_options import ReadingOptions
from matinee.storage.atomic import new_folder


def write_folder(dataset: Dataset, folder: Path) -> Dataset:
    """Write ratings, items and users as Parquet, whole or not at all, in place of what is there.

    Returns the data set with the folder as its source, and the options with which to read it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     written = write_folder(data, Path(place, "data"))
    ...     same = matinee.read(written.source, **written.reading)
    >>> same.ratings.fingerprint() == data.ratings.fingerprint()
    True
    """
    with new_folder(folder) as fresh:
        reading = write_tables(dataset, fresh)
    return replace(dataset, source=str(folder.resolve()), reading=reading, official={}, notes=())


def write_tables(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """Write the same into a folder that is there; the options with which to read it.

    Of interactions that were repeated, the last time is kept.
    """
    ratings = dataset.ratings.to_frame().drop("first_timestamp", strict=False)
    ratings.write_parquet(folder / "ratings.parquet")
    items, users = described(dataset)
    items.write_parquet(folder / "items.parquet")
    if users is not None:
        users.write_parquet(folder / "users.parquet")
    time_format = "s" if "timestamp" in ratings.columns else None
    return ReadingOptions(scale=dataset.ratings.scale, time_format=time_format).to_dict()


def described(dataset: Dataset) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """What is known of items and of users, as tables that `read` takes."""
    catalog, known = dataset.catalog, dataset.user_attributes
    items = catalog.frame.select(catalog.ids.values.alias("item_id"), pl.exclude("item_id"))
    if known is None:
        return items, None
    ids = dataset.ratings.user_ids.values.alias("user_id")
    return items, known.select(ids, pl.exclude("user_id"))
