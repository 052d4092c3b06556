"""Whole numbers in text, many bytes at a time. All depends on where they end: to look at byte after
byte, or for the end of each number when the one before has been read, takes twice as long.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

from matinee.kernels.jit import part

intrinsic: Any = numba_intrinsic  # to a type checker, what is called here is not what is defined
WINDOW = 64
PADDING = 2 * WINDOW
"""Bytes that must follow a text, none of them a digit: reading may look at some of them."""
WORD = 8  # digits at a time
MAX_DIGITS = 2 * WORD
_I8, _I64 = ir.IntType(8), ir.IntType(64)
_BYTES = ir.VectorType(_I8, WINDOW)
_ZEROS = np.uint64(0x3030_3030_3030_3030)


def _load(context: Any, builder: Any, signature: Any, arguments: Any, kind: ir.Type) -> Any:
    """A value of this type from an array of bytes, which may begin anywhere."""
    array_type = signature.args[0]
    array = context.make_array(array_type)(context, builder, arguments[0])
    pointer = cgutils.get_item_pointer(context, builder, array_type, array, arguments[1:])
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


@intrinsic
def _not_digits(typing, text, start):
    """Which bytes of text[start : start + 64] are no digits: bit b of a uint64 for byte b."""

    def code(context, builder, signature, arguments):
        loaded = _load(context, builder, signature, arguments, _BYTES)
        above = builder.sub(loaded, ir.Constant(_BYTES, [_I8(ord("0"))] * WINDOW))
        nine = ir.Constant(_BYTES, [_I8(9)] * WINDOW)
        return builder.bitcast(builder.icmp_unsigned(">", above, nine), _I64)

    return types.uint64(text, types.intp), code


@intrinsic
def _word_at(typing, text, start):
    """text[start : start + 8] as one uint64, the first byte being the lowest."""

    def code(context, builder, signature, arguments):
        return _load(context, builder, signature, arguments, _I64)

    return types.uint64(text, types.intp), code


@intrinsic
def lowest(typing, bits):
    """The position of the lowest bit that is set, int64."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


@part
def marks_from(text, start):
    """Where to look for bytes that are no digits from `start` on: what `next_mark` takes."""
    return start, _not_digits(text, start)


@part
def next_mark(text, marks):
    """The next byte that is no digit, and where to look for the one after it."""
    window, bits = marks
    while bits == 0:
        window += WINDOW
        bits = _not_digits(text, window)
    return window + lowest(bits), (window, bits & (bits - np.uint64(1)))


@part
def number_at(text, start, end):
    """The number whose digits, 1 to 16 of them, are those from `start` to `end`."""
    if end - start <= WORD:
        return _up_to_eight(text, start, end - start)
    last = end - WORD
    return _up_to_eight(text, start, last - start) * 10**WORD + _up_to_eight(text, last, WORD)


@part
def _up_to_eight(text, start, n):
    """Neighbors become numbers of two digits, of four, of eight; missing ones on the left are 0."""
    word = (_word_at(text, start) ^ _ZEROS) << np.uint64(64 - 8 * n)
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & np.uint64(0x00FF_00FF_00FF_00FF)
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & np.uint64(0x0000_FFFF_0000_FFFF)
    word = (word * np.uint64(10_000) + (word >> np.uint64(32))) & np.uint64(0xFFFF_FFFF)
    return np.int64(word)
