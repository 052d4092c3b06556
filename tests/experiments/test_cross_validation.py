"""Cross-validation against the same steps by hand."""

import json
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data import splits
from matinee.errors import SettingError
from matinee.evaluation import evaluate_ranking, evaluate_ratings, holdout
from matinee.experiments import cross_validate
from matinee.models import ALS, EASE, Bias, Popularity
from matinee.models.base import Estimator
from unrated import all_ones, as_interactions

LISTS = ["ndcg@10", "liked_ndcg@10", "hit_rate@10",
         "disliked_share@10", "coverage@10", "popularity_share@10"]  # fmt: skip
TIMES = ["fit_seconds", "test_seconds"]


@pytest.mark.slow
def test_metrics_are_those_of_every_fold_by_hand(generated):
    data = generated[0]
    rating, ranking = ALS(factors=3, iterations=2), EASE()
    result = cross_validate(data, rating, ranking, folds=3, seed=4)
    assert result.folds == ("1", "2", "3")
    assert list(result.metrics) == ["rmse", "mae", *LISTS, *TIMES]
    for fold, (train, test) in enumerate(data.folds(3, seed=4)):
        model = rating.fit(train).with_ranking(ranking.fit(train))
        values, lists = (
            evaluate_ratings(model, train, test),
            evaluate_ranking(model, holdout(train, test)),
        )
        assert result.metrics["rmse"][fold] == values.rmse
        assert result.metrics["mae"][fold] == values.mae
        for name in LISTS:
            assert result.metrics[name][fold] == lists[name]
    for name, by_hand in result.metrics.items():
        assert result.mean(name) == pytest.approx(np.mean(by_hand))
        assert result.std(name) == pytest.approx(np.std(by_hand, ddof=1))
    for name in TIMES:
        assert min(result.metrics[name]) > 0


def test_only_what_was_asked_for_is_evaluated(generated):
    data = generated[0]
    values = cross_validate(data, Bias(), folds=2)
    assert list(values.metrics) == ["rmse", "mae", *TIMES]
    lists = cross_validate(data, None, Popularity(min_rating=4), folds=2)
    assert list(lists.metrics) == [*LISTS, *TIMES]
    assert values.estimators == {"rating": {"name": "Bias", "regularization": 4, "iterations": 10}}
    assert lists.estimators == {"ranking": {"name": "Popularity", "min_rating": 4, "days": None}}


def test_the_seed_makes_the_folds_and_threads_change_nothing(generated):
    data = generated[0]

    def errors(**how):
        return cross_validate(data, ALS(factors=2, iterations=2), folds=2, **how).metrics["rmse"]

    assert errors(seed=1) == errors(seed=1, threads=1) != errors(seed=2)


def test_the_test_part_is_not_looked_at_before_the_end_and_patience_has_its_own(generated):
    given = []

    @dataclass(frozen=True)
    class Spy(Estimator):
        patience: int

        def fit(self, train, *, validation, test, threads, on_interrupt, **_):
            given.append((train, validation, test, threads))
            assert on_interrupt == "raise"
            return Bias().fit(train)

    for patience in (0, 1):
        cross_validate(generated[0], Spy(patience), folds=2, threads=1)
    sizes = [
        (len(train), None if watched is None else len(watched)) for train, watched, _, _ in given
    ]
    assert sizes == [(6000, None), (6000, None), (5400, 600), (5400, 600)]
    assert [(test, threads) for *_, test, threads in given] == [(None, 1)] * 4


def test_official_folds_are_those_that_cover_every_rating_once(generated):
    data = generated[0]
    masks = list(splits.folds(len(data), 3, seed=9))
    some = masks[0].copy()
    some[np.flatnonzero(some)[5:]] = False
    official = {"u1": masks[0], "u2": masks[1], "u3": masks[2], "ua": some}
    edition = replace(data, official=official)
    result = cross_validate(edition, Bias(), folds="official")
    assert result.folds == ("u1", "u2", "u3")
    by_hand = [
        evaluate_ratings(Bias().fit(train), train, test).rmse
        for train, test in (edition.split(name) for name in result.folds)
    ]
    assert list(result.metrics["rmse"]) == by_hand
    gap = replace(data, official={"u1": masks[0], "ua": some})
    for without in (data, gap):
        with pytest.raises(SettingError, match=f"{data.name} has no official folds"):
            cross_validate(without, Bias(), folds="official")


def test_users_that_cannot_be_evaluated_leave_a_gap():
    """Everybody has one rating: whoever is tested is unknown."""
    table = pl.DataFrame({"user": range(8), "item": [1, 2] * 4, "rating": [1.0, 2.0] * 4})
    result = cross_validate(matinee.read(table), None, Popularity(), folds=2)
    assert np.isnan(result.metrics["ndcg@10"]).all()
    shown = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert shown["metrics"]["ndcg@10"] == {"folds": [None, None], "mean": None, "std": None}


@pytest.mark.parametrize("folds", [1, 0, -1, 12_001])
def test_folds_that_cannot_be_are_refused_before_anything_is_trained(generated, folds):
    with pytest.raises(SettingError, match="number of folds must be between 2 and"):
        cross_validate(generated[0], Bias(), folds=folds)
    with pytest.raises(SettingError, match="number of folds must be between 2 and"):
        generated[0].folds(folds)


def test_neither_estimator_is_refused(generated):
    with pytest.raises(SettingError, match="Nothing to train"):
        cross_validate(generated[0], None)


@pytest.mark.parametrize("change", [as_interactions, all_ones])
def test_without_ratings_that_differ_folds_have_no_metric_of_likes(generated, change):
    result = cross_validate(change(generated[0]), None, Popularity(), folds=2)
    liked = {"liked_ndcg@10", "disliked_share@10"}
    assert list(result.metrics) == [name for name in [*LISTS, *TIMES] if name not in liked]
    assert 0 < result.mean("ndcg@10") < 1
