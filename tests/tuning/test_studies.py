"""Studies on disk: killed, shared, gone on with, and refused."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import optuna
import polars as pl
import pytest
from optuna.trial import TrialState

from matinee.data.synthetic import generate
from matinee.errors import RunError, SettingError
from matinee.experiments import Split
from matinee.models import ALS
from matinee.models.loading import load
from matinee.storage.atomic import locked
from matinee.storage.runs import remove_run
from matinee.tuning import Choice, Range, SearchSpace, tune
from matinee.tuning.study import DATA, NAMES, open_study

WORK = """
    import sys, time
    from matinee.data.generated import generate
    from matinee.tuning import tune, trials
    usual = trials.Trials.__call__
    def slowly(self, trial):
        time.sleep({pause})
        return usual(self, trial)
    trials.Trials.__call__ = slowly
    data, _ = generate(users=60, movies=50, ratings=1500, seed=0)
    found = tune(data, "bias", trials={trials}, study="study", run="run", search="random")
    print(len(found.trials), found.others, found.winner and found.winner.tests, flush=True)
"""


@pytest.fixture(scope="module")
def data():
    return generate(users=60, items=50, ratings=1500, seed=0)[0]


def begin(folder, pause, trials):
    code = textwrap.dedent(WORK.format(pause=pause, trials=trials))
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def trials_in(folder):
    """The trials of a study that nobody works on."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = f"sqlite:///{folder}/study.sqlite3"
    return optuna.load_study(study_name="matinee", storage=storage).trials


def ended_in(folder):
    """How many trials have ended of a study that somebody works on, without touching it."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/study.sqlite3?mode=ro", uri=True)) as file:
            states = file.execute("SELECT state FROM trials").fetchall()
    except sqlite3.OperationalError:  # it begins just now
        return 0
    return sum(state in ("COMPLETE", "PRUNED") for (state,) in states)


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_search_loses_no_finished_trial(tmp_path, data):
    worker = begin(tmp_path, 0.3, 50)
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    try:
        wait_for(lambda: ended_in(tmp_path / "study") >= 3)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    before = [one for one in trials_in(tmp_path / "study") if one.state in ended]
    found = tune(
        data, "bias", trials=len(before) + 2, study=tmp_path / "study", run=tmp_path / "run",
        search="random",
    )  # fmt: skip
    values = {one["trial"]: one["value"] for one in found.trials}
    assert {one.number: one.value for one in before}.items() <= values.items()
    assert len(found.trials) == len(before) + 2
    assert found.winner.tests == 1
    others = [one for one in trials_in(tmp_path / "study") if one.state not in ended]
    assert {one.state for one in others} <= {TrialState.FAIL, TrialState.WAITING}


def test_processes_share_a_study_and_one_of_them_trains_the_winner(tmp_path, data):
    workers = [begin(tmp_path, 0.2, 12) for _ in range(2)]
    told = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], told
    lines = sorted(out.split() for out, _ in told)
    assert [line[1:] for line in lines] in (
        [["False", "1"], ["True", "None"]],
        [["True", "None"], ["False", "1"]],
        [["False", "1"], ["False", "1"]],  # the first had ended before the other looked
    )
    trials = trials_in(tmp_path / "study")
    assert 12 <= len(trials) <= 13
    assert len({tuple(one.params.values()) for one in trials}) == len(trials)  # none made twice


def test_a_search_goes_on_as_if_it_had_not_been_interrupted(tmp_path, data):
    """But for what ALS and iALS remember of earlier trials."""

    def settings(found):
        return {one["trial"]: one["settings"] for one in found.trials}

    whole = tune(data, "ease", trials=6, study=tmp_path / "a", run=tmp_path / "r1")
    tune(data, "ease", trials=2, study=tmp_path / "b", run=tmp_path / "r2")
    parts = tune(data, "ease", trials=6, study=tmp_path / "b", run=tmp_path / "r2")
    assert settings(parts) == settings(whole)
    assert whole.winner.tests == 1


def test_ctrl_c_keeps_what_is_finished_and_looks_at_no_test_part(tmp_path, data, monkeypatch):
    from matinee.tuning import trial as trials

    default = trials.TrialRunner.__call__

    def stops(self, trial):
        if trial.number == 2:
            raise KeyboardInterrupt
        return default(self, trial)

    with monkeypatch.context() as patch:
        patch.setattr(trials.TrialRunner, "__call__", stops)
        found = tune(data, "bias", trials=5, study=tmp_path / "study", run=tmp_path / "run")
    assert found.interrupted
    assert found.winner is None
    assert len(found.trials) == 2
    assert not (tmp_path / "run").exists()
    again = tune(data, "bias", trials=5, study=tmp_path / "study", run=tmp_path / "run")
    assert len(again.trials) == 5
    assert again.winner.run == str(tmp_path / "run")


def test_a_finished_study_only_tells(tmp_path, data):
    first = tune(data, "bias", trials=3, study=tmp_path / "study", run=tmp_path / "run")
    made = (tmp_path / "run" / "manifest.json").stat().st_mtime_ns
    assert tune(data, "bias", trials=3, study=tmp_path / "study", run=tmp_path / "run") == first
    assert (tmp_path / "run" / "manifest.json").stat().st_mtime_ns == made
    recorded = load(tmp_path / "run").metadata["tuning"]
    assert recorded["trial"] == first.winner.trial
    assert recorded["study"]["metric"] == "rmse"


def test_a_study_of_other_ratings_is_refused(tmp_path, data):
    tune(data, "bias", trials=1, study=tmp_path / "study", run=tmp_path / "run")
    values = data.ratings.values.copy()
    values[0] = 5.5 - values[0]
    changed = replace(data, ratings=replace(data.ratings, values=values))
    with pytest.raises(RunError, match="no longer the ratings that the study was begun with"):
        tune(changed, "bias", trials=2, study=tmp_path / "study")


def test_a_study_of_other_genres_is_refused(tmp_path, data):
    tune(data, "als", trials=1, study=tmp_path / "study", run=tmp_path / "run")
    without = data.catalog.frame.with_columns(genres=pl.lit([], pl.List(pl.String)))
    changed = replace(data, catalog=replace(data.catalog, frame=without))
    with pytest.raises(RunError, match="no longer the movies, with their years and genres, that"):
        tune(changed, "als", trials=2, study=tmp_path / "study")


OTHER = {
    "--metric (rmse, not mae)": {"metric": "mae"},
    "--search (tpe, not random)": {"search": "random"},
    "--validation (random, not 3-fold)": {"validation": "3-fold"},
    "--seed (0, not 1)": {"split": Split(seed=1)},
    "the split": {"split": Split("leave-last-out")},
    "the space": {"space": SearchSpace("Bias", {"regularization": Range(1.0, 2.0)})},
}


@pytest.mark.parametrize("said", OTHER)
def test_a_study_that_was_begun_with_something_else_is_refused(tmp_path, data, said):
    tune(data, "bias", trials=1, study=tmp_path / "study", run=tmp_path / "run")
    with pytest.raises(SettingError) as refused:
        tune(data, "bias", trials=1, study=tmp_path / "study", **OTHER[said])
    assert f"begun with another value of {said}; name another folder with --study" in str(
        refused.value
    )


def test_what_is_no_study_is_refused(tmp_path, data):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="this is there already and is no study"):
        tune(data, "bias", trials=1, study=tmp_path)
    corrupt = tmp_path / "damaged"
    corrupt.mkdir()
    (corrupt / "study.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match="the study cannot be used \\(file is not a database\\)"):
        tune(data, "bias", trials=1, study=corrupt)
    with pytest.raises(RunError, match="this is there already and is no study"):
        tune(data, "bias", trials=1, study=tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_the_test_part_has_no_say_in_the_search(tmp_path, data):
    split = Split()
    train, test = split.apply(data)
    rows = {
        pair: at for at, pair in enumerate(zip(data.ratings.user, data.ratings.item, strict=True))
    }
    values = data.ratings.values.copy()
    for pair in zip(test.ratings.user, test.ratings.item, strict=True):
        values[rows[pair]] = 5.5 - values[rows[pair]]
    other = replace(data, ratings=replace(data.ratings, values=values))
    assert np.array_equal(split.apply(other)[0].ratings.values, train.ratings.values)
    found = [
        tune(one, "als", trials=4, study=tmp_path / name, run=tmp_path / f"{name}-run")
        for name, one in (("a", data), ("b", other))
    ]
    levels = [
        {one["trial"]: (one["value"], one["settings"]) for one in each.trials} for each in found
    ]
    assert levels[0] == levels[1]
    assert found[0].winner.settings == found[1].winner.settings
    assert found[0].winner.test["rmse"] < found[1].winner.test["rmse"]


def test_what_an_interrupt_took_is_made_again(tmp_path, data, monkeypatch):
    from matinee.tuning import trial as trials

    place = {"study": tmp_path / "study", "run": tmp_path / "run"}
    grid = {"space": SearchSpace("Bias", {"iterations": Choice((2, 4, 6))}), "search": "grid"}

    def stops(self, trial):
        self.space.suggest(trial)
        raise KeyboardInterrupt

    for more, wanted in (({}, 2), (grid, None)):
        place = {name: path / str(wanted) for name, path in place.items()}
        with monkeypatch.context() as patch:
            patch.setattr(trials.TrialRunner, "__call__", stops)
            assert tune(data, "bias", trials=wanted, **place, **more).interrupted
        found = tune(data, "bias", trials=wanted, **place, **more)
        if wanted:
            assert found.default is not None
        else:
            tried = sorted(one["settings"]["iterations"] for one in found.trials)
            assert tried == [2, 4, 6]
            assert tune(data, "bias", trials=wanted, **place, **more) == found


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_an_interrupt_changes_nothing_of_what_is_tried(tmp_path, data, monkeypatch, search):
    from matinee.tuning import trial as trials

    default = trials.TrialRunner.__call__
    deadly = iter([False, False, True, False, True])

    def stops(self, trial):
        value = default(self, trial)
        if next(deadly, False):
            raise KeyboardInterrupt
        return value

    def tuned(name):
        return tune(
            data, "ease", trials=13, study=tmp_path / name, run=tmp_path / f"{name}-run",
            search=search,
        )  # fmt: skip

    whole = {tuple(one["settings"].values()): one["value"] for one in tuned("whole").trials}
    with monkeypatch.context() as patch:
        patch.setattr(trials.TrialRunner, "__call__", stops)
        found = [tuned("parts") for _ in range(3)]
    assert [one.interrupted for one in found] == [True, True, False]
    assert {tuple(one["settings"].values()): one["value"] for one in found[2].trials} == whole


def test_a_few_values_go_on_whatever_was_asked_for_first(tmp_path, data, monkeypatch):
    from matinee.tuning import trial as trials

    space = SearchSpace(
        "EASE", {"regularization": Choice((50.0, 100.0, 100.0005, 200.0, 400.0, 800.0))}
    )
    place = {"space": space, "study": tmp_path / "study", "run": tmp_path / "run"}
    default, calls = trials.TrialRunner.__call__, []

    def stops(self, trial):
        calls.append(trial.number)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return default(self, trial)

    with monkeypatch.context() as patch:
        patch.setattr(trials.TrialRunner, "__call__", stops)
        assert len(tune(data, "ease", trials=3, **place).trials) == 1
    assert len(tune(data, "ease", trials=3, **place).trials) == 3
    found = tune(data, "ease", **place)
    assert sorted(one["settings"]["regularization"] for one in found.trials) == [
        50.0, 100.0, 100.0005, 200.0, 400.0, 800.0
    ]  # fmt: skip
    assert found.standing.startswith("The test part was looked at")


def test_what_a_killed_process_had_taken_is_tried_before_anybody_wins(tmp_path, data, monkeypatch):
    from matinee.tuning import trial as trials

    default, taken = trials.TrialRunner.__call__, []

    def beside_another(self, trial):
        if not taken:  # another process begins a point, and is gone
            taken.append(self.space.suggest(trial.study.ask()))
        return default(self, trial)

    monkeypatch.setattr(trials.TrialRunner, "__call__", beside_another)
    found = tune(
        data,
        "bias",
        space=SearchSpace("Bias", {"iterations": Choice((2, 4, 6))}),
        search="grid",
        study=tmp_path / "study",
        run=tmp_path / "run",
    )
    assert sorted(one["settings"]["iterations"] for one in found.trials) == [2, 4, 6]
    assert found.winner.tests == 1


def test_an_interrupt_of_the_winner_is_an_interrupt(tmp_path, data, monkeypatch):
    from matinee.tuning import search
    from matinee.tuning import search as winner

    def stops(*_, **__):
        raise KeyboardInterrupt

    place = {"study": tmp_path / "study", "run": tmp_path / "run"}
    with monkeypatch.context() as patch:
        patch.setattr(search, "refit_best", stops)
        found = tune(data, "bias", trials=2, **place)
    assert (found.interrupted, found.winner, len(found.trials)) == (True, None, 2)
    with monkeypatch.context() as patch:
        patch.setattr(winner, "train_and_evaluate", stops)  # after the look was counted
        assert tune(data, "bias", trials=2, **place).interrupted
    assert tune(data, "bias", trials=2, **place).winner.tests == 1


def test_a_place_that_is_taken_is_refused_before_the_work(tmp_path, data):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "one.txt").write_text("precious")
    with pytest.raises(RunError, match="this is there already and is no run"):
        tune(data, "bias", trials=1, study=tmp_path / "study", run=tmp_path / "thesis")
    assert not (tmp_path / "study").exists()


def test_a_winner_that_is_gone_or_wanted_elsewhere_is_trained_again(tmp_path, data):
    study = tmp_path / "study"
    first = tune(data, "bias", trials=2, study=study, run=tmp_path / "one").winner
    other = tune(data, "bias", trials=2, study=study, run=tmp_path / "two").winner
    assert (other.run, other.test, other.tests) == (str(tmp_path / "two"), first.test, 1)
    ALS(factors=2).fit(data).save(tmp_path / "two")  # another run in its place
    mended = tune(data, "bias", trials=2, study=study, run=tmp_path / "two").winner
    assert load(tmp_path / "two").rating_head.estimator["name"] == "Bias"
    assert (mended.run, mended.test, mended.tests) == (other.run, first.test, 1)
    remove_run(tmp_path / "two")
    again = tune(data, "bias", trials=2, study=study, run=tmp_path / "three").winner
    assert (again.run, again.test, again.tests) == (str(tmp_path / "three"), first.test, 1)


@pytest.mark.parametrize("search", ["tpe", "random", "grid"])
def test_any_seed_will_do(tmp_path, data, search):
    split = Split(seed=2**40)
    found = tune(
        data, "bias", trials=2, search=search, split=split, study=tmp_path / "s", run=tmp_path / "r"
    )
    assert found.winner


def test_names_with_odd_letters_are_names(tmp_path, data):
    tune(data, "bias", trials=1, study=tmp_path / "what?x=1#%20", run=tmp_path / "run")
    assert {path.name for path in tmp_path.iterdir()} == {"what?x=1#%20", "run"}


def test_a_fixed_list_is_the_same_when_it_comes_back(tmp_path):
    space = SearchSpace("NeuMF", {"factors": Choice((2, 3))}, {"layers": (8, 4)})
    identity = {**dict.fromkeys([*DATA, *NAMES]), "space": space.as_json()}
    for _ in range(2):
        with open_study(
            tmp_path / "s",
            identity,
            higher_is_better=True,
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
        ) as study:
            assert study.user_attrs["identity"]["space"] == space.as_json()


DAMAGE = {
    "no winner at all": ("winner_json", "{"),
    "its winner": ("winner", {"trial": 0}),
    "no study of matinee tune": ("identity", [1]),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_a_damaged_study_is_one_line(tmp_path, data, said):
    place = {"study": tmp_path / "study", "run": tmp_path / "run"}
    tune(data, "bias", trials=1, **place)
    key, value = DAMAGE[said]
    with closing(sqlite3.connect(tmp_path / "study" / "study.sqlite3")) as file:
        text = value if key == "winner_json" else json.dumps(value)
        file.execute(
            "UPDATE study_user_attributes SET value_json = ? WHERE key = ?",
            (text, key.removesuffix("_json")),
        )
        file.commit()
    with pytest.raises(RunError) as refused:
        tune(data, "bias", trials=1, **place)
    assert "\n" not in str(refused.value)


def test_a_grid_is_tried_whole_and_no_more(tmp_path, data):
    space = SearchSpace(
        "Bias", {"regularization": Choice((1.0, 4.0, 9.0)), "iterations": Choice((2, 8))}
    )
    found = tune(
        data,
        "bias",
        trials=50,
        space=space,
        search="grid",
        study=tmp_path / "s",
        run=tmp_path / "r",
    )
    tried = [tuple(one["settings"].values()) for one in found.trials]
    assert sorted(tried) == [(a, b) for a in (1.0, 4.0, 9.0) for b in (2, 8)]


def test_a_lock_that_many_share_is_nobodys_alone(tmp_path):
    with locked(tmp_path, shared=True) as first, locked(tmp_path, shared=True) as second:
        assert first
        assert second
        with locked(tmp_path, wait=False) as alone:
            assert not alone
    with locked(tmp_path, wait=False) as alone:
        assert alone
