"""Lists of many users, into a file: in blocks, so that memory does not grow with the users."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.errors import SettingError, check_whole
from matinee.models.recommender import Recommender
from matinee.progress import progress
from matinee.storage.atomic import new_file

ENDINGS = (".parquet", ".csv", ".jsonl")
ROWS = 500_000  # of lists held at a time


def write_lists(
    model: Recommender, path: str | Path, users: Any = None, n: int = 10, **options: Any
) -> tuple[int, int]:
    """Write the table of `Recommender.recommend` into a file, whole or not at all.

    Parameters
    ----------
    model : Recommender
    path : str or Path
        Ends in ``.parquet``, ``.csv`` or ``.jsonl``, in which genres are lists.
    users : sequence of ids, or None for all users with ratings
    n : int
    **options
        The other arguments of `Recommender.recommend`.

    Returns
    -------
    (int, int)
        How many users got a list, and the rows of all lists together.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_lists(model, f"{folder}/lists.parquet", n=5)
    (60, 300)
    """
    path = Path(path)
    check_whole("n", n, 1)
    if path.suffix not in ENDINGS:
        raise SettingError(f"{path}: a file of lists must end in {', '.join(ENDINGS)}.")
    if path.is_dir():
        raise SettingError(f"{path}: this is a folder; name a file.")
    everybody = np.flatnonzero(model.user_counts).astype(np.int32)
    codes = everybody if users is None else model.index.users(users)
    listed, rows = 0, 0

    def blocks() -> Iterator[pl.DataFrame]:
        nonlocal listed, rows
        step = max(1, ROWS // min(n, max(1, len(model.items))))
        for first in range(0, max(1, len(codes)), step):
            ids = model.user_ids.values[codes[first : first + step]]
            block = model.recommend(ids, n, **options)
            listed, rows = listed + block["user_id"].n_unique(), rows + block.height
            yield block
            tick(min(first + step, len(codes)), "")

    with progress("Writing lists", len(codes)) as tick, new_file(path) as fresh:
        _WRITERS[path.suffix](fresh, blocks())
    return listed, rows


def write_parquet(path: Path, blocks: Iterator[pl.DataFrame]) -> None:
    """Blocks as one Parquet file; they wait in files beside it, for it is written in one go."""
    parts = []
    for number, block in enumerate(blocks):
        parts.append(path.with_name(f"{number}.part"))
        block.write_parquet(parts[-1])
    pl.scan_parquet(parts, glob=False).sink_parquet(path)
    for part in parts:
        part.unlink()


def _write_csv(path: Path, blocks: Iterator[pl.DataFrame]) -> None:
    with path.open("wb") as file:
        for number, block in enumerate(blocks):
            block.write_csv(file, include_header=number == 0)


def _write_jsonl(path: Path, blocks: Iterator[pl.DataFrame]) -> None:
    names = pl.col("genres").str.split("|").list.filter(pl.element() != "")
    with path.open("wb") as file:
        for block in blocks:
            block.with_columns(genres=names).write_ndjson(file)


_WRITERS = {".parquet": write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
