"""Runs side by side: what is judged as it is, what is trained again, and what is refused."""

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data.synthetic import generate
from matinee.errors import RunError, SettingError
from matinee.evaluation import evaluate, held_out, judge
from matinee.experiments import PROTOCOLS, Split, judge_runs, train_and_test
from matinee.experiments import leaderboard as side_by_side
from matinee.experiments.provenance import data_of
from matinee.models import ALS, EASE, BiasOnly, ImplicitALS, Popularity
from matinee.models.registry import recipe_again

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is an extra")
RATING = ALS(factors=3, iterations=2, regularization=2.5, seed=4)
RANKING = EASE(regularization=40.0, liked=3.0)
SPLIT = Split(seed=3)


def write(path, seed):
    ratings = generate(viewers=60, movies=50, ratings=1500, seed=seed)[0].ratings
    table = pl.DataFrame(
        {
            "user": ratings.user,
            "item": ratings.item,
            "stars": ratings.stars,
            # generated viewers rate movies in the order of their ids; here, in any order
            "timestamp": np.random.default_rng(seed).permutation(len(ratings)),
        }
    )
    table.write_csv(path)
    return path


def saved(folder, source, rating=RATING, ranking=RANKING, split=SPLIT, **how):
    """(the run as `load` returns it, what `train_and_test` said of it)"""
    result = train_and_test(matinee.read(source), rating, split, ranking=ranking, **how)
    return matinee.load(result.model.save(folder)), result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def source(folder):
    return write(folder / "mine.csv", seed=0)


@pytest.fixture(scope="module")
def run(folder, source):
    return saved(folder / "run", source)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_judges_both_heads_and_the_most_watched(run, protocol):
    rows = judge_runs({"mine": run[0]}, protocol)
    assert [(row.model, row.recipe, row.by) for row in rows] == [
        ("mine", "ALS", "stars"),
        ("mine", "EASE", "ranking"),
        ("(most watched)", "Popularity", "ranking"),
    ]
    assert {row.lists.protocol for row in rows} == {protocol}
    assert len({row.lists.viewers for row in rows}) == 1
    assert [row.stars is not None for row in rows] == [protocol != "strong", False, False]
    plain = json.loads(json.dumps([row.as_json() for row in rows], allow_nan=False))
    keys = {"model", "recipe", "by", "stars", "protocol", "viewers", "note", "figures"}
    assert all(set(row) == keys for row in plain)


def test_held_out_judges_the_run_as_it_is(run, monkeypatch):
    model, result = run
    monkeypatch.setattr(side_by_side, "recipe_again", None)  # whoever trained again would fail
    stars, ranking, popular = judge_runs({"mine": model})
    _, train, test = data_of(model)
    exam = held_out(train, test)
    assert stars.lists == judge(model, exam, by="stars")
    assert ranking.lists == judge(model, exam, by="ranking") == result.lists
    assert popular.lists == judge(Popularity().fit(train), exam)
    assert stars.stars == result.test


@pytest.mark.parametrize("protocol", ["leave-last-out", "strong", "time", "ncf"])
def test_other_protocols_train_the_same_recipes_on_what_they_allow(run, protocol, monkeypatch):
    judged = []

    def spy(model, exam, **options):
        judged.append((model, exam))
        return judge(model, exam, **options)

    monkeypatch.setattr(side_by_side, "judge", spy)
    judge_runs({"mine": run[0]}, protocol)
    recipes = [recipe_again(head.trainer) for model, _ in judged for head in model.heads.values()]
    assert recipes == [RATING, RANKING, Popularity()]
    for model, exam in judged:
        assert all(map(np.array_equal, model.rated, exam.train.ratings.by_user))
        if protocol == "strong":
            assert (np.diff(model.rated.indptr)[exam.users] == 0).all()


def test_figures_of_a_recipe_trained_again_are_those_of_training_it_by_hand(run, source):
    train, test = matinee.read(source).split("last")
    exam = held_out(train, test)
    stars, ranking, _ = judge_runs({"mine": run[0]}, "leave-last-out")
    assert stars.lists.figures == judge(RATING.fit(train), exam).figures
    assert stars.stars == evaluate(RATING.fit(train), train, test)
    assert ranking.lists.figures == judge(RANKING.fit(train), exam).figures


def test_liked_and_seed_reach_the_exam(run):
    every, liked = (judge_runs({"mine": run[0]}, liked=liked)[0].lists for liked in (None, 5))
    assert liked.viewers < every.viewers
    drawn = [judge_runs({"mine": run[0]}, "strong", seed=seed)[2].lists for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_runs_on_the_same_parts_stand_side_by_side(run, folder, source):
    other, _ = saved(folder / "other", source, BiasOnly(), ImplicitALS(factors=4, iterations=2))
    alone, _ = saved(folder / "alone", source, BiasOnly(), None)
    rows = judge_runs({"mine": run[0], "other": other, "alone": alone})
    assert [(row.model, row.recipe) for row in rows] == [
        ("mine", "ALS"),
        ("mine", "EASE"),
        ("other", "BiasOnly"),
        ("other", "ImplicitALS"),
        ("alone", "BiasOnly"),
        ("(most watched)", "Popularity"),
    ]
    assert rows[:2] == judge_runs({"mine": run[0]})[:2]
    assert rows[2].lists == rows[4].lists


@pytest.mark.parametrize("protocol", ["held-out", "strong"])
def test_runs_on_other_data_or_another_split_are_refused(run, folder, source, protocol):
    elsewhere = write(folder / "elsewhere.csv", seed=1)
    for name, where, split in (
        ("other-data", elsewhere, SPLIT),
        ("other-seed", source, Split(seed=5)),
        ("other-split", source, Split("last")),
    ):
        if not (folder / name).exists():
            saved(folder / name, where, BiasOnly(), None, split)
        with pytest.raises(SettingError, match=f"^{name} was trained on other data") as problem:
            judge_runs({"mine": run[0], name: matinee.load(folder / name)}, protocol)
        assert "\n" not in str(problem.value)


def test_what_cannot_be_asked_is_refused(run):
    model = run[0]
    with pytest.raises(SettingError, match=r"held-out, leave-last-out, .* not 'magic'"):
        judge_runs({"mine": model}, "magic")
    with pytest.raises(SettingError, match="leave `liked` out"):
        judge_runs({"mine": model}, "ncf", liked=4)
    with pytest.raises(SettingError, match="nobody can be judged"):
        judge_runs({"mine": model}, liked=9)
    with pytest.raises(RunError, match="knows no recipe 'Magic'"):
        recipe_again({"name": "Magic"})
    with pytest.raises(RunError, match="knows no recipe 'EASE'"):
        recipe_again({"name": "EASE", "magic": 1})


@pytest.mark.parametrize(
    "recipe",
    [
        RATING,
        RANKING,
        BiasOnly(regularization=3.0, iterations=2),
        ImplicitALS(factors=2, iterations=1, liked=3.5, seed=9),
        Popularity(liked=2.0),
    ],
    ids=lambda recipe: type(recipe).__name__,
)
def test_a_saved_head_knows_its_recipe(recipe, source, tmp_path):
    model = recipe.fit(matinee.read(source))
    (head,) = matinee.load(model.save(tmp_path / "run")).heads.values()
    assert recipe_again(head.trainer) == recipe


@pytest.fixture(scope="module")
def early(folder, source):
    """A run that stopped early."""
    recipe = ALS(factors=3, iterations=6, patience=1)
    return saved(folder / "early", source, recipe, hold_out_validation=True)


def test_a_run_that_stopped_early_is_judged_on_the_same_parts(early):
    model, result = early
    stars, ranking, _ = judge_runs({"early": model})
    assert stars.stars == result.test
    assert ranking.lists == result.lists
    assert len(data_of(model)[1]) == result.train_ratings == 1215


def test_a_run_that_stopped_early_can_be_trained_again(early):
    rows = judge_runs({"early": early[0]}, "leave-last-out")
    assert [row.recipe for row in rows] == ["ALS", "EASE", "Popularity"]


def retrained(model, protocol, monkeypatch):
    """The recipes that a comparison trains again, of the one model and of both its heads."""
    judged = []

    def spy(model, exam, **options):
        judged.append(model)
        return judge(model, exam, **options)

    monkeypatch.setattr(side_by_side, "judge", spy)
    judge_runs({"mine": model}, protocol)
    *mine, _ = judged  # the last are the most watched movies
    return [recipe_again(head.trainer) for model in mine for head in model.heads.values()]


def test_als_that_stopped_early_is_trained_again_for_as_long_as_was_best(early, monkeypatch):
    model = early[0]
    best = model.rating.history.sort("validation_rmse")["iteration"][0]
    stars, ranking = retrained(model, "leave-last-out", monkeypatch)
    assert stars == ALS(factors=3, iterations=best, patience=0)
    assert ranking == RANKING


def neural_recipes(**settings):
    from matinee.models.neural import BPR, MatrixFactorization

    return MatrixFactorization(**settings), BPR(**settings)


@pytest.fixture(scope="module")
def neural(folder, source):
    """A run with two heads that stopped early: both learn too fast for it to go well for long."""
    mf, bpr = neural_recipes(
        factors=3, epochs=8, patience=2, learning_rate=0.3, schedule="constant", device="cpu"
    )
    return saved(folder / "neural", source, mf, bpr, hold_out_validation=True, threads=1)


@needs_torch
def test_neural_heads_are_judged_as_they_are_on_their_own_split(neural):
    model, result = neural
    stars, lists, _ = judge_runs({"neural": model})
    assert stars.stars.rmse == pytest.approx(result.test.rmse, abs=1e-6)
    assert lists.lists == result.lists
    assert (stars.recipe, lists.recipe) == ("MatrixFactorization", "BPR")


@pytest.mark.parametrize("protocol", ["leave-last-out", "strong", "time", "ncf"])
@needs_torch
def test_neural_heads_that_stopped_early_are_trained_again_for_as_long_as_was_best(
    neural, protocol, monkeypatch
):
    model = neural[0]
    stars, lists = model.rating.history, model.ranking.history
    best_stars = stars.filter(pl.col("validation_rmse") == stars["validation_rmse"].min())
    best_lists = lists.filter(pl.col("validation_hit_rate") == lists["validation_hit_rate"].max())
    lengths = [int(best["iteration"][0]) for best in (best_stars, best_lists)]
    assert len(stars) == lengths[0] + 2 < 8  # it did stop early
    trained = retrained(model, protocol, monkeypatch)
    wanted = neural_recipes(
        factors=3, patience=0, learning_rate=0.3, schedule="constant", device="auto"
    )
    assert trained == [
        replace(recipe, epochs=epochs) for recipe, epochs in zip(wanted, lengths, strict=True)
    ]


@needs_torch
def test_of_equally_good_epochs_the_first_is_the_best(neural, monkeypatch):
    """As training itself sees it: the weights that were kept are the first ones."""
    model = neural[0]
    rates = pl.DataFrame({"iteration": [1, 2, 3, 4], "validation_hit_rate": [0.2, 0.5, 0.5, 0.4]})
    changed = replace(model, rating=None, ranking=replace(model.ranking, history=rates))
    (recipe,) = retrained(changed, "leave-last-out", monkeypatch)
    assert recipe.epochs == 2


@needs_torch
def test_a_saved_neural_head_knows_its_recipe(source, tmp_path):
    from matinee.models.neural import GMF, MLP, NeuMF

    data = matinee.read(source)
    how = {"epochs": 1, "device": "cpu", "weight_decay": {"factors": 0.1}, "seed": 3}
    for number, recipe in enumerate(
        (
            *neural_recipes(factors=2, **how),
            GMF(factors=2, feedback="explicit", **how),
            MLP(layers=(4, 2), liked=3.5, **how),
            NeuMF(factors=2, layers=(4, 3, 2), pretrain_epochs=1, **how),
        )
    ):
        model = recipe.fit(data, threads=1)
        (head,) = matinee.load(model.save(tmp_path / str(number))).heads.values()
        assert recipe_again(head.trainer) == replace(recipe, device="auto")
