"""Arrays larger than one likes to copy: looking all through them, and mapped files."""

import mmap

import numpy as np
from numpy.typing import NDArray

from matinee.kernels.blocks import run_blocks
from matinee.kernels.codes import slices
from matinee.kernels.jit import jit


@jit
def _sum(start, stop, words):
    plain = np.uint64(0)
    weighted = np.uint64(0)
    for at in range(start, stop):
        word = np.uint64(words[at])
        plain += word
        weighted += word * np.uint64(np.uint32(at + 1))
    return plain, weighted


@jit
def _within(start, stop, codes, limit):
    good = True
    for at in range(start, stop):
        good &= (codes[at] >= 0) & (codes[at] < limit)
    return good


def checksum(array: NDArray[np.generic]) -> str:
    """By which a changed array shows: the sum of its 32-bit words, and the sum by their places.

    It is as fast as the memory, and proof against accidents alone.
    """
    words = array.view(np.uint32)
    sums = run_blocks(_sum, slices(len(words)), words)
    return "-".join(f"{sum(part) % 2**64:016x}" for part in zip(*sums, strict=True))


def within(codes: NDArray[np.int32], limit: int) -> bool:
    """Whether all codes are from 0 to `limit` - 1."""
    return all(run_blocks(_within, slices(len(codes)), codes, limit))


def release(array: NDArray[np.generic]) -> None:
    """Give back the memory that a mapped file takes up now; it is read again where needed.

    Other arrays are left as they are.
    """
    owner = array
    while isinstance(owner, np.ndarray):
        owner = owner.base  # type: ignore[assignment]
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
