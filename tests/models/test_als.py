"""Training: against a slow reference, and what must hold whatever the data."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import features_by_hand
import matinee
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.evaluation import rmse
from matinee.models import ALS, Bias, ImplicitALS
from matinee.models.als import BIAS, INIT_STD


def features_of(dataset, names):
    """The features of users and of items that prior means depend on, dense, by plain loops."""
    described, known, items = dataset.user_attributes, [], dataset.catalog.frame
    if described is not None:
        known = [
            ("age", features_by_hand.of_numbers(described["age"].to_list())),
            ("gender", features_by_hand.of_texts(described["gender"].to_list())),
        ]
    of_items = [
        ("genres", features_by_hand.of_texts(items["genres"].to_list())),
        ("year", features_by_hand.of_years(items["year"].to_list())),
    ]
    return (
        features_by_hand.design(rows, *(part for name, part in of if names in ("all", name)))
        for rows, of in ((len(dataset.ratings.user_ids), known), (len(items), of_items))
    )


def dense_als(dataset, estimator, start):
    """The same sum minimized in the same order, with full matrices in float64."""
    ratings, lam, v = dataset.ratings, estimator.regularization, estimator.exponent
    users, items, width = len(ratings.user_ids), len(ratings.item_ids), 1 + estimator.factors
    values, known = np.zeros((users, items)), np.zeros((users, items), bool)
    values[ratings.user, ratings.item] = ratings.values
    known[ratings.user, ratings.item] = True
    mean = ratings.values.astype(np.float64).mean()
    f_users, f_items = features_of(dataset, estimator.features)
    x, w = np.zeros((users, width)), np.zeros((items, width))
    x[:, 1:] = start
    mx, mw = np.zeros_like(x), np.zeros_like(w)
    spread = ratings.values.astype(np.float64).std()
    flat = estimator.bias_regularization

    def penalties(n):
        """Of the bias, then of the factors, of rows with n ratings; two columns."""
        of_factors = np.where(n > 0, lam * n**v, 0)
        of_biases = BIAS * of_factors / spread if flat is None else flat * (n > 0)
        return np.column_stack([of_biases, *[of_factors] * (width - 1)])

    def solve(values, known, other, prior):
        out = prior.copy()
        for row in np.flatnonzero(known.any(axis=1)):
            interactions = known[row]
            design = np.column_stack([np.ones(interactions.sum()), other[interactions, 1:]])
            penalty = np.diag(penalties(np.array([interactions.sum()], float))[0])
            right = (
                design.T @ (values[row, interactions] - mean - other[interactions, 0])
                + penalty @ prior[row]
            )
            out[row] = np.linalg.solve(design.T @ design + penalty, right)
        return out

    def update_prior(features, counts, rows):
        out = np.zeros_like(rows)
        weights = np.where(counts > 0, counts**v, 0)
        for column, weight in enumerate(penalties(counts).T):
            # as strong against the features as against the weights
            ridge = np.sqrt(len(ratings)) * weight.sum() / weights.sum() * np.eye(features.shape[1])
            gram = features.T @ (weight[:, None] * features) + ridge
            right = features.T @ (weight * rows[:, column])
            out[:, column] = features @ np.linalg.solve(gram, right)
        return out

    for _ in range(estimator.iterations):
        w = solve(values.T, known.T, x, mw)
        mw = update_prior(f_items, known.sum(axis=0).astype(float), w)
        mx = update_prior(f_users, known.sum(axis=1).astype(float), x)
        x = solve(values, known, w, mx)
    cold = ~known.any(axis=0)
    w[cold] = mw[cold]
    return x, w


@pytest.fixture(scope="module")
def small():
    """40 users with attributes, one of whom rated nothing, 30 movies, one that nobody rated."""
    data, _ = generate(users=40, items=30, ratings=500, seed=3)
    ratings = data.ratings.take((data.ratings.user != 4) & (data.ratings.item != 7))
    ages = [None if k % 9 == 0 else 20.0 + k % 13 for k in range(40)]
    genders = [None if k % 7 == 0 else "FM"[k % 3 == 0] for k in range(40)]
    users = pl.DataFrame({"age": ages, "gender": genders})
    return replace(data, ratings=ratings, user_attributes=users)


@pytest.mark.parametrize("features", ["all", "genres", "year", "age", "gender", "none"])
@pytest.mark.parametrize(("factors", "flat"), [(0, None), (3, None), (0, 2.5), (3, 2.5)])
def test_training_equals_the_slow_reference(small, features, factors, flat):
    settings = {"regularization": 1.4, "iterations": 3, "solver": "cholesky", "seed": 8}
    estimator = ALS(factors=factors, features=features, bias_regularization=flat, **settings)
    start = np.random.default_rng(8).standard_normal((40, factors), np.float32)
    start *= INIT_STD * np.sqrt(small.ratings.spread)
    users, items = dense_als(small, estimator, start)
    model = estimator.fit(small)
    np.testing.assert_allclose(model.rating_head.user_params, users, rtol=5e-3, atol=5e-4)
    np.testing.assert_allclose(model.rating_head.item_params, items, rtol=5e-3, atol=5e-4)


@pytest.mark.parametrize(
    "estimator",
    [
        ALS(factors=8),
        ALS(factors=8, solver="cholesky"),
        ALS(factors=8, features="none"),
        ALS(factors=0),
    ],
)
def test_the_loss_never_rises(parts, estimator):
    loss = estimator.fit(parts[0]).history["loss"].to_numpy()
    assert (np.diff(loss) <= 1e-6 * loss[:-1]).all()
    assert loss[-1] < loss[0]


def test_same_seed_same_bits_for_any_number_of_threads(parts):
    for solver in ("cholesky", "cg"):
        one, three = (
            ALS(factors=7, iterations=3, solver=solver, seed=4).fit(parts[0], threads=threads)
            for threads in (1, 3)
        )
        assert np.array_equal(one.rating_head.user_params, three.rating_head.user_params)
        assert np.array_equal(one.rating_head.item_params, three.rating_head.item_params)
        assert one.history.drop("seconds").equals(three.history.drop("seconds"))
    other = ALS(factors=7, iterations=3, seed=5).fit(parts[0])
    assert not np.array_equal(one.rating_head.user_params, other.rating_head.user_params)


def test_the_order_of_the_rows_does_not_matter(parts):
    train = parts[0]
    order = np.random.default_rng(0).permutation(len(train))
    shuffled = matinee.data.Dataset(train.ratings.take(order), train.catalog)
    estimator = ALS(factors=4, iterations=2)
    one, other = estimator.fit(train), estimator.fit(shuffled)
    assert np.array_equal(one.rating_head.item_params, other.rating_head.item_params)


def test_factors_learn_what_biases_cannot(generated, parts):
    train, test = parts
    values = test.ratings.values
    truth = generated[1].values(test.ratings.user, test.ratings.item)

    def error(estimator):
        return estimator.fit(train, test=test).history["test_rmse"][-1]

    biases, factors = error(Bias()), error(ALS(factors=16))
    best = rmse(truth, values)
    assert best < factors < biases < float(values.std())
    # with 36 ratings a user, most of the gap between biases and truth stays open
    assert factors < biases - 0.03 * (biases - best)


def test_conjugate_gradients_end_as_good_as_exact_solves(parts):
    train, test = parts
    exact, steps = (
        ALS(factors=16, solver=solver).fit(train, test=test).history["test_rmse"][-1]
        for solver in ("cholesky", "cg")
    )
    assert abs(exact - steps) < 0.003


def test_history_has_a_row_for_each_iteration(parts):
    train, test = parts
    history = ALS(factors=4, iterations=5).fit(train, test=test).history
    assert history.columns == ["head", "iteration", "loss", "train_rmse", "test_rmse", "seconds"]
    assert set(history["head"]) == {"rating"}
    assert history["iteration"].to_list() == [1, 2, 3, 4, 5]
    assert history["seconds"].is_sorted()


def test_reported_errors_are_those_of_the_model(parts):
    train, test = parts
    model = ALS(factors=4, iterations=4).fit(train, test=test)
    for dataset, column in ((test, "test_rmse"), (train, "train_rmse")):
        ratings = dataset.ratings
        users = ratings.user_ids.values[ratings.user]
        items = ratings.item_ids.values[ratings.item]
        scores = np.array([model.scores(user) for user in model.user_ids.values])
        found = scores[ratings.user, ratings.item]
        if column == "test_rmse":  # the training error is the one that is minimized: not clipped
            found = model.predict(users, items)
        assert model.history[column][-1] == pytest.approx(rmse(found, ratings.values), abs=1e-5)


def test_patience_keeps_the_best_iteration(parts):
    train, validation = parts[0].split("random", test_fraction=0.2, seed=1)
    estimator = ALS(factors=40, regularization=0.3, iterations=40, solver="cholesky", patience=2)
    model = estimator.fit(train, validation=validation)
    errors = model.history["validation_rmse"].to_numpy()
    assert len(errors) < 40
    assert errors.argmin() == len(errors) - 3
    ratings = validation.ratings
    users = ratings.user_ids.values[ratings.user]
    found = model.predict(users, ratings.item_ids.values[ratings.item])
    assert rmse(found, ratings.values) == pytest.approx(errors.min(), abs=1e-6)
    with pytest.raises(SettingError, match="validation"):
        estimator.fit(train)


def test_a_movie_without_ratings_starts_from_its_genres(parts):
    train = parts[0]
    hidden = int(np.argmax(train.ratings.item_counts))
    without = matinee.data.Dataset(train.ratings.take(train.ratings.item != hidden), train.catalog)
    model = ALS(factors=6).fit(without)
    head = model.rating_head
    alike = (train.catalog.genre_matrix == train.catalog.genre_matrix[hidden]).all(axis=1)
    near = head.item_params[alike].mean(axis=0) - head.item_prior
    assert (head.item_params[hidden] - head.item_prior) @ near > 0
    title = train.catalog.titles[hidden]
    assert title in model.recommend(1, n=200)["title"].to_list()
    plain = ALS(factors=6, features="none").fit(without).rating_head
    assert np.allclose(plain.item_params[hidden], plain.item_prior, atol=1e-6)


def test_biases_alone(parts):
    model = Bias().fit(parts[0])
    assert model.rating_head.item_factors is None
    assert model.rating_head.estimator["name"] == "Bias"
    spread = model.scores(1) - model.scores(2)
    np.testing.assert_allclose(spread, spread[0], atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"factors": -1},
        {"iterations": 0},
        {"regularization": 0.0},
        {"regularization": float("nan")},
        {"exponent": 1.5},
        {"features": ""},
        {"features": 3},
        {"solver": "lu"},
        {"cg_steps": 0},
        {"patience": -1},
        {"seed": -1},
    ],
)
def test_senseless_settings_are_refused_by_name(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        ALS(**wrong)


@pytest.mark.parametrize("features", ["actors", "genres,", "genres,all", "none,genres", "^.*$"])
@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_attributes_that_the_data_do_not_have_are_refused_by_name(small, cls, features):
    with pytest.raises(SettingError, match="no attribute") as refused:
        cls(factors=2, features=features).fit(small)
    assert str(refused.value).endswith("there are genres, year, age, gender.")


def test_genres_and_years_may_be_named_though_there_are_none():
    table = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [3, 4, 5]})
    named, none = (
        ALS(factors=2, features=features).fit(matinee.read(table))
        for features in ("genres, year", "none")
    )
    assert np.array_equal(named.scores(1), none.scores(1))


def test_ratings_that_are_all_the_same_train_without_trouble():
    table = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [3, 3, 3]})
    model = ALS(factors=2).fit(matinee.read(table))
    np.testing.assert_allclose(model.predict([1, 2], [2, 2]), 3.0, atol=1e-4)


def test_parts_of_other_data_are_refused(parts):
    other, _ = generate(users=50, items=40, ratings=1000, seed=1)
    for part in ("test", "validation"):
        with pytest.raises(SettingError, match=f"{part} set"):
            ALS(factors=2).fit(parts[0], **{part: other})


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_a_solve_that_breaks_down_is_an_error_not_a_model(parts, solver):
    estimator = ALS(factors=60, regularization=1e-12, solver=solver)
    with pytest.raises(SettingError, match="regularization 1e-12"):
        estimator.fit(parts[0])
