"""Ratings are cut into blocks, of which none is lost and no column is missing."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from matinee.models.als_common import RATING_SHARE, noise_regularization
from matinee.spark import blocks
from matinee.spark.blocks import (
    Cut,
    blocks_in,
    count_users,
    cut_into_blocks,
    into_blocks,
    item_counts,
    noise_bound,
)

pytestmark = pytest.mark.thorough

USERS, ITEMS = 23, 17


def as_they_are(rows):
    return rows, np.empty(0, np.float32)


def below_the_mean(rows):
    """Targets, so that they must be moved along."""
    return rows, np.float32(10) - rows.values


@pytest.fixture(scope="module")
def entries():
    """(user, item, rating) in no order; the last users and items, and item 3, have none."""
    rng = np.random.default_rng(3)
    pairs = rng.permutation((USERS - 2) * (ITEMS - 2))[:150]
    user, item = (codes.astype(np.int32) for codes in np.divmod(pairs, ITEMS - 2))
    kept = item != 3
    return user[kept], item[kept], rng.integers(1, 6, kept.sum()).astype(np.float32)


def cut_of(n):
    return Cut(np.arange(n, dtype=np.int32) * 7 + 1, USERS, ITEMS)


def frame_of(workspace, entries):
    table = pa.table(dict(zip(("user", "item", "rating"), entries, strict=True)))
    return workspace.spark.createDataFrame(table, "user int, item int, rating float")


@pytest.fixture(scope="module")
def sides(workspace, entries):
    frame = frame_of(workspace, entries)
    return into_blocks(workspace, "tests", frame, cut_of(3), below_the_mean)


def dense(sides, side):
    """The ratings and targets that the blocks of a side hold, (users, items)."""
    found = np.zeros((2, USERS, ITEMS), np.float32)
    table = getattr(sides, side).toArrow()
    for key, block in blocks_in(table):
        codes = sides.cut.codes(side, key)
        assert len(block.rows.indptr) == len(codes) + 1
        for row, (first, last) in enumerate(pairwise(block.rows.indptr)):
            others = block.columns[block.rows.indices[first:last]]
            assert len(set(others)) == len(others)
            where = (codes[row], others) if side == "user" else (others, codes[row])
            found[0][where] = block.rows.values[first:last]
            found[1][where] = block.targets[first:last]
    return found


@pytest.mark.parametrize("side", ["user", "item"])
def test_blocks_of_either_side_hold_all_ratings(sides, entries, side):
    user, item, rating = entries
    expected = np.zeros((2, USERS, ITEMS), np.float32)
    expected[0, user, item], expected[1, user, item] = rating, 10 - rating
    assert np.array_equal(dense(sides, side), expected)


@pytest.mark.parametrize(("side", "other"), [("user", "item"), ("item", "user")])
def test_what_is_sent_is_what_columns_stand_for(sides, side, other):
    """The rows that blocks of one side send, one after the other, are the columns of the other."""
    sent = {key: [] for key in sides.cut.keys.tolist()}
    for key, block in sorted(blocks_in(getattr(sides, side).toArrow())):
        for to, route in zip(sides.cut.keys.tolist(), block.routes, strict=True):
            sent[to].append(sides.cut.codes(side, key)[route])
    for key, block in blocks_in(getattr(sides, other).toArrow()):
        assert np.concatenate(sent[key]).tolist() == block.columns.tolist()


def test_counts(sides, entries):
    user, item, _ = entries
    assert item_counts(sides).tolist() == np.bincount(item, minlength=ITEMS).tolist()
    assert count_users(sides) == len(set(user))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_the_bound_of_noise_is_that_of_the_laptop(workspace, parts, in_spark, exponent):
    ratings = parts[0].ratings
    data = in_spark(parts[0])
    cut = cut_into_blocks(workspace, data.n_users, len(data.catalog), len(ratings))
    sides = into_blocks(workspace, "bound", data.ratings, cut, as_they_are)
    bound = noise_bound(sides, item_counts(sides), (0.0, 0.0), exponent)
    expected = noise_regularization(ratings, exponent)
    assert RATING_SHARE * ratings.values.std(dtype=np.float64) * bound == pytest.approx(
        expected, rel=1e-9
    )


def test_keys_are_spread_evenly(workspace):
    cut = cut_into_blocks(workspace, 10, 10, 40 * blocks.RATINGS)
    assert cut.blocks == len(set(cut.keys.tolist())) == 40
    frame = workspace.spark.createDataFrame(pa.table({"key": cut.keys}), "key int")
    place = frame.selectExpr(f"pmod(hash(key), {cut.blocks}) as place").toArrow()["place"]
    assert place.to_pylist() == list(range(40))
    workspace.spark.conf.set("spark.sql.shuffle.partitions", 4)
