"""`matinee evaluate`, `compare` and `cross-validate`."""

import re

import pytest

# --- evaluate


@pytest.mark.slow
def test_runs_are_evaluated_side_by_side(shell):
    rows = shell.json("evaluate", "biases", "als", "--min-rating", 3)
    assert [(row["model"], row["estimator"], row["head"]) for row in rows] == [
        ("runs/biases", "Bias", "rating"),
        ("runs/als", "ALS and ImplicitALS", "both"),
        ("runs/als", "ALS", "rating"),
        ("runs/als", "ImplicitALS", "ranking"),
        (rows[4]["model"], "Popularity", "ranking"),
    ]
    keys = {"model", "estimator", "head", "rating", "protocol", "n_users", "note", "metrics"}
    assert all(set(row) == keys | {"min_rating", "seed"} for row in rows)
    table = shell("evaluate", "biases", "als", "--min-rating", 3, columns=120)
    assert max(map(len, shell("evaluate", "biases", "als", columns=80).splitlines())) <= 80
    assert f"holdout: top-10 ranking for {rows[0]['n_users']} test users" in table
    assert "A  runs/biases" in table
    assert "B  runs/als" in table
    for row in rows[:4]:
        letter = {"runs/biases": "A", "runs/als": "B"}[row["model"]]
        ranked = [row["metrics"][name]["value"] for name in ("ndcg@10", "hit_rate@10")]
        predicted = [row["rating"][name] for name in ("rmse", "mae")] if row["rating"] else []
        for metrics in filter(None, (ranked, predicted)):
            wanted = [letter, row["estimator"], *(f"{value:.4f}" for value in metrics)]
            lines = [line for line in table.splitlines() if all(cell in line for cell in wanted)]
            assert len(lines) == 1
    assert re.search(r"NDCG@10 of .*: 0\.\d{4} \(95% CI 0\.\d{4} to 0\.\d{4}\)\n", table)


@pytest.mark.slow
def test_protocols(shell):
    text = shell("evaluate", "als", "--protocol", "sampled-negatives", "--seed", 1)
    assert text.startswith("sampled-negatives: ")
    assert "coverage" not in text
    drawn = [
        shell.json("evaluate", "als", "--protocol", "strong-generalization", "--seed", seed)
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert {row["protocol"] for row in drawn[0]} == {"strong-generalization"}
    assert "RMSE" not in shell("evaluate", "als", "--protocol", "strong-generalization")
    names = [["--protocol", name, "--seed", 1] for name in ("ncf", "sampled-negatives")]
    aliases = [shell.json("evaluate", "als", *name) for name in names]
    assert aliases[0] == aliases[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["als", "nowhere"], "nowhere"),
        (["als", "--protocol", "magic"], "'magic'"),
        (["als", "--protocol", "sampled-negatives", "--min-rating", 4], "min_rating"),
        (["als", "--min-rating", 9], "no test user"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line_on_stderr(shell, arguments, message):
    assert message in shell("evaluate", *arguments, fails=True)


# --- compare


@pytest.fixture(scope="module")
def more(shell):
    """The shell with runs `wide`, `elsewhere` (on other data) and `last` (of another split)."""
    shell("train", "small", "--factors", 5, "--iterations", 3, "--set", "ranker.factors=3",
          "--patience", 2, "--run", "runs/wide")  # fmt: skip
    shell("train", "other", "--model", "bias", "--ranker", "none", "--run", "runs/elsewhere")
    shell("train", "small", "--split", "leave-last-out", "--iterations", 2, "--run", "runs/last")
    return shell


@pytest.mark.slow
def test_compare_shows_hyperparameters_metrics_and_who_is_better(more):
    text = more("compare", "als", "wide", "runs/biases")
    found = more.json("compare", "als", "wide", "runs/biases")
    for letter, run in zip("ABC", ("als", "wide", "biases"), strict=True):
        assert f"{letter}  runs/{run}\n" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any("240" in line and str(found["n_users"]) in line for line in lines)
    assert [line for line in lines if line.endswith("iterations 4 3 10")]
    assert [line for line in lines if "validation" in line]
    for run in found["runs"]:
        letter = {"runs/als": "A", "runs/wide": "B", "runs/biases": "C"}[run["run"]]
        rmse = run["metrics"]["rmse"]
        shown = f"{letter} {rmse['value']:.4f} {rmse['ci_low']:.4f} to {rmse['ci_high']:.4f}"
        assert [line for line in lines if "RMSE" in line and shown in line]
    assert len([line for line in lines if "80 users" in line or "RMSE" in line]) >= 3
    assert "comparison.html" not in text


def test_compare_prints_the_keys_that_scripts_rely_on(more):
    found = more.json("compare", "als", "biases")
    assert [run["run"] for run in found["runs"]] == ["runs/als", "runs/biases"]
    assert [difference["metric"] for difference in found["differences"]] == ["rmse", "mae"]
    assert found["differences"][0]["baseline"] == "runs/als"
    assert found["html"] is None


@pytest.mark.thorough
@pytest.mark.slow
def test_compare_writes_a_page_where_it_says(more):
    pytest.importorskip("altair")
    before = more.files()
    text = more("compare", "als", "wide", "--html")
    assert "More in comparison.html; open it in a browser." in text
    found = more.json("compare", "als", "wide", "--out", "deep/mine.html")
    assert found["html"] == "deep/mine.html"
    written = {path.relative_to(more.folder).as_posix() for path in more.files() - before}
    assert written == {"comparison.html", "deep/mine.html"}
    assert (more.folder / "comparison.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "two runs or more"),
        (["als"], "two runs or more"),
        (["als", "runs/als"], "runs/als is named twice"),
        (["wide", "als", "runs/../runs/als"], "runs/als is named twice; name different runs."),
        (["als", "nowhere"], "nowhere: no run has this name"),
        (["als", "elsewhere"], "runs/elsewhere"),
        (["als", "last"], "leave-last-out"),
        (["als", "wide", "--out", "page.png"], "must end in .html"),
    ],
)
def test_what_cannot_be_compared_is_one_line_on_stderr(more, arguments, message):
    before = more.files()
    assert message in more("compare", *arguments, fails=True)
    assert more.files() == before


@pytest.mark.slow
def test_a_page_without_its_packages_is_refused_before_the_work(more):
    message = more.without("altair", "compare", "als", "wide", "--html", fails=True)
    assert "matinee[charts]" in message
    assert "RMSE" in more.without("altair", "compare", "als", "wide")


# --- cross-validate


def cells_of(text):
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


@pytest.mark.slow
@pytest.mark.parametrize("folds", [3, 5, 12])
def test_metrics_are_rows_and_folds_are_columns(own_shell, folds):
    shell, before = own_shell, own_shell.files()
    command = ["cross-validate", "small", "--ranker", "popularity", "--folds", folds,
               "--set", "factors=2", "--set", "iterations=2", "--seed", 3]  # fmt: skip
    found, text = shell.json(*command), shell(*command, columns=80)
    assert text.startswith(f"small: ALS and Popularity, 2,400 ratings in {folds} folds\n")
    assert "sample standard deviation" in text
    assert max(map(len, text.splitlines())) <= 80
    cells = cells_of(text)
    assert list(cells)[:4] == ["RMSE", "MAE", "NDCG@10", "NDCG@10 (liked)"]
    names = {"RMSE": "rmse", "MAE": "mae", "NDCG@10": "ndcg@10", "HR@10": "hit_rate@10"}
    for label, name in names.items():
        metric = found["metrics"][name]
        wanted = [f"{value:.4f}" for value in (*metric["folds"], metric["mean"], metric["std"])]
        columns = [*(f"fold {number}" for number in range(1, folds + 1)), "mean", "std"]
        assert cells[label] == dict(zip(columns, wanted, strict=True))
    assert any(cell["mean"].endswith("%") for cell in cells.values())
    assert all(len(row) == folds + 2 for row in cells.values())
    assert shell.files() == before


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
        (["--folds", 1], "2,400"),
        (["--folds", 2401], "2,401"),
        (["--folds", 10**12], "1,000,000,000,000"),
        (["--folds", "9" * 5000], "--folds must be a number or official, got 5,000 digits."),
        (["--folds", "many"], "--folds must be a number or official, got 'many'."),
        (["--folds=-3"], "--folds must be a number or official, got '-3'."),
        (["--folds", "official"], "small"),
        (["--model", "none"], "othing to train"),
        (["--model", "magic"], "--model must be one of als, bayes, bias"),
        (["--set", "nonsense=1"], "--set nonsense: ALS has no "),
        (["--set", "ranker.factors=1"], "--ranker none has no hyperparameters."),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    assert message in shell("cross-validate", "small", *arguments, fails=True)
