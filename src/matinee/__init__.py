"""matinee: what to watch, predicted ratings, similar items, and why.

>>> import matinee
>>> from matinee.data import generate
>>> dataset, _ = generate(users=100, items=80, ratings=3000)
>>> train, test = dataset.split("random", test_fraction=0.1, seed=0)
>>> model = matinee.ALS(factors=8).fit(train)
>>> model = model.with_ranking(matinee.ImplicitALS(factors=8).fit(train))
>>> model.recommend(1, n=3).columns
['item_id', 'title', 'genres', 'predicted_rating', 'score']
"""

import logging

import lazy_loader

__version__ = "0.2.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # nothing is printed unless asked for

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
