"""Paying the compiler before the clock starts."""

import polars as pl

from matinee.data.generated import generate
from matinee.models.als import ALS, Training
from matinee.progress import compilation_announced


def compile_kernels() -> None:
    """Have every kernel compiled, or loaded from the disk, saying so if it takes time."""
    with compilation_announced():
        tiny, _ = generate(viewers=8, movies=8, ratings=32)
        for solver in ("cholesky", "cg"):
            training = Training(ALS(factors=2, solver=solver), tiny, threads=1)
            training.iterate()
            training.finish()
        training.errors()
        training.rmse(tiny.ratings)
        training.model(pl.DataFrame()).recommend(1, n=1)
