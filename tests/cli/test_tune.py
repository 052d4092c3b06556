"""`matinee tune`: what it prints, what it saves, and what it refuses."""

import shlex
from pathlib import Path

import pytest
from shell import Shell

from matinee.cli.tune import _print_result
from matinee.data.synthetic import write_generated
from matinee.tuning import Choice, SearchSpace, TuningResult

SPACE = """
factors = [2, 3]
regularization = { low = 0.5, high = 2.0, log = true, relative = true }
iterations = 4
"""
TUNE = ["tune", "small", "--trials", 4, "--space", "mine.toml"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with data `small` in the cache, and a space."""
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    write_generated(cache / "small", users=60, items=50, ratings=1500, seed=2)
    (folder / "mine.toml").write_text(SPACE)
    return Shell(folder, cache)


@pytest.fixture(scope="module")
def result(shell):
    """A search, as JSON."""
    return shell.json(*TUNE)


@pytest.mark.slow
def test_a_search_leaves_a_study_and_a_run(shell, result):
    assert result["study"] == "studies/small-als-rmse-mine"
    assert len(result["trials"]) == 4
    assert result["trials"][0]["value"] == min(
        trial["value"] for trial in result["trials"] if trial["state"] == "complete"
    )
    best = result["best"]
    assert best["settings"]["factors"] in (2, 3)
    assert best["settings"]["iterations"] == 4
    manifest = shell.manifest(best["run"])
    assert manifest["metrics"]["rmse"] == best["test_metrics"]["rmse"]
    assert manifest["tuning"]["trial"] == best["trial"]
    assert manifest["tuning"]["study"]["space"]["fixed"] == {"iterations": 4}
    assert shell.json("recommend", best["run"], "--user", 1, "-n", 2)


def test_the_printed_command_trains_the_same_model_bit_for_bit(shell, result):
    command = shlex.split(result["command"])
    assert command[:3] == ["matinee", "train", "small"]
    made = shell.json(*command[1:], "--run", "runs/typed")
    assert made["rmse"] == result["best"]["test_metrics"]["rmse"]
    for part in ("rating_head", "ranking_head", "interactions"):
        name = f"{part}.safetensors"
        sums = [shell.manifest(run)["files"][name] for run in ("runs/typed", result["best"]["run"])]
        assert sums[0] == sums[1], name


def test_the_best_model_can_be_reproduced_from_its_run(shell, result):
    text = shell("reproduce", result["best"]["run"], "--run", "runs/reproduced")
    assert "Reproduced bit for bit." in text


def test_printed_result(shell, result):
    text = shell(*TUNE)
    assert text.startswith("4 trials: ")
    assert "Study: studies/small-als-rmse-mine\n" in text
    assert "regularization (x default)" in text
    assert "Best trial, refit on the full training set: test RMSE " in text
    assert "Test set evaluated once." in text
    assert "ndcg" not in text  # of the other head
    assert result["command"] in text
    assert f"Saved in {result['best']['run']}." in text


def test_more_trials_resume_the_study_and_test_evaluations_are_counted(shell, result):
    more = shell.json("tune", "small", "--trials", 6, "--space", "mine.toml")
    assert len(more["trials"]) == 6
    trials = {trial["trial"]: trial for trial in more["trials"]}
    assert all(trials[trial["trial"]] == trial for trial in result["trials"])
    evaluations = more["best"]["test_evaluations"]
    assert evaluations in (1, 2)
    assert (evaluations == 1) == (more["best"]["trial"] == result["best"]["trial"])


@pytest.mark.slow
def test_ranking_heads_are_tuned_by_ranking_metrics(shell):
    result = shell.json("tune", "small", "--model", "ease", "--metric", "recall@10", "--trials", 3,
                       "--split", "leave-last-out", "--validation", "2-fold",
                       "--seed", 1)  # fmt: skip
    assert result["metric"] == "recall@10"
    assert result["study"] == "studies/small-ease-recall@10-2-fold-seed1-leave-last-out"
    assert "recall@10" in result["best"]["test_metrics"]
    command = shlex.split(result["command"])
    assert command[command.index("--ranker") + 1] == "ease"
    assert command[command.index("--split") + 1] == "leave-last-out"
    assert command[command.index("--seed") + 1] == "1"


@pytest.mark.slow
def test_a_grid_prints_how_much_of_it_was_tried(shell):
    text = shell(*TUNE[:2], "--search", "grid", "--trials", 3, "--space", "mine.toml",
                 "--study", "grid", "--run", "runs/grid")  # fmt: skip
    assert text.startswith("3 trials of a grid of 10: ")


@pytest.mark.slow
def test_a_page_goes_into_the_study_or_where_out_says(shell, result):
    assert result["html"] is None
    text = shell(*TUNE, "--html")
    assert "Charts: studies/small-als-rmse-mine/study.html; open it in a browser." in text
    page = (shell.folder / "studies/small-als-rmse-mine/study.html").read_text(encoding="utf-8")
    assert result["command"] in page
    assert shell.json(*TUNE, "--out", "deep/mine.html")["html"] == "deep/mine.html"
    assert (shell.folder / "deep/mine.html").read_text(encoding="utf-8").startswith("<!doctype")


@pytest.mark.slow
def test_a_page_does_not_reveal_where_the_data_lie(shell, result):
    path = shell.cache / "small"
    result = shell.json("tune", path, *TUNE[2:], "--html", "--run", "runs/elsewhere")
    assert str(path) in result["command"]
    page = (shell.folder / result["html"]).read_text(encoding="utf-8")
    assert "matinee train small --model als" in page
    assert str(shell.cache) not in page


@pytest.mark.slow
def test_an_interrupted_search_leaves_its_page(shell, result, monkeypatch):
    from matinee.tuning.trial import TrialRunner

    default = TrialRunner.__call__

    def stops(self, trial):
        if trial.number == 1:
            raise KeyboardInterrupt
        return default(self, trial)

    monkeypatch.setattr(TrialRunner, "__call__", stops)
    status, out, _ = shell.status_and_output(*TUNE, "--study", "stopped", "--html")
    assert status == 130
    assert "Interrupted: 1 of 4 trials done." in out
    page = (shell.folder / "stopped/study.html").read_text(encoding="utf-8")
    assert (
        "Interrupted: 1 of 4 trials done. Run the same command to continue, or add --trials 1"
        in page
    )


REFUSED = {
    ("--out", "page.png"): "--out must end in .html",
    ("--metric", "ndcg@10"): "als has no ranking head for ndcg@10",
    ("--metric", "beauty"): "got 'beauty'",
    ("--model", "svd"): "got 'svd'",
    ("--model", "popularity"): "Popularity has no hyperparameters to tune",
    ("--search", "luck"): "search must be one of 'tpe', 'random', 'grid', got 'luck'",
    ("--validation", "1-fold"): "The number of folds must be between 2 and 1,350",
    (
        "--validation",
        "some",
    ): "validation must be 'random', 'temporal', 'leave-last-out'",
    ("--space", "none.toml"): "none.toml: cannot read the file",
    ("--minutes", "0"): "minutes must be > 0, got 0",
    ("--split", "u1"): "must be one of 'random', 'leave-last-out', 'temporal', 'hashed', got 'u1'",
}


@pytest.mark.parametrize("options", REFUSED)
def test_wrong_options_are_refused_and_leave_nothing(shell, options):
    before = shell.files()
    assert REFUSED[options] in shell("tune", "small", *options, "--study", "new", fails=True)
    assert shell.files() == before
    assert not (shell.folder / "new").exists()


def test_a_study_is_resumed_with_the_same_data_only(shell, result, tmp_path_factory):
    other = Shell(shell.folder, tmp_path_factory.mktemp("other"))
    write_generated(other.cache / "small", users=60, items=50, ratings=1400, seed=3)
    assert "the ratings changed since this study began" in other(*TUNE, fails=True)


def test_without_its_package_the_command_says_what_to_install(shell):
    message = shell.without("optuna", "tune", "small", fails=True)
    assert "pip install 'matinee[tuning]'" in message


@pytest.mark.slow
def test_a_page_without_its_packages_is_refused_before_the_work(shell):
    message = shell.without("altair", *TUNE, "--html", "--study", "new", fails=True)
    assert "pip install 'matinee[charts]'" in message
    assert not (shell.folder / "new").exists()


def test_values_are_printed_as_one_types_them(capsys):
    pytest.importorskip("torch")
    space = SearchSpace("MLP", {"layers": Choice(((8, 4), (4, 2))), "amp": Choice((True, False))})
    settings = {"layers": "[8, 4]", "amp": True}
    trial = {"trial": 0, "value": 0.9, "state": "complete", "settings": settings, "error": None}
    _print_result(TuningResult(Path("study"), "rmse", space, [trial], n_trials=1), None, None)
    assert "8,4     true" in capsys.readouterr().out
