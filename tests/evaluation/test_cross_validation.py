"""Cross-validation against the same steps by hand."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data import splits
from matinee.errors import SettingError
from matinee.evaluation import evaluate, held_out, judge
from matinee.experiments import cross_validate
from matinee.models import ALS, EASE, BiasOnly, Popularity

LISTS = ["ndcg@10", "hit_rate@10", "recall_capped@20", "ndcg@100", "coverage@10",
         "popularity_share@10"]  # fmt: skip
TIMES = ["fit_seconds", "test_seconds"]


def test_figures_are_those_of_every_fold_by_hand(generated):
    data = generated[0]
    rating, ranking = ALS(factors=3, iterations=2), EASE()
    found = cross_validate(data, rating, ranking, folds=3, seed=4)
    assert found.folds == ("1", "2", "3")
    assert list(found.figures) == ["rmse", "mae", *LISTS, *TIMES]
    for fold, (train, test) in enumerate(data.folds(3, seed=4)):
        model = rating.fit(train).with_ranking(ranking.fit(train))
        stars, lists = evaluate(model, train, test), judge(model, held_out(train, test))
        assert found.figures["rmse"][fold] == stars.rmse
        assert found.figures["mae"][fold] == stars.mae
        for name in LISTS:
            assert found.figures[name][fold] == lists[name]
    for name, values in found.figures.items():
        assert found.mean(name) == pytest.approx(np.mean(values))
        assert found.std(name) == pytest.approx(np.std(values, ddof=1))
    for name in TIMES:
        assert min(found.figures[name]) > 0


def test_only_what_was_asked_for_is_judged(generated):
    data = generated[0]
    stars = cross_validate(data, BiasOnly(), folds=2)
    assert list(stars.figures) == ["rmse", "mae", *TIMES]
    lists = cross_validate(data, None, Popularity(liked=4), folds=2)
    assert list(lists.figures) == [*LISTS, *TIMES]
    assert stars.trainers == {"rating": {"name": "BiasOnly", "regularization": 4, "iterations": 10}}
    assert lists.trainers == {"ranking": {"name": "Popularity", "liked": 4}}


def test_the_seed_makes_the_folds_and_threads_change_nothing(generated):
    data = generated[0]

    def errors(**how):
        return cross_validate(data, ALS(factors=2, iterations=2), folds=2, **how).figures["rmse"]

    assert errors(seed=1) == errors(seed=1, threads=1) != errors(seed=2)


def test_the_test_part_is_not_looked_at_before_the_end_and_patience_has_its_own(generated):
    given = []

    class Spy:
        def __init__(self, patience):
            self.patience = patience

        def fit(self, train, *, validation=None, test=None, threads=None):
            given.append((train, validation, test, threads))
            return BiasOnly().fit(train)

    from matinee.experiments import cross_validation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_validation, "note_of", lambda recipe: {})
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
    found = cross_validate(edition, BiasOnly(), folds="official")
    assert found.folds == ("u1", "u2", "u3")
    by_hand = [
        evaluate(BiasOnly().fit(train), train, test).rmse
        for train, test in (edition.split(name) for name in found.folds)
    ]
    assert list(found.figures["rmse"]) == by_hand
    gap = replace(data, official={"u1": masks[0], "ua": some})
    for without in (data, gap):
        with pytest.raises(SettingError, match=f"{data.name} comes with no folds of its own"):
            cross_validate(without, BiasOnly(), folds="official")


def test_viewers_that_cannot_be_judged_leave_a_gap():
    """Everybody has one rating: whoever is tested is unknown."""
    table = pl.DataFrame({"user": range(8), "item": [1, 2] * 4, "stars": [1.0, 2.0] * 4})
    found = cross_validate(matinee.read(table), None, Popularity(), folds=2)
    assert np.isnan(found.figures["ndcg@10"]).all()
    shown = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert shown["figures"]["ndcg@10"] == {"folds": [None, None], "mean": None, "std": None}


@pytest.mark.parametrize("folds", [1, 0, -1, 12_001])
def test_folds_that_cannot_be_are_refused_before_anything_is_trained(generated, folds):
    with pytest.raises(SettingError, match="cannot be cut into"):
        cross_validate(generated[0], BiasOnly(), folds=folds)
    with pytest.raises(SettingError, match="cannot be cut into"):
        generated[0].folds(folds)


def test_neither_recipe_is_refused(generated):
    with pytest.raises(SettingError, match="nothing to train"):
        cross_validate(generated[0], None)
