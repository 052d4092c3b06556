"""Arrays of a safetensors file where they stand, without a copy.

A file is eight bytes (how long the header is, little-endian), a header in JSON, and the arrays'
bytes side by side; https://huggingface.co/docs/safetensors says it in full. The library's own
reader copies every array, which for millions of users takes longer than anything else that is
done to answer one of them.
"""

import json
from math import prod
from typing import Any

import numpy as np

from matinee._types import Array

LONGEST_HEADER = 100_000  # bytes; a head has a dozen arrays of a hundred bytes each
TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "F16": np.dtype(np.float16),
    "I8": np.dtype(np.int8),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
}


def arrays_in(content: memoryview) -> dict[str, Array]:
    """The arrays of a safetensors file by name, in the memory of `content`.

    Parameters
    ----------
    content : memoryview
        All bytes of the file.

    Raises
    ------
    ValueError
        Unless there is a header, and the arrays it names fill the rest of the file: side by
        side, of known types, each byte of exactly one.

    Examples
    --------
    >>> from safetensors.numpy import save
    >>> arrays_in(memoryview(save({"a": np.float32([[1, 2], [3, 4]])})))
    {'a': array([[1., 2.],
           [3., 4.]], dtype=float32)}
    """
    start = 8 + int.from_bytes(content[:8], "little")
    if not 8 < start <= min(len(content), LONGEST_HEADER):
        raise ValueError("a file of arrays has no header")
    data = content[start:]
    try:
        header = json.loads(bytes(content[8:start]))
        header.pop("__metadata__", None)
        arrays, end = {}, 0
        for name, metadata in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            dtype, shape = TYPES[metadata["dtype"]], metadata["shape"]
            first, last = metadata["data_offsets"]
            whole = all(type(number) is int and number >= 0 for number in (first, last, *shape))
            if not whole or (first, last) != (end, end + prod(shape) * dtype.itemsize):
                raise ValueError("an array lies where it should not")
            arrays[name] = np.ndarray(shape, dtype, data, first)
            end = last
        if end < len(data) or not all(array.flags.aligned for array in arrays.values()):
            raise ValueError("bytes belong to no array, or to the wrong one")
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise ValueError("the header of a file of arrays makes no sense") from None
    return arrays
