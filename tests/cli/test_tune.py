"""`matinee tune`: what it prints, what it leaves, and what it refuses."""

import shlex

import pytest
from shell import Shell

from matinee.data.synthetic import write_generated

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
def found(shell):
    """A search and its winner."""
    return shell.json(*TUNE)


def test_a_search_leaves_a_study_and_the_winners_run(shell, found):
    assert found["study"] == "studies/small-als-rmse-mine"
    assert len(found["trials"]) == 4
    assert found["trials"][0]["value"] == min(
        one["value"] for one in found["trials"] if one["state"] == "complete"
    )
    winner = found["winner"]
    assert winner["settings"]["factors"] in (2, 3)
    assert winner["settings"]["iterations"] == 4
    manifest = shell.manifest(winner["run"])
    assert manifest["metrics"]["rmse"] == winner["test"]["rmse"]
    assert manifest["tuning"]["trial"] == winner["trial"]
    assert manifest["tuning"]["study"]["space"]["fixed"] == {"iterations": 4}
    assert shell.json("recommend", winner["run"], "--user", 1, "-n", 2)


def test_the_printed_command_makes_the_winner_to_the_last_bit(shell, found):
    command = shlex.split(found["command"])
    assert command[:3] == ["matinee", "train", "small"]
    made = shell.json(*command[1:], "--run", "runs/again")
    assert made["rmse"] == found["winner"]["test"]["rmse"]
    for name in ("rating_head.safetensors", "ranking_head.safetensors", "interactions.safetensors"):
        sums = [
            shell.manifest(run)["files"][name] for run in ("runs/again", found["winner"]["run"])
        ]
        assert sums[0] == sums[1], name


def test_the_winner_can_be_made_again_from_its_run(shell, found):
    text = shell("train", "--from", found["winner"]["run"], "--run", "runs/once-more")
    assert "The same to the last bit." in text


def test_what_people_read(shell, found):
    text = shell(*TUNE)
    assert text.startswith("studies/small-als-rmse-mine: 4 trials, ")
    assert "regularization (x usual)" in text
    assert "looked at once" in text
    assert "ndcg" not in text  # which would be the other head's
    assert found["command"] in text
    assert f"Saved in {found['winner']['run']}." in text


def test_more_trials_go_on_and_a_new_winner_is_counted(shell, found):
    more = shell.json("tune", "small", "--trials", 6, "--space", "mine.toml")
    assert len(more["trials"]) == 6
    kept = {one["trial"]: one for one in more["trials"]}
    assert all(kept[one["trial"]] == one for one in found["trials"])
    assert more["winner"]["tests"] in (1, 2)
    same = more["winner"]["trial"] == found["winner"]["trial"]
    assert (more["winner"]["tests"] == 1) == same


def test_lists_are_tuned_by_their_own_metrics(shell):
    found = shell.json("tune", "small", "--model", "ease", "--metric", "recall@10", "--trials", 3,
                       "--split", "leave-last-out", "--validation", "2-fold", "--seed", 1)  # fmt: skip
    assert found["metric"] == "recall@10"
    assert found["study"] == "studies/small-ease-recall@10-2-fold-seed1-last"
    assert "recall@10" in found["winner"]["test"]
    command = shlex.split(found["command"])
    assert command[command.index("--ranker") + 1] == "ease"
    assert command[command.index("--split") + 1] == "leave-last-out"
    assert command[command.index("--seed") + 1] == "1"


def test_a_grid_says_how_much_of_it_was_tried(shell):
    text = shell(*TUNE[:2], "--search", "grid", "--trials", 3, "--space", "mine.toml",
                 "--study", "grid", "--run", "runs/grid")  # fmt: skip
    assert text.startswith("grid: 3 trials of a grid of 10, ")


def test_a_page_goes_beside_the_study_or_where_one_says(shell, found):
    assert found["html"] is None
    text = shell(*TUNE, "--html")
    assert "More in studies/small-als-rmse-mine/study.html; open it in a browser." in text
    page = (shell.folder / "studies/small-als-rmse-mine/study.html").read_text(encoding="utf-8")
    assert found["command"] in page
    assert shell.json(*TUNE, "--out", "deep/mine.html")["html"] == "deep/mine.html"
    assert (shell.folder / "deep/mine.html").read_text(encoding="utf-8").startswith("<!doctype")


def test_a_page_does_not_say_where_the_data_lie(shell, found):
    place = shell.cache / "small"
    found = shell.json("tune", place, *TUNE[2:], "--html", "--run", "runs/elsewhere")
    assert str(place) in found["command"]
    page = (shell.folder / found["html"]).read_text(encoding="utf-8")
    assert "matinee train small --model als" in page
    assert str(shell.cache) not in page


def test_an_interrupted_search_leaves_its_page(shell, found, monkeypatch):
    from matinee.tuning import trial as trials

    default = trials.TrialRunner.__call__

    def stops(self, trial):
        if trial.number == 1:
            raise KeyboardInterrupt
        return default(self, trial)

    monkeypatch.setattr(trials.TrialRunner, "__call__", stops)
    status, out, _ = shell.ended(*TUNE, "--study", "stopped", "--html")
    assert status == 130
    assert "Stopped at 1 of 4 trials." in out
    page = (shell.folder / "stopped/study.html").read_text(encoding="utf-8")
    assert "Stopped at 1 of 4 trials. The same command goes on; with --trials 1" in page


REFUSED = {
    ("--out", "page.png"): "the name ends in .html",
    ("--metric", "ndcg@10"): "als predicts stars, and cannot give ndcg@10",
    ("--metric", "beauty"): "There is no metric 'beauty'",
    ("--model", "svd"): "There is no model 'svd' to tune",
    ("--model", "popularity"): "Popularity has no settings that are worth tuning",
    ("--search", "luck"): "search is tpe, random, grid, not 'luck'",
    ("--validation", "1-fold"): "The number of folds must be between 2 and 1,350",
    ("--validation", "some"): r"validation is random, temporal or K-fold",
    ("--space", "none.toml"): "none.toml: the file cannot be read",
    ("--minutes", "0"): "minutes are above 0, not 0",
    (
        "--split",
        "u1",
    ): "The split of small must be one of 'random', 'leave-last-out', 'temporal', got 'u1'",
}


@pytest.mark.parametrize("options", REFUSED)
def test_what_does_not_fit_is_refused_and_leaves_nothing(shell, options):
    before = shell.files()
    assert REFUSED[options] in shell("tune", "small", *options, "--study", "new", fails=True)
    assert shell.files() == before
    assert not (shell.folder / "new").exists()


def test_a_study_goes_on_with_the_same_data_only(shell, found, tmp_path_factory):
    other = Shell(shell.folder, tmp_path_factory.mktemp("other"))
    write_generated(other.cache / "small", users=60, items=50, ratings=1400, seed=3)
    said = other(*TUNE, fails=True)
    assert "no longer the ratings that the study was begun with" in said


def test_without_its_package_the_command_says_what_to_install(shell):
    said = shell.apart("tune", "small", without="optuna", fails=True)
    assert "pip install 'matinee[tuning]'" in said


def test_a_page_without_its_packages_is_refused_before_the_work(shell):
    said = shell.apart(*TUNE, "--html", "--study", "new", without="altair", fails=True)
    assert "pip install 'matinee[charts]'" in said
    assert not (shell.folder / "new").exists()
