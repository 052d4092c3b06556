"""Attributes of a few users, their features as full matrices, and what a message may be."""

import numpy as np
import polars as pl

from matinee.data.attributes import Attributes


def attributes_of(**columns):
    frame = pl.DataFrame(columns)
    return Attributes.of(frame, frame.height)


def one_line(refused):
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


def dense(rows, width):
    """Rows of features as a full matrix; each feature at most once, ascending."""
    out = np.zeros((len(rows.indptr) - 1, width))
    for row, (first, last) in enumerate(zip(rows.indptr, rows.indptr[1:], strict=False)):
        assert (np.diff(rows.indices[first:last]) > 0).all()
        out[row, rows.indices[first:last]] = rows.values[first:last]
    return out
