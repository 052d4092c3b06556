"""Features of attributes by plain loops over lists and dictionaries: slow, and easy to believe."""

from collections import Counter

import numpy as np


def texts_of(value):
    """The different texts of one user or item: none, one, or those of a list."""
    texts = [value] if isinstance(value, str) else list(value or ())
    return {text for text in texts if text is not None}


def of_texts(values):
    """Columns of ones and zeros: a frequent text each, ascending, and one for all others."""
    counts = Counter(text for value in values for text in texts_of(value))
    frequent = [text for text in counts if counts[text] >= 3]
    kept = sorted(sorted(frequent, key=lambda text: (-counts[text], text))[:1000])
    columns = [[float(text in texts_of(value)) for value in values] for text in kept]
    rare = set(counts) - set(kept)
    if kept and rare:
        columns.append([float(bool(texts_of(value) & rare)) for value in values])
    return columns


def of_years(values):
    """A column for each span of five years in which there is anything."""
    spans = sorted({year // 5 for year in values if year is not None})
    return [[float(year is not None and year // 5 == span) for year in values] for span in spans]


def of_numbers(values):
    """A column for each value, or for each tenth of many values."""
    known = sorted(value for value in values if value is not None)
    starts = sorted(set(known))
    if len(starts) > 10:
        starts = sorted({known[tenth * (len(known) - 1) // 10] for tenth in range(10)})
    ends = [*starts[1:], float("inf")]
    return [
        [float(value is not None and low <= value < high) for value in values]
        for low, high in zip(starts, ends, strict=False)
    ]


def design(rows, *groups):
    """A constant and all columns of the groups, (rows, features)."""
    columns = [column for group in groups for column in group]
    return np.array([[1.0] * rows, *columns]).T
