"""Retraining: what goes in, what is held out, and which of two models is in the run's folder."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data import generate, read
from matinee.data.synthetic import write_generated
from matinee.errors import DataError, RunError, SettingError
from matinee.experiments import Split, load_run_data, retraining, train_and_evaluate
from matinee.experiments.folded_in import FoldedIn
from matinee.experiments.retraining import retrain
from matinee.experiments.split import not_learned
from matinee.models import ALS, Bias, ImplicitALS, Popularity

TOLD = {
    "user_id": pl.String, "item_id": pl.String, "rating": pl.Float64, "timestamp": pl.Int64,
}  # fmt: skip
NOTHING = pl.DataFrame(schema=TOLD)


def feedback(users, seed=0, value=None, n_items=30):
    """What some users have told: ratings of known items, at random or all the same."""
    rng = np.random.default_rng(seed)
    rows = [
        (user, str(item), value or float(rng.choice([2, 3, 4, 5])), 1_700_000_000)
        for user in users
        for item in rng.choice(np.arange(1, 61), n_items, replace=False)
    ]
    return pl.DataFrame(rows, schema=TOLD, orient="row")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run `demo` and the data that it was trained on."""
    root = tmp_path_factory.mktemp("retraining")
    write_generated(root / "small", users=120, items=60, ratings=3000, seed=4)
    estimators = ALS(factors=4, iterations=4), ImplicitALS(factors=4, iterations=4)
    result = train_and_evaluate(read(root / "small"), estimators[0], Split(), ranker=estimators[1])
    result.model.save(root / "runs" / "demo")
    return root


@pytest.fixture
def root(trained, tmp_path):
    """A copy of its runs, which a test may change; the data are in the same place."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path


def names(root):
    return sorted(path.name for path in (root / "runs").iterdir())


def users_in(root):
    """The ids of all users in any table or run below a folder."""
    tables = [pl.read_parquet(path)["user_id"] for path in root.rglob("*.parquet")
              if "user_id" in pl.read_parquet_schema(path)]  # fmt: skip
    runs = [matinee.load(path.parent).user_ids.values for path in root.rglob("manifest.json")]
    return {str(user) for ids in (*tables, *runs) for user in ids}


BOTH = ["demo", "demo-before-retraining"]


def test_a_run_that_knows_all_is_left_alone(root):
    assert retrain(root / "runs" / "demo", NOTHING) is None
    assert names(root) == ["demo"]


def test_the_new_model_knows_what_was_told_and_the_former_one_is_kept(root):
    run = root / "runs" / "demo"
    former = matinee.load(run)
    done = retrain(run, feedback(["page-a", "7"]), margin=0.5)
    assert (done.merged.used, done.merged.users, done.merged.new_users) == (60, 2, 1)
    new = matinee.load(run)
    assert "page-a" in new.user_ids.values
    assert 20 < len(new.index.profile("page-a").items) <= 30
    assert np.array_equal(
        matinee.load(done.before).predict(7, [1, 2, 3]), former.predict(7, [1, 2, 3])
    )
    assert names(root) == BOTH
    assert done.before == root / "runs" / "demo-before-retraining"
    everything, train, _ = load_run_data(new)  # they can be read, and are those it learned from
    assert len(everything) == len(done.merged.dataset)
    assert np.array_equal(train.ratings.by_user.values, new.interactions[2])
    assert new.metadata["data"]["name"] == former.metadata["data"]["name"]
    assert retrain(run, feedback(["page-a", "7"]), margin=0.5) is None


def test_what_is_taken_back_is_forgotten(root):
    run = root / "runs" / "demo"
    retrain(run, feedback(["page-a", "page-b"]), margin=0.5)
    done = retrain(run, feedback(["page-b"]), margin=0.5)
    assert (done.merged.used, done.merged.new_users) == (30, 1)
    assert "page-a" not in users_in(run)
    assert "page-a" in users_in(done.before)
    done = retrain(run, NOTHING, margin=0.5)  # nobody is left
    assert done.merged.used == 0
    assert "page-b" not in users_in(run)
    assert retrain(run, NOTHING) is None
    retrain(run, feedback(["page-c"]), margin=0.5)
    assert users_in(root).isdisjoint({"page-a", "page-b"})
    assert names(root) == BOTH


def test_the_original_data_are_only_read(trained, tmp_path):
    """Wherever they are, and whatever they are called."""
    data = shutil.copytree(trained / "small", tmp_path / "demo-data-set")
    run = tmp_path / "demo"
    train_and_evaluate(read(data), Bias(), Split(), ranker=Popularity()).model.save(run)
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    for number in range(3):
        retrain(run, feedback([f"page-{number}"]), margin=0.5)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_a_former_run_stays_as_it_was_and_can_be_copied(root):
    run = root / "runs" / "demo"
    files = {path.name: path.read_bytes() for path in run.iterdir()}
    run.chmod(0o700)
    done = retrain(run, feedback(["page-a"]), margin=0.5)
    assert {path.name: path.read_bytes() for path in done.before.iterdir()} == files
    made = [path for folder in (run, done.before) for path in (folder, *folder.rglob("*"))]
    assert not any(path.stat().st_mode & 0o077 for path in made)
    kept = shutil.copytree(run, root / "kept")
    retrain(run, feedback(["page-b"]), margin=0.5)
    assert load_run_data(matinee.load(kept))[0].ratings.user_ids.are_text


def test_a_run_named_by_its_own_folder(root, monkeypatch):
    monkeypatch.chdir(root / "runs" / "demo")
    assert retrain(Path(), feedback(["page-a"]), margin=0.5).before.name == BOTH[1]
    assert names(root) == BOTH


def test_a_place_that_is_taken_is_refused_before_the_work(root):
    (root / "runs" / BOTH[1]).mkdir()
    with pytest.raises(RunError, match="exists and is not a run"):
        retrain(root / "runs" / "demo", feedback(["page-a"]))


def test_a_run_that_changes_meanwhile_is_not_replaced(root, monkeypatch):
    run = root / "runs" / "demo"

    def compared(*_):
        matinee.load(run).save(run)
        return False

    monkeypatch.setattr(retraining, "_worse", compared)
    with pytest.raises(RunError, match="another run has taken its place"):
        retrain(run, feedback(["page-a"]))
    assert names(root) == ["demo"]


def test_two_models_without_a_common_metric_are_not_compared(root, monkeypatch):
    monkeypatch.setattr(retraining, "_errors", lambda *_: retraining.Errors(None, None))
    with pytest.raises(RunError, match="no metric"):
        retrain(root / "runs" / "demo", feedback(["page-a"]))
    assert names(root) == ["demo"]


def test_what_is_held_out_stays_so(root):
    run = root / "runs" / "demo"
    held_out = set()
    for number in range(3):
        done = retrain(run, feedback(["page-a"] + ["page-b"] * (number > 0), number), margin=0.5)
        _, train, test = load_run_data(matinee.load(run))
        pairs = [
            {(str(user), item) for user, item, *_ in part.ratings.to_frame().rows()}
            for part in (train, test)
        ]
        assert not held_out & pairs[0]
        held_out |= pairs[1]
        if number:  # then all of it is new to both
            assert done.n_ratings == len(test)


@pytest.mark.parametrize("better", ["former", "new"])
def test_the_better_one_wins(root, monkeypatch, better):
    worse = {"former": (0.9, 0.1979), "new": (0.9, 0.1981)}[better]
    errors = iter([retraining.Errors(0.9, 0.2), retraining.Errors(*worse)])
    monkeypatch.setattr(retraining, "_errors", lambda *_: next(errors))
    run = root / "runs" / "demo"
    before = (run / "manifest.json").read_bytes()
    done = retrain(run, feedback(["page-a"]), margin=0.01)
    assert (done.before is None) == (better == "former")
    assert ((run / "manifest.json").read_bytes() == before) == (better == "former")
    assert (names(root) == ["demo"]) == (better == "former")


@pytest.mark.parametrize(
    ("former", "new", "worse"),
    [
        ((1.0, 0.2), (1.01, 0.2), False),
        ((1.0, 0.2), (1.011, 0.3), True),
        ((1.0, 0.2), (0.5, 0.197), True),
        ((1.0, None), (1.0, None), False),
        ((None, 0.2), (None, 0.199), False),
        ((1.0, 0.2), (float("nan"), 0.2), True),
    ],
)
def test_the_margin_is_a_share(former, new, worse):
    errors = retraining.Errors(*former), retraining.Errors(*new)
    assert retraining._worse(*errors, 0.01) == worse


def test_data_that_have_grown_are_read_as_they_are(trained, tmp_path):
    folder, run = tmp_path / "growing", tmp_path / "runs" / "grown"
    shutil.copytree(trained / "small", folder)
    train_and_evaluate(read(folder), Bias(), Split(), ranker=Popularity()).model.save(run)
    lines = (folder / "ratings.csv").read_text().splitlines()
    grown = [line.replace(line.split(",")[0], "999", 1) for line in lines[1:30]]
    grown = list({",".join(line.split(",")[:2]): line for line in grown}.values())
    (folder / "ratings.csv").write_text("\n".join([*lines, *grown]) + "\n")
    done = retrain(run, NOTHING, margin=0.5)
    assert done.source_changed
    assert 999 in matinee.load(run).user_ids.values
    assert retrain(run, NOTHING) is None
    done = retrain(run, feedback(["page-a"]), margin=0.5)
    assert not done.source_changed


def test_runs_that_cannot_be_compared_or_read(trained, root):
    data = read(trained / "small")
    whole = train_and_evaluate(data, Bias(), Split(test_fraction=0)).model
    run = whole.save(root / "runs" / "whole")
    seen = pl.DataFrame(data.to_frame().select("user_id", "item_id", "rating", "timestamp")).cast(
        TOLD
    )
    with pytest.raises(RunError, match="no rating that the model has not learned from"):
        retrain(run, seen[:40].with_columns(rating=pl.lit(3.0)))
    in_memory = generate(users=30, items=20, ratings=200)[0]
    run = train_and_evaluate(in_memory, Bias(), Split()).model.save(root / "runs" / "memory")
    with pytest.raises(DataError, match="There is no file, folder or data set 'generated'"):
        retrain(run, NOTHING)
    run = train_and_evaluate(replace(in_memory, source=""), Bias(), Split()).model.save(run)
    with pytest.raises(RunError, match="a table in memory"):
        retrain(run, NOTHING)
    with pytest.raises(SettingError, match="margin must be"):
        retrain(run, NOTHING, margin=-1)


@pytest.mark.parametrize("origin", [7, [], {"source": 3}, {"source": "x", "reading": {}}])
def test_a_hostile_origin(root, origin):
    run = root / "runs" / "demo"
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["data"]["origin"] = origin
    (run / "manifest.json").write_text(json.dumps(manifest))
    if origin == []:
        assert retrain(run, NOTHING) is None
        return
    with pytest.raises(RunError, match="does not say which data"):
        retrain(run, NOTHING)


def test_folded_in_users_of_the_models_own_data_are_predicted_as_such(parts, model):
    train, test = parts
    pairs = test.ratings.take(np.arange(50)).to_frame()
    users, items = pairs["user_id"].to_numpy(), pairs["item_id"].to_numpy()
    profiles = [model.index.profile(int(user)) for user in users]
    asked = FoldedIn(model, train)
    expected = [
        model.predict(profile, [int(item)])[0]
        for profile, item in zip(profiles, items, strict=True)
    ]
    assert asked.predict(users, items).tolist() == pytest.approx(expected, abs=1e-6)
    assert np.allclose(asked.scores(users[:3]), model.scores(profiles[:3]))


def test_users_all_of_whose_ratings_are_held_out(root):
    few = feedback([f"page-{number}" for number in range(60)], n_items=1)
    done = retrain(root / "runs" / "demo", few, margin=0.5)
    assert done.before is not None
    index = matinee.load(root / "runs" / "demo").index
    assert not index.users_known.all()


def test_a_model_of_other_items_ranks_what_it_does_not_know_last(parts, model):
    train, _ = parts
    more = train.to_frame().select("user_id", pl.col("item_id") + 5, "rating")
    shifted = read(more, scale=train.ratings.scale)
    asked = FoldedIn(model, shifted)
    user = shifted.ratings.user_ids.values[0]
    scores = asked.scores([user])[0]
    unknown = ~np.isin(shifted.catalog.ids.values.to_numpy(), model.items.to_numpy())
    assert unknown.any()
    assert scores[unknown].max() < scores[~unknown].min()
    profile = asked._profile(0)
    rows = shifted.ratings.by_user
    ids = shifted.catalog.ids.values[rows.indices[: rows.indptr[1]]].to_list()
    known = [item for item in ids if item in model.items]
    assert model.items[profile.items.tolist()].to_list() == known
    predicted = asked.predict([user, user], np.array([ids[0], 10**6]))
    assert np.isfinite(predicted).all()


def test_what_a_model_has_learned_from_is_no_test(parts, model):
    train, test = parts
    assert len(not_learned(train, model)) == 0
    assert len(not_learned(test, model)) == len(test)
    texts = read(test.to_frame().with_columns(pl.col("user_id").cast(pl.String)))
    assert len(not_learned(texts, model)) == len(test)
    assert len(not_learned(replace(test, ratings=train.ratings), model)) == 0
