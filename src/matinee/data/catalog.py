"""The movies: ids, titles, years, genres, and finding one from what a person types."""

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I64, Ints
from matinee.data.id_map import IdMap, echo
from matinee.errors import UnknownIdError

YEAR = r"\((\d{4})(?:\s*[-\u2013]\s*\d{0,4})?\)\s*$"
"""A year, or the first of a range of years, in brackets at the end of a title."""

NO_GENRES = ["", "(no genres listed)", "unknown"]
"""What stands in a table where a movie has no genre."""


@dataclass(frozen=True, eq=False)
class Catalog:
    """One row per movie, in the order of the item codes.

    Parameters
    ----------
    ids : IdMap
        Original movie ids.
    frame : polars.DataFrame
        Columns `title` (String, the id where there is none), `year` (Int32 or null)
        and `genres` (list of String).
    genre_names : tuple of str
        All genres, in the order of the columns of `genre_matrix`.
    """

    ids: IdMap
    frame: pl.DataFrame
    genre_names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Catalog({len(self):,} movies, {len(self.genre_names)} genres)"

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def build(cls, ids: IdMap, described: pl.DataFrame | None = None) -> "Catalog":
        """A row for each of `ids` from a table of movies that may lack some of them.

        Parameters
        ----------
        ids : IdMap
        described : polars.DataFrame, optional
            Columns `item_id`, and any of `title` (String), `year` (Int32), `genres` (list of
            String). Control characters in text are replaced by spaces, for titles end
            up on terminals and pages.
        """
        frame = pl.DataFrame({"item_id": ids.values})
        described = frame if described is None else described
        if "title" not in described.columns:
            described = described.with_columns(title=pl.lit(None, pl.String))
        if "genres" not in described.columns:
            described = described.with_columns(genres=pl.lit(None, pl.List(pl.String)))
        if "year" not in described.columns:
            year = pl.col("title").str.extract(YEAR).cast(pl.Int32)
            described = described.with_columns(year=year)
        frame = frame.join(
            described.select(
                pl.col("item_id").cast(ids.values.dtype),
                _printable(pl.col("title")).alias("title"),
                pl.col("year").cast(pl.Int32),
                pl.col("genres").list.eval(_printable(pl.element())).alias("genres"),
            ),
            on="item_id",
            how="left",
            maintain_order="left",
        ).select(
            # a title of its own for every movie, if only its id
            pl.when(pl.col("title").str.len_chars() > 0)
            .then("title")
            .otherwise(pl.col("item_id").cast(pl.String))
            .alias("title"),
            "year",
            pl.col("genres")
            .fill_null([])
            .list.eval(pl.element().filter(~pl.element().is_in(NO_GENRES))),
        )
        names = frame["genres"].explode().drop_nulls().unique().sort()
        return cls(ids, frame, tuple(names))

    def fingerprint(self) -> str:
        """SHA-256 of what recipes learn from: ids, years and genres, titles aside."""
        learned_from = pl.DataFrame(
            {
                "item_id": self.ids.values.cast(pl.String),
                "year": self.frame["year"],
                "genres": self.frame["genres"],
            }
        )
        return hashlib.sha256(learned_from.write_ndjson().encode()).hexdigest()

    @cached_property
    def titles(self) -> list[str]:
        """Titles by item code."""
        return self.frame["title"].to_list()

    @cached_property
    def noun(self) -> str:
        """What people call an item: ``"movie"`` where there are genres or years, else ``"item"``."""
        return "movie" if self.genre_names or self.frame["year"].count() else "item"

    @cached_property
    def genre_matrix(self) -> F32:
        """(items, genres) float32: 1 where the movie has the genre."""
        matrix = np.zeros((len(self), len(self.genre_names)), np.float32)
        column = {name: at for at, name in enumerate(self.genre_names)}
        pairs = self.frame.select("genres").with_row_index("row").explode("genres").drop_nulls()
        for name, at in column.items():
            matrix[pairs.filter(pl.col("genres") == name)["row"].to_numpy(), at] = 1.0
        return matrix

    def rows(self, codes: Ints) -> pl.DataFrame:
        """Columns `item_id`, `title` and `genres` (text, joined by ``|``) of some movies."""
        return self._shown[codes]

    @cached_property
    def _shown(self) -> pl.DataFrame:
        return self.frame.select(
            self.ids.values.alias("item_id"), "title", pl.col("genres").list.join("|")
        )

    def find(self, wanted: Any, counts: I64 | None = None) -> int:
        """The code of the movie that a person means.

        A number is an id. Text is a title, which may lack its year, accents and capitals and
        have its article in front ("The Godfather"); else an id; else words of a title, all of
        which must occur. Of several movies the one with the most ratings is meant.

        Parameters
        ----------
        wanted : id or str
        counts : int64 (movies,), optional
            Ratings of each movie.

        Raises
        ------
        UnknownIdError
            If nothing fits; the message suggests titles spelled alike.

        Examples
        --------
        >>> titles = ["Godfather, The (1972)", "Heat (1995)"]
        >>> items = pl.DataFrame({"item_id": [1, 2], "title": titles})
        >>> catalog = Catalog.build(IdMap(items["item_id"]), items)
        >>> catalog.find("the godfather"), catalog.find("HEAT"), catalog.find(2)
        (0, 1, 1)
        """
        if not isinstance(wanted, str):
            return self.ids.code(wanted, self.noun)
        # "300" is a movie before it is a number; an id that is text is rarely a title by chance
        likely = (self._with_id, self._named) if self.ids.are_text else (self._named, self._with_id)
        for meant in (self._titled, *likely, self._with_words):
            found = meant(wanted)
            if len(found):
                return int(found[0] if counts is None else found[np.argmax(counts[found])])
        raise UnknownIdError(f"There is no movie {echo(wanted)} here.{self._suggestion(wanted)}")

    def _titled(self, wanted: str) -> Ints:
        return np.flatnonzero(self.frame["title"] == wanted)

    def _named(self, wanted: str) -> Ints:
        """Codes whose title is `wanted` but for year and spelling."""
        name, year = _plain(wanted)
        return self._where(lambda other: name == other != "", year)

    def _with_id(self, wanted: str) -> Ints:
        text = wanted.strip()
        if not self.ids.are_text and not (text.isdecimal() and len(text) < 19):
            return np.empty(0, np.intp)
        codes = self.ids.codes([wanted if self.ids.are_text else int(text)])
        return codes[codes >= 0].astype(np.intp)

    def _with_words(self, wanted: str) -> Ints:
        """Codes whose title holds all words of `wanted`."""
        name, year = _plain(wanted)
        words = set(name.split())
        return self._where(lambda other: bool(words) and words <= set(other.split()), year)

    def _where(self, fits: Callable[[str], bool], year: str) -> Ints:
        """Codes whose plain title fits, and whose year is the given one if one is given."""
        names, years = self._plain_titles
        pairs = zip(names, years, strict=True)
        return np.flatnonzero([year in ("", other) and fits(name) for name, other in pairs])

    def _suggestion(self, wanted: str) -> str:
        name, _ = _plain(wanted)
        names, _ = self._plain_titles
        close = difflib.get_close_matches(name[:200], names, n=3)
        titles = list(dict.fromkeys(self.titles[names.index(one)] for one in close))
        return f" Did you mean {' or '.join(titles)}?" if titles else ""

    @cached_property
    def _plain_titles(self) -> tuple[list[str], list[str]]:
        pairs = [_plain(title) for title in self.titles]
        return [name for name, _ in pairs], [year for _, year in pairs]


def _plain(title: str) -> tuple[str, str]:
    """A title without capitals, accents and punctuation, its article in front; and its year."""
    found = re.search(YEAR, title)
    year = found.group(1) if found else ""
    name = title[: found.start()] if found else title
    # "Godfather, The (a.k.a. ...)" -> "The Godfather (a.k.a. ...)"
    name = re.sub(r"^([^(]+?), (The|A|An|Le|La|Les|Il|El|Das|Der|Die)\b", r"\2 \1", name)
    letters = unicodedata.normalize("NFKD", name)
    letters = "".join(c for c in letters if not unicodedata.combining(c)).casefold()
    return " ".join(re.findall(r"\w+", letters.replace("'", ""))), year


def _printable(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"[\p{Cc}\p{Cf}\u2028\u2029]", " ").str.strip_chars()
