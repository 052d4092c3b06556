"""Objectives against the metrics that are reported elsewhere."""

import pytest

import matinee
from matinee.errors import SettingError
from matinee.evaluation import evaluate_ranking, evaluate_ratings, holdout
from matinee.tuning import tune
from matinee.tuning.objective import OBJECTIVES, RATING_ERRORS, Objective, get_objective
from unrated import all_ones, as_interactions

RANKING_METRICS = OBJECTIVES.keys() - RATING_ERRORS.keys()


def test_metrics_are_those_that_are_reported_elsewhere(parts, both):
    train, test = parts
    errors = evaluate_ratings(both, train, test)
    for metric in RATING_ERRORS:
        assert Objective(metric).scorer(train, test)(both) == getattr(errors, metric)
    ranking = evaluate_ranking(both, holdout(train, test))
    for metric in RANKING_METRICS:
        score = Objective(metric).scorer(train, test)
        assert score(both) == pytest.approx(ranking[metric], rel=1e-12)


def test_errors_and_disliked_hits_are_better_low_and_all_else_high():
    assert [Objective(metric).higher_is_better for metric in RATING_ERRORS] == [False, False]
    low = [metric for metric in RANKING_METRICS if not Objective(metric).higher_is_better]
    assert low == ["disliked_share@10"]


@pytest.mark.parametrize(
    ("model", "metric", "message"),
    [
        ("als", "ndcg@10", r"als has no ranking head for ndcg@10; choose a metric of its rating "
         r"head \(rmse, mae\) or another model \(ials, next, ease"),
        ("ials", "rmse", r"ials has no rating head for rmse; .* ranking head \(ndcg@10, "),
        ("als", "accuracy", "metric must be one of rmse, mae, ndcg@10.*, got 'accuracy'"),
        ("svd", None, "model must be one of als, bayes.*, got 'svd'"),
    ],
)  # fmt: skip
def test_a_metric_that_a_model_does_not_have_is_refused_by_name(model, metric, message):
    with pytest.raises(SettingError, match=message):
        get_objective(model, metric)


def test_models_with_both_heads_are_tuned_by_the_head_of_the_metric():
    assert get_objective("neumf", "mae") == Objective("mae")
    assert get_objective("neumf") == Objective("ndcg@10")
    assert get_objective("als") == Objective("rmse")


@pytest.mark.parametrize("change", [as_interactions, all_ones])
@pytest.mark.parametrize("metric", [None, "rmse", "MAE", "liked_ndcg@10", "disliked_share@10"])
def test_metrics_of_ratings_need_ratings_that_differ(generated, change, metric):
    data = change(generated[0])
    why = "These are interactions without ratings|All ratings are 1"
    advice = rf"generated: ({why}), so .* tune a ranking model, such as ials, by ndcg@10\."
    with pytest.raises(SettingError, match=advice):
        get_objective("als", metric, data)
    assert get_objective("ials", None, data) == Objective("ndcg@10")


@pytest.mark.slow
@pytest.mark.parametrize("change", [as_interactions, all_ones])
def test_where_nothing_is_to_be_predicted_a_ranking_model_is_tuned(generated, change, tmp_path):
    result = tune(change(generated[0]), trials=1, space={"factors": [2, 3], "iterations": 2},
                  study=tmp_path / "study", run=tmp_path / "run")  # fmt: skip
    assert (result.metric, len(result.completed)) == ("ndcg@10", 1)
    assert list(matinee.load(tmp_path / "run").heads) == ["ranking"]
    assert result.best.test_metrics["ndcg@10"] > 0
