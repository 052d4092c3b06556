"""Leaderboards: what is evaluated as it is, what is retrained, and what is refused."""

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data.synthetic import generate
from matinee.errors import RunError, SettingError
from matinee.evaluation import evaluate_ranking, evaluate_ratings, holdout, leave_one_out
from matinee.experiments import (
    PROTOCOLS,
    Split,
    evaluate_heads,
    evaluate_runs,
    leaderboard,
    provenance,
    train_and_evaluate,
)
from matinee.experiments.leaderboard import BASELINE
from matinee.experiments.provenance import load_run_data
from matinee.models import ALS, EASE, Bias, ImplicitALS, Popularity
from matinee.models.registry import estimator_from_config
from unrated import as_interactions

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is an extra")
RATING = ALS(factors=3, iterations=2, regularization=2.5, seed=4)
RANKING = EASE(regularization=40.0, min_rating=3.0)
SPLIT = Split(seed=3)


def write(path, seed):
    ratings = generate(users=60, items=50, ratings=1500, seed=seed)[0].ratings
    table = pl.DataFrame(
        {
            "user": ratings.user,
            "item": ratings.item,
            "rating": ratings.values,
            # generated users rate movies in the order of their ids; here, in any order
            "timestamp": np.random.default_rng(seed).permutation(len(ratings)),
        }
    )
    table.write_csv(path)
    return path


def saved(folder, source, rating=RATING, ranking=RANKING, split=SPLIT, **how):
    """(the run as `load` returns it, the `TrainingResult`)."""
    result = train_and_evaluate(matinee.read(source), rating, split, ranker=ranking, **how)
    return matinee.load(result.model.save(folder)), result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def source(folder):
    return write(folder / "mine.csv", seed=0)


WITHOUT_USERS = [name for name in PROTOCOLS if name != "cold-users"]  # which needs attributes


@pytest.fixture(scope="module")
def run(folder, source):
    return saved(folder / "run", source)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", WITHOUT_USERS)
def test_every_protocol_evaluates_both_heads_and_the_most_popular_items(run, protocol):
    rows = evaluate_runs({"mine": run[0]}, protocol)
    assert [(row.model, row.estimator, row.head) for row in rows] == [
        ("mine", "ALS", "rating"),
        ("mine", "EASE", "ranking"),
        ("(most popular)", "Popularity", "ranking"),
    ]
    assert {row.ranking.protocol for row in rows} == {protocol}
    assert len({row.ranking.n_users for row in rows}) == 1
    assert [row.rating is not None for row in rows] == [
        protocol != "strong-generalization",
        False,
        False,
    ]
    plain = json.loads(json.dumps([row.to_dict() for row in rows], allow_nan=False))
    keys = {"model", "estimator", "head", "rating", "protocol", "n_users", "note", "metrics"}
    assert all(set(row) == keys for row in plain)


def test_holdout_evaluates_the_run_as_it_is(run, monkeypatch):
    model, result = run
    monkeypatch.setattr(leaderboard, "estimator_from_config", None)  # retraining would fail
    values, ranking, popular = evaluate_runs({"mine": model})
    _, train, test = load_run_data(model)
    task = holdout(train, test)
    assert values.ranking == evaluate_ranking(model, task, head="rating")
    assert ranking.ranking == evaluate_ranking(model, task, head="ranking") == result.ranking
    assert popular.ranking == evaluate_ranking(Popularity().fit(train), task)
    assert values.rating == result.rating


@pytest.mark.parametrize(
    "protocol", ["leave-one-out", "strong-generalization", "temporal", "sampled-negatives"]
)
def test_other_protocols_train_the_same_estimators_on_what_they_allow(run, protocol, monkeypatch):
    evaluated = []

    def spy(model, task, **options):
        evaluated.append((model, task))
        return evaluate_ranking(model, task, **options)

    monkeypatch.setattr(leaderboard, "evaluate_ranking", spy)
    evaluate_runs({"mine": run[0]}, protocol)
    estimators = dict.fromkeys(
        estimator_from_config(head.estimator)
        for model, _ in evaluated
        for head in model.heads.values()
    )
    assert list(estimators) == [RATING, RANKING, Popularity()]
    for model, task in evaluated:
        assert all(map(np.array_equal, model.interactions, task.train.ratings.by_user))
        if protocol == "strong-generalization":
            assert (np.diff(model.interactions.indptr)[task.users] == 0).all()


def test_metrics_of_a_retrained_estimator_are_those_of_training_it_by_hand(run, source):
    train, test = matinee.read(source).split("leave-last-out")
    task = holdout(train, test)
    values, ranking, _ = evaluate_runs({"mine": run[0]}, "leave-one-out")
    assert values.ranking.metrics == evaluate_ranking(RATING.fit(train), task).metrics
    assert values.rating == evaluate_ratings(RATING.fit(train), train, test)
    assert ranking.ranking.metrics == evaluate_ranking(RANKING.fit(train), task).metrics


@pytest.mark.slow
def test_min_rating_and_seed_reach_the_task(run):
    every, min_rating = (
        evaluate_runs({"mine": run[0]}, min_rating=min_rating)[0].ranking
        for min_rating in (None, 5)
    )
    assert min_rating.n_users < every.n_users
    drawn = [
        evaluate_runs({"mine": run[0]}, "strong-generalization", seed=seed)[2].ranking
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.slow
def test_runs_on_the_same_sets_are_in_one_leaderboard(run, folder, source):
    other, _ = saved(folder / "other", source, Bias(), ImplicitALS(factors=4, iterations=2))
    alone, _ = saved(folder / "alone", source, Bias(), None)
    rows = evaluate_runs({"mine": run[0], "other": other, "alone": alone})
    assert [(row.model, row.estimator) for row in rows] == [
        ("mine", "ALS"),
        ("mine", "EASE"),
        ("other", "Bias and ImplicitALS"),
        ("other", "Bias"),
        ("other", "ImplicitALS"),
        ("alone", "Bias"),
        ("(most popular)", "Popularity"),
    ]
    assert rows[:2] == evaluate_runs({"mine": run[0]})[:2]
    assert rows[3].ranking == rows[5].ranking


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["holdout", "strong-generalization"])
def test_runs_on_other_data_or_another_split_are_refused(run, folder, source, protocol):
    elsewhere = write(folder / "elsewhere.csv", seed=1)
    for name, where, split in (
        ("other-data", elsewhere, SPLIT),
        ("other-seed", source, Split(seed=5)),
        ("other-split", source, Split("leave-last-out")),
    ):
        if not (folder / name).exists():
            saved(folder / name, where, Bias(), None, split)
        with pytest.raises(SettingError, match=f"^{name} was trained on other data") as problem:
            evaluate_runs({"mine": run[0], name: matinee.load(folder / name)}, protocol)
        assert "\n" not in str(problem.value)


def test_what_cannot_be_asked_is_refused(run):
    model = run[0]
    with pytest.raises(SettingError, match=r"'holdout', 'leave-one-out', .* got 'magic'"):
        evaluate_runs({"mine": model}, "magic")
    with pytest.raises(SettingError, match="leave min_rating out"):
        evaluate_runs({"mine": model}, "sampled-negatives", min_rating=4)
    with pytest.raises(SettingError, match="no test user"):
        evaluate_runs({"mine": model}, min_rating=9)
    with pytest.raises(RunError, match="Magic"):
        estimator_from_config({"name": "Magic"})
    with pytest.raises(RunError, match="EASE"):
        estimator_from_config({"name": "EASE", "magic": 1})


@pytest.mark.parametrize(
    "estimator",
    [
        RATING,
        RANKING,
        Bias(regularization=3.0, iterations=2),
        ImplicitALS(factors=2, iterations=1, min_rating=3.5, seed=9),
        Popularity(min_rating=2.0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_saved_head_knows_its_estimator(estimator, source, tmp_path):
    model = estimator.fit(matinee.read(source))
    (head,) = matinee.load(model.save(tmp_path / "run")).heads.values()
    assert estimator_from_config(head.estimator) == estimator


@pytest.fixture(scope="module")
def early(folder, source):
    """A run that stopped early."""
    estimator = ALS(factors=3, iterations=6, patience=1)
    return saved(folder / "early", source, estimator, validation=True)


def test_a_run_that_stopped_early_is_evaluated_on_the_same_sets(early):
    model, result = early
    values, ranking, _ = evaluate_runs({"early": model})
    assert values.rating == result.rating
    assert ranking.ranking == result.ranking
    assert len(load_run_data(model)[1]) == result.train_ratings == 1215


def test_a_run_that_stopped_early_can_be_retrained(early):
    rows = evaluate_runs({"early": early[0]}, "leave-one-out")
    assert [row.estimator for row in rows] == ["ALS", "EASE", "Popularity"]


def retrained(model, protocol, monkeypatch):
    """The estimators that are retrained for both heads of the model."""
    evaluated = []

    def spy(model, task, **options):
        evaluated.append(model)
        return evaluate_ranking(model, task, **options)

    monkeypatch.setattr(leaderboard, "evaluate_ranking", spy)
    evaluate_runs({"mine": model}, protocol)
    *mine, _ = evaluated  # the last is the baseline
    configs = [head.estimator for model in mine for head in model.heads.values()]
    return list(dict.fromkeys(map(estimator_from_config, configs)))


def test_als_that_stopped_early_is_retrained_for_as_long_as_was_best(early, monkeypatch):
    model = early[0]
    best = model.rating_head.history.sort("validation_rmse")["iteration"][0]
    values, ranking = retrained(model, "leave-one-out", monkeypatch)
    assert values == ALS(factors=3, iterations=best, patience=0)
    assert ranking == RANKING


def neural_estimators(**settings):
    from matinee.models.neural import BPR, MatrixFactorization

    return MatrixFactorization(**settings), BPR(**settings)


@pytest.fixture(scope="module")
def neural(folder, source):
    """A run with two heads that stopped early: both learn too fast for it to go well for long."""
    mf, bpr = neural_estimators(
        factors=3, epochs=12, patience=2, learning_rate=0.3, schedule="constant", device="cpu"
    )
    return saved(folder / "neural", source, mf, bpr, validation=True, threads=1)


@pytest.mark.slow
@needs_torch
def test_neural_heads_are_evaluated_as_they_are_on_their_own_split(neural):
    model, result = neural
    values, lists, _ = evaluate_runs({"neural": model})
    assert values.rating.rmse == pytest.approx(result.rating.rmse, abs=1e-6)
    assert lists.ranking == result.ranking
    assert (values.estimator, lists.estimator) == ("MatrixFactorization", "BPR")


@pytest.mark.slow
@pytest.mark.parametrize(
    "protocol", ["leave-one-out", "strong-generalization", "temporal", "sampled-negatives"]
)
@needs_torch
def test_neural_heads_that_stopped_early_are_retrained_for_as_long_as_was_best(
    neural, protocol, monkeypatch
):
    model = neural[0]
    values, lists = model.rating_head.history, model.ranking_head.history
    best_rating = values.filter(pl.col("validation_rmse") == values["validation_rmse"].min())
    best_ranking = lists.filter(pl.col("validation_hit_rate") == lists["validation_hit_rate"].max())
    lengths = [int(best["iteration"][0]) for best in (best_rating, best_ranking)]
    assert len(values) == lengths[0] + 2 < 12  # it did stop early
    trained = retrained(model, protocol, monkeypatch)
    expected = neural_estimators(
        factors=3, patience=0, learning_rate=0.3, schedule="constant", device="auto"
    )
    assert trained == [
        replace(estimator, epochs=epochs)
        for estimator, epochs in zip(expected, lengths, strict=True)
    ]


@pytest.mark.slow
@needs_torch
def test_of_equally_good_epochs_the_first_is_the_best(neural, monkeypatch):
    """As training itself sees it: the weights that were kept are the first ones."""
    model = neural[0]
    rates = pl.DataFrame({"iteration": [1, 2, 3, 4], "validation_hit_rate": [0.2, 0.5, 0.5, 0.4]})
    changed = replace(
        model, rating_head=None, ranking_head=replace(model.ranking_head, history=rates)
    )
    (estimator,) = retrained(changed, "leave-one-out", monkeypatch)
    assert estimator.epochs == 2


@pytest.mark.slow
@needs_torch
def test_a_saved_neural_head_knows_its_estimator(source, tmp_path):
    from matinee.models.neural import GMF, MLP, NeuMF

    data = matinee.read(source)
    how = {"epochs": 1, "device": "cpu", "weight_decay": {"factors": 0.1}, "seed": 3}
    for number, estimator in enumerate(
        (
            *neural_estimators(factors=2, **how),
            GMF(factors=2, feedback="explicit", **how),
            MLP(layers=(4, 2), min_rating=3.5, **how),
            NeuMF(factors=2, layers=(4, 3, 2), pretrain_epochs=1, **how),
        )
    ):
        model = estimator.fit(data, threads=1)
        (head,) = matinee.load(model.save(tmp_path / str(number))).heads.values()
        assert estimator_from_config(head.estimator) == replace(estimator, device="auto")


@pytest.mark.parametrize("min_rating", [None, 4.0])
def test_heads_on_a_task_are_evaluated_as_runs_are(run, min_rating):
    model = run[0]
    _, train, test = load_run_data(model)
    runs = {"one": model, "two": model}
    task = holdout(train, test, min_rating=min_rating)
    rows = evaluate_heads(task, runs, min_rating=min_rating)
    assert rows == evaluate_runs(runs, min_rating=min_rating)


def test_heads_are_retrained_where_asked(run):
    model = run[0]
    task = leave_one_out(load_run_data(model)[0])
    rows = evaluate_heads(task, {"mine": model}, retrain=True)
    assert rows == evaluate_runs({"mine": model}, "leave-one-out")
    as_it_is = evaluate_heads(task, {"mine": model})
    assert as_it_is[1].ranking != rows[1].ranking
    assert as_it_is[2] == rows[2]


def test_rows_say_what_ranked(run):
    model = run[0]
    _, train, test = load_run_data(model)
    rows = evaluate_heads(holdout(train, test), {"": model, "other": Popularity().fit(train)})
    assert [row.label for row in rows] == [
        "ALS (rating head)",
        "EASE",
        "Popularity",
        "popularity (baseline)",
    ]


# --- without ratings, and without a test set


@pytest.fixture
def without_ratings(source, monkeypatch):
    """The data, which every reading makes interactions without ratings."""
    read = provenance.read
    monkeypatch.setattr(
        provenance, "read", lambda *args, **how: as_interactions(read(*args, **how))
    )
    return as_interactions(matinee.read(source))


@pytest.mark.slow
@pytest.mark.parametrize("protocol", WITHOUT_USERS)
def test_every_protocol_evaluates_interactions_without_ratings(without_ratings, protocol):
    model = train_and_evaluate(without_ratings, None, SPLIT, ranker=EASE()).model
    mine, popular = evaluate_runs({"mine": model}, protocol)
    assert (mine.estimator, mine.head, popular.model) == ("EASE", "ranking", BASELINE)
    assert mine.ranking.protocol == protocol
    assert 0 < mine.ranking["ndcg@10"] < 1
    assert not any("liked" in name or "graded" in name for name in mine.ranking.metrics)
    with pytest.raises(SettingError, match="interactions without ratings; leave min_rating out"):
        evaluate_runs({"mine": model}, protocol, min_rating=2)


@pytest.mark.slow
def test_a_run_on_everything_is_evaluated_by_training_it_again(folder, source):
    everything, _ = saved(folder / "everything", source, split=Split(test_fraction=0))
    advice = r"everything was trained on everything .*, such as leave-one-out: .* trains again"
    with pytest.raises(SettingError, match=advice):
        evaluate_runs({"everything": everything})
    rows = evaluate_runs({"everything": everything}, "leave-one-out")
    partly = evaluate_runs({"mine": saved(folder / "split", source)[0]}, "leave-one-out")
    assert [row.ranking.metrics for row in rows] == [row.ranking.metrics for row in partly]
