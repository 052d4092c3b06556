"""Hyperparameters by option and by `--set`, and the command that says the same."""

import shlex

import pytest

from matinee.cli.hyperparameters import train_command
from matinee.errors import SettingError


def test_settings_reach_both_estimators(shell):
    found = shell.json("train", "small", "--set", "factors=3", "--set", "regularization=0.7",
                       "--set", "exponent=1", "--set", "solver=cholesky",
                       "--set", "ranker.factors=4", "--set", "ranker.min_rating=3.5",
                       "--set", "ranker.features=genres", "--seed", 5)  # fmt: skip
    rating, ranking = found["estimators"]["rating"], found["estimators"]["ranking"]
    wanted = {"factors": 3, "regularization": 0.7, "exponent": 1.0, "solver": "cholesky"}
    assert rating == rating | wanted | {"seed": 5, "iterations": 15}
    wanted = {"factors": 4, "min_rating": 3.5, "features": "genres"}
    assert ranking == ranking | wanted | {"seed": 5, "unobserved": None}


def test_options_mean_the_rating_model_and_settings_go_beside_them(shell):
    found = shell.json("train", "small", "--factors", 3, "--regularization", 2,
                       "--set", "iterations=2", "--set", "ranker.factors=4",
                       "--set", "ranker.iterations=3")  # fmt: skip
    rating, ranking = found["estimators"]["rating"], found["estimators"]["ranking"]
    assert [rating[name] for name in ("factors", "regularization", "iterations")] == [3, 2, 2]
    assert (ranking["factors"], ranking["iterations"]) == (4, 3)


def test_patience_that_is_set_takes_a_validation_set(shell):
    run = shell.json("train", "small", "--set", "patience=2", "--ranker", "none",
                     "--set", "factors=2")["run"]  # fmt: skip
    assert shell.manifest(run)["split"]["validation_fraction"] == 0.1
    assert "validation_rmse" in shell.history(run).columns


def test_weight_decay_may_be_one_number_or_one_for_each_group(shell):
    pytest.importorskip("torch")
    command = ["train", "small", "--model", "mf", "--ranker", "none", "--device", "cpu",
               "--set", "epochs=1", "--set", "factors=2", "--set", "biases=false"]  # fmt: skip
    decays = [
        shell.json(*command, "--set", text)["estimators"]["rating"]["weight_decay"]
        for text in ("weight_decay=0.2", "weight_decay.factors=0.3")
    ]
    assert decays == [0.2, {"factors": 0.3}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "nonsense=1"], "--set nonsense: ALS has no "),
        (["--set", "ranker.cats=1"], "--set ranker.cats: ImplicitALS has no "),
        (["--set", "factors"], "--set factors: must be NAME=VALUE."),
        (["--set", "ranker.factors"], "--set ranker.factors: must be NAME=VALUE."),
        (["--set", "factors=many"], "--set factors must be an integer, got 'many'."),
        (["--set", "ranker.factors=2.5"], "--set ranker.factors must be an integer"),
        (["--set", "factors=-1"], "factors must be >= 0, got -1."),
        (["--factors", -1], "factors must be >= 0, got -1."),
        (["--set", "factors=1", "--set", "factors=2"], "--set factors is given twice."),
        (
            ["--set", "factors=1", "--factors", 1],
            "--set factors and --factors set the same thing; leave one out.",
        ),
        (["--set", "ranker.patience=1", "--patience", 1], "set the same thing"),
        (["--set", "seed=1"], "--set seed=1: use the option --seed."),
        (["--set", "ranker.device=cpu"], "--set ranker.device=cpu: use the option --device."),
        (["--ranker", "none", "--set", "ranker.factors=1"], "--ranker none has no hyperp"),
        (["--model", "none", "--set", "factors=1"], "--model none has no hyperparameters."),
        (["--model", "none", "--ranker", "none"], "othing to train"),
        (["--model", "bias", "--factors", 4], "--model bias has no --factors."),
        (
            ["--model", "none", "--factors", 4],
            "--model none has no --factors; for the ranker use --set ranker.factors=VALUE.",
        ),
        (["--model", "bias", "--ranker", "ease", "--patience", 4], "nor --ranker ease has"),
        (["--ranker", "ease", "--set", "ranker.factors=4"], "--set ranker.factors: EASE has no"),
        (["--model", "magic"], "--model must be one of als, bayes, bias, mf, gmf, mlp, neumf"),
        (["--ranker", "magic"], "--ranker must be one of ials, next, ease, popularity, itemknn"),
        (["--model", "bayes", "--regularization", 1], "--model bayes has no --regularization."),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    assert message in shell("train", "small", *arguments, "--run", "runs/refused", fails=True)
    assert not (shell.folder / "runs" / "refused").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mf", "--iterations", 4], "--model mf has no --iterations; use --set epochs=VALUE."),
        (["gmf", "--regularization", 1], "--model gmf has no --regularization; use --set weight_d"),
        (["mlp", "--factors", 4], "--model mlp has no --factors."),
        (["bpr"], "got 'bpr'"),
        (["mf", "--set", "solver=cg"], "--set solver: MatrixFactorization has no "),
        (
            ["none", "--ranker", "bpr", "--iterations", 4],
            "--model none has no --iterations; for the ranker use --set ranker.epochs=VALUE.",
        ),
    ],
)
def test_gradient_models_have_names_of_their_own(shell, arguments, message):
    pytest.importorskip("torch")
    assert message in shell("train", "small", "--model", *arguments, fails=True)


# --- the command that trains the same


def test_a_command_names_what_is_not_default():
    assert train_command("small", "als", "ials") == "matinee train small --model als --ranker ials"
    settings = {"factors": 64, "regularization": 0.1 + 0.2, "patience": 2}
    ranking = {"min_rating": 4.0}
    split = {"seed": None, "split": "leave-last-out"}
    command = train_command("my films.csv", "als", "ease", settings, ranking, **split)
    assert shlex.split(command) == [
        "matinee", "train", "my films.csv", "--model", "als", "--ranker", "ease",
        "--set", "regularization=0.30000000000000004", "--set", "patience=2",
        "--set", "ranker.min_rating=4.0", "--split", "leave-last-out",
    ]  # fmt: skip
    with pytest.raises(SettingError, match="--model must be one of als"):
        train_command("small", "magic", "none")
    with pytest.raises(SettingError, match="factors must be >= 0"):
        train_command("small", "als", "none", {"factors": -1})


def test_a_command_trains_what_it_was_made_of(shell):
    pytest.importorskip("torch")
    rating = {"weight_decay": {"factors": 0.1 / 3}, "epochs": 1, "factors": 2, "amp": False}
    ranking = {"factors": 3, "unobserved": 0.1 + 0.2, "confidence": "rating"}
    command = train_command("small", "mf", "ials", rating, ranking, seed=3, device="cpu")
    found = shell.json(*shlex.split(command)[1:])["estimators"]
    assert found["rating"] == found["rating"] | rating | {"seed": 3}
    assert found["ranking"] == found["ranking"] | ranking | {"seed": 3}
