"""Random draws that are functions of a seed and a row, whatever the order or threads."""

import numpy as np

from matinee.kernels.jit import jit, part
from matinee.kernels.linalg import dot

# of `interest`: in what is not out yet, and the share that does not fade with the years; how many
# years it takes to fade; then log-odds of an item that is neither liked nor disliked, and how much
# affinity adds to them
UNRELEASED, CLASSIC, YEARS_AROUND = 1e-9, 0.35, 8
RELUCTANCE, AFFINITY = 2.5, 2.2


@part
def _mix(state):
    """One step of splitmix64 (Steele, Lea & Flood 2014): a well-mixed function of a counter."""
    z = state * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@part
def _uniform(seed, row, draw):
    """A uniform number in (0, 1) for a draw of a row."""
    stream = _mix(np.uint64(seed) + _mix(np.uint64(row) + np.uint64(1)))
    bits = _mix(stream + np.uint64(draw) + np.uint64(1))
    return (np.float64(bits >> np.uint64(11)) + 0.5) / 9007199254740992.0


@jit
def interest(inner, age):
    """How likely a user is to watch an item that comes to their mind, between 0 and 1.

    `inner` is the user's affinity to it, with standard deviation 1 over all pairs, and `age` how
    many years it has been out; it is negative for what is not out yet.
    """
    if age < 0:
        return UNRELEASED
    around = CLASSIC + (1 - CLASSIC) * np.exp(-age / YEARS_AROUND)
    return around / (1 + np.exp(RELUCTANCE - AFFINITY * inner))


@jit
def draw_items(
    start, stop, seed, first_row, indptr, cumulative, guide, users, items, until, released, out
):
    """Draw distinct items for each row, with probabilities in proportion to weight * `interest`.

    first_row       the index of row 0 in the whole table
    indptr          int64 (rows + 1,), how many items each row gets; for rows that get most of the
                    items, `item_keys` is faster
    cumulative      float64 (items,), cumulative sum of the weights, ending at 1
    guide           int32 (g + 1,), where a uniform number in [k/g, (k+1)/g) starts its search
    users, items    float32 (rows, K), (items, K): their products are affinities
    until, released float64 (rows,), (items,), years
    out             int32 (entries,); -1 where a row takes too many draws
    """
    taken_by = np.full(len(cumulative), -1, np.int64)
    cells = len(guide) - 1
    for row in range(start, stop):
        draw = 0
        slot = indptr[row]
        most = 200 * (indptr[row + 1] - slot) + 2000
        while slot < indptr[row + 1] and draw < most:
            u = _uniform(seed, first_row + row, draw)
            accepted = _uniform(seed, first_row + row, draw + 1)
            draw += 2
            item = guide[int(u * cells)]
            while cumulative[item] < u:
                item += 1
            if taken_by[item] == row:
                continue
            age = until[row] - released[item]
            if accepted < interest(dot(users[row], items[item]), age):
                taken_by[item] = row
                out[slot] = item
                slot += 1
        if slot < indptr[row + 1]:
            out[indptr[row] : indptr[row + 1]] = -1


@jit
def item_keys(seed, row, weights, out):
    """log(u) / weight: the n largest are a weighted draw of one row.

    Efraimidis & Spirakis 2006, "Weighted random sampling with a reservoir".
    """
    for item in range(len(weights)):
        out[item] = np.log(_uniform(seed, row, item)) / weights[item]


@jit
def draw_mask(start, stop, seed, keys, share, out):
    """Mark a random share of the entries, each by its int64 key alone, in `out`, bool."""
    for entry in range(start, stop):
        out[entry] = _uniform(seed, keys[entry], 0) < share


@jit
def draw_normals(start, stop, seed, codes, out):
    """Fill rows of `out`, float32, with standard normal numbers, each row by its int64 code alone.

    Box & Muller 1958, "A note on the generation of random normal deviates".
    """
    for row in range(start, stop):
        for draw in range(out.shape[1]):
            length = np.sqrt(-2 * np.log(_uniform(seed, codes[row], 2 * draw)))
            angle = 2 * np.pi * _uniform(seed, codes[row], 2 * draw + 1)
            out[row, draw] = length * np.cos(angle)
