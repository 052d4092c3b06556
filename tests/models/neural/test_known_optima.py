"""Problems whose optimum is known: training ends there."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.models.neural import GMF, MatrixFactorization, NeuMF

SGD = {"optimizer": "sgd", "learning_rate": 0.3, "schedule": "constant"}
ADAM = {"optimizer": "adam", "learning_rate": 0.05, "schedule": "cosine"}
METHODS = [SGD, ADAM, {"optimizer": "adagrad", "learning_rate": 0.5, "schedule": "constant"}]
IDS = ["sgd", "adam", "adagrad"]

PLAIN = MatrixFactorization(
    factors=2, biases=False, regularization=0.0, batch_size=0, epochs=400, init_stddev=0.2
)


def full(matrix):
    """All ratings of a matrix as a data set."""
    matrix = np.asarray(matrix, np.float64)
    user, item = (1 + np.indices(matrix.shape)).reshape(2, -1)
    return matinee.read(pl.DataFrame({"user_id": user, "item_id": item, "rating": matrix.ravel()}))


def scores(model):
    return model.scores(model.user_ids.values.to_list())


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_a_matrix_of_rank_one_is_learned(method):
    values = np.outer([2.0, 1.0], [1.0, 2.0])
    model = replace(PLAIN, factors=1, **method).fit(full(values))
    np.testing.assert_allclose(scores(model), values, atol=2e-3)
    assert model.history["loss"][-1] < 1e-5


@pytest.mark.slow
def test_full_batch_gradient_descent_never_raises_the_loss():
    model = replace(PLAIN, **SGD).fit(full([[2, 1], [4, 2]]))
    loss = model.history["loss"].to_numpy()
    assert (np.diff(loss) <= 1e-7).all()


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS[:2], ids=IDS[:2])
@pytest.mark.parametrize(
    "penalty",
    [
        {"regularization": 1.7, "exponent": 0.0},
        {"regularization": 0.9, "exponent": 0.5},
        {"regularization": 0.5, "exponent": 1.0},
        {"l2": 0.5},
        {"regularization": 0.3, "exponent": 1.0, "l2": 0.2},
    ],
)
def test_penalties_shrink_singular_values(method, penalty):
    """Of a full n x m matrix R, with X = P Q', the docstring's sum is

        |R - X|^2 / (n m) + a |P|^2 + c |Q|^2
        a = reg m^v / (n m) + l2 / n,  c = reg n^v / (n m) + l2 / m

    P and Q may be scaled against each other, and the least of both penalties is ``2 sqrt(a c)``
    times the nuclear norm of X. So X is R with each singular value less ``n m sqrt(a c)``
    (Mazumder, Hastie & Tibshirani 2010).
    """
    values = np.array([[5.0, 3, 1, 2], [4, 4, 1, 1], [1, 2, 5, 4]])
    estimator = replace(PLAIN, factors=3, **penalty, **method)
    (n, m), v = values.shape, estimator.exponent
    a = estimator.regularization * m**v / (n * m) + estimator.l2 / n
    c = estimator.regularization * n**v / (n * m) + estimator.l2 / m
    threshold = n * m * np.sqrt(a * c)
    left, sizes, right = np.linalg.svd(values, full_matrices=False)
    assert sizes[1] > 1.2 * threshold > 1.2 * sizes[2]  # one becomes 0, and only one
    shrunk = np.maximum(sizes - threshold, 0)
    best = (left * shrunk) @ right
    minimum = np.mean((values - best) ** 2) + 2 * np.sqrt(a * c) * shrunk.sum()
    model = estimator.fit(full(values))
    np.testing.assert_allclose(scores(model), best, atol=0.01)
    assert model.history["loss"][-1] == pytest.approx(minimum, rel=1e-4)


@pytest.mark.slow
def test_ratings_that_biases_explain_are_explained():
    values = 3.0 + np.array([[-1.0], [0], [1]]) + np.array([[0.5, -0.5]])
    estimator = replace(PLAIN, factors=1, biases=True, **ADAM)
    model = estimator.fit(full(values))
    np.testing.assert_allclose(scores(model), values, atol=0.01)


@pytest.mark.slow
def test_gravity_shrinks_unrated_pairs_to_zero():
    values = np.array([[4.0, 4, 4], [4, 4, 4], [4, 4, 4]])
    data = full(values)
    data = replace(data, ratings=data.ratings.take(np.arange(9) != 8), official={})
    free, shrunk = (
        scores(replace(PLAIN, factors=3, gravity=gravity, **ADAM).fit(data))[2, 2]
        for gravity in (0.0, 1.0)
    )
    assert shrunk < free - 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        GMF(factors=4, feedback="explicit", init_stddev=0.5),
        NeuMF(factors=4, layers=(8, 8), feedback="explicit", init_stddev=0.5),
    ],
)
def test_networks_can_overfit_a_small_table(estimator):
    values = np.array([[5.0, 3, 1], [4, 4, 1], [1, 2, 5]])
    model = replace(estimator, batch_size=0, epochs=300, **ADAM).fit(full(values))
    np.testing.assert_allclose(scores(model), values, atol=0.05)
