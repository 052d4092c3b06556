"""Rating metrics by hand, their intervals, and the registry of all metrics."""

import numpy as np
import pytest

from matinee.evaluation import METRICS, evaluate_ranking, holdout, mae, rmse
from matinee.evaluation.metrics import rmse_interval
from matinee.kernels.csr import row_of_entries
from matinee.models import Popularity
from unrated import all_ones, as_interactions


class Oracle:
    """Knows the test ratings; ranks the best first, or the worst and all others last."""

    def __init__(self, task, first):
        self.ids = task.train.ratings.user_ids
        self.score_table = np.zeros((len(self.ids), len(task.train.catalog)), np.float32)
        of = task.users[row_of_entries(task.relevant)]
        ratings = task.relevant.values
        worst = np.where(ratings == ratings.min(), 1, -ratings)
        self.score_table[of, task.relevant.indices] = ratings if first else worst

    def scores(self, users, *, head=None):
        return self.score_table[self.ids.codes(users)]


@pytest.fixture(scope="module")
def evaluated(generated):
    """All metrics of a perfect model, and of one that has it all wrong."""
    task = holdout(*generated[0].split("random", test_fraction=0.3, seed=0))
    actual = np.array([1.0, 5.0, 2.0])
    return [
        {
            **{
                name: value.value
                for name, value in evaluate_ranking(Oracle(task, right), task).metrics.items()
            },
            "rmse": rmse(actual if right else 6 - actual, actual),
            "mae": mae(actual if right else 6 - actual, actual),
        }
        for right in (True, False)
    ]


def test_the_registry_has_all_metrics_that_are_evaluated(evaluated):
    of_models = {name for name, metric in METRICS.items() if metric.task in ("rating", "ranking")}
    assert of_models == evaluated[0].keys()
    assert {metric.name for metric in METRICS.values() if metric.task == "rating"} == {
        "rmse",
        "mae",
    }


@pytest.mark.parametrize(
    "metric",
    [metric for metric in METRICS.values() if metric.direction],
    ids=lambda metric: metric.name,
)
def test_a_perfect_model_is_better_by_every_metric_with_a_direction(evaluated, metric):
    right, wrong = (result[metric.name] for result in evaluated)
    assert (right < wrong) if metric.direction == "lower" else (right > wrong)


def test_errors_by_hand():
    predicted, actual = np.float32([1, 2, 3.5]), np.float32([2, 2, 1])
    assert rmse(predicted, actual) == pytest.approx(np.sqrt((1 + 0 + 6.25) / 3))
    assert mae(predicted, actual) == pytest.approx(3.5 / 3)
    for metric in (rmse, mae):
        with pytest.raises(ValueError, match="0 ratings"):
            metric(predicted, actual[:0])
        with pytest.raises(ValueError, match="2 ratings"):
            metric(predicted, actual[:2])


@pytest.mark.parametrize("alike", [0.0, 1.0], ids=["independent", "correlated-within-users"])
def test_the_interval_is_that_of_drawing_other_users(alike):
    rng = np.random.default_rng(2)
    sizes = rng.integers(1, 30, 400)
    user = np.repeat(np.arange(400), sizes)
    own = rng.normal(size=400)[user]
    errors = (1 - alike) * rng.normal(size=len(user)) + alike * own
    actual = rng.uniform(1, 5, len(user))
    squares, ratings = np.bincount(user, errors**2), np.bincount(user)
    drawn = rng.integers(0, 400, (4000, 400))
    resampled = np.sqrt(squares[drawn].sum(axis=1) / ratings[drawn].sum(axis=1))
    expected = np.quantile(resampled, [0.025, 0.975])
    ci_low, ci_high = rmse_interval(actual + errors, actual, user)
    assert ci_low < rmse(actual + errors, actual) < ci_high
    assert ci_high - ci_low == pytest.approx(expected[1] - expected[0], rel=0.08)
    assert (ci_low, ci_high) == pytest.approx(expected, abs=0.1 * (ci_high - ci_low))


def test_the_interval_knows_users_by_any_code_in_any_order():
    rng = np.random.default_rng(4)
    user, actual = rng.integers(0, 9, 80), rng.uniform(1, 5, 80)
    predicted = actual + rng.normal(size=80)
    interval = rmse_interval(predicted, actual, user)
    order = rng.permutation(80)
    shuffled = rmse_interval(predicted[order], actual[order], 1000 - 7 * user[order])
    assert shuffled == pytest.approx(interval)


def test_the_interval_of_one_user_is_not_known_and_none_is_below_zero():
    assert rmse_interval(np.array([3.0, 4.0]), np.array([1.0, 1.0]), np.array([7, 7])) is None
    two = np.array([0.0, 9.0]), np.array([0.0, 0.0]), np.array([0, 1])
    ci_low, ci_high = rmse_interval(*two)
    assert ci_low == 0 < ci_high
    same = rmse_interval(np.array([3.0, 4.0]), np.array([2.0, 3.0]), np.array([1, 2]))
    assert same == pytest.approx((1, 1))


@pytest.mark.parametrize("change", [as_interactions, all_ones])
def test_without_ratings_that_differ_nothing_is_said_of_likes(generated, change):
    """And everything else is what it is with ratings: a hit is a hit."""
    results = {}
    for name, data in (("rated", generated[0]), ("changed", change(generated[0]))):
        task = holdout(*data.split("random", test_fraction=0.1, seed=0))
        results[name] = evaluate_ranking(Popularity().fit(task.train), task).metrics
    needing = {"liked_ndcg@10", "graded_ndcg@10", "disliked_share@10"}
    assert results["rated"].keys() - results["changed"].keys() == needing
    assert results["changed"] == {name: results["rated"][name] for name in results["changed"]}
    assert {name for name, metric in METRICS.items() if metric.needs_ratings} == {
        *needing, "rmse", "mae",
    }  # fmt: skip
