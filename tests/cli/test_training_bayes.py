"""`matinee train --model bayes`, and what can be asked of the run it leaves."""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from safetensors.numpy import load_file
from shell import MATINEE, Shell

from matinee.data.synthetic import write_generated

CHAIN = ["train", "small", "--model", "bayes", "--ranker", "none", "--factors", 2]


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with data `small` in the cache."""
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    write_generated(cache / "small", users=60, items=50, ratings=1500, seed=2)
    return Shell(folder, cache)


@pytest.fixture(scope="module")
def result(shell):
    """A run with a chain for stars, and a ranking head."""
    return shell.json("train", "small", "--model", "bayes", "--factors", 3, "--iterations", 60,
                      "--ranker-factors", 4, "--run", "runs/both")  # fmt: skip


def test_a_chain_is_trained_tested_and_saved(shell, result):
    assert result["model"] == "bayes"
    assert 0.5 < result["rmse"] < 1.1
    settings = result["estimators"]["rating"]
    assert (settings["name"], settings["factors"], settings["features"]) == ("BayesianMF", 3, "all")
    history = shell.history("runs/both")
    assert history.filter(history["head"] == "rating")["iteration"].to_list() == [*range(1, 61)]
    assert history["test_rmse"].drop_nulls()[-1] == pytest.approx(result["rmse"], abs=0.01)


def test_everything_that_asks_a_run_asks_this_one(shell, result):
    assert len(shell.json("recommend", "--user", 1, "-n", 3)) == 3
    told = shell.json("explain", "--user", 1, "2", "--by", "rating")
    assert told["range"][0] <= told["rating"] <= told["range"][1]
    assert told["score"] == pytest.approx(sum(part["contribution"] for part in told["parts"]))
    assert "With a probability of 80%: " in shell("explain", "--rated", "1=5", "2")
    assert len(shell.json("similar", "2", "-n", 4)) == 4
    assert shell.json("evaluate")[0]["rating"]["rmse"] == pytest.approx(result["rmse"])


def test_a_model_without_ranges_tells_of_none(shell):
    shell("train", "small", "--ranker", "none", "--run", "runs/plain")
    assert "probability" not in shell("explain", "runs/plain", "--user", 1, "2")
    assert shell.json("explain", "runs/plain", "--user", 1, "2")["range"] is None


def test_settings_reach_the_chain(shell):
    found = shell.json(*CHAIN, "--iterations", 8, "--likelihood", "normal", "--features",
                       "genres,date", "--seed", 3, "--run", "runs/settings")  # fmt: skip
    settings = found["estimators"]["rating"]
    wanted = {"iterations": 8, "likelihood": "normal", "features": "genres,date", "seed": 3}
    assert settings == {**settings, **wanted}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--features", "genres,weather"], "some of genres, years, raters"),
        (["--likelihood", "poisson"], "likelihood is 'ordinal' or 'normal', not 'poisson'"),
        (["--iterations", 1], "iterations is at least 2"),
        (["--factors", 0], "factors is at least 1"),
        (["--regularization", 1], "--model bayes has no --regularization"),
        (["--resume"], "--resume needs --checkpoint DIR"),
        (["--checkpoint", "nowhere", "--resume"], "there is no state in nowhere"),
        (["--checkpoint-every", 4], "--checkpoint-every needs --checkpoint DIR"),
        (["--device", "cpu"], "--device is for models trained by gradients"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    run = shell.folder / "runs" / "refused"
    assert message in shell(*CHAIN, *arguments, "--run", run, fails=True)
    assert not run.exists()


def test_als_has_no_likelihood_and_leaves_no_states(shell):
    command = ["train", "small", "--model", "als", "--ranker", "none", "--run", "runs/refused"]
    assert "has no --likelihood" in shell(*command, "--likelihood", "normal", fails=True)
    message = shell(*command, "--checkpoint", "states", fails=True)
    assert "--checkpoint is for bayes and for models trained by gradients" in message


def test_a_chain_goes_on_further(shell):
    command = [*CHAIN, "--checkpoint", "states"]
    shell(*command, "--iterations", 40, "--run", "runs/shorter")
    shell(*command, "--iterations", 80, "--resume", "--run", "runs/longer")
    shorter, longer = (shell.history(f"runs/{name}") for name in ("shorter", "longer"))
    assert longer.height == 80
    assert longer[:40].equals(shorter)  # seconds, too
    draws = load_file(shell.folder / "runs" / "longer" / "rating_head.safetensors")["draw_table"]
    assert len(draws) == 70  # the first ten do not count, as at first
    message = shell(*command, "--iterations", 60, "--run", "runs/less", fails=True)
    assert "a checkpoint of 80 iterations, 60 are asked for" in message


def test_a_killed_chain_goes_on_and_ends_the_same(shell):
    command = [*CHAIN, "--iterations", 300, "--checkpoint", "killed", "--checkpoint-every", 4]
    state = shell.folder / "killed" / "bayesianmf" / "state.safetensors"
    process = subprocess.Popen(
        [MATINEE, *map(str, command), "--run", "runs/killed"],
        cwd=shell.folder,
        env={**os.environ, "MATINEE_DATA": str(shell.cache)},
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (shell.folder / "runs" / "killed").exists()
    shell(*command, "--resume", "--run", "runs/went-on")
    shell(*CHAIN, "--iterations", 300, "--run", "runs/at-once")
    first, second = (
        load_file(shell.folder / "runs" / name / "rating_head.safetensors")
        for name in ("went-on", "at-once")
    )
    assert set(first) == set(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)
