"""Comparisons of runs: what differs, on which users they are evaluated, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

import matinee
from matinee.data.synthetic import write_generated
from matinee.errors import RunError, SettingError
from matinee.evaluation import MetricValue
from matinee.evaluation.metrics import PRIMARY_METRIC
from matinee.experiments import (
    Difference,
    Split,
    compare,
    provenance,
    short_names,
    train_and_evaluate,
)
from matinee.experiments.comparison_result import diff_hyperparameters
from matinee.models import ALS, EASE, Bias, ImplicitALS
from unrated import as_interactions

SPLIT = Split(seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_generated(folder / "data", users=60, items=50, ratings=1500, seed=0)
    write_generated(folder / "other", users=60, items=50, ratings=1500, seed=1)
    return folder


def saved(folder, name, rating, ranking=None, split=SPLIT, data="data", **how):
    """A run as `load` returns it."""
    result = train_and_evaluate(matinee.read(folder / data), rating, split, ranker=ranking, **how)
    return matinee.load(result.model.save(folder / name))


@pytest.fixture(scope="module")
def runs(folder):
    return {
        "als": saved(folder, "als", ALS(factors=3, iterations=2), EASE(regularization=40)),
        "bias": saved(folder, "bias", Bias()),
        "wide": saved(folder, "wide", ALS(factors=5, iterations=2, regularization=2.5),
                      EASE(regularization=4)),
        "patient": saved(folder, "patient", ALS(factors=3, iterations=4, patience=1), EASE(),
                         validation=True),
    }  # fmt: skip


@pytest.mark.slow
def test_metrics_are_those_that_training_recorded(runs):
    result = compare(runs)
    assert list(result.runs) == list(runs)
    for name, model in runs.items():
        recorded, metrics = model.metadata["metrics"], result.runs[name].metrics
        assert metrics["rmse"].value == pytest.approx(recorded["rmse"])
        assert [metrics["rmse"].ci_low, metrics["rmse"].ci_high] == pytest.approx(
            recorded["rmse_ci"]
        )
        assert metrics["mae"].value == pytest.approx(recorded["mae"])
        assert ("ndcg@10" in metrics) == (name != "bias")
        assert result.runs[name].fit_seconds == model.metadata["fit_seconds"]
    for name in ("als", "wide"):
        recorded = runs[name].metadata["metrics"]["ranking"]
        assert recorded["metrics"]["ndcg@10"]["value"] == pytest.approx(
            result.runs[name].metrics["ndcg@10"].value
        )
        assert recorded["n_users"] == result.n_users
    assert (result.test_ratings, result.runs["patient"].train_ratings) == (150, 1215)


@pytest.mark.slow
def test_every_run_is_compared_with_the_first_where_both_have_the_metric(runs):
    result = compare(runs)
    pairs = [(difference.metric, difference.run) for difference in result.differences]
    errors = [(metric, run) for metric in ("rmse", "mae") for run in ("bias", "wide", "patient")]
    assert pairs[:6] == errors
    assert {run for metric, run in pairs[6:]} == {"wide", "patient"}
    assert {difference.baseline for difference in result.differences} == {"als"}
    for difference in result.differences:
        run, baseline = (
            result.runs[name].metrics for name in (difference.run, difference.baseline)
        )
        expected = run[difference.metric].value - baseline[difference.metric].value
        assert difference.value.value == pytest.approx(expected)
        assert difference.value.ci_low <= difference.value.value <= difference.value.ci_high
    assert result.difference("ndcg@10", "bias") is None


def test_the_same_run_again_differs_by_nothing(runs):
    result = compare({"one": runs["als"], "two": runs["als"]})
    assert {difference.value for difference in result.differences} == {MetricValue(0.0, 0.0, 0.0)}
    assert {difference.better for difference in result.differences} == {None}
    assert str(result.differences[0]).startswith("No significant difference: RMSE of two minus one")
    assert result.hyperparameters.differing == ()


def test_rankings_of_a_run_that_stopped_early_leave_out_the_whole_training_set(runs):
    """Else an item that others leave out as seen would take a place in its ranking only."""
    model = runs["patient"]
    alone = compare({"a": model, "b": model})
    with_other = compare({"a": runs["als"], "b": model})
    assert alone.runs["b"].metrics["ndcg@10"] == with_other.runs["b"].metrics["ndcg@10"]
    evaluated = model.metadata["metrics"]["ranking"]["metrics"]["ndcg@10"]["value"]
    assert with_other.runs["b"].metrics["ndcg@10"].value > evaluated
    assert with_other.notes[0] == (
        "b used 10% of the training set for early stopping and was fitted on 1,215 ratings."
    )
    assert compare({"a": runs["als"], "b": runs["wide"]}).notes == []


def test_data_are_read_once_however_many_runs(runs, monkeypatch):
    read, asked = provenance.read, []
    monkeypatch.setattr(
        provenance, "read", lambda source, **how: asked.append(source) or read(source, **how)
    )
    compare(runs)
    assert len(asked) == 1


def test_runs_without_a_common_metric_have_no_difference(folder, runs):
    lists = saved(folder, "ranking", None, ImplicitALS(factors=3, iterations=2))
    result = compare({"bias": runs["bias"], "ranking": lists})
    assert result.differences == ()
    assert result.notes[-1] == "No common metric."
    assert [set(run.estimators) for run in result.runs.values()] == [{"rating"}, {"ranking"}]


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused_by_name(folder, runs):
    elsewhere = saved(folder, "elsewhere", Bias(), data="other")
    seed = saved(folder, "seed", Bias(), split=Split(seed=4))
    for name, other, why in (
        ("elsewhere", elsewhere, "elsewhere was trained on other ratings than als"),
        ("seed", seed, r"seed was tested .* random, test fraction 0.1, seed 4, not random.* 3\)"),
    ):
        with pytest.raises(SettingError, match=why) as problem:
            compare({"als": runs["als"], name: other})
        assert "\n" not in str(problem.value)
    with pytest.raises(SettingError, match="two runs or more"):
        compare({"als": runs["als"]})
    with pytest.raises(RunError, match="does not say"):
        compare({"als": runs["als"], "bare": replace(runs["als"], metadata={})})


@pytest.mark.slow
def test_test_rows_are_what_counts_not_the_seed(folder, runs):
    """A split that draws nothing is the same for every seed."""
    two = {
        str(seed): saved(folder, f"last-{seed}", Bias(), split=Split("leave-last-out", seed=seed))
        for seed in (1, 2)
    }
    result = compare(two)
    assert result.differences[0].value == MetricValue(0.0, 0.0, 0.0)
    assert [(each.section, each.name) for each in result.hyperparameters.differing] == [
        ("split", "seed")
    ]


def test_users_without_training_ratings_in_a_run_are_left_out(runs):
    model = runs["patient"]
    interactions = model.interactions
    keep = np.repeat(np.arange(60) >= 10, np.diff(interactions.indptr))
    counts = np.where(np.arange(60) >= 10, np.diff(interactions.indptr), 0)
    fewer = type(interactions)(
        np.concatenate([[0], counts.cumsum()]),
        interactions.indices[keep],
        interactions.values[keep],
    )
    result = compare(
        {"a": runs["als"], "b": replace(model, index=replace(model.index, interactions=fewer))}
    )
    assert 0 < result.n_users <= 50 < compare({"a": runs["als"], "b": model}).n_users


# --- hyperparameters


def test_hyperparameters_that_differ_are_named_and_the_others_counted(runs):
    result = diff_hyperparameters(runs)
    shown = {(each.section, each.name): dict(each.values) for each in result.differing}
    assert shown["rating", "estimator"] == {
        "als": "ALS", "bias": "Bias", "wide": "ALS", "patient": "ALS",
    }  # fmt: skip
    assert shown["rating", "factors"] == {"als": 3, "wide": 5, "patient": 3}
    assert shown["ranking", "estimator"]["bias"] == "none"
    assert shown["split", "validation_fraction"]["patient"] == 0.1
    assert not any(part == "data" for part, _ in shown)
    regularization = shown["rating", "regularization"]
    assert regularization["wide"] == 2.5
    assert (
        regularization["als"] == runs["als"].rating_head.regularization
    )  # what the data made of it
    # split: method, fraction, seed, warm_start; eight of reading; EASE: min_rating
    assert result.n_same == 13
    assert result.n_partial == 5  # of ALS: exponent, features, solver, cg_steps, seed
    assert result.summary == "13 others are the same; 5 belong to some of the estimators only."


def test_values_of_hyperparameters_are_shown_in_words(runs):
    values = {"a": None, "b": True, "c": 0.1234567, "d": (64, 32), "e": {"x": 0.5}, "f": "cg"}
    hyperparameter = replace(diff_hyperparameters(runs).differing[0], values=values)
    shown = [hyperparameter.text(run) for run in "abcdefg"]
    assert shown == ["not set", "yes", "0.1235", "64, 32", "x 0.5", "cg", ""]


# --- words


@pytest.mark.parametrize(
    ("metric", "value", "better", "sentence"),
    [
        ("rmse", MetricValue(-0.004, -0.005, -0.003), "B",
         "B is better than A: RMSE of B minus A -0.0040 "
         "(95% CI -0.0050 to -0.0030, 1,234 users)."),
        ("rmse", MetricValue(0.004, 0.003, 0.005), "A",
         "A is better than B: RMSE of B minus A +0.0040 "
         "(95% CI +0.0030 to +0.0050, 1,234 users)."),
        ("ndcg@10", MetricValue(0.004, 0.003, 0.005), "B",
         "B is better than A: NDCG@10 of B minus A +0.0040 "
         "(95% CI +0.0030 to +0.0050, 1,234 users)."),
        ("ndcg@10", MetricValue(-0.2, -0.7, -0.1), "A",
         "A is better than B: NDCG@10 of B minus A -0.2000 "
         "(95% CI -0.7000 to -0.1000, 1,234 users)."),
        ("mae", MetricValue(0.001, -0.001, 0.003), None,
         "No significant difference: MAE of B minus A +0.0010 "
         "(95% CI -0.0010 to +0.0030, 1,234 users)."),
        ("mae", MetricValue(0.0, 0.0, 0.0), None,
         "No significant difference: MAE of B minus A +0.0000 "
         "(95% CI +0.0000 to +0.0000, 1,234 users)."),
        ("mae", MetricValue(-0.5), None,
         "Unknown which is better: MAE of B minus A -0.5000 (a single user)."),
        # differences too small for four decimals have two digits
        ("rmse", MetricValue(4e-6, -1.24e-5, 0.0000317), None,
         "No significant difference: RMSE of B minus A +0.0000040 "
         "(95% CI -0.000012 to +0.000032, 1,234 users)."),
        ("mae", MetricValue(2e-6, 1e-6, 3e-6), "A",
         "A is better than B: MAE of B minus A +0.0000020 "
         "(95% CI +0.0000010 to +0.0000030, 1,234 users)."),
    ],
)  # fmt: skip
def test_a_difference_is_a_sentence(metric, value, better, sentence):
    difference = Difference(metric, "B", "A", value, 1234)
    assert difference.better == better
    assert str(difference) == sentence


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MetricValue(-0.004, -0.005, -0.003), "-0.0040 (-0.0050 to -0.0030)"),
        (MetricValue(0.0, 0.0, 0.0), "+0.0000 (+0.0000 to +0.0000)"),
        (MetricValue(0.5), "+0.5000"),
        (MetricValue(-4.56e-6, -7.56e-6, -1.56e-6), "-0.0000046 (-0.0000076 to -0.0000016)"),
        (MetricValue(0.3366, 0.0012, 0.7034), "+0.3366 (+0.0012 to +0.7034)"),
    ],
)
def test_a_difference_is_shown_with_its_interval(value, text):
    assert Difference("rmse", "B", "A", value, 1234).text == text


def test_runs_get_letters_and_json_says_all(runs):
    result = compare(runs)
    letters = short_names(list(runs))
    assert list(letters.values()) == ["A", "B", "C", "D"]
    renamed = result.renamed(letters)
    assert list(renamed.runs) == ["A", "B", "C", "D"]
    assert {difference.run for difference in renamed.differences} == {"B", "C", "D"}
    assert all(set(each.values) <= set("ABCD") for each in renamed.hyperparameters.differing)
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(plain) == {"data", "test_ratings", "n_users", "runs", "hyperparameters",
                          "differences", "notes"}  # fmt: skip
    assert [run["run"] for run in plain["runs"]] == list(runs)
    assert set(plain["differences"][0]) == {"metric", "run", "baseline", "value", "ci_low",
                                            "ci_high", "n_users", "better"}  # fmt: skip
    rows = renamed.metric_rows()
    labels = {"RMSE", "MAE", "NDCG@10", "NDCG@10 (liked)", "HR@10",
              "Disliked hits"}  # fmt: skip
    assert {row["metric"] for row in rows} == labels
    assert [row["difference"] for row in rows if row["run"] == "A"] == [""] * 6
    assert set(PRIMARY_METRIC.values()) < {difference.metric for difference in result.differences}
    with pytest.raises(SettingError, match="At most 26"):
        short_names([str(number) for number in range(27)])


def test_a_notebook_shows_metrics_and_hyperparameters(runs):
    html = compare({"<als>": runs["als"], "wide": runs["wide"]})._repr_html_()
    for text in ("NDCG@10", "95% CI", "difference to &lt;als&gt;", "factors", "wide"):
        assert text in html
    assert "<als>" not in html
    assert (
        "Hyperparameters that differ"
        not in compare({"a": runs["als"], "b": runs["als"]})._repr_html_()
    )


def test_runs_on_everything_cannot_be_compared(folder):
    runs = {
        name: saved(folder, name, Bias(regularization=strength), split=Split(test_fraction=0))
        for name, strength in (("weak", 1.0), ("strong", 9.0))
    }
    with pytest.raises(SettingError, match="weak was trained on everything: there is no test set"):
        compare(runs)


def test_interactions_are_called_so(folder, monkeypatch):
    read = provenance.read
    monkeypatch.setattr(
        provenance, "read", lambda *args, **how: as_interactions(read(*args, **how))
    )
    data = as_interactions(matinee.read(folder / "data"))
    runs = {
        name: train_and_evaluate(data, None, SPLIT, ranker=EASE(regularization=strength)).model
        for name, strength in (("weak", 1.0), ("strong", 90.0))
    }
    result = compare(runs)
    assert result.title == "data: 150 test interactions, ranking for 56 test users"
    assert [row["fitted_on"] for row in result.run_rows()] == ["1,350 interactions"] * 2
    assert {each.metric for each in result.differences} == {"ndcg@10", "hit_rate@10"}
    assert result.directions == "Higher is better."


@pytest.mark.slow
def test_the_sentence_on_directions_names_the_metrics_that_are_shown(runs):
    two = {name: runs[name] for name in ("als", "bias")}
    lower = "Lower is better: RMSE, MAE, Disliked hits; higher is better: the rest."
    assert compare(two).directions == lower
    bias = {"one": runs["bias"], "two": runs["bias"]}
    assert compare(bias).directions == "Lower is better: RMSE, MAE."
