"""Arrays larger than one likes to copy: looking all through them, and mapped files."""

import mmap

import numpy as np
from numpy.typing import NDArray

from matinee.kernels.blocks import run_blocks
from matinee.kernels.codes import slices
from matinee.kernels.jit import jit


@jit
def add_up_words(words, first):
    """By which a change of an array shows, and how far its numbers go.

    Parameters
    ----------
    words : int32 (n,)
    first : int
        The place of the first of them in the array that they are a part of.

    Returns
    -------
    (uint64, uint64, int32, int32)
        The sum of the words as unsigned numbers, and the sum of each times its place from 1 on,
        both modulo 2**64 and so good for adding up; the least and the greatest word.
    """
    plain = np.uint64(0)
    weighted = np.uint64(0)
    low, high = words[0], words[0]
    for at in range(len(words)):
        word = np.uint64(np.uint32(words[at]))
        plain += word
        weighted += word * np.uint64(np.uint32(first + at + 1))
        low = min(low, words[at])
        high = max(high, words[at])
    return plain, weighted, low, high


@jit
def _within(start, stop, codes, limit):
    good = True
    for at in range(start, stop):
        good &= (codes[at] >= 0) & (codes[at] < limit)
    return good


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
