"""What was watched before what: sums over all places of all users' histories.

A feature of a history is a row over items that fades: at each interaction it is multiplied by a
decay, and 1 is added for the item. So an item that was watched earlier weighs the product of the
decays since, and sums over all later places follow from the last place to the first.
"""

import numpy as np

from matinee.kernels.jit import jit, part

FADED = np.float32(1e-3)
"""A weight below this counts as none, so that a pass sees only so much of a history."""


@part
def _fade(faded, decays):
    """Multiply by the decays of one interaction; whether anything is left."""
    left = False
    for f in range(len(faded)):
        faded[f] *= decays[f]
        if faded[f] < FADED:
            faded[f] = 0.0
        left |= faded[f] > 0
    return left


@jit
def sum_tails(start, stop, history, decays, out):
    """What follows each place, of users `start` to `stop`: out[e, f, g] = the sum, over the places
    from e on that have a next, of the products of the decays f and g since.

    history     int64 (users + 1,), where the interactions of each user begin, in order
    decays      float32 (interactions, features), from the interaction before to this one
    out         float32 (interactions, features, features)
    """
    features = decays.shape[1]
    for user in range(start, stop):
        for entry in range(history[user + 1] - 1, history[user] - 1, -1):
            if entry == history[user + 1] - 1:
                out[entry] = 0.0
                continue
            for f in range(features):
                for g in range(features):
                    faded = decays[entry + 1, f] * decays[entry + 1, g]
                    out[entry, f, g] = 1.0 + faded * out[entry + 1, f, g]


@jit
def sum_products(
    start, stop, indptr, entries, users, history, items, decays, tails, sources, out
):  # fmt: skip
    """Normal equations, sources `start` to `stop`: out[f, a, g, b] = sum over all places that have
    a next of the weight of source a in feature f, times that of b in g.

    indptr, entries         where source a was watched, in CSR; `users` tells by whom
    history, decays, tails  as in `sum_tails`
    items, sources          what was watched; the number of an item as a source, -1 for none
    """
    features = decays.shape[1]
    faded = np.empty(features, np.float32)
    for a in range(start, stop):
        for at in range(indptr[a], indptr[a + 1]):
            entry = entries[at]
            first, last = history[users[entry]], history[users[entry] + 1] - 1
            faded[:] = 1.0
            for other in range(entry, first - 1, -1):  # watched before it, and itself
                b = sources[items[other]]
                if b >= 0:
                    for f in range(features):
                        for g in range(features):
                            out[f, a, g, b] += faded[g] * tails[entry, f, g]
                if not _fade(faded, decays[other]):
                    break
            faded[:] = 1.0
            for other in range(entry + 1, last):  # watched after it
                if not _fade(faded, decays[other]):
                    break
                b = sources[items[other]]
                if b >= 0:
                    for f in range(features):
                        for g in range(features):
                            out[f, a, g, b] += faded[f] * tails[other, f, g]


@jit
def sum_targets(
    start, stop, indptr, entries, users, history, items, decays, sources, discount, out
):  # fmt: skip
    """Right-hand sides, targets `start` to `stop`: out[t, f, a] = sum, over the places where target
    t comes next, of the weight of source a in feature f; if it comes k places later than next,
    times ``discount ** k``.

    indptr, entries         where target t was watched, in CSR; the rest as in `sum_products`
    """
    features = decays.shape[1]
    weights = np.empty(features, np.float32)
    for target in range(start, stop):
        for at in range(indptr[target], indptr[target + 1]):
            entry = entries[at]
            weights[:] = 1.0
            later = np.float32(1.0)
            for other in range(entry - 1, history[users[entry]] - 1, -1):
                a = sources[items[other]]
                if a >= 0:
                    for f in range(features):
                        out[target, f, a] += weights[f]
                later *= discount
                left = _fade(weights, decays[other])
                if later >= FADED:  # the places between, which have not come that far
                    left = True
                    weights += later
                if not left:
                    break


@jit
def count_before(
    start, stop, indptr, entries, users, history, items, decays, reach, n_items, codes, sums, found
):  # fmt: skip
    """What was watched within `reach` places before targets `start` to `stop`: found[t] items, in
    codes from ``reach * indptr[t]`` on, and for each the sum of the decays in between.

    indptr, entries         where target t was watched, in CSR; the rest as in `sum_products`
    """
    totals = np.zeros(n_items, np.float32)
    for target in range(start, stop):
        place, size = reach * indptr[target], 0
        for at in range(indptr[target], indptr[target + 1]):
            entry = entries[at]
            weight = np.float32(1.0)
            for other in range(entry - 1, max(history[users[entry]], entry - reach) - 1, -1):
                item = items[other]
                if totals[item] == 0:
                    codes[place + size] = item
                    size += 1
                totals[item] += weight
                weight *= decays[other]
        for number in range(place, place + size):
            sums[number] = totals[codes[number]]
            totals[codes[number]] = 0.0
        found[target] = size


@jit
def fading_weights(start, stop, history, decays, out):
    """The weights of what users `start` to `stop` have watched, after the last of it:
    float32 (interactions, features).
    """
    features = decays.shape[1]
    faded = np.empty(features, np.float32)
    for user in range(start, stop):
        faded[:] = 1.0
        for entry in range(history[user + 1] - 1, history[user] - 1, -1):
            for f in range(features):
                out[entry, f] = faded[f]
            _fade(faded, decays[entry])


@jit
def sum_transitions(start, stop, history, items, weights, rows, targets, values, out):
    """Scores of users `start` to `stop`: out[u, t] = sum of weight times value.

    weights                 as `fading_weights` makes them
    rows, targets, values   row ``feature * n_items + item``, in CSR
    """
    features = weights.shape[1]
    n_items = (len(rows) - 1) // features
    for user in range(start, stop):
        out[user] = 0.0
        for entry in range(history[user], history[user + 1]):
            for f in range(features):
                weight = weights[entry, f]
                if weight == 0:
                    continue
                row = f * n_items + items[entry]
                for place in range(rows[row], rows[row + 1]):
                    out[user, targets[place]] += weight * values[place]
