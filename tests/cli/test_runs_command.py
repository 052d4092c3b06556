"""`matinee runs`: list, filter, sort, rename, remove."""

import io
import json
import math
import os
import shutil
import sys

import pytest
from shell import Shell

from matinee.data.synthetic import write_generated


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with four runs on two data sets, the newest last."""
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    for name, seed in (("small", 2), ("other", 3)):
        write_generated(cache / name, users=60, items=50, ratings=1500, seed=seed)
    shell = Shell(folder, cache)
    als = ["--factors", 2, "--iterations", 2, "--ranker", "none"]
    shell("train", "small", "--model", "bias", "--ranker", "ease", "--run", "runs/biases")
    shell("train", "small", "--model", "none", "--ranker", "popularity", "--run", "runs/popular")
    shell("train", "small", *als, "--run", "runs/als")
    shell("train", "other", *als, "--run", "runs/others")
    return shell


@pytest.fixture
def shell(trained, tmp_path):
    """The same in a folder of its own, to be changed."""
    shutil.copytree(trained.folder / "runs", tmp_path / "runs")
    return Shell(tmp_path, trained.cache)


def rewrite(shell, run, change):
    """Change the manifest of a run."""
    said = shell.manifest(f"runs/{run}")
    change(said)
    (shell.folder / "runs" / run / "manifest.json").write_text(json.dumps(said))


def listed(shell, *options):
    return [row["run"].removeprefix("runs/") for row in shell.json("runs", *options)]


def test_runs_are_filtered_and_sorted(trained):
    assert listed(trained) == ["others", "als", "popular", "biases"]
    assert listed(trained, "--sort", "created", "-n", 2) == ["others", "als"]
    assert listed(trained, "--data", "small") == ["als", "popular", "biases"]
    assert listed(trained, "--recipe", "als") == listed(trained, "--recipe", "ALS")
    assert listed(trained, "--recipe", "als") == ["others", "als"]
    assert listed(trained, "--recipe", "ease") == ["biases"]
    assert listed(trained, "--recipe", "als", "--data", "small") == ["als"]
    assert listed(trained, "--recipe", "mf") == []
    assert "There is no such run" in trained("runs", "--data", "ml-1m")


def test_names_of_folders_do_not_reach_the_terminal_as_they_are(shell):
    odd = "\x1b[31mred\x9b"
    (shell.folder / "runs" / "als").rename(shell.folder / "runs" / odd)
    assert "?[31mred?" in shell("runs")
    assert f"runs/{odd}" in {row["run"] for row in shell.json("runs")}
    printed = [
        shell("runs"),
        shell("runs", "--json"),
        shell("compare", f"runs/{odd}", "runs/biases"),
        shell("recommend", f"runs/{odd}x", "--user", 1, fails=True),
    ]
    for text in printed:
        assert not {"\x1b", "\x9b"} & set(text)


def test_line_breaks_in_names_break_no_lines(shell, monkeypatch):
    odd = "new\nline\u2028x"
    before = shell("runs").splitlines()
    (shell.folder / "runs" / "als").rename(shell.folder / "runs" / odd)
    text = shell("runs")
    assert "runs/new?line?x" in text
    assert len(text.splitlines()) == len(before)
    assert f"runs/{odd}" in {row["run"] for row in shell.json("runs")}
    assert "new?line?x" in shell("recommend", "nowhere", "--user", 1, fails=True)
    assert "A  runs/new?line?x\n" in shell("compare", odd, "biases")
    assert "\nruns/new?line?x: " in "\n" + shell("train", "--from", odd)
    terminal = io.StringIO("n\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    shell("runs", "remove", odd)
    assert "Remove runs/new?line?x for good?" in shell.warned


def test_a_folder_whose_name_is_no_text_is_listed_as_it_can_be(shell):
    odd = os.fsdecode(b"runs/\xff")
    try:
        (shell.folder / "runs" / "als").rename(shell.folder / odd)
    except OSError:
        pytest.skip("this file system takes no such name")
    assert "runs/?" in shell("runs")
    assert odd in {row["run"] for row in shell.json("runs")}
    assert shell("runs", "--json").isascii()


@pytest.mark.parametrize("strange", [10**400, float("nan"), -math.inf, True, "0.5", [1], None])
def test_what_is_no_number_is_none_in_lists(shell, strange):
    def change(manifest):
        manifest["metrics"]["rmse"] = strange
        manifest["metrics"]["ranking"]["metrics"]["ndcg@10"]["value"] = strange

    rewrite(shell, "biases", change)
    rows = {row["run"]: row for row in shell.json("runs", "--sort", "rmse")}
    assert len(rows) == 4
    assert rows["runs/biases"]["rmse"] is rows["runs/biases"]["ndcg@10"] is None
    assert "runs/biases" in shell("runs", "--sort", "ndcg@10")


def test_a_manifest_with_half_a_character_is_none(shell):
    rewrite(shell, "als", lambda said: said["heads"]["rating"]["estimator"].update(name="x\ud800y"))
    assert listed(shell) == ["others", "popular", "biases"]
    assert "runs/als" not in shell("runs")
    assert "this is no manifest of a run" in shell("compare", "als", "biases", fails=True)


@pytest.mark.parametrize(("name", "sign"), [("rmse", 1), ("ndcg@10", -1)])
def test_the_best_come_first_and_those_without_a_metric_last(trained, name, sign):
    rows = trained.json("runs", "--sort", name)
    values = [row[name] for row in rows]
    known = [value for value in values if value is not None]
    assert len(rows) == 4
    assert known == sorted(known, key=lambda value: sign * value)
    assert values == known + [None] * (4 - len(known))
    assert (len(known) == 3) == (name == "rmse")


def test_a_list_without_runs_says_how_to_make_one(tmp_path):
    assert "Make one: matinee train DATASET." in Shell(tmp_path, tmp_path)("runs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "magic"], "--recipe is als, bayes, bias, mf"),
        (["--sort", "size"], "--sort is created, rmse, ndcg@10, not 'size'."),
        (["--json", "rename", "als", "b"], "--json goes with the list; put options of rename"),
        (["rename", "nowhere", "b"], "there is no run of this name"),
        (["rename", "als", "others"], "runs/others: this is there already; take another name."),
        (["rename", "als", "../als"], "'../als' is no name for a run"),
        (["remove", "als", "nowhere", "--yes"], "there is no run of this name"),
        (["remove", "als"], "There is nobody to ask whether to remove them; say --yes."),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    assert message in shell("runs", *arguments, fails=True)
    assert listed(shell) == ["others", "als", "popular", "biases"]


def test_a_run_is_renamed(shell):
    assert shell("runs", "rename", "als", "winner") == "runs/als is runs/winner now.\n"
    found = shell.json("runs", "rename", "runs/biases", "baseline")
    assert found == {"from": "runs/biases", "run": "runs/baseline"}
    assert listed(shell) == ["others", "winner", "popular", "baseline"]
    assert len(shell.json("recommend", "winner", "--user", 7)) == 10


def test_runs_are_removed(shell):
    found = shell.json("runs", "remove", "als", "runs/others", "als", "--yes")
    assert found == {"removed": ["runs/als", "runs/others"]}
    assert shell("runs", "remove", "popular", "--yes") == "Removed runs/popular.\n"
    assert listed(shell) == ["biases"]
    assert [path.name for path in (shell.folder / "runs").iterdir()] == ["biases"]


def test_a_run_that_is_spelled_twice_is_removed_once(shell):
    same = ["als", shell.folder / "runs" / "als", "./runs/../runs/als"]
    found = shell.json("runs", "remove", *same, "--yes")
    assert found == {"removed": ["runs/als"]}
    assert listed(shell) == ["others", "popular", "biases"]
    (shell.folder / "runs" / "link").symlink_to("others")
    assert "this is a link" in shell("runs", "remove", "others", "link", "--yes", fails=True)
    assert "others" in listed(shell)


def test_none_is_removed_unless_all_can_be(shell):
    (shell.folder / "runs" / "link").symlink_to("als")
    message = shell("runs", "remove", "others", "link", "--yes", fails=True)
    assert "runs/link: this is a link to" in message
    assert {"others", "als"} <= {*listed(shell)}


@pytest.mark.parametrize(("answer", "left"), [("y\n", 3), ("n\n", 4), ("\n", 4)])
def test_on_a_terminal_it_asks_first(shell, monkeypatch, answer, left):
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    text = shell("runs", "remove", "als")
    assert text.strip() == ("Removed runs/als." if left == 3 else "Nothing was removed.")
    assert "Remove runs/als for good? [y/N]" in shell.warned
    assert len(listed(shell)) == left
