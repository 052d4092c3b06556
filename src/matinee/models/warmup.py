"""Paying the compiler before the clock starts."""

from matinee.data.generated import generate
from matinee.models.als import ALS
from matinee.progress import compilation_announced


def compile_kernels() -> None:
    """Have every kernel compiled, or loaded from the disk, saying so if it takes time."""
    with compilation_announced():
        tiny, _ = generate(viewers=8, movies=8, ratings=32)
        ALS(factors=2, iterations=1, solver="cg").fit(tiny, threads=1)
        model = ALS(factors=2, iterations=1).fit(tiny, test=tiny, threads=1)
        model.recommend(1, n=1)
