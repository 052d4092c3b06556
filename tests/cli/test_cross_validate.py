"""`matinee cross-validate`: the table, and the same as JSON."""

import re

import pytest
from shell import Shell

from matinee.data.synthetic import write_generated


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with data `small` in the cache."""
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    write_generated(cache / "small", users=60, items=50, ratings=1500, seed=2)
    return Shell(folder, cache)


def table_of(text):
    """Cells by the head of their row and column, over all tables in a text."""
    cells = {}
    for line in text.splitlines():
        parts = re.split(r"\s{2,}", line)
        if parts[0] == "":
            columns = parts[1:]
        elif len(parts) > 2:
            for column, cell in zip(columns, parts[1:], strict=True):
                cells.setdefault(parts[0], {})[column] = cell
    return cells


@pytest.mark.parametrize("folds", [3, 5, 12])
def test_metrics_are_rows_and_folds_are_columns(shell, folds):
    command = ["cross-validate", "small", "--ranker", "popularity", "--folds", folds,
               "--set", "factors=2", "--set", "iterations=2", "--seed", 3]  # fmt: skip
    found, text = shell.json(*command), shell(*command)
    assert text.startswith(f"small: ALS and Popularity, 1,500 ratings in {folds} folds\n")
    assert "sample standard deviation" in text
    assert max(map(len, text.splitlines())) <= 80
    cells = table_of(text)
    assert list(cells)[:4] == ["RMSE", "MAE", "NDCG@10", "HR@10"]
    assert list(cells)[-2:] == ["fit time, s", "test time, s"]
    names = {"RMSE": "rmse", "MAE": "mae", "NDCG@10": "ndcg@10", "HR@10": "hit_rate@10"}
    for title, name in names.items():
        metric = found["metrics"][name]
        wanted = [f"{value:.4f}" for value in (*metric["folds"], metric["mean"], metric["std"])]
        columns = [*(f"fold {number}" for number in range(1, folds + 1)), "mean", "std"]
        assert cells[title] == dict(zip(columns, wanted, strict=True))
    assert cells["popular"]["mean"].endswith("%")
    assert len(cells["fit time, s"]) == folds + 2
    assert not (shell.folder / "runs").exists()


def test_the_keys_that_scripts_rely_on(shell):
    found = shell.json("cross-validate", "small", "--model", "bias", "--folds", 2)
    assert set(found) == {"data", "seed", "folds", "metrics", "estimators"}
    assert (found["data"], found["seed"], found["folds"]) == ("small", 0, ["1", "2"])
    assert list(found["metrics"]) == ["rmse", "mae", "fit_seconds", "test_seconds"]
    assert set(found["metrics"]["rmse"]) == {"folds", "mean", "std"}
    assert found["estimators"]["rating"]["name"] == "Bias"


def test_estimators_are_those_of_train(shell):
    found = shell.json("cross-validate", "small", "--model", "none", "--ranker", "ials",
                       "--folds", 2, "--set", "ranker.factors=2", "--seed", 3)  # fmt: skip
    estimator = found["estimators"]["ranking"]
    assert (estimator["name"], estimator["factors"], estimator["seed"]) == ("ImplicitALS", 2, 3)
    assert "rmse" not in found["metrics"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", 1], "1,500 ratings cannot be cut into 1 folds; take 2 to 1,500."),
        (["--folds", 1501], "1,500 ratings cannot be cut into 1,501 folds"),
        (["--folds", 10**12], "1,500 ratings cannot be cut into 1,000,000,000,000 folds"),
        (["--folds", "9" * 5000], "--folds is a number or official, not one of 5,000 digits."),
        (["--folds", "many"], "--folds is a number or official, not 'many'."),
        (["--folds=-3"], "--folds is a number or official, not '-3'."),
        (["--folds", "official"], "small has no official folds; give a number of folds."),
        (["--model", "none"], "There is nothing to train"),
        (["--model", "magic"], "--model is als, bayes, bias"),
        (["--set", "nonsense=1"], "--set nonsense: ALS has no such setting"),
        (["--set", "ranker.factors=1"], "--ranker none has no settings."),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    assert message in shell("cross-validate", "small", *arguments, fails=True)
