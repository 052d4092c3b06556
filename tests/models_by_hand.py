"""Models whose factors, ratings and items a test sets by hand."""

import numpy as np
import polars as pl
import pytest

from matinee.data import Catalog, IdMap, RatingScale
from matinee.kernels.csr import compress
from matinee.models import Recommender
from matinee.models.queries import TrainingIndex
from matinee.models.rating_head import FactorRatingHead

BUNDLES = {"Horror": 30, "Comedy": 24, "War": 18, "Western": 12, "Musical": 8}


def _by_hand(
    item_factors, *, seen=None, counts=None, user_factors=None, genres=None, years=None, titles=None
):
    """A model with a rating head: item i has id i + 1, user u has id u + 1.

    `seen` lists the items of each user, ascending; else the first ``counts[i]`` users rated item i
    (12 by default).
    """
    item_factors = np.asarray(item_factors, np.float32)
    items, width = item_factors.shape
    if seen is None:
        counts = [12] * items if counts is None else counts
        seen = [[i for i in range(items) if u < counts[i]] for u in range(max(counts))]
    entries = [(u, i, 0.5 + (7 * u + 3 * i) % 10 / 2) for u, row in enumerate(seen) for i in row]
    users, rated, values = zip(*entries, strict=True)
    described = pl.DataFrame(
        {
            "item_id": range(1, items + 1),
            "title": titles or [f"Movie {i}" for i in range(items)],
            "genres": genres or [[] for _ in range(items)],
            "year": years or [None] * items,
        },
        schema_overrides={"genres": pl.List(pl.String), "year": pl.Int32},
    )
    if user_factors is None:
        user_factors = np.zeros((len(seen), width))
    bias = [np.zeros((n, 1), np.float32) for n in (len(seen), items)]
    head = FactorRatingHead(
        mean=3.0,
        user_params=np.hstack([bias[0], user_factors]).astype(np.float32),
        item_params=np.hstack([bias[1], item_factors]),
        user_prior=np.zeros(1 + width, np.float32),
        item_prior=np.zeros(1 + width, np.float32),
        user_coefficients=np.empty((0, 1 + width), np.float32),
        regularization=1.0,
        exponent=0.0,
        bias_regularization=1.0,
        bias_exponent=0.0,
        estimator={"name": "by hand"},
        history=pl.DataFrame(),
    )
    index = TrainingIndex(
        IdMap(pl.Series(range(1, len(seen) + 1))),
        Catalog.build(IdMap(described["item_id"]), described),
        RatingScale(0.5, 5, 0.5),
        compress(np.int32(users), np.int32(rated), np.float32(values), len(seen)),
    )
    return Recommender(index, rating_head=head)


@pytest.fixture(scope="session")
def by_hand():
    """Makes a model from item factors; see `_by_hand`."""
    return _by_hand


@pytest.fixture(scope="session")
def bundles():
    """(model, bundle of each item): five narrow bundles of item factors, each of a genre.

    Norms and numbers of ratings differ, the order is random, and five more items with few ratings
    lie anywhere.
    """
    rng = np.random.default_rng(3)
    centres = np.linalg.qr(rng.normal(size=(8, 8)))[0][: len(BUNDLES)]
    bundle = rng.permutation(np.repeat(np.arange(len(BUNDLES)), list(BUNDLES.values())))
    item_factors = centres[bundle] + 0.05 * rng.normal(size=(len(bundle), 8))
    item_factors *= rng.uniform(0.5, 3, (len(bundle), 1))
    item_factors = np.concatenate([item_factors, rng.normal(size=(5, 8))])
    counts = [*rng.integers(10, 30, len(bundle)).tolist(), 9, 9, 1, 3, 0]
    genres = [[list(BUNDLES)[b]] for b in bundle] + [["Drama"]] * 5
    return _by_hand(item_factors, counts=counts, genres=genres), bundle
