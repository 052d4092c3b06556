"""`matinee runs`: list, filter, sort, rename, remove."""

import io
import shutil
import sys

import pytest
from shell import Shell

from matinee.data.generated import write_generated


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with four runs on two data sets, the newest last."""
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    for name, seed in (("small", 2), ("other", 3)):
        write_generated(cache / name, viewers=60, movies=50, ratings=1500, seed=seed)
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


@pytest.mark.parametrize(("name", "sign"), [("rmse", 1), ("ndcg@10", -1)])
def test_the_best_come_first_and_those_without_a_figure_last(trained, name, sign):
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
