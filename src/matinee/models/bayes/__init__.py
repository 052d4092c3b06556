"""Bayesian matrix factorization: what is known of a rating's parts, rather than one guess at each.

`BayesianMF` is the recipe, `Chain` what it cooks with, `BayesHead` what comes of it.
"""

from typing import TYPE_CHECKING

from matinee.lazy import lazy

if TYPE_CHECKING:
    from matinee.models.bayes.chain import Chain
    from matinee.models.bayes.head import BayesHead
    from matinee.models.bayes.recipe import BayesianMF

_HOMES = {
    "BayesHead": "matinee.models.bayes.head",
    "BayesianMF": "matinee.models.bayes.recipe",
    "Chain": "matinee.models.bayes.chain",
}

__all__ = ["BayesHead", "BayesianMF", "Chain"]

__getattr__, __dir__ = lazy(__name__, _HOMES)
