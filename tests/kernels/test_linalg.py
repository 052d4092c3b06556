"""Tiles, factorizations, gathered rows and tall products against numpy in float64."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels import linalg
from matinee.kernels.linalg import (
    float16_buffer,
    inner,
    pad_to_lanes,
    padded,
    scratch,
    times,
    to_float16,
)
from matinee.kernels.parallel import thread_limit
from matinee.kernels.simd import LANES


def compiled(part):
    """What only kernels call, to be called from here."""
    return numba.njit(lambda *arguments: part(*arguments))


add_rows, add_squares = compiled(linalg.add_rows), compiled(linalg.add_squares)
factorize, solve_upper = compiled(linalg.factorize), compiled(linalg.solve_upper)
load_four, products = compiled(linalg.load_four), compiled(linalg.products)


@pytest.mark.parametrize("width", [16, 32, 80])
@pytest.mark.parametrize("count", [0, 1, 13, 64])
def test_squares_are_added_in_the_upper_half(width, count):
    rng = np.random.default_rng(width + count)
    design = rng.normal(size=(64, width)).astype(np.float32)
    before = rng.normal(size=(width, width + LANES)).astype(np.float32)
    gram = before.copy()
    add_squares(design, count, gram)
    used = design[:count].astype(float)
    expected = np.triu(before[:, :width] + used.T @ used)
    np.testing.assert_allclose(np.triu(gram[:, :width]), expected, rtol=1e-5, atol=1e-5)
    assert np.array_equal(gram[:, width:], before[:, width:])


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_factorized_matrix_solves_its_equations(multiple, seed):
    rng = np.random.default_rng(seed)
    width = 16 * multiple
    root = rng.normal(size=(width, width))
    normal = root @ root.T / width + np.eye(width)
    right = rng.normal(size=width)
    gram = np.zeros((width, width + LANES), np.float32)
    gram[:, :width] = np.triu(normal)
    gram[:, width] = right
    factorize(gram)
    upper = np.triu(gram[:, :width]).astype(float)
    np.testing.assert_allclose(upper.T @ upper, normal, rtol=1e-3, atol=1e-4)
    x = gram[:, width].copy()
    solve_upper(gram, x)
    np.testing.assert_allclose(normal @ x, right, rtol=1e-2, atol=1e-3)


def test_a_matrix_that_is_not_positive_definite_gives_nan():
    gram = np.zeros((16, 32), np.float32)
    np.fill_diagonal(gram, 1)
    gram[5, 5] = -1
    factorize(gram)
    assert np.isnan(gram[5, 5])


@pytest.mark.parametrize("left", [1, 2, 3, 4])
@pytest.mark.parametrize("in_16_bits", [False, True])
def test_four_rows_at_a_time(left, in_16_bits):
    rng = np.random.default_rng(left)
    rows = rng.normal(size=(20, 48)).astype(np.float16).astype(np.float32)
    matrix = rows
    if in_16_bits:
        matrix = float16_buffer(20, 48)
        to_float16(rows, 0, matrix)
    indices = rng.integers(0, 20, 5 + left).astype(np.int32)
    four = load_four(indices, 5, len(indices))
    assert four[:left] == tuple(indices[5:])
    assert set(four[left:]) <= {indices[-1]}
    x, out = rng.normal(size=(2, 1, 48)).astype(np.float32)
    chosen = rows[indices[5:]].astype(float)
    np.testing.assert_allclose(
        products(matrix, four, x)[:left], chosen @ x[0], rtol=1e-5, atol=1e-5
    )
    expected = out[0] + np.array([1, -2, 3, -4][:left]) @ chosen
    weights = tuple(np.float32(w) for w in (1, -2, 3, -4))
    assert add_rows(matrix, four, weights, left, out) == sum(weights[:left])
    np.testing.assert_allclose(out[0], expected, rtol=1e-5, atol=1e-4)


def test_scratch_arrays_start_with_a_cache_line():
    for width in (1, 16, 33):
        assert padded(width) % LANES == 0
        assert padded(width) - width < LANES
        array = scratch(3, padded(width))
        assert array.shape == (3, padded(width))
        assert array.ctypes.data % 64 == 0


@pytest.mark.parametrize("width", [1, 16, 37])
def test_16_bit_rows_fill_lanes_and_are_rounded_to_the_nearest(width):
    rows = np.random.default_rng(0).normal(0, 0.4, (300, 1 + width)).astype(np.float32)
    rows[7, 1] = 1e6  # too large for 16 bits
    half = float16_buffer(300, width)
    to_float16(rows, 1, half)
    assert half.shape[1] % 16 == 0
    assert half.ctypes.data % 64 == 0
    read = half.view(np.float16)
    with np.errstate(over="ignore"):
        assert np.array_equal(read[:, :width], rows[:, 1:].astype(np.float16))
    assert np.isinf(read[7, 0])
    assert not read[:, width:].any()
    assert np.array_equal(pad_to_lanes(rows)[:, : 1 + width], rows)


SIZES = [(0, 3, 2), (1, 1, 1), (7, 1, 33), (1000, 5, 17), (3001, 33, 1), (2500, 16, 16), (4, 0, 3)]
CLOSE = {np.float32: {"rtol": 1e-4, "atol": 1e-3}, np.float64: {"rtol": 1e-11, "atol": 1e-10}}


def matrices(*shapes, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "k", "columns"), SIZES)
def test_a_tall_matrix_times_a_small_one(rows, k, columns, dtype):
    tall, small = matrices((rows, k), (k, columns), dtype=dtype)
    product = times(tall, small)
    assert product.dtype == dtype
    assert product.shape == (rows, columns)
    np.testing.assert_allclose(product, tall.astype(float) @ small, **CLOSE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "k", "columns"), SIZES)
def test_inner_products_of_columns(rows, k, columns, dtype):
    left, right = matrices((rows, k), (rows, columns), dtype=dtype)
    product = inner(left, right)
    assert product.dtype == dtype
    assert product.shape == (k, columns)
    np.testing.assert_allclose(product, left.T.astype(float) @ right, **CLOSE[dtype])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1200), st.integers(0, 20), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_products_of_any_shape(rows, k, columns, seed):
    tall, small, other = matrices((rows, k), (k, columns), (rows, columns), seed=seed)
    np.testing.assert_allclose(times(tall, small), tall @ small, **CLOSE[np.float64])
    np.testing.assert_allclose(inner(tall, other), tall.T @ other, **CLOSE[np.float64])


def test_a_small_matrix_takes_the_dtype_of_the_tall_one():
    tall, small = matrices((500, 6), (6, 4))
    product = times(tall.astype(np.float32), small)
    assert product.dtype == np.float32
    np.testing.assert_allclose(product, tall @ small, **CLOSE[np.float32])
    product = times(tall, small.astype(np.float32))
    assert product.dtype == np.float64
    np.testing.assert_allclose(product, tall @ small.astype(np.float32), **CLOSE[np.float64])


def test_inner_products_have_the_dtype_of_the_right_one():
    left, right = matrices((500, 6), (500, 4))
    assert inner(left, right.astype(np.float32)).dtype == np.float32
    product = inner(left.astype(np.float32), right)
    assert product.dtype == np.float64
    np.testing.assert_allclose(product, left.astype(np.float32).T @ right, **CLOSE[np.float64])


def test_matrices_may_be_views():
    whole, small, other = matrices((1400, 12), (9, 6), (6, 700))
    tall = whole[::2, ::2]
    np.testing.assert_allclose(times(tall, small.T[:, ::3]), tall @ small.T[:, ::3], rtol=1e-10)
    np.testing.assert_allclose(inner(tall, other.T), tall.T @ other.T, rtol=1e-8, atol=1e-10)
    in_fortran_order = np.asfortranarray(tall)
    np.testing.assert_allclose(times(in_fortran_order, small.T), tall @ small.T, rtol=1e-10)


def test_arguments_do_not_change():
    tall, small, other = matrices((600, 5), (5, 3), (600, 3))
    copies = tall.copy(), small.copy(), other.copy()
    times(tall, small)
    inner(tall, other)
    assert all(np.array_equal(*pair) for pair in zip(copies, (tall, small, other), strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [100, 700, 20_001])
def test_products_do_not_depend_on_threads(rows, dtype):
    tall, small, other = matrices((rows, 17), (17, 9), (rows, 9), dtype=dtype)
    results = []
    for threads in (1, 2, 5, None):
        with thread_limit(threads):
            results.append((times(tall, small), inner(tall, other)))
    for product, sums in results[1:]:
        assert np.array_equal(product, results[0][0])
        assert np.array_equal(sums, results[0][1])


def test_sums_over_many_rows_keep_three_digits():
    left = np.full((200_000, 1), 0.1, np.float32)
    exact = float(np.float32(0.1)) ** 2 * len(left)
    assert inner(left, left)[0, 0] == pytest.approx(exact, rel=1e-3)


def test_nan_stays_in_its_row():
    tall, small = matrices((300, 3), (3, 2))
    tall[5, 1] = np.nan
    assert np.isnan(times(tall, small)).any(axis=1).nonzero()[0].tolist() == [5]
    assert np.isnan(inner(tall, tall)[1]).all()
    assert not np.isnan(inner(tall, tall)[[0, 0, 2, 2], [0, 2, 0, 2]]).any()
