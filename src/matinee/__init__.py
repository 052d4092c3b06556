"""matinee: what to watch, how many stars, what is similar, and why.

>>> import matinee
>>> from matinee.data.generated import generate
>>> dataset, _ = generate(viewers=100, movies=80, ratings=3000)
>>> train, test = dataset.split("random", test_fraction=0.1, seed=0)
>>> model = matinee.ALS(factors=8).fit(train)
>>> model = model.with_ranking(matinee.ImplicitALS(factors=8).fit(train))
>>> model.recommend(1, n=3).columns
['item', 'title', 'genres', 'stars', 'score']
"""

from typing import TYPE_CHECKING

from matinee.lazy import lazy

if TYPE_CHECKING:
    from matinee.data import Dataset, read
    from matinee.errors import MatineeError
    from matinee.evaluation import evaluate
    from matinee.models import (
        ALS,
        EASE,
        BayesianMF,
        BiasOnly,
        FactorModel,
        ImplicitALS,
        Popularity,
        Viewer,
        load,
    )

__version__ = "0.1.0"

# where each public name lives: importing matinee alone imports none of it
_HOMES = {
    "ALS": "matinee.models",
    "BayesianMF": "matinee.models",
    "BiasOnly": "matinee.models",
    "Dataset": "matinee.data",
    "EASE": "matinee.models",
    "FactorModel": "matinee.models",
    "ImplicitALS": "matinee.models",
    "MatineeError": "matinee.errors",
    "Popularity": "matinee.models",
    "Viewer": "matinee.models",
    "evaluate": "matinee.evaluation",
    "load": "matinee.models",
    "read": "matinee.data",
}

__all__ = [
    "ALS",
    "EASE",
    "BayesianMF",
    "BiasOnly",
    "Dataset",
    "FactorModel",
    "ImplicitALS",
    "MatineeError",
    "Popularity",
    "Viewer",
    "evaluate",
    "load",
    "read",
]


__getattr__, __dir__ = lazy(__name__, _HOMES)
