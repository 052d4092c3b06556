"""The n best against sorting all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels.csr import compress
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.kernels.scoring import groups_of_users, pack, score_rows
from matinee.kernels.topk import top_n, topk_dense, topk_packed


def best_by_sorting(scores, allowed, n):
    able = np.flatnonzero(allowed & (scores > -np.inf))  # NaN is not more than anything
    order = sorted(able, key=lambda code: (-scores[code], code))[:n]
    return order + [-1] * (n - len(order))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2, 3, 4, 5, np.nan, np.inf, -np.inf]), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 70),
)
def test_top_n_is_a_sort_with_ties_by_code(entries, n):
    scores = np.array([score / 2 for score, _ in entries], np.float32)
    allowed = np.array([ok for _, ok in entries])
    codes, best = np.empty(n, np.int32), np.empty(n, np.float32)
    top_n(scores, allowed, codes, best)
    assert codes.tolist() == best_by_sorting(scores, allowed, n)
    filled = codes >= 0
    assert np.array_equal(best[filled], scores[codes[filled]])
    assert np.isnan(best[~filled]).all()


def random_seen(rng, users, items, count):
    """The items each user has seen, as compressed rows, ascending."""
    pairs = np.sort(rng.permutation(users * items)[:count])
    user, item = (code.astype(np.int32) for code in np.divmod(pairs, items))
    return compress(user, item, np.ones(len(pairs), np.float32), users)


def masks(seen, allowed):
    """The items that may be recommended to each user, bool (users, items)."""
    out = np.tile(allowed, (len(seen.indptr) - 1, 1))
    out[np.repeat(np.arange(len(out)), np.diff(seen.indptr)), seen.indices] = False
    return out


def test_the_best_of_each_row_leave_out_what_that_user_has_seen():
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 25, (50, 40)).astype(np.float32)  # with ties
    seen, allowed = random_seen(rng, 50, 40, 600), rng.random(40) < 0.8
    codes, best = np.empty((50, 9), np.int32), np.empty((50, 9), np.float32)
    blocks = balanced_blocks(np.arange(51), blocks=6)
    arguments = (scores, allowed, seen.indptr, seen.indices, codes, best)
    run_blocks(topk_dense, blocks, *arguments, threads=3)
    for user, mask in enumerate(masks(seen, allowed)):
        assert codes[user].tolist() == best_by_sorting(scores[user], mask, 9)
        assert np.array_equal(best[user], scores[user, codes[user]])


def brute_force(users, items, mean, biased, seen, allowed, n):
    """Every score by the kernel that defines them, then a sort."""
    scores = np.empty((len(users), len(items)), np.float32)
    packed = pack(items, users, biased)[:3]
    score_rows(0, -(-len(users) // 8), users, mean, biased, *packed, scores)
    mask = masks(seen, allowed)
    return scores, [best_by_sorting(scores[u], mask[u], n) for u in range(len(users))]


def check(users, items, biased, seen, allowed, n):
    """Results are those of brute force, to the last bit, for any number of threads."""
    mean = np.float32(3.5 if biased else 0)
    scores, expected = brute_force(users, items, mean, biased, seen, allowed, n)
    panels = pack(items, users, biased)
    kept = np.where(allowed[panels.codes], panels.biases, np.float32(-np.inf))
    order = np.argsort(np.einsum("uk,uk->u", users, users))
    for threads in (1, 3):
        codes = np.empty((len(users), n), np.int32)
        best = np.empty((len(users), n), np.float32)
        run_blocks(
            topk_packed, groups_of_users(len(users)), order, users, mean, biased,
            *panels._replace(biases=kept), seen.indptr[:-1], seen.indptr[1:], seen.indices,
            codes, best, threads=threads,
        )  # fmt: skip
        assert codes.tolist() == expected
        user, position = np.nonzero(codes >= 0)
        expected_scores = scores[user, codes[user, position]]
        assert np.array_equal(best[user, position], expected_scores)
        assert np.isnan(best[codes < 0]).all()


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_the_best_products_are_those_of_brute_force(data):
    """With ties, filters, seen items, copies, zeros, NaN and infinity."""
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_users, n_items = draw(st.integers(1, 30)), draw(st.integers(1, 200))
    biased = draw(st.booleans())
    width = draw(st.sampled_from([0, 1, 5, 16, 17])) + 1
    steps = draw(st.sampled_from([1, 3, 1000]))  # how many different numbers there are
    size = draw(st.sampled_from([1e-30, 1, 1e15]))
    users = (rng.integers(-steps, steps + 1, (n_users, width)) / steps * size).astype(np.float32)
    items = (rng.integers(-steps, steps + 1, (n_items, width)) / steps).astype(np.float32)
    items *= rng.exponential(1, (n_items, 1)).astype(np.float32) ** draw(st.sampled_from([0, 3]))
    items[rng.integers(0, n_items, n_items // 3)] = items[0]
    for row in (users, items):
        odd = draw(st.sampled_from([None, 0.0, np.nan, np.inf, -np.inf]))
        if odd is not None:
            row[rng.integers(len(row)), rng.integers(width) if draw(st.booleans()) else ...] = odd
    seen = random_seen(rng, n_users, n_items, draw(st.integers(0, n_users * n_items)))
    allowed = rng.random(n_items) < draw(st.sampled_from([0.05, 0.5, 1.1]))
    check(users, items, biased, seen, allowed, draw(st.sampled_from([1, 3, 10, 150, 250])))


@pytest.mark.slow
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("factors", [3, 64, 3000])
def test_rounding_does_not_prune_an_item_in_the_direction_of_the_user(factors, biased):
    """There the bound is the score itself, and the last bits decide."""
    nothing, everything = random_seen(np.random.default_rng(0), 8, 1000, 0), np.ones(1000, bool)
    for seed in range(20):  # sums of some directions are rounded up, of others down
        rng = np.random.default_rng(seed)
        users = np.tile(rng.normal(size=factors + biased).astype(np.float32), (8, 1))
        items = users[0] * (1 + rng.integers(0, 30, (1000, 1)) * np.float32(2**-23))
        if biased:
            users[:, 0] = -3.5  # no large number to hide the last bits
            items[:, 0] = 0
        check(users, items.astype(np.float32), biased, nothing, everything, 10)


def test_users_of_any_length_in_one_group():
    rng = np.random.default_rng(3)
    users = rng.normal(size=(40, 8)) * np.geomspace(1e-3, 1e3, 40)[:, None]
    items = rng.normal(size=(2000, 8))
    items[:, 1:] /= np.linalg.norm(items[:, 1:], axis=1)[:, None]
    users, items = users.astype(np.float32), items.astype(np.float32)
    check(users, items, True, random_seen(rng, 40, 2000, 9000), np.ones(2000, bool), 10)


def test_a_user_who_has_seen_almost_everything():
    rng = np.random.default_rng(1)
    users = rng.normal(size=(20, 9)).astype(np.float32)
    items = rng.normal(size=(3000, 9)).astype(np.float32)
    most = np.sort(rng.permutation(3000)[:2990]).astype(np.int32)
    seen = compress(np.zeros(2990, np.int32), most, np.ones(2990, np.float32), 20)
    check(users, items, True, seen, np.ones(3000, bool), 20)


def test_most_products_are_not_computed():
    """Items of decreasing lengths: those that are pruned may as well be infinite."""
    rng = np.random.default_rng(2)
    users = rng.normal(size=(16, 8)).astype(np.float32)
    items = rng.normal(size=(4000, 8)).astype(np.float32) * np.geomspace(1, 1e-3, 4000)[:, None]
    panels = pack(items.astype(np.float32), users, False)
    nothing = random_seen(rng, 16, 4000, 0)
    results = []
    for infinite in (False, True):
        if infinite:
            panels.item_factors[len(panels.item_factors) // 2 :] = (
                np.inf
            )  # would be best if computed
        codes, best = np.empty((16, 5), np.int32), np.empty((16, 5), np.float32)
        topk_packed(
            0, 2, np.arange(16), users, np.float32(0), False, *panels,
            nothing.indptr[:-1], nothing.indptr[1:], nothing.indices, codes, best,
        )  # fmt: skip
        results.append(codes)
    assert np.array_equal(*results)
