"""Arrays in, arrays out: the compiled loops everything else stands on.

Nothing here knows a movie, a file or a class of the floors above. Kernels
release the interpreter lock and work on a range of rows, so that a pool of
threads can share them (`run_blocks`); no kernel's result depends on how many.
"""

from matinee.kernels.blocks import equal_blocks, run_blocks, usable_threads
from matinee.kernels.rows import Rows, compress, repeated_entry, take_rows, transpose
from matinee.kernels.sampling import draw_items, item_keys
from matinee.kernels.score import best_items, predict_pairs, score_items, squared_error, top_n
from matinee.kernels.solve import solve_rows_cg, solve_rows_exact

__all__ = [
    "Rows",
    "best_items",
    "compress",
    "draw_items",
    "equal_blocks",
    "item_keys",
    "predict_pairs",
    "repeated_entry",
    "run_blocks",
    "score_items",
    "solve_rows_cg",
    "solve_rows_exact",
    "squared_error",
    "take_rows",
    "top_n",
    "transpose",
    "usable_threads",
]
