"""Arrays of codes and values: counts, ranks, ranges, distinct values and checksums, in blocks."""

import mmap

import numpy as np
from numpy.typing import NDArray

from matinee._types import F32, I32, I64, Bools, Ints
from matinee.kernels.jit import jit
from matinee.kernels.parallel import run_blocks

BLOCK = 2**20
NEGATIVE_ZERO = np.int32(-(2**31))  # the bits of a float that equals 0
HASHED = 2**10  # slots of a hash table
GOLDEN = 2654435769  # 2^32 over the golden ratio: its multiples spread evenly


@jit
def _mark(start, stop, numbers, low, seen):
    for i in range(start, stop):
        seen[numbers[i] - low] = True


@jit
def _look_up(start, stop, numbers, low, table, out):
    for i in range(start, stop):
        out[i] = table[numbers[i] - low]


@jit
def _add_up(numbers, counts):
    for i in range(len(numbers)):
        counts[numbers[i]] += 1


def mark_seen(numbers: Ints, low: int, seen: Bools) -> None:
    """``seen[numbers - low] = True``"""
    run_blocks(_mark, slices(len(numbers)), numbers, low, seen)


def dense_rank(numbers: Ints, low: int, seen: Bools, out: I32) -> None:
    """out = how many smaller numbers `mark_seen` has seen; `out` may be `numbers` itself."""
    table = np.cumsum(seen, dtype=np.int32) - np.int32(1)
    run_blocks(_look_up, slices(len(numbers)), numbers, low, table, out)


def bincount(codes: I32, n: int) -> I64:
    """How often each code from 0 to n - 1 occurs, (n,)."""
    counts = np.zeros(n, np.int64)
    _add_up(codes, counts)
    return counts


def distinct(values: F32, most: int) -> F32 | None:
    """The distinct values, ascending; None if there are more than `most`."""
    bits = values.view(np.int32)

    def distinct_of(start: int, stop: int) -> F32 | None:
        table = np.zeros(HASHED, np.int32)
        taken = np.zeros(HASHED, bool)
        few = _insert(bits[start:stop], table, taken, most)
        return table[taken].view(np.float32) if few else None

    found = run_blocks(distinct_of, slices(len(values)))
    if any(part is None for part in found):
        return None
    union = np.unique(np.concatenate([values[:0], *found]))
    return union if len(union) <= most else None


@jit
def _insert(numbers, table, taken, most):
    """Whether there are at most so many different floats, given by their bits; all are put into a
    hash table.
    """
    left = most
    for bits in numbers:
        number = bits if bits != NEGATIVE_ZERO else np.int32(0)
        # these bits of the product depend on all of the number
        mixed = np.uint64(np.uint32(number)) * np.uint64(GOLDEN) >> np.uint64(22)
        slot = np.int64(mixed) % HASHED
        while taken[slot] and table[slot] != number:
            slot = (slot + 1) % HASHED
        if not taken[slot]:
            if left == 0:
                return False
            left -= 1
            taken[slot] = True
            table[slot] = number
    return True


def slices(n: int) -> list[tuple[int, int]]:
    """Ranges of at most `BLOCK` that cover `n` entries."""
    return [(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]


@jit
def checksum_words(words, first):
    """Sums, modulo 2^64, of int32 words as unsigned and of each times its index in the whole array
    from 1 on, so that those of slices add up; and the least and greatest word.
    """
    plain = np.uint64(0)
    weighted = np.uint64(0)
    low, high = words[0], words[0]
    for i in range(len(words)):
        word = np.uint64(np.uint32(words[i]))
        plain += word
        weighted += word * np.uint64(np.uint32(first + i + 1))
        low = min(low, words[i])
        high = max(high, words[i])
    return plain, weighted, low, high


@jit
def _within(start, stop, codes, limit):
    good = True
    for i in range(start, stop):
        good &= (codes[i] >= 0) & (codes[i] < limit)
    return good


def in_range(codes: I32, limit: int) -> bool:
    """Whether all codes are from 0 to `limit` - 1."""
    return all(run_blocks(_within, slices(len(codes)), codes, limit))


def release(array: NDArray[np.generic]) -> None:
    """Let the system drop the pages of a memory-mapped array, to be read again when needed."""
    owner = array
    while isinstance(owner, np.ndarray):
        owner = owner.base  # type: ignore[assignment]
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
