"""`matinee runs`: list, filter, sort, rename, remove."""

import io
import json
import math
import os
import sys

import pytest
from shell import Shell

RUNS = ["others", "als", "popular", "ease", "biases"]  # the newest first


@pytest.fixture(scope="module")
def listing(shell):
    """The shell with a run `others` on other data, the newest."""
    shell("train", "other", "--factors", 2, "--iterations", 2, "--ranker", "none",
          "--run", "runs/others")  # fmt: skip
    return shell


@pytest.fixture
def own(own_shell):
    """A shell with the runs but `others`, which may be changed."""
    return own_shell


@pytest.fixture
def terminal(monkeypatch):
    """What makes a text that which is typed on a terminal."""

    def typed(text):
        stream = io.StringIO(text)
        stream.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", stream)

    return typed


def rewrite(shell, run, change):
    """Change the manifest of a run."""
    manifest = shell.manifest(f"runs/{run}")
    change(manifest)
    (shell.folder / "runs" / run / "manifest.json").write_text(json.dumps(manifest))


def listed(shell, *options):
    return [row["run"].removeprefix("runs/") for row in shell.json("runs", *options)]


def test_runs_are_filtered_and_sorted(listing):
    assert listed(listing) == RUNS
    assert listed(listing, "--sort", "created", "-n", 2) == RUNS[:2]
    assert listed(listing, "--data", "small") == RUNS[1:]
    assert listed(listing, "--model", "als") == listed(listing, "--model", "ALS")
    assert listed(listing, "--model", "als") == ["others", "als"]
    assert listed(listing, "--model", "ease") == ["ease"]
    assert listed(listing, "--model", "als", "--data", "small") == ["als"]
    assert listed(listing, "--model", "mf") == []
    assert "No run matches" in listing("runs", "--data", "ml-1m")


def test_a_row_says_what_one_types(listing):
    rows = {row["run"]: row for row in listing.json("runs")}
    keys = ["run", "created", "model", "ranker", "data", "split", "rmse", "ndcg@10"]
    assert list(rows["runs/als"]) == keys
    assert (rows["runs/als"]["model"], rows["runs/als"]["ranker"]) == ("als", "ials")
    assert (rows["runs/popular"]["model"], rows["runs/popular"]["ranker"]) == (None, "popularity")


def test_each_data_set_has_a_table_of_its_own(listing):
    """Metrics on different ratings are not to be compared."""
    first, second = listing("runs", columns=80).split("\n\n")
    assert first.splitlines()[:2] == ["other", "run     model    RMSE  NDCG@10"]
    assert second.splitlines()[:2] == ["small", "run      model  ranker        RMSE  NDCG@10"]
    assert [line.split()[0] for line in second.splitlines()[3:]] == RUNS[1:]


def test_the_split_is_shown_where_it_differs(own):
    own("train", "small", "--model", "bias", "--ranker", "none", "--split", "leave-last-out",
        "--run", "runs/last")  # fmt: skip
    own("train", "small", "--model", "bias", "--ranker", "none", "--test-fraction", 0,
        "--run", "runs/everything")  # fmt: skip
    lines = own("runs").splitlines()
    assert lines[1].split() == ["run", "model", "ranker", "split", "RMSE", "NDCG@10"]
    assert [line.split() for line in lines[3:4]] == [["everything", "bias", "none"]]
    assert {row["run"]: row["split"] for row in own.json("runs")} == {
        "runs/everything": "none", "runs/last": "leave-last-out",
        **dict.fromkeys(["runs/als", "runs/popular", "runs/ease", "runs/biases"], "random"),
    }  # fmt: skip


def test_the_names_that_runs_get_fit_a_terminal(own):
    (own.folder / "runs" / "ease").rename(own.folder / "runs" / "ml-25m-itemknn-20261231-235959")
    assert max(map(len, own("runs", columns=80).splitlines())) <= 80


def test_names_of_folders_do_not_reach_the_terminal_as_they_are(own):
    odd = "\x1b[31mred\x9b"
    (own.folder / "runs" / "als").rename(own.folder / "runs" / odd)
    assert "?[31mred?" in own("runs")
    assert f"runs/{odd}" in {row["run"] for row in own.json("runs")}
    printed = [
        own("runs"),
        own("runs", "--json"),
        own("compare", f"runs/{odd}", "runs/biases"),
        own("recommend", f"runs/{odd}x", "--user", 1, fails=True),
    ]
    for text in printed:
        assert not {"\x1b", "\x9b"} & set(text)


def test_line_breaks_in_names_break_no_lines(own, terminal):
    odd = "new\nline\u2028x"
    before = own("runs").splitlines()
    (own.folder / "runs" / "als").rename(own.folder / "runs" / odd)
    text = own("runs")
    assert "new?line?x" in text
    assert len(text.splitlines()) == len(before)
    assert f"runs/{odd}" in {row["run"] for row in own.json("runs")}
    assert "new?line?x" in own("recommend", "nowhere", "--user", 1, fails=True)
    assert "A  runs/new?line?x\n" in own("compare", odd, "biases")
    assert "\nruns/new?line?x: " in "\n" + own("reproduce", odd)
    terminal("n\n")
    own("runs", "remove", odd)
    assert "Remove runs/new?line?x for good?" in own.stderr


def test_a_folder_whose_name_is_no_text_is_listed_as_it_can_be(own):
    odd = os.fsdecode(b"runs/\xff")
    try:
        (own.folder / "runs" / "als").rename(own.folder / odd)
    except OSError:
        pytest.skip("this file system takes no such name")
    assert "\n?  " in own("runs")
    assert odd in {row["run"] for row in own.json("runs")}
    assert own("runs", "--json").isascii()


@pytest.mark.parametrize("strange", [10**400, float("nan"), -math.inf, True, "0.5", [1], None])
def test_what_is_no_number_is_none(own, strange):
    def change(manifest):
        manifest["metrics"]["rmse"] = strange
        manifest["metrics"]["ranking"]["metrics"]["ndcg@10"]["value"] = strange

    rewrite(own, "ease", change)
    rows = {row["run"]: row for row in own.json("runs", "--sort", "rmse")}
    assert len(rows) == 4
    assert rows["runs/ease"]["rmse"] is rows["runs/ease"]["ndcg@10"] is None
    assert "\nease " in own("runs", "--sort", "ndcg@10")


@pytest.mark.parametrize("section", ["heads", "metrics", "data", "split"])
def test_a_section_without_its_content_is_none(own, section):
    rewrite(own, "als", lambda manifest: manifest.update({section: {}}))
    assert listed(own)[0] == "als"
    rewrite(own, "als", lambda manifest: manifest.update({section: {"rating": 3, "ranking": 3}}))
    assert listed(own)[0] == "als"


def test_a_manifest_with_half_a_character_is_none(own):
    name = {"name": "x\ud800y"}
    rewrite(own, "als", lambda manifest: manifest["heads"]["rating"]["estimator"].update(name))
    assert listed(own) == RUNS[2:]
    assert "runs/als" not in own("runs")
    assert "manifest" in own("compare", "als", "biases", fails=True)


@pytest.mark.parametrize(("name", "sign"), [("rmse", 1), ("ndcg@10", -1)])
def test_the_best_come_first_and_those_without_a_metric_last(listing, name, sign):
    rows = listing.json("runs", "--sort", name)
    values = [row[name] for row in rows]
    known = [value for value in values if value is not None]
    assert len(rows) == len(RUNS)
    assert known == sorted(known, key=lambda value: sign * value)
    assert values == known + [None] * (len(RUNS) - len(known))
    assert (len(known) == len(RUNS) - 1) == (name == "rmse")


def test_a_list_without_runs_says_how_to_make_one(tmp_path):
    assert "Make one: matinee train DATASET" in Shell(tmp_path, tmp_path)("runs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "magic"], "--model must be one of als, bayes, bias, mf"),
        (["--sort", "size"], "--sort must be one of created, rmse, ndcg@10, got 'size'."),
        (["--json", "rename", "als", "b"], "--json belongs to the list; put options of rename"),
        (["rename", "nowhere", "b"], "no run has this name"),
        (["rename", "als", "others"], "runs/others: "),
        (["rename", "als", "../als"], "'../als'"),
        (["remove", "als", "nowhere", "--yes"], "no run has this name"),
        (["remove", "als"], "Not a terminal: confirm with --yes."),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(listing, arguments, message):
    assert message in listing("runs", *arguments, fails=True)
    assert listed(listing) == RUNS


def test_a_run_is_renamed(own):
    assert own("runs", "rename", "als", "winner") == "Renamed runs/als to runs/winner.\n"
    renamed = own.json("runs", "rename", "runs/biases", "baseline")
    assert renamed == {"from": "runs/biases", "run": "runs/baseline"}
    assert listed(own) == ["winner", "popular", "ease", "baseline"]
    assert len(own.json("recommend", "winner", "--user", 7)) == 10


def test_runs_are_removed(own):
    removed = own.json("runs", "remove", "als", "runs/ease", "als", "--yes")
    assert removed == {"removed": ["runs/als", "runs/ease"]}
    assert own("runs", "remove", "popular", "--yes") == "Removed runs/popular.\n"
    assert listed(own) == ["biases"]
    assert [path.name for path in (own.folder / "runs").iterdir()] == ["biases"]


def test_a_run_that_is_spelled_twice_is_removed_once(own):
    same = ["als", own.folder / "runs" / "als", "./runs/../runs/als"]
    assert own.json("runs", "remove", *same, "--yes") == {"removed": ["runs/als"]}
    assert listed(own) == RUNS[2:]


def test_none_is_removed_unless_all_can_be(own):
    (own.folder / "runs" / "link").symlink_to("als")
    message = own("runs", "remove", "ease", "link", "--yes", fails=True)
    assert "runs/link: " in message
    assert "link to" in message
    assert {"ease", "als"} <= {*listed(own)}


@pytest.mark.parametrize(("answer", "left"), [("y\n", 3), ("n\n", 4), ("\n", 4)])
def test_on_a_terminal_it_asks_first(own, terminal, answer, left):
    terminal(answer)
    text = own("runs", "remove", "als")
    assert text.strip() == ("Removed runs/als." if left == 3 else "Nothing was removed.")
    assert "Remove runs/als for good? [y/N]" in own.stderr
    assert len(listed(own)) == left
