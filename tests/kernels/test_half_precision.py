"""Every 16-bit float, converted by instructions and without them."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
CONVERT = """
import numpy as np
from matinee.kernels.jit import jit
from matinee.kernels.simd import LANES, load, store

@jit
def convert(numbers, out):
    for row in range(len(numbers)):
        store(load(numbers, row, 0), out, row, 0)

every = np.arange(2**16, dtype=np.uint16).reshape(-1, LANES)
wide = np.empty(every.shape, np.float32)
convert(every, wide)
exact = every.view(np.float16).astype(np.float32)
assert np.array_equal(wide, exact, equal_nan=True)
finite = exact[np.isfinite(exact)]
assert np.array_equal(np.signbit(wide), np.signbit(exact))

# each number, what lies just beside it, and the middle between it and the next
steps = np.sort(np.unique(finite.astype(np.float64)))
middle = (steps[1:] + steps[:-1]) / 2
far = [65519, 65520, 65536, 1e9, 3e38, 1e-30, 1e-45, np.inf, -np.inf]
near = np.concatenate([steps, middle, far])
near = near.astype(np.float32)
near = np.concatenate([near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, -np.inf)])
near = np.concatenate([near, [np.float32(np.nan)]]).astype(np.float32)
near = np.resize(near, (-(-len(near) // LANES), LANES))
halves = np.empty(near.shape, np.uint16)
convert(near, halves)
with np.errstate(over="ignore"):
    expected = near.astype(np.float16)
assert np.array_equal(halves.view(np.float16), expected, equal_nan=True)
assert np.array_equal(np.signbit(halves.view(np.float16)), np.signbit(expected))
"""


@pytest.mark.thorough
@pytest.mark.parametrize("processor", ["", "x86-64-v2", "generic"])
def test_all_numbers_are_converted_as_numpy_does(processor, tmp_path):
    other = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""} if processor else {}
    done = subprocess.run(
        [sys.executable, "-c", CONVERT],
        env={**os.environ, **other, "MATINEE_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
