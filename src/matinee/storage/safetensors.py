"""Arrays of a safetensors file (https://huggingface.co/docs/safetensors) as views of its bytes: the
library's own reader copies them, which takes longer than all else that a recommendation needs.
"""

import json
from math import prod
from typing import Any

import numpy as np

from matinee._types import Array

MAX_HEADER = 2**22  # bytes; an array, or a column of a table, has a hundred
DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "F16": np.dtype(np.float16),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
}


def arrays_in(content: memoryview) -> dict[str, Array]:
    """The arrays of a file by name, views of `content`; ValueError unless they fill it."""
    start = 8 + int.from_bytes(content[:8], "little")
    if not 8 < start <= min(len(content), MAX_HEADER):
        raise ValueError("a safetensors file has no header")
    data = content[start:]
    try:
        header = json.loads(bytes(content[8:start]))
        header.pop("__metadata__", None)
        arrays, end = {}, 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
            first, last = entry["data_offsets"]
            natural = all(type(n) is int and n >= 0 for n in (first, last, *shape))
            if not natural or (first, last) != (end, end + prod(shape) * dtype.itemsize):
                raise ValueError("not where the array before ends")
            arrays[name] = np.ndarray(shape, dtype, data, first)
            end = last
        if end < len(data) or not all(array.flags.aligned for array in arrays.values()):
            raise ValueError("bytes belong to no array, or an array is misaligned")
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise ValueError("the header of a safetensors file is invalid") from None
    return arrays
