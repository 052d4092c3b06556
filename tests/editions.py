"""Synthetic data in the files of MovieLens editions, with the titles that our pages name."""

import numpy as np
import polars as pl

from matinee.data import generate

EPISODE = ": Episode IV - A New Hope"  # in the title of all editions but the oldest
TITLES = (
    "Toy Story (1995)",
    "Star Wars{} (1977)",
    "Alien (1979)",
    "Casablanca (1942)",
    "Aladdin (1992)",
    "Blade Runner (1982)",
    "Notting Hill (1999)",
    "Heat (1995)",
    "Aliens (1986)",
)


def write_editions(cache):
    """ml-latest-small, ml-100k and ml-1m, each in its own layout, in a cache folder."""
    data, _ = generate(users=150, items=90, ratings=4000, seed=3)
    ratings = data.ratings
    columns = {"user": ratings.user + 1, "item": ratings.item + 1, "rating": ratings.values}
    rows = pl.DataFrame({**columns, "timestamp": ratings.timestamp})
    whole = rows.with_columns(pl.col("rating").ceil().cast(pl.Int64))
    _write_csv(cache / "ml-latest-small", rows, _items(data, EPISODE))
    _write_100k(cache / "ml-100k", whole, _items(data, ""))
    _write_dat(cache / "ml-1m", whole, _items(data, EPISODE))


def _items(data, episode):
    """(id, title, genres), with known titles for the most rated."""
    titles, genres = list(data.catalog.titles), data.catalog.frame["genres"].to_list()
    most_rated = np.argsort(-data.ratings.item_counts, kind="stable").tolist()
    for item, title in zip(most_rated, TITLES, strict=False):
        titles[item] = title.format(episode)
        if title.startswith("Alien"):
            genres[item] = ["Horror", "Sci-Fi"]
    return list(zip(range(1, len(titles) + 1), titles, genres, strict=True))


def _write_csv(folder, rows, items):
    folder.mkdir()
    rows.rename({"user": "userId", "item": "movieId"}).write_csv(
        folder / "ratings.csv", float_precision=1
    )
    pl.DataFrame(
        [(item, title, "|".join(genres)) for item, title, genres in items],
        schema=["movieId", "title", "genres"],
        orient="row",
    ).write_csv(folder / "movies.csv")


def _write_100k(folder, rows, items):
    folder.mkdir()
    rows.write_csv(folder / "u.data", separator="\t", include_header=False)
    names = ["unknown", *sorted({name for _, _, genres in items for name in genres})]
    lines = [f"{name}|{number}" for number, name in enumerate(names)]
    (folder / "u.genre").write_text("\n".join(lines) + "\n")
    flags = [["01"[name in genres] for name in names] for _, _, genres in items]
    lines = [
        "|".join([str(item), title, "01-Jan-1995", "", "", *flag])
        for (item, title, _), flag in zip(items, flags, strict=True)
    ]
    (folder / "u.item").write_text("\n".join(lines) + "\n")


def _write_dat(folder, rows, items):
    folder.mkdir()
    lines = ["::".join(map(str, row)) for row in rows.iter_rows()]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")
    lines = [f"{item}::{title}::{'|'.join(genres)}" for item, title, genres in items]
    (folder / "movies.dat").write_text("\n".join(lines) + "\n")
