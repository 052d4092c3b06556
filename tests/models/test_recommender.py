"""What a trained model answers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import matinee
from matinee.errors import SettingError, UnknownIdError
from matinee.models import ALS, UserProfile


def row_of(model, user):
    """Bias and factors of one user."""
    return model.rating_head.rows(model.user_batch(user))[0]


def test_predictions_are_scores_on_the_scale(model):
    users, items = [1, 5, 5], [3, 9, 200]
    expected = [model.scores(user)[item - 1] for user, item in zip(users, items, strict=True)]
    found = model.predict(users, items)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.clip(expected, 0.5, 5.0), rtol=1e-5)
    everything = model.predict(1, model.items)
    np.testing.assert_allclose(everything, np.clip(model.scores(1), 0.5, 5.0), rtol=1e-5)
    assert everything.min() >= 0.5
    assert everything.max() <= 5.0


def test_unknown_ids_are_errors_unless_the_average_is_asked_for(model):
    with pytest.raises(UnknownIdError, match="99999"):
        model.predict([1, 99999], [1, 1])
    with pytest.raises(UnknownIdError, match="movie 77777"):
        model.predict([1], [77777])
    assert model.predict("5", model.catalog.titles[8]) == model.predict(5, 9)
    for default_user in ("Nobody", None, 1.5, ""):
        with pytest.raises(UnknownIdError):
            model.predict([1, default_user], 1)
        with pytest.raises(UnknownIdError):
            model.predict(1, [default_user])
    found = model.predict([99999, 1, 99999], [1, 77777, 77777], unknown="average")
    head = model.rating_head
    average = head.mean + head.user_prior[0] + head.item_params[0, 0]
    average += head.user_prior[1:] @ head.item_params[0, 1:]
    assert found[0] == pytest.approx(average, abs=1e-5)
    assert np.isfinite(found).all()
    with pytest.raises(SettingError, match="zero"):
        model.predict(1, 1, unknown="zero")
    with pytest.raises(SettingError, match="pair"):
        model.predict([1, 2, 3], [1, 2])


def test_a_user_without_training_ratings_counts_as_unknown(parts):
    train = parts[0]
    rows = train.ratings.user != 4
    model = ALS(factors=2, iterations=2).fit(
        matinee.data.Dataset(train.ratings.take(rows), train.catalog)
    )
    with pytest.raises(UnknownIdError, match="no ratings"):
        model.recommend(5)
    with pytest.raises(UnknownIdError, match="no ratings"):
        model.predict(5, 1)
    assert np.isfinite(model.predict(5, 1, unknown="average")).all()
    assert 5 not in model.recommend(n=1)["user_id"].to_list()


def test_a_list_is_the_sorted_scores_without_the_seen_movies(model):
    for user in (1, 17, 300):
        scores = model.scores(user)
        seen = set(model.user_profile(user).items.tolist())
        order = [code for code in np.argsort(-scores, kind="stable") if code not in seen][:15]
        found = model.recommend(user, n=15)
        assert found["item_id"].to_list() == model.items[order].to_list()
        assert found.columns == ["item_id", "title", "genres", "predicted_rating", "score"]
        np.testing.assert_allclose(found["score"], scores[order], rtol=1e-5)
        np.testing.assert_allclose(
            found["predicted_rating"], np.clip(scores[order], 0.5, 5), rtol=1e-5
        )
        assert found["title"].to_list() == [model.catalog.titles[code] for code in order]


def test_lists_for_several_and_for_all_are_the_single_ones(model):
    several = model.recommend([3, 1], n=4)
    assert several["user_id"].to_list() == [3] * 4 + [1] * 4
    everybody = model.recommend(n=4, threads=3)
    assert everybody["user_id"].n_unique() == 300
    for user in (1, 3, 200):
        alone = model.recommend(user, n=4)
        for frame in (several, everybody):
            part = frame.filter(pl.col("user_id") == user).drop("user_id")
            assert part.is_empty() or part.equals(alone)


def test_ids_may_come_in_any_container(model):
    expected = model.predict([1, 2], [3, 4])
    for many in (tuple, np.array, pl.Series, pd.Series, iter):
        assert np.array_equal(model.predict(many([1, 2]), many([3, 4])), expected)
        assert model.recommend(many([1, 2]), n=2).height == 4
    assert model.predict(np.int64(1), np.array(3)) == expected[0]
    assert model.recommend(np.int64(1), n=2).equals(model.recommend(1, n=2))
    assert len(model.predict([], [])) == 0
    assert model.recommend([], n=2).is_empty()
    ann, bob = model.fold_in({1: 5, 2: 3}), model.fold_in({3: 1})
    both = model.recommend([ann, 7, bob], n=3)
    assert both["user_id"].to_list() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for place, one in enumerate((ann, 7, bob)):
        alone = both.filter(pl.col("user_id") == place).drop("user_id")
        assert alone.equals(model.recommend(one, n=3))
    many = np.random.default_rng(0).integers(1, 301, 500)
    lists = model.recommend(many, n=1)
    assert lists["user_id"].to_list() == many.tolist()
    assert lists["item_id"][7] == model.recommend(int(many[7]), n=1)["item_id"][0]


def test_a_user_of_movies_that_the_model_does_not_have_is_refused(model):
    asks = (model.scores, model.recommend, lambda one: model.explain(one, 1))
    for code in (-1, 200, 10**6):
        stranger = UserProfile(np.int32([code]), np.float32([5]))
        for ask in asks:
            with pytest.raises(SettingError, match="another model"):
                ask(stranger)


def test_a_user_folded_into_one_model_is_a_user_of_another_on_the_same_movies(model, parts):
    other = ALS(factors=9, iterations=1).fit(parts[0])
    ratings = {1: 5, 7: 2}
    found = model.recommend(other.fold_in(ratings))
    assert found.equals(model.recommend(model.fold_in(ratings)))


def test_filters(model):
    catalog = model.catalog
    genre = catalog.genre_names[0]
    found = model.recommend(1, n=300, where={"genres": genre.lower()}, exclude_seen=False)
    assert all(genre in genres.split("|") for genres in found["genres"])
    assert found.height == int(catalog.genre_matrix[:, 0].sum())
    found = model.recommend(1, n=300, where={"year": (1990, 1999)}, exclude_seen=False)
    years = catalog.frame["year"]
    assert set(found["item_id"]) == set(model.items.filter((years >= 1990) & (years <= 1999)))
    some = [catalog.titles[4], 9]
    assert set(model.recommend(1, include=some, exclude_seen=False)["item_id"]) == {5, 9}
    everything = model.recommend(1, n=300, exclude_seen=False)
    assert everything.height == len(catalog)
    left = model.recommend(1, n=300, exclude=some, exclude_seen=False)
    assert set(everything["item_id"]) - set(left["item_id"]) == {5, 9}
    known = model.recommend(1, n=300, min_ratings=30, exclude_seen=False)
    assert set(known["item_id"]) == set(model.items.filter(pl.Series(model.item_counts >= 30)))
    assert model.recommend(1, include=5, exclude=5).is_empty()
    with pytest.raises(SettingError, match="Polka"):
        model.recommend(1, where={"genres": "Polka"})
    with pytest.raises(SettingError, match="n must be"):
        model.recommend(1, n=0)


def test_similar_movies_by_angle_and_by_product(model):
    item_factors = model.rating_head.item_factors.astype(np.float64)
    lengths = np.linalg.norm(item_factors, axis=1)
    product = item_factors @ item_factors[7]
    for measure, likeness in (("dot", product), ("cosine", product / lengths / lengths[7])):
        found = model.similar_items(model.catalog.titles[7], n=12, measure=measure)
        well_known = model.item_counts >= 10
        well_known[7] = False
        order = np.argsort(-np.where(well_known, likeness, -np.inf), kind="stable")[:12]
        assert found["item_id"].to_list() == model.items[order].to_list()
        np.testing.assert_allclose(found["similarity"], likeness[order], rtol=1e-3)
        assert found["n_ratings"].to_list() == model.item_counts[order].tolist()
    with pytest.raises(SettingError, match="euclid"):
        model.similar_items(1, measure="euclid")


@pytest.mark.parametrize("least", [0, 1, 40, 10_000])
def test_similar_takes_well_known_movies_first(model, least):
    found = model.similar_items(1, n=500, min_ratings=least)
    everything = model.similar_items(1, n=500)
    assert set(found["item_id"]) == set(everything["item_id"])
    known = (found["n_ratings"] >= least).to_list()
    assert known == sorted(known, reverse=True)
    for part in (
        found.filter(pl.col("n_ratings") >= least),
        found.filter(pl.col("n_ratings") < least),
    ):
        likeness = part["similarity"].to_list()
        assert likeness == sorted(likeness, reverse=True)


def test_similar_lists_little_known_movies_last_and_unrated_ones_never(model):
    everything = model.similar_items(1, n=500)
    counts = everything["n_ratings"].to_numpy()
    assert len(counts) == (model.item_counts > 0).sum() - 1
    enough = counts >= 10
    assert not enough[np.argmin(enough) :].any()
    assert counts.min() > 0


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_folding_in_a_training_user_gives_the_trained_factors(parts, solver):
    model = ALS(factors=6, iterations=4, solver=solver).fit(parts[0])
    for user in (1, 50, 299):
        trained = model.user_profile(user)
        ratings = dict(zip(model.items[trained.items], trained.values.tolist(), strict=True))
        folded = model.fold_in(ratings)
        np.testing.assert_allclose(
            row_of(model, folded), model.rating_head.user_params[user - 1], atol=1e-5
        )
        assert model.recommend(folded).equals(model.recommend(user)) or np.allclose(
            model.recommend(folded)["score"], model.recommend(user)["score"], atol=1e-4
        )


def test_folding_in_takes_titles_and_refuses_nonsense(model):
    title = model.catalog.titles[3]
    by_title, by_id = model.fold_in({title: 4.5, 9: 2}), model.fold_in([(9, 2), (4, 4.5)])
    assert np.array_equal(by_title.items, by_id.items)
    assert by_title.values.tolist() == by_id.values.tolist() == [4.5, 2.0]
    assert 4 not in model.recommend(by_title, n=500)["item_id"]
    default_user = model.fold_in({})
    np.testing.assert_array_equal(row_of(model, default_user), model.rating_head.user_prior)
    for values in (7, 0, float("nan"), 3.3):
        with pytest.raises(SettingError, match="scale"):
            model.fold_in({title: values})
    with pytest.raises(SettingError, match="twice"):
        model.fold_in([(4, 5), (title, 4)])
    with pytest.raises(UnknownIdError, match="No Such Film"):
        model.fold_in({"No Such Film (1901)": 5})


def test_a_new_user_is_recommended_what_they_like(generated, model):
    """A user made from the truth: twenty ratings bring predictions closer to it."""
    data, truth = generated
    interactions = np.argsort(-data.ratings.item_counts)[:40].astype(np.int32)
    closer = 0
    for user in range(20):
        right = truth.values(np.full(40, user, np.int32), interactions)
        given = np.clip(np.round(2 * right[:20]) / 2, 0.5, 5)
        profile = model.fold_in(zip(model.items[interactions[:20]], given.tolist(), strict=True))
        default_user = model.fold_in({})
        unseen = interactions[20:]
        error, before = (
            np.abs(model.scores(one)[unseen] - right[20:]).mean() for one in (profile, default_user)
        )
        closer += error < before
    assert closer >= 15


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_contributions_add_up_to_the_score(parts, solver):
    model = ALS(factors=6, iterations=4, solver=solver).fit(parts[0])
    new = model.fold_in({1: 5, 2: 1})
    for user, item in ((1, 3), (77, 150), (new, 5), (model.fold_in({}), 5)):
        found = model.explain(user, item)
        score = model.scores(user)[model.item_index(item)]
        assert found["contribution"].sum() == pytest.approx(float(score), abs=1e-4)
        assert found["component"].to_list()[:3] == ["global_mean", "item_bias", "prior"]
        assert found.filter(pl.col("component") == "rating").height == len(
            model.user_profile(user).items
        )


def test_an_explanation_changes_with_the_rating_it_names(model):
    """A contribution is linear in the rating: a higher one adds sensitivity times the rise."""
    base = {1: 3.0, 2: 4.0, 8: 2.0}
    scores, parts = [], []
    for values in (2.0, 3.0, 4.0):
        user = model.fold_in({**base, 1: values})
        scores.append(float(model.scores(user)[4]))
        parts.append(model.explain(user, 5).filter(pl.col("item_id") == 1)["contribution"][0])
    assert parts[2] - parts[1] == pytest.approx(parts[1] - parts[0], abs=1e-6)
    assert model.predict(user, [5])[0] == pytest.approx(scores[2], abs=1e-5)
    assert parts[1] - parts[0] == pytest.approx(scores[1] - scores[0], abs=1e-4)


def test_text_ids_work_everywhere():
    table = pl.DataFrame(
        {
            "user": ["ann", "ann", "bob", "bob", "cyd"],
            "item": ["x", "y", "x", "z", "y"],
            "rating": [5.0, 3.0, 4.0, 1.0, 2.0],
        }
    )
    model = ALS(factors=2).fit(matinee.read(table))
    assert model.recommend("ann")["item_id"].to_list() == ["z"]
    values = model.predict(["ann", "dora"], ["z", "w"], unknown="average")
    assert np.isfinite(values).all()
    assert model.predict("ann", "z") == values[0]
    new = row_of(model, model.fold_in({"x": 5, "y": 3}))
    assert new == pytest.approx(row_of(model, "ann"), abs=1e-5)
    assert set(model.similar_items("x")["item_id"]) == {"y", "z"}
    with pytest.raises(UnknownIdError, match="anna"):
        model.recommend("anna")


def test_a_new_user_without_ratings_says_how_often(unrated):
    model = matinee.EASE().fit(unrated)
    assert model.index.unit == "interaction"
    assert len(model.recommend(model.fold_in([(1, 30), (2, 0.5)]), 3)) == 3
    with pytest.raises(SettingError, match=r": -1 is not > 0: how often, or a weight\.$"):
        model.fold_in([(1, -1)])
