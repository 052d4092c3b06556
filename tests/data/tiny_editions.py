"""Tiny invented editions in each MovieLens layout, and small helpers to write files."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from matinee.data import Dataset, read
from matinee.errors import DataError

# (user, movie, rating, Unix seconds); movie 50 is never rated, movie 60 has no row of its own
RATINGS = [
    (1, 10, 5.0, 1_000_000_100),
    (1, 20, 3.0, 1_000_000_200),
    (2, 10, 4.0, 1_000_000_050),
    (2, 30, 1.0, 1_000_000_300),
    (3, 20, 2.0, 1_000_000_400),
    (3, 60, 5.0, 1_000_000_500),
    (7, 40, 4.0, 1_000_000_600),
]
ITEMS = [
    (10, "Brûlé at Dawn (1994)", ["Comedy", "Drama"]),
    (20, "Harbor of Tin, The (2001)", ["Drama"]),
    (30, "One, Two, Run (2010)", ["Action"]),
    (40, "Nameless Tide", []),
    (50, "Unseen Orchard (1987)", ["Action", "Comedy", "Drama"]),
]
GENRES = ["Action", "Comedy", "Drama"]
USERS = [(1, 24, "M", "baker"), (2, 53, "F", "writer"), (3, 23, "M", "pilot")]


def rows_of(data: Dataset) -> list[tuple]:
    """The ratings with their original ids; without times where there are none."""
    ratings = data.ratings
    columns = [
        ratings.user_ids.values[ratings.user].to_list(),
        ratings.item_ids.values[ratings.item].to_list(),
        ratings.values.tolist(),
    ]
    if ratings.timestamp is not None:
        columns.append(ratings.timestamp.tolist())
    return list(zip(*columns, strict=True))


def write_lines(path: Path, lines: list[str], encoding: str = "utf-8", end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode(encoding))


def write_100k(folder: Path, encoding: str = "iso-8859-1", end: str = "\n") -> Path:
    """The layout of ml-100k, with the official splits u1 and ua."""

    def rows(ratings):
        return [f"{u}\t{i}\t{s:g}\t{t}" for u, i, s, t in ratings]

    def write(name, lines):
        write_lines(folder / name, lines, encoding, end)

    write("u.data", rows(RATINGS))
    write("u1.test", rows(RATINGS[:3]))
    write("u1.base", rows(RATINGS[3:]))
    write("ua.test", rows([RATINGS[4], RATINGS[1]]))
    write("u.genre", [f"{name}|{at}" for at, name in enumerate(["unknown", *GENRES])] + [""])
    write(
        "u.item",
        [
            "|".join(
                [str(item), title, "01-Jan-1995", "", "http://example.org/"]
                + ["1" if not genres else "0"]
                + ["1" if name in genres else "0" for name in GENRES]
            )
            for item, title, genres in ITEMS
        ],
    )
    write("u.user", [f"{user}|{age}|{sex}|{job}|00000" for user, age, sex, job in USERS])
    return folder


def write_dat(folder: Path, encoding: str = "iso-8859-1", end: str = "\n") -> Path:
    """The layout of ml-1m."""
    write_lines(
        folder / "ratings.dat", [f"{u}::{i}::{s:g}::{t}" for u, i, s, t in RATINGS], encoding, end
    )
    write_lines(
        folder / "movies.dat",
        [f"{item}::{title}::{'|'.join(genres)}" for item, title, genres in ITEMS],
        encoding,
        end,
    )
    write_lines(
        folder / "users.dat",
        [f"{user}::{sex}::{age}::{job}::00000" for user, age, sex, job in USERS],
        encoding,
        end,
    )
    return folder


def write_csv(folder: Path, encoding: str = "utf-8", end: str = "\n") -> Path:
    """The layout of ml-latest-small."""
    write_lines(
        folder / "ratings.csv",
        ["userId,movieId,rating,timestamp", *(f"{u},{i},{s},{t}" for u, i, s, t in RATINGS)],
        encoding,
        end,
    )
    write_lines(
        folder / "movies.csv",
        [
            "movieId,title,genres",
            *(
                f'{item},"{title}",{"|".join(genres) or "(no genres listed)"}'
                for item, title, genres in ITEMS
            ),
        ],
        encoding,
        end,
    )
    return folder


def zip_folder(folder: Path, archive: Path) -> Path:
    """An archive as published: the files inside a folder of the edition's name."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(f"{archive.stem}/", "")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                out.write(path, f"{archive.stem}/{path.relative_to(folder).as_posix()}")
    return archive


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, hidden ones too, with what it holds."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def refusal(source, **options) -> str:
    """The message with which a source is refused, which is at most two lines long."""
    with pytest.raises(DataError) as caught:
        read(source, **options)
    message = str(caught.value)
    assert len(message.splitlines()) <= 2
    assert len(message) < 400
    return message


WRITERS: dict[str, tuple[Callable[..., Path], str]] = {
    "100k": (write_100k, "u.data"),
    "dat": (write_dat, "ratings.dat"),
    "csv": (write_csv, "ratings.csv"),
}
