"""Search as you type: items whose titles have all words of a text, the last one perhaps unfinished,
and a few letters wrong if nothing else is found.

Words are sorted, so those that begin alike stand together, and so do the items that have them.
"""

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

from matinee._types import I32, I64, Bools
from matinee.data.catalog import Catalog, words_of

MAX_WORDS = 12  # of a query; whoever types more has found it
MAX_LETTERS = 200
WHOLE, PREFIX, TYPO = 0, 1, 2
"""How a word of the query was found, the best first."""


class CatalogSearch:
    """The words of all titles, and which items have them."""

    def __init__(self, catalog: Catalog, counts: I64) -> None:
        titles = [_words(title) for title in catalog.titles]
        self.n_items, self.counts = len(titles), counts
        number: dict[str, int] = {}  # by the order in which words are met
        found, items = [], []
        for code, title in enumerate(titles):
            for each in set(title):
                found.append(number.setdefault(each, len(number)))
                items.append(code)
        self.words = np.array(sorted(number), dtype=np.str_)
        place = np.empty(len(number), np.int32)
        place[[number[each] for each in self.words.tolist()]] = np.arange(len(number))
        word = place[np.array(found, np.int32)]
        order = np.argsort(word, kind="stable")
        self.items: I32 = np.array(items, np.int32)[order]  # by word
        self.starts = np.searchsorted(word[order], np.arange(len(self.words) + 1))
        self.lengths = np.array([len(title) for title in titles])
        self._beginnings: dict[int, list[str]] = {}

    def find(self, text: str, allowed: Bools | None = None, n: int = 20) -> I32:
        """The items that a text may mean, the likeliest first: those found by whole words, then by
        beginnings, then with typing errors; the best known first among equals.
        """
        words = _words(text[:MAX_LETTERS])[:MAX_WORDS]
        if not words:
            return np.empty(0, np.int32)
        level = np.zeros(self.n_items, np.int8)
        found = np.ones(self.n_items, bool) if allowed is None else allowed.copy()
        for word in words:
            having, levels = self._having(word)
            found &= having
            np.maximum(level, levels, out=level)
        codes = np.flatnonzero(found)
        # of titles with all these words, one that has no others is meant
        others = self.lengths[codes] > len(words)
        found_as = level[codes]
        keys = codes, -self.counts[codes], others & (found_as == WHOLE), found_as
        order = np.lexsort(keys)
        return np.asarray(codes[order[:n]], np.int32)

    def _having(self, word: str) -> tuple[Bools, NDArray[np.int8]]:
        """Which items have such a word, and how it was found."""
        having = np.zeros(self.n_items, bool)
        level = np.full(self.n_items, TYPO, np.int8)
        first, last = np.searchsorted(self.words, [word, word + chr(0x10FFFF)])
        exact = first < len(self.words) and self.words[first] == word
        places: range | list[int] = range(first, last)
        if first == last:
            places = self._alike(word)
        else:
            level[:] = PREFIX
        for start, stop in _stretches(self.starts, places):
            having[self.items[start:stop]] = True
        if exact:
            level[self.items[self.starts[first] : self.starts[first + 1]]] = WHOLE
        return having, level

    def _alike(self, word: str) -> list[int]:
        """The words that begin almost like this one."""
        errors = 0 if len(word) < 3 else 1 if len(word) < 8 else 2
        if not errors:
            return []
        distances: dict[int, int] = {}
        for letters in (len(word) - 1, len(word), len(word) + 1):  # one too many, none, one missing
            for _, distance, place in process.extract(
                word, self._cut(letters), scorer=OSA.distance, score_cutoff=errors, limit=None
            ):
                distances[place] = min(distance, distances.get(place, errors))
        least = min(distances.values(), default=0)
        return sorted(place for place, distance in distances.items() if distance == least)

    def _cut(self, letters: int) -> list[str]:
        """The beginnings of all words."""
        if letters not in self._beginnings:
            self._beginnings[letters] = [word[:letters] for word in self.words.tolist()]
        return self._beginnings[letters]


def _stretches(starts: I64, words: "range | list[int]") -> list[tuple[int, int]]:
    """The entries of words, as few slices as possible."""
    if isinstance(words, range):
        return [(int(starts[words.start]), int(starts[words.stop]))]
    return [(int(starts[word]), int(starts[word + 1])) for word in words]


def _words(text: str) -> list[str]:
    """The words of a title or a query, an apostrophe being none whichever it is."""
    return words_of(text.replace("\u2019", "'"))
