"""Products of tall matrices against numpy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels.linalg import inner, times

SIZES = [(0, 3, 2), (1, 1, 1), (7, 1, 33), (1000, 5, 17), (3001, 33, 1), (2500, 16, 16), (4, 0, 3)]
CLOSE = {np.float32: {"rtol": 1e-4, "atol": 1e-3}, np.float64: {"rtol": 1e-11, "atol": 1e-10}}


def matrices(*shapes, seed=0, kind=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(kind) for shape in shapes]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "k", "columns"), SIZES)
def test_a_tall_matrix_times_a_small_one(rows, k, columns, kind):
    tall, small = matrices((rows, k), (k, columns), kind=kind)
    found = times(tall, small)
    assert found.dtype == kind
    assert found.shape == (rows, columns)
    np.testing.assert_allclose(found, tall.astype(float) @ small, **CLOSE[kind])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "k", "columns"), SIZES)
def test_inner_products_of_columns(rows, k, columns, kind):
    left, right = matrices((rows, k), (rows, columns), kind=kind)
    found = inner(left, right)
    assert found.dtype == kind
    assert found.shape == (k, columns)
    np.testing.assert_allclose(found, left.T.astype(float) @ right, **CLOSE[kind])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1200), st.integers(0, 20), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_products_of_any_shape(rows, k, columns, seed):
    tall, small, other = matrices((rows, k), (k, columns), (rows, columns), seed=seed)
    np.testing.assert_allclose(times(tall, small), tall @ small, **CLOSE[np.float64])
    np.testing.assert_allclose(inner(tall, other), tall.T @ other, **CLOSE[np.float64])


def test_a_small_matrix_takes_the_type_of_the_tall_one():
    tall, small = matrices((500, 6), (6, 4))
    found = times(tall.astype(np.float32), small)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tall @ small, **CLOSE[np.float32])
    found = times(tall, small.astype(np.float32))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, tall @ small.astype(np.float32), **CLOSE[np.float64])


def test_inner_products_have_the_type_of_the_right_one():
    left, right = matrices((500, 6), (500, 4))
    assert inner(left, right.astype(np.float32)).dtype == np.float32
    found = inner(left.astype(np.float32), right)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, left.astype(np.float32).T @ right, **CLOSE[np.float64])


def test_matrices_may_be_views():
    whole, small, other = matrices((1400, 12), (9, 6), (6, 700))
    tall = whole[::2, ::2]
    np.testing.assert_allclose(times(tall, small.T[:, ::3]), tall @ small.T[:, ::3], rtol=1e-10)
    np.testing.assert_allclose(inner(tall, other.T), tall.T @ other.T, rtol=1e-8, atol=1e-10)
    turned = np.asfortranarray(tall)
    np.testing.assert_allclose(times(turned, small.T), tall @ small.T, rtol=1e-10)


def test_nothing_that_is_given_changes():
    tall, small, other = matrices((600, 5), (5, 3), (600, 3))
    copies = tall.copy(), small.copy(), other.copy()
    times(tall, small)
    inner(tall, other)
    assert all(np.array_equal(*pair) for pair in zip(copies, (tall, small, other), strict=True))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [100, 700, 20_001])
def test_products_do_not_depend_on_threads(rows, kind):
    tall, small, other = matrices((rows, 17), (17, 9), (rows, 9), kind=kind)
    one = times(tall, small, threads=1), inner(tall, other, threads=1)
    for threads in (2, 5, None):
        assert np.array_equal(one[0], times(tall, small, threads=threads))
        assert np.array_equal(one[1], inner(tall, other, threads=threads))


def test_sums_over_many_rows_keep_three_digits():
    left = np.full((200_000, 1), 0.1, np.float32)
    exact = float(np.float32(0.1)) ** 2 * len(left)
    assert inner(left, left)[0, 0] == pytest.approx(exact, rel=1e-3)


def test_values_that_are_no_numbers_are_kept():
    tall, small = matrices((300, 3), (3, 2))
    tall[5, 1] = np.nan
    assert np.isnan(times(tall, small)).any(axis=1).nonzero()[0].tolist() == [5]
    assert np.isnan(inner(tall, tall)[1]).all()
    assert not np.isnan(inner(tall, tall)[[0, 0, 2, 2], [0, 2, 0, 2]]).any()
