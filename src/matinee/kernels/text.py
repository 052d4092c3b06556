"""Parsing plain numbers out of text, one row a line; the rest is left to a reader that says why."""

import numpy as np

from matinee.kernels.jit import jit

SEPARATED, ENDED, UNUSUAL = 0, 1, 2
"""How a number ends: at a separator, at the end of a line, or otherwise."""
LARGEST_EXACT = 2**24
"""Up to here whole numbers are exact in float32, so that one division rounds as it should."""
DECIMALS = np.array([1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7], np.float32)


@jit
def _number(text, pos, separator):
    """(digits, number of decimals, how it ends, start of the next) of the number at `pos`."""
    digits = np.int64(0)
    first = pos
    point = -1
    while pos < len(text):
        byte = text[pos]
        if byte - 48 <= 9 and byte >= 48:
            digits = digits * 10 + (byte - 48)
        elif byte == 46 and point < 0:
            point = pos
        else:
            break
        pos += 1
    whole = (pos if point < 0 else point) - first
    decimals = 0 if point < 0 else pos - point - 1
    plain = whole > 0 and whole + decimals <= 18 and (text[first] != 48 or whole == 1)
    if not plain or (point >= 0 and decimals == 0):
        return digits, decimals, UNUSUAL, pos
    if pos == len(text):
        return digits, decimals, ENDED, pos
    if text[pos] == separator:
        return digits, decimals, SEPARATED, pos + 1
    if text[pos] == 13 and pos + 1 < len(text):
        pos += 1
    return digits, decimals, ENDED if text[pos] == 10 else UNUSUAL, pos + 1


@jit
def count_lines(text):
    """The number of line ends in `text`."""
    ends = 0
    for byte in text:
        ends += byte == 10
    return ends


@jit
def parse_ratings(text, stop, separator, width, order, row, user, item, values, timestamp, seen):
    """Parse the lines of `text` that start after its first line end and before `stop`.

    Returns the row after the last one filled, or -1 if a line is not plain.

    text                uint8 (bytes,), ends where a line ends, or long after `stop`
    separator, width    a byte, and how many of it are between two fields
    order               tuple of int, the columns of the text: 0 user, 1 item, 2 rating, 3 timestamp
    row                 where the first line goes in the arrays
    user, item          int32 (n,), filled with ids
    values              float32 (n,), filled with ratings
    timestamp           int64 (n,), or empty if there are none
    seen                bool (2, limit), set at each id of a user, of an item; an id from the limit
                        on is not plain
    """
    limit = seen.shape[1]
    pos = 0
    while pos < len(text) and text[pos] != 10:
        pos += 1
    pos += 1
    while pos < stop:
        if row >= len(user):
            return -1
        for field in range(len(order)):
            digits, decimals, end, pos = _number(text, pos, separator)
            if end != (ENDED if field == len(order) - 1 else SEPARATED):
                return -1
            for _ in range(1, width if end == SEPARATED else 1):
                if pos >= len(text) or text[pos] != separator:
                    return -1
                pos += 1
            column = order[field]
            if column == 2:
                if decimals >= len(DECIMALS) or digits > LARGEST_EXACT:
                    return -1
                values[row] = np.float32(digits) / DECIMALS[decimals]
                continue
            if decimals > 0:
                return -1
            if column == 3:
                timestamp[row] = digits
                continue
            if digits >= limit:
                return -1
            seen[column, digits] = True
            if column == 0:
                user[row] = digits
            else:
                item[row] = digits
        row += 1
    return row
