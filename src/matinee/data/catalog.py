"""Titles and attributes of the items, and finding an item from what a person types."""

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I64, Ints
from matinee.data.attribute_values import printable_text
from matinee.data.attributes import (
    MOST_VALUES,
    Attributes,
    Categories,
    count_values,
    normalized,
)
from matinee.data.id_map import IdMap
from matinee.errors import UnknownIdError, cut, shortened

YEAR = r"\((\d{4})(?:\s*[-\u2013]\s*\d{0,4})?\)\s*$"
"""A year, or the first of a range of years, in brackets at the end of a title."""

NO_GENRES = ["", "(no genres listed)", "unknown"]
"""What tables say of an item without genres."""


@dataclass(frozen=True, eq=False)
class Catalog:
    """Titles, years, genres and other attributes of the items, in the order of the item codes.

    Parameters
    ----------
    ids : IdMap
        Original item ids.
    frame : polars.DataFrame
        Columns `title` (String, the id where there is none), `genres` (list of String), `year`
        (Int32 or null), and further attributes as in `matinee.data.attributes`.
    """

    ids: IdMap
    frame: pl.DataFrame

    def __repr__(self) -> str:
        return f"Catalog({len(self):,} {self.noun}s, {len(self.genre_names)} genres)"

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def build(cls, ids: IdMap, items: pl.DataFrame | None = None) -> "Catalog":
        """A row for each of `ids` from a table of items, which may lack some of them.

        Of its columns only `item_id` is required; `title`, `genres` and `year` are known, all
        others are attributes. Years are taken from titles if there are none; control characters
        become spaces, for titles are printed on terminals and pages.
        """
        frame = pl.DataFrame({"item_id": ids.values})
        items = frame if items is None else items
        if "title" not in items.columns:
            items = items.with_columns(title=pl.lit(None, pl.String))
        if "genres" not in items.columns:
            items = items.with_columns(genres=pl.lit(None, pl.List(pl.String)))
        if "year" not in items.columns:
            items = items.with_columns(year=pl.col("title").str.extract(YEAR))
        known = items.select(
            pl.col("item_id").cast(ids.values.dtype),
            printable_text(pl.col("title")).alias("title"),
            pl.col("genres").list.eval(printable_text(pl.element())).alias("genres"),
            pl.col("year").cast(pl.Int32),
        )
        items = known.with_columns(*normalized(items.drop(known.columns)))
        is_genre = ~pl.element().is_in(NO_GENRES)
        frame = frame.join(items, on="item_id", how="left", maintain_order="left").select(
            # every item has a title, if only its id
            pl.when(pl.col("title").str.len_chars() > 0)
            .then("title")
            .otherwise(pl.col("item_id").cast(pl.String))
            .alias("title"),
            pl.col("genres").fill_null([]).list.eval(pl.element().filter(is_genre)),
            pl.exclude("item_id", "title", "genres"),
        )
        return cls(ids, frame)

    @cached_property
    def attributes(self) -> Attributes:
        """Genres, years and all else that is known of the items, as features."""
        columns = [column for column in self.frame if column.name != "title"]
        return Attributes(pl.DataFrame(columns), len(self))

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """All genres in alphabetical order; of more than a thousand, the most frequent."""
        counts = count_values(self.frame["genres"])[:MOST_VALUES]
        return tuple(sorted(genre for genre, _ in counts))

    def fingerprint(self) -> str:
        """SHA-256 of what estimators learn from: ids and attributes, without titles."""
        ids = self.ids.values.cast(pl.String).alias("item_id")
        learned_from = self.frame.drop("title").select(ids, pl.all())
        return hashlib.sha256(learned_from.write_ndjson().encode()).hexdigest()

    @cached_property
    def titles(self) -> list[str]:
        """Titles by item code."""
        return self.frame["title"].to_list()

    @cached_property
    def noun(self) -> str:
        """What to call an item: ``"movie"`` where there are genres or years, else ``"item"``."""
        return "movie" if self.genre_names or self.frame["year"].count() else "item"

    @cached_property
    def genre_matrix(self) -> F32:
        """float32 (items, genres): 1 where the item has the genre, by `genre_names`."""
        matrix = np.zeros((len(self), len(self.genre_names)), np.float32)
        row, column = Categories("genres", self.genre_names, False).entries(self.frame["genres"])
        matrix[row, column] = 1.0
        return matrix

    def rows(self, codes: Ints) -> pl.DataFrame:
        """Columns `item_id`, `title` and `genres` (text, joined by ``|``) of some items."""
        # column by column: all at once needs polars' threads, of which a forked process has none
        places = pl.Series(codes, dtype=pl.get_index_type())
        return pl.DataFrame([column[places] for column in self._display.get_columns()])

    @cached_property
    def _display(self) -> pl.DataFrame:
        return self.frame.select(
            self.ids.values.alias("item_id"), "title", pl.col("genres").list.join("|")
        )

    def find(self, wanted: Any, counts: I64 | None = None) -> int:
        """The code of the item that a person means.

        A number is an id. Text is a title, which may lack its year, accents and capitals and
        have its article in front ("The Godfather"); else an id; else words of a title, all of
        which must occur. If several items match, the one with the most ratings is meant, where
        `counts` (int64 (items,)) says how many each has. Raises UnknownIdError if nothing
        matches; the message names similar titles.

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
        for codes in self.matches(wanted):
            if len(codes):
                return int(codes[0] if counts is None else codes[np.argmax(counts[codes])])
        raise UnknownIdError(
            f"No {self.noun} {shortened(wanted)} in the training set.{self._suggestion(wanted)}"
        )

    def matches(self, wanted: str) -> Iterator[Ints]:
        """Codes of the items that `wanted` may mean, in one sense after another."""
        name, year = normalized_title(wanted)
        words = set(name.split())
        yield np.flatnonzero(self.frame["title"] == wanted)
        if self.ids.are_text:  # such an id is rarely a title by chance
            yield self._with_id(wanted)
        yield self._titled(lambda other: name == other != "", year)
        number = wanted.strip()
        if not self.ids.are_text and number.isdecimal() and len(number) < 19:
            yield self._with_id(int(number))  # but "300" is a movie before it is a number
        yield self._titled(lambda other: bool(words) and words <= set(other.split()), year)

    def _with_id(self, wanted: Any) -> Ints:
        codes = self.ids.codes([wanted])
        return codes[codes >= 0]

    def _titled(self, matches: Callable[[str], bool], year: str) -> Ints:
        """Codes of items whose normalized title matches, and whose year does if one is given."""
        titles = self._normalized_titles
        return np.flatnonzero([year in ("", other) and matches(name) for name, other in titles])

    def _suggestion(self, wanted: str) -> str:
        names = [name for name, _ in self._normalized_titles]
        close = difflib.get_close_matches(normalized_title(wanted)[0][:200], names, n=3)
        titles = list(dict.fromkeys(self.titles[names.index(match)] for match in close))
        return f" Did you mean {' or '.join(map(cut, titles))}?" if titles else ""

    @cached_property
    def _normalized_titles(self) -> list[tuple[str, str]]:
        return [normalized_title(title) for title in self.titles]


def normalized_title(title: str) -> tuple[str, str]:
    """A title without capitals, accents and punctuation, its article in front; and its year."""
    match = re.search(YEAR, title)
    year = match.group(1) if match else ""
    name = title[: match.start()] if match else title
    # "Godfather, The (a.k.a. ...)" -> "The Godfather (a.k.a. ...)"
    name = re.sub(r"^([^(]+?), (The|A|An|Le|La|Les|Il|El|Das|Der|Die)\b", r"\2 \1", name)
    return " ".join(words_of(name)), year


def words_of(text: str) -> list[str]:
    """The words of a text, without capitals, accents and punctuation."""
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in letters if not unicodedata.combining(c))
    return re.findall(r"\w+", text.casefold().replace("'", ""))
