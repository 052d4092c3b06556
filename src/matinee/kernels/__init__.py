"""Arrays in, arrays out: the compiled loops everything else stands on.

Nothing here knows a movie, a file or a class of the floors above. Kernels
release the interpreter lock and work on a range of rows, so that a pool of
threads can share them (`run_blocks`); no kernel's result depends on how many.
"""

from matinee.kernels.best import best_of_panels, best_of_rows, top_n
from matinee.kernels.blocks import (
    aligned_zeros,
    equal_blocks,
    even_blocks,
    run_blocks,
    usable_threads,
)
from matinee.kernels.codes import mark, rank, slices, tally
from matinee.kernels.drift import bridge, draw_paths, path_likelihood
from matinee.kernels.gathered import halve_rows, on_whole_lanes, room_for_halves
from matinee.kernels.gibbs import draw_rows, score_entries
from matinee.kernels.implicit import gram, improve_rows, solve_rows_blockwise
from matinee.kernels.jit import processor
from matinee.kernels.lanes import LANES
from matinee.kernels.memory import add_up_words, release, within
from matinee.kernels.normal import padded
from matinee.kernels.ordinal import (
    add_probabilities,
    draw_latent,
    level_likelihoods,
    normal_distribution,
)
from matinee.kernels.ordinal import quantile as normal_quantile
from matinee.kernels.panels import Panels, groups_of_viewers, pack, score_rows
from matinee.kernels.rows import (
    Empty,
    Rows,
    both_ways,
    compress,
    count_together,
    keep_entries,
    repeated_entry,
    row_of_entries,
    sum_over_entries,
    take_rows,
    transpose,
)
from matinee.kernels.sampling import draw_items, item_keys
from matinee.kernels.score import add_up_rows, predict_pairs, squared_error
from matinee.kernels.solve import solve_rows_cg, solve_rows_exact
from matinee.kernels.tall import inner, times
from matinee.kernels.text import count_lines, parse_ratings

__all__ = [
    "LANES",
    "Empty",
    "Panels",
    "Rows",
    "add_probabilities",
    "add_up_rows",
    "add_up_words",
    "aligned_zeros",
    "best_of_panels",
    "best_of_rows",
    "both_ways",
    "bridge",
    "compress",
    "count_lines",
    "count_together",
    "draw_items",
    "draw_latent",
    "draw_paths",
    "draw_rows",
    "equal_blocks",
    "even_blocks",
    "gram",
    "groups_of_viewers",
    "halve_rows",
    "improve_rows",
    "inner",
    "item_keys",
    "keep_entries",
    "level_likelihoods",
    "mark",
    "normal_distribution",
    "normal_quantile",
    "on_whole_lanes",
    "pack",
    "padded",
    "parse_ratings",
    "path_likelihood",
    "predict_pairs",
    "processor",
    "rank",
    "release",
    "repeated_entry",
    "room_for_halves",
    "row_of_entries",
    "run_blocks",
    "score_entries",
    "score_rows",
    "slices",
    "solve_rows_blockwise",
    "solve_rows_cg",
    "solve_rows_exact",
    "squared_error",
    "sum_over_entries",
    "take_rows",
    "tally",
    "times",
    "top_n",
    "transpose",
    "usable_threads",
    "within",
]
