"""Runs against each other: what differs, on whom they are judged, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

import matinee
from matinee.data.synthetic import write_generated
from matinee.errors import RunError, SettingError
from matinee.evaluation import MetricValue
from matinee.evaluation.metrics import PRIMARY_METRIC
from matinee.experiments import Difference, Split, compare, short_names, train_and_evaluate
from matinee.experiments import provenance as recorded
from matinee.experiments.comparison_result import differing_settings
from matinee.models import ALS, EASE, Bias, ImplicitALS

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
                         holdout_validation=True),
    }  # fmt: skip


def test_metrics_are_those_that_training_recorded(runs):
    found = compare(runs)
    assert list(found.runs) == list(runs)
    for name, model in runs.items():
        recorded, metrics = model.metadata["metrics"], found.runs[name].metrics
        assert metrics["rmse"].value == pytest.approx(recorded["rmse"])
        assert [metrics["rmse"].ci_low, metrics["rmse"].ci_high] == pytest.approx(
            recorded["rmse_interval"]
        )
        assert metrics["mae"].value == pytest.approx(recorded["mae"])
        assert ("ndcg@10" in metrics) == (name != "bias")
        assert found.runs[name].fit_seconds == model.metadata["fit_seconds"]
    for name in ("als", "wide"):
        recorded = runs[name].metadata["metrics"]["ranking"]
        assert recorded["metrics"]["ndcg@10"]["value"] == pytest.approx(
            found.runs[name].metrics["ndcg@10"].value
        )
        assert recorded["users"] == found.users
    assert (found.test_ratings, found.runs["patient"].train_ratings) == (150, 1215)


def test_every_run_is_compared_with_the_first_where_both_do_the_same(runs):
    found = compare(runs)
    pairs = [(one.metric, one.run) for one in found.differences]
    errors = [(metric, run) for metric in ("rmse", "mae") for run in ("bias", "wide", "patient")]
    assert pairs[:6] == errors
    assert {run for metric, run in pairs[6:]} == {"wide", "patient"}
    assert {one.than for one in found.differences} == {"als"}
    for one in found.differences:
        metrics = [found.runs[name].metrics[one.metric].value for name in (one.run, one.than)]
        assert one.head.value == pytest.approx(metrics[0] - metrics[1])
        assert one.head.ci_low <= one.head.value <= one.head.ci_high
    assert found.difference("ndcg@10", "bias") is None


def test_the_same_run_again_differs_by_nothing(runs):
    found = compare({"one": runs["als"], "two": runs["als"]})
    assert {one.head for one in found.differences} == {MetricValue(0.0, 0.0, 0.0)}
    assert {one.better for one in found.differences} == {None}
    assert "one and two have the same RMSE, user by user." in map(str, found.differences)
    assert found.settings.differ == ()


def test_lists_of_a_run_that_stopped_early_leave_out_what_others_learned_from(runs):
    """Else a movie that everybody knows to be seen would take a place on its lists only."""
    model = runs["patient"]
    alone, again = compare({"a": model, "b": model}), compare({"a": runs["als"], "b": model})
    assert alone.runs["b"].metrics["ndcg@10"] == again.runs["b"].metrics["ndcg@10"]
    evaluated = model.metadata["metrics"]["ranking"]["metrics"]["ndcg@10"]["value"]
    assert again.runs["b"].metrics["ndcg@10"].value > evaluated
    assert again.notes[0].startswith("b kept a part of the training ratings aside")
    assert compare({"a": runs["als"], "b": runs["wide"]}).notes == []


def test_data_are_read_once_however_many_runs(runs, monkeypatch):
    read, asked = recorded.read, []
    monkeypatch.setattr(
        recorded, "read", lambda source, **how: asked.append(source) or read(source, **how)
    )
    compare(runs)
    assert len(asked) == 1


def test_runs_that_do_nothing_alike_have_no_difference(folder, runs):
    lists = saved(folder, "ranking", None, ImplicitALS(factors=3, iterations=2))
    found = compare({"bias": runs["bias"], "ranking": lists})
    assert found.differences == ()
    assert "no figure that both have" in found.notes[-1]
    assert [set(run.estimators) for run in found.runs.values()] == [{"rating"}, {"ranking"}]


def test_what_cannot_be_compared_is_refused_by_name(folder, runs):
    elsewhere = saved(folder, "elsewhere", Bias(), data="other")
    seed = saved(folder, "seed", Bias(), split=Split(seed=4))
    for name, other, why in (
        ("elsewhere", elsewhere, "elsewhere was trained on other ratings than als"),
        ("seed", seed, r"seed was tested .* random, a fraction of 0.1, seed 4, not random.* 3\)"),
    ):
        with pytest.raises(SettingError, match=why) as problem:
            compare({"als": runs["als"], name: other})
        assert "\n" not in str(problem.value)
    with pytest.raises(SettingError, match="two runs or more"):
        compare({"als": runs["als"]})
    with pytest.raises(RunError, match="does not say"):
        compare({"als": runs["als"], "bare": replace(runs["als"], metadata={})})


def test_test_rows_are_what_counts_not_the_seed(folder, runs):
    """A split that draws nothing is the same for every seed."""
    two = {
        str(seed): saved(folder, f"last-{seed}", Bias(), split=Split("leave-last-out", seed=seed))
        for seed in (1, 2)
    }
    found = compare(two)
    assert found.differences[0].head == MetricValue(0.0, 0.0, 0.0)
    assert [(one.part, one.name) for one in found.settings.differ] == [("split", "seed")]


def test_users_whom_a_run_does_not_know_are_not_evaluated(runs):
    model = runs["patient"]
    interactions = model.interactions
    keep = np.repeat(np.arange(60) >= 10, np.diff(interactions.indptr))
    counts = np.where(np.arange(60) >= 10, np.diff(interactions.indptr), 0)
    fewer = type(interactions)(
        np.concatenate([[0], counts.cumsum()]),
        interactions.indices[keep],
        interactions.values[keep],
    )
    found = compare({"a": runs["als"], "b": replace(model, interactions=fewer)})
    assert 0 < found.users <= 50 < compare({"a": runs["als"], "b": model}).users


# --- settings


def test_settings_that_differ_are_named_and_the_others_counted(runs):
    found = differing_settings(runs)
    shown = {(one.part, one.name): dict(one.values) for one in found.differ}
    assert shown["rating", "estimator"] == {
        "als": "ALS", "bias": "Bias", "wide": "ALS", "patient": "ALS",
    }  # fmt: skip
    assert shown["rating", "factors"] == {"als": 3, "wide": 5, "patient": 3}
    assert shown["ranking", "estimator"]["bias"] == "none"
    assert shown["split", "holdout_validation"]["patient"] is True
    assert not any(part == "data" for part, _ in shown)
    regularization = shown["rating", "regularization"]
    assert regularization["wide"] == 2.5
    assert (
        regularization["als"] == runs["als"].rating_head.regularization
    )  # what the data made of it
    # split: method, fraction, seed; data: columns, scale, duplicates; EASE: liked
    assert found.same == 7
    assert found.of_some == 5  # of ALS: exponent, features, solver, cg_steps, seed
    assert found.rest == "7 settings are the same; 5 more belong to some of these recipes only."


def test_settings_are_shown_as_people_say_them(runs):
    values = {"a": None, "b": True, "c": 0.1234567, "d": (64, 32), "e": {"x": 0.5}, "f": "cg"}
    one = replace(differing_settings(runs).differ[0], values=values)
    shown = [one.shown(run) for run in "abcdefg"]
    assert shown == ["not set", "yes", "0.1235", "64, 32", "x 0.5", "cg", ""]


# --- words


@pytest.mark.parametrize(
    ("figure", "head", "better", "sentence"),
    [
        ("rmse", MetricValue(-0.004, -0.005, -0.003), "B",
         "B is better than A by 0.0040 ± 0.0010 RMSE (95 %, over 1,234 users)."),
        ("rmse", MetricValue(0.004, 0.003, 0.005), "A",
         "A is better than B by 0.0040 ± 0.0010 RMSE (95 %, over 1,234 users)."),
        ("ndcg@10", MetricValue(0.004, 0.003, 0.005), "B",
         "B is better than A by 0.0040 ± 0.0010 NDCG@10 (95 %, over 1,234 users)."),
        ("mae", MetricValue(0.001, -0.001, 0.003), None,
         "A and B cannot be told apart by MAE: B minus A is between -0.0010 and +0.0030 "
         "(95 %, over 1,234 users)."),
        ("mae", MetricValue(0.0, 0.0, 0.0), None, "A and B have the same MAE, user by user."),
        ("mae", MetricValue(-0.5), None, "A and B differ by 0.5000 MAE, on one user only."),
        ("rmse", MetricValue(4e-6, -1.24e-5, 0.0000317), None,
         "A and B cannot be told apart by RMSE: B minus A is between -0.000012 and +0.000032 "
         "(95 %, over 1,234 users)."),
        ("mae", MetricValue(2e-6, 1e-6, 3e-6), "A",
         "A is better than B by 0.0000020 ± 0.0000010 MAE (95 %, over 1,234 users)."),
        ("mae", MetricValue(-3e-7), None, "A and B differ by 0.00000030 MAE, on one user only."),
        # intervals that lie unevenly around the difference
        ("rmse", MetricValue(-0.3366, -0.7034, -0.0012), "B",
         "B is better than A by 0.3366 RMSE, between 0.0012 and 0.7034 "
         "(95 %, over 1,234 users)."),
        ("ndcg@10", MetricValue(-0.2, -0.7, -0.1), "A",
         "A is better than B by 0.2000 NDCG@10, between 0.1000 and 0.7000 "
         "(95 %, over 1,234 users)."),
    ],
)  # fmt: skip
def test_a_difference_is_a_sentence(metric, head, better, sentence):
    one = Difference(metric, "B", "A", head, 1234)
    assert one.better == better
    assert str(one) == sentence


@pytest.mark.parametrize(
    ("head", "amount"),
    [
        (MetricValue(-0.004, -0.005, -0.003), "-0.0040 ± 0.0010"),
        (MetricValue(0.001, -0.001, 0.003), "+0.0010 ± 0.0020"),
        (MetricValue(0.0, 0.0, 0.0), "+0.0000 ± 0.0000"),
        (MetricValue(0.5), "+0.5000"),
        (MetricValue(-0.00000456, -0.00000756, -0.00000156), "-0.0000046 ± 0.0000030"),
        (MetricValue(0.3366, 0.0012, 0.7034), "+0.3366 (+0.0012 to +0.7034)"),  # ± 0.3511 holds 0
        (MetricValue(0.5, -0.01, 0.6), "+0.5000 (-0.0100 to +0.6000)"),  # ± 0.3050 does not
    ],
)
def test_an_amount_says_of_0_what_its_interval_says(head, amount):
    assert Difference("rmse", "B", "A", head, 1234).amount == amount


def test_runs_get_letters_and_json_says_all(runs):
    found = compare(runs)
    letters = short_names(list(runs))
    assert list(letters.values()) == ["A", "B", "C", "D"]
    called = found.called(letters)
    assert list(called.runs) == ["A", "B", "C", "D"]
    assert {one.run for one in called.differences} == {"B", "C", "D"}
    assert all(set(one.values) <= set("ABCD") for one in called.settings.differ)
    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert set(plain) == {"data", "test_ratings", "list_viewers", "runs", "settings",
                          "differences", "notes"}  # fmt: skip
    assert [one["run"] for one in plain["runs"]] == list(runs)
    assert set(plain["differences"][0]) == {"figure", "run", "than", "value", "low", "high",
                                            "users", "better"}  # fmt: skip
    rows = called.metric_rows()
    assert {row["figure"] for row in rows} == {"RMSE", "MAE", "NDCG@10", "HR@10", "Recall@20",
                                               "NDCG@100"}  # fmt: skip
    assert [row["difference"] for row in rows if row["run"] == "A"] == [""] * 6
    assert set(PRIMARY_METRIC.values()) < {one.metric for one in found.differences}
    with pytest.raises(SettingError, match="at most 26"):
        short_names([str(number) for number in range(27)])
