"""Parsing plain numbers out of text, one row a line; the rest is left to a reader that says why."""

import numpy as np

from matinee.kernels.digits import MAX_DIGITS, marks_from, next_mark, number_at
from matinee.kernels.jit import jit, part

LARGEST_EXACT = 2**24
"""Up to here whole numbers are exact in float32, so that one division rounds as it should."""
POWERS = 10 ** np.arange(8)
LINE_FEED, CARRIAGE_RETURN, POINT, ZERO = b"\n\r.0"


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

    text                uint8 (bytes + PADDING,), ends where a line ends, or long after `stop`
    separator, width    a byte, and how many of it are between two fields
    order               tuple of int, the columns of the text: 0 user, 1 item, 2 rating, 3 timestamp
    row                 where the first line goes in the arrays
    user, item          int32 (n,), filled with ids
    values              float32 (n,), filled with ratings, if the text has any
    timestamp           int64 (n,), or empty if there are none
    seen                bool (2, limit), set at each id of a user, of an item; an id from the limit
                        on is not plain
    """
    start = 0
    while start < stop and text[start] != LINE_FEED:
        start += 1
    start += 1
    marks = marks_from(text, start)
    while start < stop:
        if row >= len(user):
            return -1
        for field in range(len(order)):
            end, marks = next_mark(text, marks)
            if not 0 < end - start <= MAX_DIGITS or (text[start] == ZERO and end - start > 1):
                return -1
            number = number_at(text, start, end)
            column = order[field]
            if column == 2:
                decimals = 0
                if text[end] == POINT:
                    start = end + 1
                    end, marks = next_mark(text, marks)
                    decimals = end - start
                    if not 0 < decimals < len(POWERS):
                        return -1
                    number = number * POWERS[decimals] + number_at(text, start, end)
                if number > LARGEST_EXACT:
                    return -1
                values[row] = np.float32(number) / np.float32(POWERS[decimals])
            elif column == 3:
                timestamp[row] = number
            else:
                if number >= seen.shape[1]:
                    return -1
                seen[column, number] = True
                if column == 0:
                    user[row] = number
                else:
                    item[row] = number
            last = field == len(order) - 1
            start, marks = _behind(text, end, marks, LINE_FEED if last else separator, width)
            if start < 0:
                return -1
        row += 1
    return row


@part
def _behind(text, end, marks, mark, width):
    """Where the next field starts, behind a line end or so many separators; -1 if not here."""
    if mark != LINE_FEED:
        for _ in range(1, width):
            first = end
            end, marks = next_mark(text, marks)
            if text[first] != mark or end != first + 1:
                return -1, marks
    elif text[end] == CARRIAGE_RETURN:
        first = end
        end, marks = next_mark(text, marks)
        if end != first + 1:
            return -1, marks
    return end + 1 if text[end] == mark else -1, marks


BARE, QUOTED, CLOSED = 1, 2, 3
"""Where in a field a byte stands; 0 is the start of a field."""
SCANNED = (
    "place", "line", "records", "fields", "max_fields", "bad_quote", "opened", "breaks", "raw",
    "raw_min", "raw_max", "length", "surplus", "quotes",
)  # fmt: skip
"""The numbers that `scan_fields` keeps between blocks of a file; all begin with 0."""


@jit
def scan_fields(text, separator, n_fields, state):
    """Count the records and fields of a block of delimited text, with quotes and without.

    text        uint8 (bytes,); the last block of a file must end where a line ends
    separator   a byte
    n_fields    how many fields a record should have; what is more must be empty
    state       int64 (len(SCANNED),), changed: numbers in the order of `SCANNED`. Lines count from
                1 on, 0: none. `bad_quote` is the first line with a quote that is neither around a
                whole field nor doubled, `surplus` the first with a field too many; `breaks` are
                line ends within quotes; `raw...` counts separators as if quotes were letters.
    """
    place, line, records, fields = state[0], state[1], state[2], state[3]
    max_fields, bad, opened, breaks = state[4], state[5], state[6], state[7]
    raw, raw_min, raw_max, length = state[8], state[9], state[10], state[11]
    surplus, quotes = state[12], state[13]
    for byte in text:
        if byte == 10:
            line += 1
            if length > 0:
                raw_max = max(raw_max, raw + 1)
                raw_min = raw + 1 if raw_min == 0 else min(raw_min, raw + 1)
            raw = length = 0
            if place == QUOTED:
                breaks += 1
            else:
                max_fields = max(max_fields, fields + 1)
                records += 1
                fields = 0
                place = 0
            continue
        if byte == 13:
            continue
        length += 1
        if byte == separator:
            raw += 1
            if place != QUOTED:
                fields += 1
                place = 0
            continue
        if byte == 34:
            quotes += 1
            if place == QUOTED:
                place = CLOSED
            elif place == BARE:
                bad = line + 1 if bad == 0 else bad
            else:  # the first, or the second of two that mean one
                opened = line + 1 if place == 0 else opened
                place = QUOTED
        elif place == 0:
            place = BARE
        elif place == CLOSED:
            place = BARE
            if bad == 0:
                bad = line + 1
        if fields >= n_fields and surplus == 0 and byte != 34 and byte != 32:
            surplus = line + 1
    state[0], state[1], state[2], state[3] = place, line, records, fields
    state[4], state[5], state[6], state[7] = max_fields, bad, opened, breaks
    state[8], state[9], state[10], state[11] = raw, raw_min, raw_max, length
    state[12], state[13] = surplus, quotes


MEASURED = (
    "in_text", "escaped", "depth", "deepest", "name", "path", "length", "longest", "objects",
    "paths", "is_list",
)  # fmt: skip
"""The numbers that `scan_json` keeps between blocks of a file; all begin with 0."""
MIX = 0x100000001B3  # of FNV-1a


@jit
def scan_json(text, state, parents, seen):
    """Measure a block of JSON; where it is one list, put each of its values on a line of its own.

    text        uint8 (bytes,), changed if `is_list` is 1
    state       int64 (len(MEASURED),), changed: numbers in the order of `MEASURED`. `deepest` is
                how deep values nest, `longest` the bytes of the longest row, `objects` how many
                rows there are, and `paths` how many names of entries, each with the names around
                it. Nothing more is looked at once `parents` is too short, or `seen` half full.
    parents     int64 (levels,), changed: the path of each container around the present place
    seen        int64 (a power of 2,), changed: a table of the paths that were seen, 0 is free
    """
    in_text, escaped, depth, deepest = state[0], state[1], state[2], state[3]
    name, path, length, longest = state[4], state[5], state[6], state[7]
    objects, paths, is_list = state[8], state[9], state[10]
    for at in range(len(text)):
        byte = text[at]
        length += 1
        if in_text:
            in_text = int(escaped or byte != 34)
            escaped = int(byte == 92 and not escaped)
            name = (name ^ byte) * MIX
            continue
        if byte == 34:
            in_text, name = 1, parents[0]
        elif byte == 58:  # a colon: the text before it was a name
            path = ((parents[depth] ^ name) * MIX) | 1
            paths += _add(seen, path)
            if 2 * paths >= len(seen):
                break
        elif byte == 123 or byte == 91:  # an opening bracket
            if byte == 123 and depth == is_list:
                objects += 1
            if is_list and depth == 0:
                text[at] = 32
            depth += 1
            deepest = max(deepest, depth)
            if depth >= len(parents):
                break
            path = parents[0] if depth == 1 else path
            parents[depth] = path
        elif byte == 125 or byte == 93:
            depth = max(0, depth - 1)
            path = parents[depth]
            if is_list and depth == 0:
                text[at] = 32
        elif byte == 10 or byte == 13:
            if is_list:
                text[at] = 32
            else:
                longest, length = max(longest, length), 0
        elif byte == 44 and is_list and depth == 1:
            text[at] = 10
            longest, length = max(longest, length), 0
    longest = max(longest, length)
    state[0], state[1], state[2], state[3] = in_text, escaped, depth, deepest
    state[4], state[5], state[6], state[7] = name, path, length, longest
    state[8], state[9] = objects, paths


@part
def _add(seen, path):
    """Put a number into a table; 1 if it was not there."""
    place = (path ^ path >> 29) & (len(seen) - 1)
    while seen[place] != 0:
        if seen[place] == path:
            return 0
        place = (place + 1) & (len(seen) - 1)
    seen[place] = path
    return 1
