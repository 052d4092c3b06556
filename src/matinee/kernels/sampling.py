"""Random draws that depend on a seed and a row alone, never on order or threads."""

import numpy as np

from matinee.kernels.jit import jit


@jit
def _mix(state):
    """One step of splitmix64 (Steele, Lea & Flood 2014): a well-mixed function of a counter."""
    z = state * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def _uniform(seed, row, draw):
    """A number in (0, 1) for the given draw of the given row."""
    stream = _mix(np.uint64(seed) + _mix(np.uint64(row) + np.uint64(1)))
    bits = _mix(stream + np.uint64(draw) + np.uint64(1))
    return (np.float64(bits >> np.uint64(11)) + 0.5) / 9007199254740992.0


@jit
def draw_items(start, stop, seed, first_row, indptr, cumulative, guide, out):
    """Draw distinct items for each row, with probability in proportion to weights.

    Parameters
    ----------
    first_row : number of row 0 in the whole table: the draws of a row depend on it and `seed` only
    indptr : int64 (rows + 1,), how many items each row wants; rows much longer than
        the catalogue's effective size belong to `item_keys`
    cumulative : float64 (items,), running sum of the weights, ending at 1
    guide : int32 (g + 1,), where a uniform number in [k/g, (k+1)/g) starts its search
    out : int32 (entries,)
    """
    taken_by = np.full(len(cumulative), -1, np.int64)
    cells = len(guide) - 1
    for row in range(start, stop):
        draw = 0
        at = indptr[row]
        while at < indptr[row + 1]:
            u = _uniform(seed, first_row + row, draw)
            draw += 1
            item = guide[int(u * cells)]
            while cumulative[item] < u:
                item += 1
            if taken_by[item] != row:
                taken_by[item] = row
                out[at] = item
                at += 1


@jit
def item_keys(seed, row, weights, out):
    """Keys whose largest n mark a weighted draw of n items without replacement.

    Efraimidis & Spirakis 2006: log(u) / weight, one key for each item.
    """
    for item in range(len(weights)):
        out[item] = np.log(_uniform(seed, row, item)) / weights[item]
