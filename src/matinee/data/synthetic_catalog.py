"""Invented movies: genres, years, titles, and sequels."""

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from matinee._types import F32, I64, Bools
from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap

GENRE_SHARE = 0.5  # of the variance of an item's bias and factors that its genres explain
SEQUEL_SHARE = 0.04  # of the items continue another one
SEQUEL_LIKENESS = 0.9  # correlation of its factors with those of what it continues
LAST_YEAR, FIRST_YEAR = 2022, 1923
YEAR_SECONDS = 31_556_952

GENRES = (
    "Drama", "Comedy", "Thriller", "Romance", "Action", "Horror", "Documentary", "Crime",
    "Adventure", "Sci-Fi", "Children", "Animation", "Mystery", "Fantasy", "War", "Western",
    "Musical", "Film-Noir",
)  # fmt: skip
ADJECTIVES = (
    "Silent", "Golden", "Last", "Broken", "Hidden", "Crimson", "Distant", "Electric", "Paper",
    "Midnight", "Endless", "Stolen", "Winter", "Burning", "Secret", "Velvet", "Lonely", "Glass",
    "Wild", "Forgotten", "Hollow", "Second", "Borrowed", "Iron", "Quiet", "Restless", "Scarlet",
    "Sunken", "Tall", "Uncertain", "Wandering", "Yellow",
)  # fmt: skip
NOUNS = (
    "Harbor", "Orchard", "Train", "Promise", "Garden", "Empire", "Letter", "River", "Summer",
    "Stranger", "Machine", "Waltz", "Island", "Mirror", "Kingdom", "Hour", "Bridge", "Lantern",
    "Witness", "Carnival", "Signal", "Voyage", "Desert", "Detective", "Dancer", "Frontier",
    "Cathedral", "Comet", "Library", "Masquerade", "Neighbor", "Tide",
)  # fmt: skip
NAMES = (
    "Ada", "Bruno", "Clara", "Dimitri", "Elena", "Felix", "Greta", "Hugo", "Inga", "Jonah",
    "Kamala", "Leo", "Marta", "Nadia", "Oskar", "Paloma", "Quentin", "Rosa", "Samir", "Tilda",
    "Umberto", "Vera", "Walter", "Xenia", "Yusuf", "Zora", "Amélie", "Benedikt", "Cosima",
    "Dorian", "Esther", "Florian",
)  # fmt: skip
PLACES = (
    "Lisbon", "Oslo", "Cairo", "Havana", "Kyoto", "Vienna", "Naples", "Alaska", "Bombay", "Dublin",
    "Prague", "Tangier", "Seville", "Patagonia", "Memphis", "Odessa", "Zanzibar", "Brooklyn",
    "Marseille", "Lapland", "Samarkand", "Trieste", "Bruges", "Arizona", "Valparaíso", "Warsaw",
    "Cardiff", "Salem", "Montreal", "Macao", "Geneva", "Tuscany",
)  # fmt: skip
# in the order in which they are used up; each has as many words as its place says
PATTERNS = {
    2: ("{adjective} {noun}", "The {noun} of {place}", "{name} and the {noun}", "{name}'s {noun}",
        "A {noun} for {name}", "{noun} in {place}"),
    3: ("The {adjective} {noun} of {place}", "{name} and the {adjective} {noun}",
        "A {adjective} {noun} for {name}"),
    4: ("{name}'s {adjective} {noun} in {place}",),
}  # fmt: skip
WORDS = {"adjective": ADJECTIVES, "noun": NOUNS, "name": NAMES, "place": PLACES}
COUNT = 32  # of each kind


@dataclass(frozen=True, eq=False)
class InventedItems:
    """What is drawn of the items beside their titles."""

    genres: Bools  # (items, genres)
    base: I64  # (items,): the item that it continues, or itself
    part: I64  # (items,): 1, or the number of a sequel
    released: I64  # (items,) Unix seconds

    @property
    def main_genre(self) -> I64:
        """The first genre of each item, (items,)."""
        return np.asarray(self.genres.argmax(axis=1))

    def rows(self, width: int, rng: np.random.Generator) -> F32:
        """Rows of unit variance, (items, width), alike where genres are, and for sequels."""
        centres = rng.standard_normal((len(GENRES), width))
        genres = self.genres / np.sqrt(self.genres.sum(axis=1, keepdims=True))
        own = rng.standard_normal((len(genres), width))
        rows = np.sqrt(GENRE_SHARE) * (genres @ centres) + np.sqrt(1 - GENRE_SHARE) * own
        sequels = np.flatnonzero(self.part > 1)
        rows[sequels] = SEQUEL_LIKENESS * rows[self.base[sequels]] + np.sqrt(
            1 - SEQUEL_LIKENESS**2
        ) * rng.standard_normal((len(sequels), width))
        return np.asarray(rows, np.float32)


def invent_items(items: int, rng: np.random.Generator) -> tuple[InventedItems, Catalog]:
    """So many movies, and the catalog of them."""
    genres = _genres(items, rng)
    years = LAST_YEAR + 1 - rng.geometric(0.05, items).clip(1, LAST_YEAR + 1 - FIRST_YEAR)
    base, part = np.arange(items), np.ones(items, np.int64)
    chosen = rng.permutation(items)[: 2 * int(items * SEQUEL_SHARE)].reshape(2, -1)
    for number, (first, sequel) in enumerate(chosen.T.tolist()):
        if number % 4 == 3:  # a third part, of the series before
            first = int(base[chosen[1, number - 1]])
        base[sequel], part[sequel] = first, 2 + (number % 4 == 3)
        years[first] = min(years[first], LAST_YEAR - 6)
        genres[sequel] = genres[first]
    sequels = np.flatnonzero(part > 1)
    years[sequels] = years[base[sequels]] + 3 * (part[sequels] - 1)
    released = (years - 1970) * YEAR_SECONDS + rng.integers(0, YEAR_SECONDS, items)
    invented = InventedItems(genres, base, part, released)
    names = _names(items, rng)
    titles = [
        f"{names[first]}{f' {number}' if number > 1 else ''} ({year})"
        for first, number, year in zip(base.tolist(), part.tolist(), years.tolist(), strict=True)
    ]
    ids = pl.Series("item_id", np.arange(1, items + 1))
    genre_lists = [[GENRES[genre] for genre in np.flatnonzero(row)] for row in genres]
    frame = pl.DataFrame({"item_id": ids, "title": titles, "genres": genre_lists})
    return invented, Catalog.build(IdMap(ids), frame)


def _genres(items: int, rng: np.random.Generator) -> Bools:
    """One to three genres for each item, the first ones in `GENRES` most often, (items, genres)."""
    weights = 1.0 / np.arange(1, len(GENRES) + 1) ** 0.7
    keys = np.log(rng.random((items, len(GENRES)))) / weights
    ranks = (-keys).argsort(axis=1).argsort(axis=1)
    return np.asarray(ranks < rng.integers(1, 4, size=(items, 1)))


def _names(items: int, rng: np.random.Generator) -> list[str]:
    """Names without years in random order, different as long as there are words."""
    names: list[str] = []
    for words, patterns in PATTERNS.items():
        each = COUNT**words
        drawn = rng.permutation(each * len(patterns))[: items - len(names)]
        for pattern, number in zip((drawn // each).tolist(), (drawn % each).tolist(), strict=True):
            name = patterns[pattern]
            for kind, choices in WORDS.items():
                if f"{{{kind}}}" in name:
                    number, word = divmod(number, COUNT)
                    name = name.replace(f"{{{kind}}}", choices[word])
            names.append(re.sub(r"\bA (?=[AEIOU]|Hour)", "An ", name))
        if len(names) == items:
            break
    return (names * (items // len(names) + 1))[:items]
