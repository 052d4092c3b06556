"""Tiles, factorizations and gathered rows against plain numpy in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.kernels.linalg import (
    add_rows,
    add_squares,
    factorize,
    float16_buffer,
    load_four,
    padded,
    products,
    scratch,
    solve_upper,
    to_float16,
)
from matinee.kernels.simd import LANES


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


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_factorized_matrix_solves_its_equations(sixteens, seed):
    rng = np.random.default_rng(seed)
    width = 16 * sixteens
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


def test_a_matrix_that_is_not_definite_gives_no_number():
    gram = np.zeros((16, 32), np.float32)
    np.fill_diagonal(gram, 1)
    gram[5, 5] = -1
    factorize(gram)
    assert np.isnan(gram[5, 5])


@pytest.mark.parametrize("left", [1, 2, 3, 4])
@pytest.mark.parametrize("halved", [False, True])
def test_four_rows_at_a_time(left, halved):
    rng = np.random.default_rng(left)
    rows = rng.normal(size=(20, 48)).astype(np.float16).astype(np.float32)
    matrix = rows
    if halved:
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
