"""Studies on disk: killed, shared, resumed, and refused."""

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
from matinee.tuning.study import ARGUMENTS, DATA, FINISHED, open_study
from matinee.tuning.trial import TrialRunner

WORK = """
    import sys, time
    from matinee.data.synthetic import generate
    from matinee.tuning import tune
    from matinee.tuning.trial import TrialRunner
    default = TrialRunner.__call__
    def slowly(self, trial):
        time.sleep({pause})
        return default(self, trial)
    TrialRunner.__call__ = slowly
    data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    result = tune(data, "bias", trials={trials}, study="study", run="run", search="random")
    evaluations = result.best and result.best.test_evaluations
    print(len(result.trials), result.other_workers, evaluations, flush=True)
"""


@pytest.fixture(scope="module")
def data():
    return generate(users=60, items=50, ratings=1500, seed=0)[0]


def start_worker(folder, pause, trials):
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
    """The trials of a study that no process works on."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = f"sqlite:///{folder}/study.sqlite3"
    return optuna.load_study(study_name="matinee", storage=storage).trials


def count_finished(folder):
    """How many trials of a study have finished, without locking it."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/study.sqlite3?mode=ro", uri=True)) as file:
            states = file.execute("SELECT state FROM trials").fetchall()
    except sqlite3.OperationalError:  # it is being created
        return 0
    return sum(state in ("COMPLETE", "PRUNED") for (state,) in states)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.thorough
def test_a_killed_search_loses_no_finished_trial(tmp_path, data):
    worker = start_worker(tmp_path, 0.3, 50)
    try:
        wait_for(lambda: count_finished(tmp_path / "study") >= 3)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    before = [trial for trial in trials_in(tmp_path / "study") if trial.state in FINISHED]
    result = tune(
        data, "bias", trials=len(before) + 2, study=tmp_path / "study", run=tmp_path / "run",
        search="random",
    )  # fmt: skip
    values = {trial["trial"]: trial["value"] for trial in result.trials}
    assert {trial.number: trial.value for trial in before}.items() <= values.items()
    assert len(result.trials) == len(before) + 2
    assert result.best.test_evaluations == 1
    others = [t for t in trials_in(tmp_path / "study") if t.state not in FINISHED]
    assert {trial.state for trial in others} <= {TrialState.FAIL, TrialState.WAITING}


@pytest.mark.thorough
def test_processes_share_a_study_and_one_of_them_refits_the_best_trial(tmp_path, data):
    workers = [start_worker(tmp_path, 0.2, 12) for _ in range(2)]
    outputs = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    lines = sorted(out.split() for out, _ in outputs)
    assert [line[1:] for line in lines] in (
        [["False", "1"], ["True", "None"]],
        [["True", "None"], ["False", "1"]],
        [["False", "1"], ["False", "1"]],  # the first had ended before the other checked
    )
    trials = trials_in(tmp_path / "study")
    assert 12 <= len(trials) <= 13
    assert len({tuple(trial.params.values()) for trial in trials}) == len(trials)  # no repeats


@pytest.mark.slow
def test_a_resumed_search_tries_what_an_uninterrupted_one_does(tmp_path, data):
    """But for the warm starts of ALS and ImplicitALS."""

    def settings(result):
        return {trial["trial"]: trial["settings"] for trial in result.trials}

    whole = tune(data, "ease", trials=6, study=tmp_path / "a", run=tmp_path / "r1")
    tune(data, "ease", trials=2, study=tmp_path / "b", run=tmp_path / "r2")
    parts = tune(data, "ease", trials=6, study=tmp_path / "b", run=tmp_path / "r2")
    assert settings(parts) == settings(whole)
    assert whole.best.test_evaluations == 1


@pytest.mark.slow
def test_ctrl_c_keeps_finished_trials_and_evaluates_no_test_set(tmp_path, data, monkeypatch):
    default = TrialRunner.__call__

    def stops(self, trial):
        if trial.number == 2:
            raise KeyboardInterrupt
        return default(self, trial)

    with monkeypatch.context() as patch:
        patch.setattr(TrialRunner, "__call__", stops)
        result = tune(data, "bias", trials=5, study=tmp_path / "study", run=tmp_path / "run")
    assert result.interrupted
    assert result.best is None
    assert len(result.trials) == 2
    assert not (tmp_path / "run").exists()
    resumed = tune(data, "bias", trials=5, study=tmp_path / "study", run=tmp_path / "run")
    assert len(resumed.trials) == 5
    assert resumed.best.run == str(tmp_path / "run")


@pytest.mark.slow
def test_a_finished_study_is_only_read(tmp_path, data):
    first = tune(data, "bias", trials=3, study=tmp_path / "study", run=tmp_path / "run")
    made = (tmp_path / "run" / "manifest.json").stat().st_mtime_ns
    assert tune(data, "bias", trials=3, study=tmp_path / "study", run=tmp_path / "run") == first
    assert (tmp_path / "run" / "manifest.json").stat().st_mtime_ns == made
    recorded = load(tmp_path / "run").metadata["tuning"]
    assert recorded["trial"] == first.best.trial
    assert recorded["study"]["metric"] == "rmse"


@pytest.mark.slow
def test_a_study_of_other_ratings_is_refused(tmp_path, data):
    tune(data, "bias", trials=1, study=tmp_path / "study", run=tmp_path / "run")
    values = data.ratings.values.copy()
    values[0] = 5.5 - values[0]
    changed = replace(data, ratings=replace(data.ratings, values=values))
    with pytest.raises(RunError, match="the ratings changed since this study began"):
        tune(changed, "bias", trials=2, study=tmp_path / "study")


@pytest.mark.slow
def test_a_study_of_other_genres_is_refused(tmp_path, data):
    tune(data, "als", trials=1, study=tmp_path / "study", run=tmp_path / "run")
    without = data.catalog.frame.with_columns(genres=pl.lit([], pl.List(pl.String)))
    changed = replace(data, catalog=replace(data.catalog, frame=without))
    with pytest.raises(RunError, match=r"the items \(titles, years, genres\) changed since"):
        tune(changed, "als", trials=2, study=tmp_path / "study")


OTHER = {
    "--metric (rmse, not mae)": {"metric": "mae"},
    "--search (tpe, not random)": {"search": "random"},
    "--validation (random, not 3-fold)": {"validation": "3-fold"},
    "--seed (0, not 1)": {"split": Split(seed=1)},
    "the split": {"split": Split("leave-last-out")},
    "the search space": {"space": SearchSpace("Bias", {"regularization": Range(1.0, 2.0)})},
}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("argument", OTHER)
def test_a_study_that_began_with_other_arguments_is_refused(tmp_path, data, argument):
    tune(data, "bias", trials=1, study=tmp_path / "study", run=tmp_path / "run")
    with pytest.raises(SettingError) as refused:
        tune(data, "bias", trials=1, study=tmp_path / "study", **OTHER[argument])
    message = f"began with another value of {argument}; choose another folder with --study."
    assert message in str(refused.value)


def test_what_is_not_a_study_is_refused(tmp_path, data):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="exists and is not a study"):
        tune(data, "bias", trials=1, study=tmp_path)
    corrupt = tmp_path / "damaged"
    corrupt.mkdir()
    (corrupt / "study.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match=r"cannot use the study \(file is not a database\)"):
        tune(data, "bias", trials=1, study=corrupt)
    with pytest.raises(RunError, match="exists and is not a study"):
        tune(data, "bias", trials=1, study=tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.slow
def test_the_test_set_does_not_influence_the_search(tmp_path, data):
    split = Split()
    train, test = split.apply(data)
    rows = {
        pair: row for row, pair in enumerate(zip(data.ratings.user, data.ratings.item, strict=True))
    }
    values = data.ratings.values.copy()
    for pair in zip(test.ratings.user, test.ratings.item, strict=True):
        values[rows[pair]] = 5.5 - values[rows[pair]]
    other = replace(data, ratings=replace(data.ratings, values=values))
    assert np.array_equal(split.apply(other)[0].ratings.values, train.ratings.values)
    results = [
        tune(dataset, "als", trials=4, study=tmp_path / name, run=tmp_path / f"{name}-run")
        for name, dataset in (("a", data), ("b", other))
    ]
    trials = [
        {trial["trial"]: (trial["value"], trial["settings"]) for trial in result.trials}
        for result in results
    ]
    assert trials[0] == trials[1]
    assert results[0].best.settings == results[1].best.settings
    assert results[0].best.test_metrics["rmse"] < results[1].best.test_metrics["rmse"]


@pytest.mark.slow
def test_an_interrupted_trial_is_repeated(tmp_path, data, monkeypatch):
    grid = {"space": SearchSpace("Bias", {"iterations": Choice((2, 4, 6))}), "search": "grid"}

    def stops(self, trial):
        self.space.suggest(trial)
        raise KeyboardInterrupt

    for kwargs, trials in (({}, 2), (grid, None)):
        folders = {name: tmp_path / f"{name}-{trials}" for name in ("study", "run")}
        with monkeypatch.context() as patch:
            patch.setattr(TrialRunner, "__call__", stops)
            assert tune(data, "bias", trials=trials, **folders, **kwargs).interrupted
        result = tune(data, "bias", trials=trials, **folders, **kwargs)
        if trials:
            assert result.default_trial is not None
        else:
            tried = sorted(trial["settings"]["iterations"] for trial in result.trials)
            assert tried == [2, 4, 6]
            assert tune(data, "bias", trials=trials, **folders, **kwargs) == result


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("search", ["random", "tpe"])
def test_interrupts_do_not_change_what_is_tried(tmp_path, data, monkeypatch, search):
    default = TrialRunner.__call__
    interrupts = iter([False, False, True, False, True])

    def stops(self, trial):
        value = default(self, trial)
        if next(interrupts, False):
            raise KeyboardInterrupt
        return value

    def tuned(name):
        return tune(
            data, "ease", trials=13, study=tmp_path / name, run=tmp_path / f"{name}-run",
            search=search,
        )  # fmt: skip

    def values(result):
        return {tuple(trial["settings"].values()): trial["value"] for trial in result.trials}

    whole = values(tuned("whole"))
    with monkeypatch.context() as patch:
        patch.setattr(TrialRunner, "__call__", stops)
        results = [tuned("parts") for _ in range(3)]
    assert [result.interrupted for result in results] == [True, True, False]
    assert values(results[2]) == whole


@pytest.mark.slow
def test_few_combinations_are_all_tried_whatever_number_was_asked_for_first(
    tmp_path, data, monkeypatch
):
    space = SearchSpace(
        "EASE", {"regularization": Choice((50.0, 100.0, 100.0005, 200.0, 400.0, 800.0))}
    )
    folders = {"space": space, "study": tmp_path / "study", "run": tmp_path / "run"}
    default, calls = TrialRunner.__call__, []

    def stops(self, trial):
        calls.append(trial.number)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return default(self, trial)

    with monkeypatch.context() as patch:
        patch.setattr(TrialRunner, "__call__", stops)
        assert len(tune(data, "ease", trials=3, **folders).trials) == 1
    assert len(tune(data, "ease", trials=3, **folders).trials) == 3
    result = tune(data, "ease", **folders)
    assert sorted(trial["settings"]["regularization"] for trial in result.trials) == [
        50.0, 100.0, 100.0005, 200.0, 400.0, 800.0
    ]  # fmt: skip
    assert result.status.startswith("Test set evaluated")


@pytest.mark.slow
def test_trials_of_a_killed_process_are_repeated_before_the_refit(tmp_path, data, monkeypatch):
    default, lost = TrialRunner.__call__, []

    def beside_another(self, trial):
        if not lost:  # another process begins a grid point, and is killed
            lost.append(self.space.suggest(trial.study.ask()))
        return default(self, trial)

    monkeypatch.setattr(TrialRunner, "__call__", beside_another)
    result = tune(
        data,
        "bias",
        space=SearchSpace("Bias", {"iterations": Choice((2, 4, 6))}),
        search="grid",
        study=tmp_path / "study",
        run=tmp_path / "run",
    )
    assert sorted(trial["settings"]["iterations"] for trial in result.trials) == [2, 4, 6]
    assert result.best.test_evaluations == 1


@pytest.mark.slow
def test_an_interrupt_of_the_refit_is_an_interrupt(tmp_path, data, monkeypatch):
    from matinee.tuning import search

    def stops(*_, **__):
        raise KeyboardInterrupt

    folders = {"study": tmp_path / "study", "run": tmp_path / "run"}
    with monkeypatch.context() as patch:
        patch.setattr(search, "refit_best", stops)
        result = tune(data, "bias", trials=2, **folders)
    assert (result.interrupted, result.best, len(result.trials)) == (True, None, 2)
    with monkeypatch.context() as patch:
        patch.setattr(search, "train_and_evaluate", stops)  # after the evaluation was counted
        assert tune(data, "bias", trials=2, **folders).interrupted
    assert tune(data, "bias", trials=2, **folders).best.test_evaluations == 1


def test_an_occupied_folder_is_refused_before_the_work(tmp_path, data):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match="exists and is not a run"):
        tune(data, "bias", trials=1, study=tmp_path / "study", run=tmp_path / "thesis")
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_a_best_model_that_is_gone_or_wanted_elsewhere_is_refit(tmp_path, data):
    study = tmp_path / "study"
    first = tune(data, "bias", trials=2, study=study, run=tmp_path / "one").best
    other = tune(data, "bias", trials=2, study=study, run=tmp_path / "two").best
    assert (other.run, other.test_metrics, other.test_evaluations) == (
        str(tmp_path / "two"),
        first.test_metrics,
        1,
    )
    ALS(factors=2).fit(data).save(tmp_path / "two")  # another run in its place
    mended = tune(data, "bias", trials=2, study=study, run=tmp_path / "two").best
    assert load(tmp_path / "two").rating_head.estimator["name"] == "Bias"
    assert (mended.run, mended.test_metrics, mended.test_evaluations) == (
        other.run,
        first.test_metrics,
        1,
    )
    remove_run(tmp_path / "two")
    moved = tune(data, "bias", trials=2, study=study, run=tmp_path / "three").best
    assert (moved.run, moved.test_metrics, moved.test_evaluations) == (
        str(tmp_path / "three"),
        first.test_metrics,
        1,
    )


@pytest.mark.slow
@pytest.mark.parametrize("search", ["tpe", "random", "grid"])
def test_any_seed_will_do(tmp_path, data, search):
    split = Split(seed=2**40)
    result = tune(
        data, "bias", trials=2, search=search, split=split, study=tmp_path / "s", run=tmp_path / "r"
    )
    assert result.best


@pytest.mark.slow
def test_names_with_odd_letters_are_names(tmp_path, data):
    tune(data, "bias", trials=1, study=tmp_path / "what?x=1#%20", run=tmp_path / "run")
    assert {path.name for path in tmp_path.iterdir()} == {"what?x=1#%20", "run"}


def test_a_fixed_list_survives_the_study(tmp_path):
    space = SearchSpace("NeuMF", {"factors": Choice((2, 3))}, {"layers": (8, 4)})
    identity = {**dict.fromkeys([*DATA, *ARGUMENTS]), "space": space.to_dict()}
    for _ in range(2):
        with open_study(
            tmp_path / "s",
            identity,
            higher_is_better=True,
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
        ) as study:
            assert study.user_attrs["identity"]["space"] == space.to_dict()


DAMAGE = {
    "no JSON": ("best", "{"),
    "an incomplete best model": ("best", json.dumps({"trial": 0})),
    "not a study of matinee": ("identity", "[1]"),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_study_is_one_line(tmp_path, data, damage):
    folders = {"study": tmp_path / "study", "run": tmp_path / "run"}
    tune(data, "bias", trials=1, **folders)
    key, text = DAMAGE[damage]
    with closing(sqlite3.connect(tmp_path / "study" / "study.sqlite3")) as file:
        file.execute("UPDATE study_user_attributes SET value_json = ? WHERE key = ?", (text, key))
        file.commit()
    with pytest.raises(RunError) as refused:
        tune(data, "bias", trials=1, **folders)
    assert "\n" not in str(refused.value)


FORGED = {
    "trials without numbers": ("trials", "number", None),
    "a number in words": ("trials", "number", "x"),
    "another hyperparameter": ("trial_params", "param_name", "learning_rate"),
    "a hyperparameter without a name": ("trial_params", "param_name", None),
    "a value outside the space": ("trial_params", "param_value", -1.0),
    "no direction": ("study_directions", "study_id", 99),
    "a value that is no number": ("trial_values", "value", None),
    "an infinite value": ("trial_values", "value_type", "INF_POS"),
}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("change", FORGED)
def test_trials_that_no_search_has_left_are_one_line(tmp_path, data, change):
    folders = {"study": tmp_path / "study", "run": tmp_path / "run"}
    tune(data, "bias", trials=2, search="random", **folders)
    table, column, value = FORGED[change]
    with closing(sqlite3.connect(tmp_path / "study" / "study.sqlite3")) as file:
        file.execute(f"UPDATE {table} SET {column} = ?", (value,))  # noqa: S608
        file.commit()
    with pytest.raises(RunError, match="cannot use the study") as refused:
        tune(data, "bias", trials=2, search="random", **folders)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_complete_trial_without_a_value_is_one_line(tmp_path, data):
    folders = {"study": tmp_path / "study", "run": tmp_path / "run"}
    tune(data, "bias", trials=2, search="random", **folders)
    with closing(sqlite3.connect(tmp_path / "study" / "study.sqlite3")) as file:
        file.execute("DELETE FROM trial_values")
        file.commit()
    with pytest.raises(RunError, match="trial 0 is none of this search"):
        tune(data, "bias", trials=3, search="random", **folders)


@pytest.mark.slow
def test_a_grid_is_tried_once_and_completely(tmp_path, data):
    space = SearchSpace(
        "Bias", {"regularization": Choice((1.0, 4.0, 9.0)), "iterations": Choice((2, 8))}
    )
    result = tune(
        data,
        "bias",
        trials=50,
        space=space,
        search="grid",
        study=tmp_path / "s",
        run=tmp_path / "r",
    )
    tried = [tuple(trial["settings"].values()) for trial in result.trials]
    assert sorted(tried) == [(a, b) for a in (1.0, 4.0, 9.0) for b in (2, 8)]


def test_a_shared_lock_is_not_exclusive(tmp_path):
    with locked(tmp_path, shared=True) as first, locked(tmp_path, shared=True) as second:
        assert first
        assert second
        with locked(tmp_path, wait=False) as alone:
            assert not alone
    with locked(tmp_path, wait=False) as alone:
        assert alone


@pytest.mark.slow
def test_a_search_without_a_test_set_evaluates_none(tmp_path, data):
    result = tune(data, "bias", trials=2, split=Split(test_fraction=0),
                  study=tmp_path / "study", run=tmp_path / "run")  # fmt: skip
    assert result.best.test_evaluations == 0
    assert result.best.test_metrics == {"rmse": None, "mae": None}
    assert result.status == "There is no test set."
    assert load(tmp_path / "run").metadata["split"]["train_ratings"] == len(data)
