"""What a search asks of a model, against what is reported elsewhere."""

import pytest

from matinee.errors import SettingError
from matinee.evaluation import evaluate, evaluate_ranking, holdout
from matinee.tuning import Objective, objective_of
from matinee.tuning.objective import ERRORS, SEARCHABLE

LISTS = SEARCHABLE.keys() - ERRORS.keys()


def test_metrics_are_those_that_are_reported_elsewhere(parts, both):
    train, test = parts
    evaluated = evaluate(both, train, test)
    for metric in ERRORS:
        assert Objective(metric).on(train, test)(both) == getattr(evaluated, metric)
    lists = evaluate_ranking(both, holdout(train, test))
    for metric in LISTS:
        assert Objective(metric).on(train, test)(both) == pytest.approx(lists[metric], rel=1e-12)


def test_errors_are_better_low_and_all_else_high():
    assert [Objective(metric).higher_is_better for metric in ERRORS] == [False, False]
    assert all(Objective(metric).higher_is_better for metric in LISTS)


@pytest.mark.parametrize(
    ("model", "metric", "said"),
    [
        ("als", "ndcg@10", "als predicts stars, and cannot give ndcg@10: take rmse, mae, or"),
        ("ials", "rmse", "ials makes lists, and cannot give rmse: take ndcg@10, "),
        ("als", "accuracy", "There is no metric 'accuracy'; there are rmse, mae, ndcg@10"),
        ("svd", None, "There is no model 'svd' to tune; there are als, bayes"),
    ],
)
def test_a_metric_that_a_model_cannot_give_is_refused_by_name(model, metric, said):
    with pytest.raises(SettingError, match=said):
        objective_of(model, metric)


def test_models_for_both_are_asked_by_the_metric():
    assert objective_of("neumf", "mae") == Objective("mae")
    assert objective_of("neumf", None) == Objective("ndcg@10")
    assert objective_of("als", None) == Objective("rmse")
