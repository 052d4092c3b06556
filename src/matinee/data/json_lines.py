"""Tables of JSON: one object a line, or a list of objects. Their size and shape are found before a
reader believes them; see `parquet_bounds.py` for why. An entry that a single row has is a column of
all rows, so a few bytes may announce billions of cells.
"""

import secrets
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from matinee._types import I64
from matinee.data.arrow_bounds import MAX_DEPTH
from matinee.data.compression import Scratch
from matinee.kernels.text import MEASURED, scan_json

BLOCK = 2**24  # bytes
MAX_ROW = 2**24  # bytes
MAX_PATHS = 2**16  # names of entries, those within other entries included
MAX_CELLS = 2**22  # of a small file
MAX_CELLS_PER_BYTE = 4
PATTERN = set("*?[")  # what polars takes for a pattern of many files, whatever is there
MARK = b"\xef\xbb\xbf"  # in front of a text in UTF-8, as some programs write it


def json_lines(path: Path, scratch: Scratch) -> Path:
    """The same table with one object a line; ValueError for one that is too large or nests deep."""
    state = np.zeros(len(MEASURED), np.int64)
    parents, seen = np.zeros(MAX_DEPTH + 2, np.int64), np.zeros(2 * MAX_PATHS, np.int64)
    parents[0] = secrets.randbits(62)  # so that nobody can choose names that count as one
    with ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        start = file.read(64)
        mark = len(MARK) if start.startswith(MARK) else 0
        is_list = start[mark:].lstrip().startswith(b"[")
        file.seek(mark)
        lines, out = path, None
        if is_list or mark or PATTERN & set(str(path)):
            lines = scratch.new_file("lines.jsonl")
            out = opened.enter_context(lines.open("wb"))
        state[MEASURED.index("is_list")] = is_list
        while chunk := file.read(BLOCK):
            block = np.frombuffer(chunk, np.uint8).copy()
            scan_json(block, state, parents, seen)
            _check(state, path.stat().st_size)
            if out:
                out.write(block.data)
    return lines


def _check(state: I64, size: int) -> None:
    """ValueError if what has been measured so far is more than ratings could be."""
    found = dict(zip(MEASURED, state.tolist(), strict=True))
    if found["deepest"] > MAX_DEPTH:
        raise ValueError(f"its values are nested more than {MAX_DEPTH} deep")
    if found["longest"] > MAX_ROW:
        raise ValueError(f"a row has more than {MAX_ROW:,} bytes")
    if found["paths"] >= MAX_PATHS:
        raise ValueError(f"its objects have more than {MAX_PATHS:,} different names")
    cells = found["objects"] * found["paths"]
    if cells > max(MAX_CELLS, MAX_CELLS_PER_BYTE * size):
        raise ValueError(
            f"{found['objects']:,} objects with {found['paths']:,} different names in "
            f"{size:,} bytes are no ratings"
        )
