"""`matinee train --set`: any setting of any recipe, and the command line that says the same."""

import shlex

import pytest
from shell import Shell

from matinee.cli.hyperparameters import train_command
from matinee.data.synthetic import write_generated
from matinee.errors import SettingError


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with data `small` in the cache."""
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    write_generated(cache / "small", users=60, items=50, ratings=1500, seed=2)
    return Shell(folder, cache)


def test_settings_reach_both_estimators(shell):
    found = shell.json("train", "small", "--set", "factors=3", "--set", "regularization=0.7",
                       "--set", "exponent=1", "--set", "solver=cholesky",
                       "--set", "ranker.factors=4", "--set", "ranker.liked=3.5",
                       "--set", "ranker.features=genres", "--seed", 5)  # fmt: skip
    rating, ranking = found["estimators"]["rating"], found["estimators"]["ranking"]
    wanted = {"factors": 3, "regularization": 0.7, "exponent": 1.0, "solver": "cholesky"}
    assert rating == rating | wanted | {"seed": 5, "iterations": 15}
    wanted = {"factors": 4, "min_rating": 3.5, "features": "genres"}
    assert ranking == ranking | wanted | {"seed": 5, "unobserved": 0.25}


def test_a_setting_goes_beside_the_options_of_others(shell):
    found = shell.json("train", "small", "--factors", 3, "--set", "iterations=2",
                       "--ranker-factors", 4, "--set", "ranker.iterations=3")  # fmt: skip
    rating, ranking = found["estimators"]["rating"], found["estimators"]["ranking"]
    assert (rating["factors"], rating["iterations"]) == (3, 2)
    assert (ranking["factors"], ranking["iterations"]) == (4, 3)


def test_patience_that_is_set_holds_a_validation_part_out(shell):
    run = shell.json("train", "small", "--set", "patience=2", "--ranker", "none",
                     "--set", "factors=2")["run"]  # fmt: skip
    assert shell.manifest(run)["split"]["holdout_validation"] is True
    assert "validation_rmse" in shell.history(run).columns


def test_weight_decay_may_be_one_number_or_one_for_each_group(shell):
    pytest.importorskip("torch")
    command = ["train", "small", "--model", "mf", "--ranker", "none", "--device", "cpu",
               "--set", "epochs=1", "--set", "factors=2", "--set", "biases=false"]  # fmt: skip
    decays = [
        shell.json(*command, *more)["estimators"]["rating"]["weight_decay"]
        for more in (["--set", "weight_decay=0.2"], ["--set", "weight_decay.factors=0.3"])
    ]
    assert decays == [0.2, {"factors": 0.3}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "nonsense=1"], "--set nonsense: ALS has no such setting; it has factors, reg"),
        (["--set", "ranker.cats=1"], "--set ranker.cats: ImplicitALS has no such setting; it has"),
        (["--set", "factors"], "--set factors should be NAME=VALUE."),
        (["--set", "ranker.factors"], "--set ranker.factors should be NAME=VALUE."),
        (["--set", "factors=many"], "--set factors is a whole number, not 'many'."),
        (["--set", "ranker.factors=2.5"], "--set ranker.factors is a whole number, not '2.5'."),
        (["--set", "factors=-1"], "factors is at least 0, not -1."),
        (["--set", "factors=1", "--set", "factors=2"], "--set factors is given twice."),
        (["--set", "factors=1", "--factors", 1], "--set factors and --factors set the same thing"),
        (
            ["--set", "ranker.factors=1", "--ranker-factors", 1],
            "--set ranker.factors and --ranker-factors set the same thing; leave one out.",
        ),
        (["--set", "ranker.liked=1", "--liked", 1], "--set ranker.liked and --liked set the same"),
        (["--set", "seed=1"], "--set seed=1: this has an option of its own, --seed."),
        (["--set", "ranker.device=cpu"], "this has an option of its own, --device."),
        (["--ranker", "none", "--set", "ranker.factors=1"], "--ranker none has no settings."),
        (["--model", "none", "--set", "factors=1"], "--model none has no settings."),
        (["--recipe", "bias-genres-als", "--set", "factors=1"], "leave out --set."),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    assert message in shell("train", "small", *arguments, "--run", "runs/refused", fails=True)
    assert not (shell.folder / "runs" / "refused").exists()


@pytest.mark.parametrize("name", ["epochs", "ranker.epochs"])
def test_an_option_for_both_heads_and_a_setting_of_one_are_refused(shell, name):
    pytest.importorskip("torch")
    message = shell("train", "small", "--model", "mf", "--ranker", "bpr", "--epochs", 1,
                    "--set", f"{name}=1", fails=True)  # fmt: skip
    assert f"--set {name} and --epochs set the same thing; leave one out." in message


# --- the command line that trains the same


def test_a_command_names_what_is_not_default():
    assert train_command("small", "als", "ials") == "matinee train small --model als --ranker ials"
    settings = {"factors": 64, "regularization": 0.1 + 0.2, "patience": 2}
    found = train_command(
        "my films.csv",
        "als",
        "ease",
        settings,
        {"min_rating": 4.0},
        seed=None,
        split="leave-last-out",
    )
    assert shlex.split(found) == [
        "matinee", "train", "my films.csv", "--model", "als", "--ranker", "ease",
        "--set", "regularization=0.30000000000000004", "--set", "patience=2",
        "--set", "ranker.liked=4.0", "--split", "leave-last-out",
    ]  # fmt: skip
    with pytest.raises(SettingError, match="--model is als"):
        train_command("small", "magic", "none")
    with pytest.raises(SettingError, match="factors is at least 0"):
        train_command("small", "als", "none", {"factors": -1})


def test_a_command_trains_what_it_was_made_of(shell):
    pytest.importorskip("torch")
    rating = {"weight_decay": {"factors": 0.1 / 3}, "epochs": 1, "factors": 2, "amp": False}
    ranking = {"factors": 3, "unobserved": 0.1 + 0.2, "confidence": "rating"}
    command = train_command("small", "mf", "ials", rating, ranking, seed=3, device="cpu")
    found = shell.json(*shlex.split(command)[1:])["estimators"]
    assert found["rating"] == found["rating"] | rating | {"seed": 3}
    assert found["ranking"] == found["ranking"] | ranking | {"seed": 3}
