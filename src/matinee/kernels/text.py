"""Numbers out of delimited text, at the speed of the memory that holds it.

Only the plainest text is understood: unsigned decimals between single separators, one row to a
line. Whatever else stands there is left to a reader that can say what is wrong with it.
"""

import numpy as np

from matinee.kernels.jit import jit

SEPARATED, ENDED, UNUSUAL = 0, 1, 2
"""How a number ends: before a separator, with its line, or not as plain numbers do."""
LARGEST_EXACT = 2**24
"""Up to here whole numbers are exact in float32, so that one division rounds as it should."""
DECIMALS = np.array([1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7], np.float32)


@jit
def _number(text, at, separator):
    """Read the number at `at`: (its digits, decimals among them, how it ends, where the next is).

    A number has up to 18 digits and no zero in front of others: "007" may be an id.
    """
    digits = np.int64(0)
    first = at
    point = -1
    while at < len(text):
        byte = text[at]
        if byte - 48 <= 9 and byte >= 48:
            digits = digits * 10 + (byte - 48)
        elif byte == 46 and point < 0:
            point = at
        else:
            break
        at += 1
    whole = (at if point < 0 else point) - first
    decimals = 0 if point < 0 else at - point - 1
    plain = whole > 0 and whole + decimals <= 18 and (text[first] != 48 or whole == 1)
    if not plain or (point >= 0 and decimals == 0):
        return digits, decimals, UNUSUAL, at
    if at == len(text):
        return digits, decimals, ENDED, at
    if text[at] == separator:
        return digits, decimals, SEPARATED, at + 1
    if text[at] == 13 and at + 1 < len(text):
        at += 1
    return digits, decimals, ENDED if text[at] == 10 else UNUSUAL, at + 1


@jit
def count_lines(text):
    """How many bytes of `text` are line ends."""
    ends = 0
    for byte in text:
        ends += byte == 10
    return ends


@jit
def parse_ratings(text, stop, separator, width, order, row, user, item, values, timestamp, seen):
    """Read the lines of `text` that start after its first line end and before `stop`.

    Parameters
    ----------
    text : uint8 (bytes,)
        Ends where a line ends, or long after `stop`.
    stop : int
    separator, width : int
        A byte, and how many of it stand between two fields.
    order : tuple of int
        Which column stands where: 0 user, 1 item, 2 stars, 3 timestamp.
    row : int
        Where in the columns the first line goes.
    user, item : int32 (n,)
        Filled with ids as they stand there.
    values : float32 (n,)
    timestamp : int64 (n,), or empty where there is none
    seen : bool (2, limit)
        Set at each id of a user, and of an item; an id at or above the limit is unusual.

    Returns
    -------
    int
        The row after the last one filled; -1 if a line is not plain.
    """
    limit = seen.shape[1]
    at = 0
    while at < len(text) and text[at] != 10:
        at += 1
    at += 1
    while at < stop:
        if row >= len(user):
            return -1
        for place in range(len(order)):
            digits, decimals, end, at = _number(text, at, separator)
            if end != (ENDED if place == len(order) - 1 else SEPARATED):
                return -1
            for _ in range(1, width if end == SEPARATED else 1):
                if at >= len(text) or text[at] != separator:
                    return -1
                at += 1
            column = order[place]
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
