"""Attributes of users: the prior means they make, and users known by nothing else."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import RunError, SettingError, UnknownIdError
from matinee.models import ALS, EASE, BayesianMF, ImplicitALS
from matinee.models.profiles import UserProfile

ESTIMATORS = [
    ALS(factors=4, iterations=4),
    ALS(factors=4, iterations=4, features="gender,likes"),
    ImplicitALS(factors=4, iterations=3),
    ImplicitALS(factors=4, iterations=3, min_rating=3.5, features="age"),
]
WITHOUT_RATINGS, WITHOUT_ANYTHING = [0, 1, 2], [3, 4]  # users by index; 4 to 8 have no attributes


@pytest.fixture(scope="module")
def described(parts):
    """The training set, users with attributes; some have no ratings, some no attributes."""
    train, user = parts[0], pl.int_range(300)
    table = pl.select(
        age=20 + user % 23,
        gender=pl.when(user % 3 == 0).then(pl.lit("M")).otherwise(pl.lit("F")),
        likes=pl.lit(pl.Series([["a", "b", "c"]] * 300)).list.head(user % 4),
    )
    table = table.with_columns(pl.when(~user.is_between(3, 8)).then(pl.all()))
    rated = train.ratings.take(train.ratings.user > 4)
    return replace(train, ratings=rated, user_attributes=table)


@pytest.fixture(scope="module")
def fitted(described):
    """Models of these data by estimator, fitted once."""
    return {repr(estimator): estimator.fit(described) for estimator in ESTIMATORS}


@pytest.fixture(scope="module")
def joined(fitted):
    """A rating and a ranking head in one model."""
    als, ials = (fitted[repr(ESTIMATORS[number])] for number in (0, 2))
    return als.with_ranking(ials)


def head_of(model):
    return model.rating_head or model.ranking_head


def trained(described, estimator):
    """Which users have ratings that count."""
    ratings = described.ratings
    least = getattr(estimator, "min_rating", None) or 0
    return np.bincount(ratings.user[ratings.values >= least], minlength=300) > 0


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_user_known_by_attributes_alone_has_their_prior_mean(described, fitted, estimator):
    head = head_of(fitted[repr(estimator)])
    priors = described.users.dense() @ head.user_coefficients
    np.testing.assert_allclose(
        head.user_params[WITHOUT_RATINGS], priors[WITHOUT_RATINGS], atol=1e-5
    )
    assert np.ptp(head.user_params[WITHOUT_RATINGS], axis=0).max() > 1e-3
    average = head.user_prior if isinstance(estimator, ALS) else head.default_user
    counted = trained(described, estimator)
    np.testing.assert_allclose(priors[counted].mean(axis=0), average, atol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_only_the_attributes_that_are_named_count(described, fitted, estimator):
    head, users = head_of(fitted[repr(estimator)]), described.users
    names = users.names if estimator.features == "all" else estimator.features.split(",")
    for name, place in users.places.items():
        assert head.user_coefficients[place].any() == (name in names)


@pytest.mark.parametrize("estimator", ESTIMATORS[2:])
def test_coefficients_of_rankings_are_ridge_regression_of_trained_rows(
    described, fitted, estimator
):
    head, users = head_of(fitted[repr(estimator)]), described.users
    names = users.names if estimator.features == "all" else estimator.features.split(",")
    columns = users.select(names)[1]
    design, known = users.dense()[:, columns], trained(described, estimator)
    least = estimator.min_rating or 0
    kept = described.ratings.values >= least
    weights = np.sqrt(np.bincount(described.ratings.user[kept], minlength=300))[:, None]
    gram = design.T @ (weights * design) + np.sqrt(kept.sum()) * np.eye(len(columns))
    away = head.user_params.astype(np.float64) - head.default_user
    coefficients = np.linalg.solve(gram, design.T @ (weights * away))
    coefficients[0] += head.default_user - (design[known] @ coefficients).mean(axis=0)
    np.testing.assert_allclose(head.user_coefficients[columns], coefficients, atol=1e-4)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_folding_in_a_users_own_profile_gives_their_own_row(described, fitted, estimator):
    model = fitted[repr(estimator)]
    index = model.index
    for user in (1, 2, 3, 7, 50, 299):  # without ratings, without attributes, with both
        own = index.profile(user)
        given = {name: described.user_attributes[name][user - 1] for name in described.users.names}
        given = {n: v.to_list() if isinstance(v, pl.Series) else v for n, v in given.items()}
        ratings = dict(zip(model.items[own.items], own.values.tolist(), strict=True))
        for profile in (own, index.fold_in(ratings, attributes=given)):
            np.testing.assert_allclose(model.scores(profile), model.scores(user), atol=2e-4)
        assert model.recommend([own, user], n=3)["item_id"].to_list()[:3] == (
            model.recommend(user, n=3)["item_id"].to_list()
        )


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_who_says_nothing_of_themselves_is_the_average_user(fitted, estimator):
    model = fitted[repr(estimator)]
    head = head_of(model)
    average = head.user_prior if isinstance(estimator, ALS) else head.default_user
    bare = UserProfile(np.empty(0, np.int32), np.empty(0, np.float32))
    for profile in (model.index.fold_in({}), bare):
        rows = head.rows(model.index.batch([profile]))
        np.testing.assert_allclose(rows[0], average, atol=1e-5)
    # one attribute is as good as a row: the others are the average user's
    name = "age" if "age" in estimator.features else "gender"
    value = 25 if name == "age" else "F"
    told = head.rows(model.index.batch([model.index.fold_in({}, attributes={name: value})]))[0]
    assert np.abs(told - average).max() > 1e-4


def test_users_of_whom_nothing_is_known_are_unknown(fitted):
    for model in fitted.values():
        for user in WITHOUT_ANYTHING:
            with pytest.raises(UnknownIdError, match="has no ratings"):
                model.recommend(user + 1)
        assert set(model.recommend([1, 2, 3], n=2)["user_id"]) == {1, 2, 3}


def test_a_user_known_by_attributes_is_predicted_by_them(fitted, described):
    model = fitted[repr(ESTIMATORS[0])]
    predicted = model.predict(1, model.items)
    low, high = described.ratings.scale.low, described.ratings.scale.high
    np.testing.assert_allclose(predicted, np.clip(model.scores(1), low, high), atol=1e-5)
    unknown = model.predict("nobody", model.items, unknown="average")
    assert np.abs(predicted - unknown).max() > 0.01
    alike = model.index.fold_in({}, attributes={"age": 20, "gender": "M", "likes": []})
    np.testing.assert_allclose(model.predict(alike, model.items), predicted, atol=1e-4)


def test_the_parts_of_a_score_add_up(joined):
    index = joined.index
    asked = {"age": 33, "gender": "F", "likes": ["a"]}
    users = [
        1, 3 + 3, 40, index.profile(40), index.profile(1), index.fold_in({}),
        index.fold_in({1: 5, 9: 2}), index.fold_in({1: 5, 9: 2}, attributes=asked),
        index.fold_in({}, attributes=asked), index.fold_in({}, attributes={"age": None}),
    ]  # fmt: skip
    for user in users:
        for item in (3, 150):
            for head in ("rating", "ranking", None):
                found = joined.explain(user, item, head=head)
                score = float(joined.scores(user, head=head)[item - 1])
                assert found["contribution"].sum() == pytest.approx(score, abs=2e-4)
                assert "residual" not in found["component"].to_list()


def test_what_a_new_user_is_told_to_have_must_be_an_attribute(joined, model):
    with pytest.raises(SettingError, match=r"No attribute 'Age'; there are age, gender, likes\."):
        joined.index.fold_in({1: 5}, attributes={"Age": 3})
    with pytest.raises(SettingError, match="age must be a number, got 'old'"):
        joined.index.fold_in({1: 5}, attributes={"age": "old"})
    with pytest.raises(SettingError, match="trained without attributes of users"):
        model.index.fold_in({1: 5}, attributes={"age": 3})


def test_a_user_folded_into_a_model_with_more_features_is_refused(joined, model):
    profile = joined.index.fold_in({1: 5}, attributes={"age": 33})
    assert np.isfinite(model.scores(profile)).all()  # which knows of no attributes
    foreign = replace(profile, features=profile.features._replace(
        indices=profile.features.indices + 1_000
    ))  # fmt: skip
    with pytest.raises(SettingError, match="folded into another model"):
        joined.scores(foreign)


@pytest.mark.parametrize("name", ["item_id", "title", "year", "rating", "user", "^.*$"])
def test_an_attribute_of_users_may_have_the_name_of_another_column(described, name, tmp_path):
    column = pl.Series(name, [1960 + user % 50 for user in range(300)])
    data = replace(described, user_attributes=described.user_attributes.with_columns(column))
    model = ALS(factors=2, iterations=2).fit(data)
    loaded = matinee.load(model.save(tmp_path / "run"))
    for one in (model, loaded):
        profile = one.index.fold_in({1: 5}, attributes={name: 1999})
        assert np.array_equal(one.scores(profile), model.scores(profile))
    assert data.to_frame().height == len(data)


def test_heads_of_users_with_other_attributes_are_not_joined(described, fitted):
    als = fitted[repr(ESTIMATORS[0])]
    other = replace(described, user_attributes=described.user_attributes.select("age"))
    for data in (other, replace(described, user_attributes=None)):
        with pytest.raises(SettingError, match="other users, items or ratings"):
            als.with_ranking(ImplicitALS(factors=2, iterations=1).fit(data))


# --- on disk


def test_a_loaded_model_answers_the_same(joined, tmp_path):
    loaded = matinee.load(joined.save(tmp_path / "run"))
    assert loaded.index.attributes.frame.equals(joined.index.attributes.frame)
    asked = {"age": 33, "likes": ["a", "nothing"]}
    for user in (1, 40):
        assert np.array_equal(loaded.scores(user), joined.scores(user))
        assert loaded.explain(user, 5).equals(joined.explain(user, 5))
    one, other = (m.index.fold_in({1: 5}, attributes=asked) for m in (loaded, joined))
    assert np.array_equal(loaded.scores(one), joined.scores(other))
    assert np.array_equal(loaded.predict(one, [7]), joined.predict(other, [7]))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table * np.float32(np.nan),
        lambda table: table[:-1].copy(),
        lambda table: table[:, :-1].copy(),
        lambda table: table.astype(np.float64),
        lambda table: table[0].copy(),
        lambda table: np.zeros((0, 2), np.float32),
    ],
)
@pytest.mark.parametrize("name", ["rating_head", "ranking_head"])
def test_a_run_with_coefficients_that_do_not_fit_is_refused(joined, tmp_path, name, change):
    head = getattr(joined, name)
    head = replace(head, user_coefficients=change(head.user_coefficients))
    run = replace(joined, **{name: head}).save(tmp_path / "run")
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop("gender"),
        lambda table: table.with_columns(more=pl.lit("x")),
        lambda table: table.with_columns(gender=pl.lit("x")),
        lambda table: table.with_columns(age=pl.lit(3)),
        lambda table: None,
    ],
)
def test_a_run_with_other_attributes_than_its_coefficients_have_is_refused(
    joined, tmp_path, change
):
    index = replace(joined.index, user_attributes=change(joined.index.user_attributes))
    run = replace(joined, index=index).save(tmp_path / "run")
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


# --- heads without coefficients, and draws


def test_heads_without_users_rows_know_them_by_nothing(described):
    model = EASE().fit(described)
    assert np.array_equal(model.scores(1), model.scores(model.index.fold_in({})))
    profile = model.index.fold_in({1: 5}, attributes={"age": 33})
    assert np.array_equal(model.scores(profile), model.scores(model.index.fold_in({1: 5})))


@pytest.fixture(scope="module")
def drawn(described):
    """A short chain on these data."""
    return BayesianMF(factors=3, iterations=40, burn_in=20, features="age,gender").fit(described)


@pytest.mark.slow
def test_draws_know_a_user_by_attributes(drawn):
    known, unknown = (drawn.predict(user, drawn.items, unknown="average") for user in (1, "nobody"))
    assert np.abs(known - unknown).mean() > 0.01
    for user in WITHOUT_ANYTHING:
        with pytest.raises(UnknownIdError):
            drawn.predict(user + 1, 1)


@pytest.mark.slow
def test_a_folded_in_user_starts_from_what_each_draw_makes_of_attributes(drawn):
    head, attributes = drawn.rating_head, drawn.index.attributes
    men = attributes.places["gender"].start + attributes.groups[1].values.index("M")
    assert attributes.names[1] == "gender"
    traits = head.draw_traits.copy()
    assert traits.shape[1] == attributes.n_features
    traits[:, men, 0] += 3  # in units of the noise
    changed = replace(drawn, rating_head=replace(head, draw_traits=traits))
    man, woman, anyone = (
        drawn.index.fold_in({1: 3}, attributes=asked)
        for asked in ({"gender": "M"}, {"gender": "F"}, None)
    )
    before, after = (
        {name: model.predict(user, model.items).mean() for name, user in
         (("man", man), ("woman", woman), ("anyone", anyone))}
        for model in (drawn, changed)
    )  # fmt: skip
    assert after["man"] > before["man"] + 0.3
    assert after["woman"] == before["woman"]
    assert before["anyone"] < after["anyone"] < after["man"]  # a third of whom are men


@pytest.mark.slow
def test_a_run_with_draws_that_do_not_fit_is_refused(drawn, tmp_path):
    head = drawn.rating_head
    whole = head.draw_traits
    for number, traits in enumerate((whole[:, 1:].copy(), whole * np.float16(np.nan))):
        changed = replace(drawn, rating_head=replace(head, draw_traits=traits))
        run = changed.save(tmp_path / f"run {number}")
        with pytest.raises(RunError, match="draw_traits"):
            matinee.load(run)
