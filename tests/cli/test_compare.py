"""matinee compare as a person sees it."""

import pytest
from shell import Shell

from matinee.data.synthetic import write_generated


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with runs `als`, `wide`, `biases` and `elsewhere`, the last on other data."""
    root = tmp_path_factory.mktemp("compare")
    folder, cache = root / "work", root / "cache"
    folder.mkdir()
    write_generated(cache / "small", users=80, items=70, ratings=2400, seed=2)
    write_generated(cache / "other", users=80, items=70, ratings=2400, seed=3)
    shell = Shell(folder, cache)
    lists = ["--ranker-factors", 3, "--iterations", 3]
    shell("train", "small", "--factors", 3, *lists, "--run", "runs/als")
    shell("train", "small", "--factors", 5, *lists, "--patience", 2, "--run", "runs/wide")
    for data, run in (("small", "biases"), ("other", "elsewhere")):
        shell("train", data, "--model", "bias", "--ranker", "none", "--run", f"runs/{run}")
    shell("train", "small", "--split", "leave-last-out", "--run", "runs/last", "--iterations", 2)
    return shell


def test_compare_shows_settings_metrics_and_who_is_better(shell):
    text = shell("compare", "als", "wide", "runs/biases")
    found = shell.json("compare", "als", "wide", "runs/biases")
    for letter, run in zip("ABC", ("als", "wide", "biases"), strict=True):
        assert f"{letter}  runs/{run}\n" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"small, tested on 240 ratings, lists of {found['list_viewers']} users" in lines
    assert "stars factors 3 5" in lines
    assert "split hold_out_validation no yes no" in lines
    for one in found["runs"]:
        letter = {"runs/als": "A", "runs/wide": "B", "runs/biases": "C"}[one["run"]]
        rmse = one["metrics"]["rmse"]
        shown = f"RMSE {letter} {rmse['value']:.4f} {rmse['low']:.4f} to {rmse['high']:.4f}"
        assert [line for line in lines if line.startswith(shown)]
    assert len([line for line in lines if "over 80 users" in line or "RMSE" in line]) >= 3
    assert [line for line in lines if line.startswith("B kept a part of the training ratings")]
    assert "comparison.html" not in text


def test_compare_prints_the_keys_that_scripts_rely_on(shell):
    found = shell.json("compare", "als", "biases")
    assert set(found) == {"data", "test_ratings", "list_viewers", "runs", "settings",
                          "differences", "notes", "html"}  # fmt: skip
    assert [one["run"] for one in found["runs"]] == ["runs/als", "runs/biases"]
    assert set(found["runs"][0]) == {"run", "recipes", "train_ratings", "held_out_validation",
                                     "fit_seconds", "metrics"}  # fmt: skip
    assert [one["figure"] for one in found["differences"]] == ["rmse", "mae"]
    assert found["differences"][0]["than"] == "runs/als"
    assert {"part", "name", "values"} == set(found["settings"]["differ"][0])
    assert found["html"] is None


def test_compare_writes_a_page_where_it_says(shell):
    pytest.importorskip("altair")
    before = shell.files()
    assert "More in comparison.html; open it in a browser." in shell("compare", "als", "wide",
                                                                    "--html")  # fmt: skip
    found = shell.json("compare", "als", "wide", "--out", "deep/mine.html")
    assert found["html"] == "deep/mine.html"
    format_setting = {path.relative_to(shell.folder).as_posix() for path in shell.files() - before}
    assert format_setting == {"comparison.html", "deep/mine.html"}
    assert (shell.folder / "comparison.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "two runs or more"),
        (["als"], "two runs or more"),
        (["als", "runs/als"], "runs/als is named twice"),
        (["wide", "als", "runs/../runs/als"], "runs/als is named twice; name different runs."),
        (["als", "nowhere"], "nowhere: there is no run"),
        (["als", "elsewhere"], "runs/elsewhere was trained on other ratings than runs/als"),
        (
            ["als", "last"],
            "runs/last was tested on other ratings than runs/als (its split is leave-last-out",
        ),
        (["als", "wide", "--out", "page.png"], "ends in .html"),
    ],
)
def test_what_cannot_be_compared_is_one_line_on_stderr(shell, arguments, message):
    before = shell.files()
    assert message in shell("compare", *arguments, fails=True)
    assert shell.files() == before


def test_a_page_without_its_packages_is_refused_before_the_work(shell):
    message = shell.apart("compare", "als", "wide", "--html", without="altair", fails=True)
    assert "pip install 'matinee[charts]'" in message
    assert "RMSE" in shell.apart("compare", "als", "wide", without="altair")
