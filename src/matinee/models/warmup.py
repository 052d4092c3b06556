"""Paying the compiler before the clock starts."""

from matinee.data.generated import generate
from matinee.models.als import ALS
from matinee.models.baselines import EASE
from matinee.models.implicit_als import ImplicitALS
from matinee.progress import compilation_announced


def compile_kernels() -> None:
    """Have every kernel compiled, or loaded from the disk, saying so if it takes time."""
    with compilation_announced():
        tiny, _ = generate(viewers=8, movies=8, ratings=32)
        for solver in ("cholesky", "cg"):
            model = ALS(factors=2, iterations=1, solver=solver).fit(tiny, test=tiny, threads=1)
        for solver in ("blocks", "cg"):
            ranking = ImplicitALS(factors=2, iterations=1, solver=solver).fit(tiny, threads=1)
            model.with_ranking(ranking).recommend(1, n=1)
        weights = EASE().fit(tiny)
        for by_weights in (weights.recommend, model.recommend):
            by_weights([weights.viewer(1)], n=1)
