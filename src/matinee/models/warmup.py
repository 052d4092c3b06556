"""Paying the compiler before the clock starts."""

from collections.abc import Iterable

from matinee.data.generated import generate
from matinee.models.als import ALS
from matinee.models.baselines import EASE
from matinee.models.bayes import BayesianMF
from matinee.models.implicit_als import ImplicitALS
from matinee.models.trainer import Trainer
from matinee.progress import compilation_announced


def compile_kernels(recipes: Iterable[Trainer] = ()) -> None:
    """Have every kernel compiled, or loaded from the disk, saying so if it takes time.

    Those of `BayesianMF` alone wait until it is among the recipes.
    """
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
        if any(isinstance(getattr(one, "recipe", one), BayesianMF) for one in recipes):
            for likelihood in ("normal", "ordinal"):
                draws = BayesianMF(factors=2, iterations=8, likelihood=likelihood)
                drawn = draws.fit(tiny, test=tiny, threads=1)
                drawn.predict(1, 1, 0)
                drawn.predict(drawn.viewer(1), 1)
