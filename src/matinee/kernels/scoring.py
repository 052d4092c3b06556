"""Scores as products of rows, sixteen items at a time.

    score(u, i) = base_u + (b_i + x_u1 w_i1 + ... + x_uK w_iK)

summed from left to right, each step rounded once (fused multiply-add): one definition, so that a
score is the same to the last bit wherever it is computed. Items are packed in panels of sixteen,
dimension by dimension, as registers take them. A step of the loop below multiplies one dimension of
a panel with that of eight users; the 128 sums stay in registers.
"""

from typing import NamedTuple

import numpy as np

from matinee._types import F32, I32
from matinee.kernels.jit import jit, part
from matinee.kernels.parallel import aligned_zeros, run_blocks, uniform_blocks
from matinee.kernels.simd import LANES, fma, load, splat, store

USERS = 8  # whose sums of a panel are in registers together
PANELS = 4  # whose sums are, where there is one user
SAMPLE = 10_000  # users from whom the typical length of a row is computed


class Panels(NamedTuple):
    """All items in P panels of sixteen, the likeliest to be recommended first."""

    codes: I32  # (P, 16), filled up with -1
    item_factors: F32  # (P * K, 16), dimension d of panel p in row p * K + d
    biases: F32  # (P, 16), filled up with minus infinity
    lengths: F32  # (P, 16), Euclidean norms of the factors, rounded up
    highest: np.float32  # the largest absolute bias


@jit
def _fill(start, stop, order, item_params, skip, item_factors):
    width = item_params.shape[1] - skip
    for place in range(start, stop):
        row, panel, lane = item_params[order[place]], place // LANES, place % LANES
        for d in range(width):
            item_factors[panel * width + d, lane] = row[skip + d]


def pack(item_params: F32, user_params: F32, biased: bool) -> Panels:
    """Items, (K,) or if `biased` (1 + K,), ordered by scores for a user of average length."""
    items, skip = len(item_params), int(biased)
    count, width = -(-items // LANES), item_params.shape[1] - skip
    lengths = _lengths(item_params[:, skip:])
    biases = item_params[:, 0] if biased else np.zeros(items, np.float32)
    some = user_params[:: max(1, len(user_params) // SAMPLE), skip:]
    typical = _finite(_lengths(some)).sum() / max(1, len(some))
    with np.errstate(invalid="ignore"):  # the order of NaN does not matter
        order = np.argsort(-(biases + typical * lengths), kind="stable")
    codes = np.full((count, LANES), -1, np.int32)
    codes.ravel()[:items] = order
    item_factors = aligned_zeros(count * width, LANES)
    run_blocks(_fill, uniform_blocks(items), order, item_params, skip, item_factors)
    packed_biases, packed_lengths = aligned_zeros(count, LANES), aligned_zeros(count, LANES)
    packed_biases[:] = -np.inf
    packed_biases.ravel()[:items] = biases[order]
    packed_lengths.ravel()[:items] = lengths[order]
    highest = np.abs(_finite(biases)).max(initial=np.float32(0.0))
    return Panels(codes, item_factors, packed_biases, packed_lengths, highest)


def _lengths(rows: F32) -> F32:
    """Euclidean norms, rounded up."""
    exact = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)
    return np.asarray(np.nextafter(exact, np.float32(np.inf)))


def _finite(values: F32) -> F32:
    return values[np.isfinite(values)]


def groups_of_users(users: int) -> list[tuple[int, int]]:
    """Blocks for `run_blocks`, counted in groups of eight users."""
    return uniform_blocks(-(-users // USERS))


@part
def take_users(rows, who, skip, out):
    """out[d, r] = dimension d of user ``who[r]``; the rest is zero."""
    out[:] = 0.0
    for r in range(len(who)):
        for d in range(out.shape[0]):
            out[d, r] = rows[who[r], skip + d]


@part
def score_panel(users, bases, item_factors, biases, panel, out):
    """out[r, l] = score of item l of a panel for user r of the eight from `take_users`."""
    width = users.shape[0]
    a = b = c = d = e = f = g = h = load(biases, panel, 0)
    for k in range(width):
        w = load(item_factors, panel * width + k, 0)
        a, b = fma(splat(users[k, 0]), w, a), fma(splat(users[k, 1]), w, b)
        c, d = fma(splat(users[k, 2]), w, c), fma(splat(users[k, 3]), w, d)
        e, f = fma(splat(users[k, 4]), w, e), fma(splat(users[k, 5]), w, f)
        g, h = fma(splat(users[k, 6]), w, g), fma(splat(users[k, 7]), w, h)
    one = splat(np.float32(1.0))
    store(fma(one, a, splat(bases[0])), out, 0, 0)
    store(fma(one, b, splat(bases[1])), out, 1, 0)
    store(fma(one, c, splat(bases[2])), out, 2, 0)
    store(fma(one, d, splat(bases[3])), out, 3, 0)
    store(fma(one, e, splat(bases[4])), out, 4, 0)
    store(fma(one, f, splat(bases[5])), out, 5, 0)
    store(fma(one, g, splat(bases[6])), out, 6, 0)
    store(fma(one, h, splat(bases[7])), out, 7, 0)


@part
def score_panels(users, base, item_factors, biases, panel, out):
    """out[p, l] = the same for item l of each of four panels and the first user alone: sums that
    do not wait for each other.
    """
    width, last = users.shape[0], len(biases) - 1
    p, q = min(panel + 1, last), min(panel + 2, last)
    r = min(panel + 3, last)
    a, b, c, d = load(biases, panel, 0), load(biases, p, 0), load(biases, q, 0), load(biases, r, 0)
    for k in range(width):
        user = splat(users[k, 0])
        a = fma(user, load(item_factors, panel * width + k, 0), a)
        b = fma(user, load(item_factors, p * width + k, 0), b)
        c = fma(user, load(item_factors, q * width + k, 0), c)
        d = fma(user, load(item_factors, r * width + k, 0), d)
    one, bases = splat(np.float32(1.0)), splat(base)
    store(fma(one, a, bases), out, 0, 0)
    store(fma(one, b, bases), out, 1, 0)
    store(fma(one, c, bases), out, 2, 0)
    store(fma(one, d, bases), out, 3, 0)


@part
def _scatter(codes, sums, row):
    for lane in range(LANES):
        if codes[lane] >= 0:
            row[codes[lane]] = sums[lane]


@jit
def score_rows(start, stop, rows, mean, biased, codes, item_factors, biases, out):
    """out[r, i] = score of item i for the user with row r.

    start, stop                     groups of eight users; see `groups_of_users`
    rows                            float32 (users, K), or (users, 1 + K) if `biased`
    mean                            float32, base_u, to which a user's bias is added if `biased`
    codes, item_factors, biases     as in `Panels`
    """
    skip = 1 if biased else 0
    users = np.empty((rows.shape[1] - skip, USERS), np.float32)
    bases = np.zeros(USERS, np.float32)
    sums = np.empty((USERS, LANES), np.float32)
    for group in range(start, stop):
        who = np.arange(group * USERS, min((group + 1) * USERS, len(rows)))
        take_users(rows, who, skip, users)
        for r in range(len(who)):
            bases[r] = mean + rows[who[r], 0] if biased else mean
        if len(who) == 1:
            for panel in range(0, len(codes), PANELS):
                score_panels(users, bases[0], item_factors, biases, panel, sums)
                for place in range(min(PANELS, len(codes) - panel)):
                    _scatter(codes[panel + place], sums[place], out[who[0]])
            continue
        for panel in range(len(codes)):
            score_panel(users, bases, item_factors, biases, panel, sums)
            for r in range(len(who)):
                _scatter(codes[panel], sums[r], out[who[r]])


@jit
def score_pairs(start, stop, users, items, rows, mean, biased, item_factors, biases, out):
    """out[n] = score of item ``items[n]`` for the user with row ``rows[users[n]]``.

    rows, mean, biased      as in `score_rows`
    item_factors, biases    float32 (items, K) and (items,), by item rather than in panels
    """
    skip = 1 if biased else 0
    one, lanes = splat(np.float32(1.0)), np.empty((1, LANES), np.float32)
    for n in range(start, stop):
        user, item = rows[users[n]], item_factors[items[n]]
        total = splat(biases[items[n]])
        for k in range(len(item)):
            total = fma(splat(user[skip + k]), splat(item[k]), total)
        base = mean + user[0] if biased else mean
        store(fma(one, total, splat(base)), lanes, 0, 0)
        out[n] = lanes[0, 0]
