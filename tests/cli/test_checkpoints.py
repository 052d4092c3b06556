"""`matinee train --checkpoint`: a training that was killed is resumed and ends the same."""

import json
import signal
import subprocess
import time

import numpy as np
import pytest
from safetensors.numpy import load_file
from shell import MATINEE

CHAIN = ["train", "small", "--model", "bayes", "--ranker", "none", "--factors", 2]
MF = ["train", "small", "--model", "mf", "--ranker", "none", "--factors", 2, "--device", "cpu",
      "--threads", 1]  # fmt: skip
HEAD = "rating_head.safetensors"


def kill_once_it_has(state, shell, *command):
    """Start a command and kill it as soon as this file is there."""
    process = subprocess.Popen(
        [MATINEE, *map(str, command)],
        cwd=shell.folder,
        env=shell.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 120
    try:
        while not state.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
    finally:
        process.kill()
        errors = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL, errors
    assert state.exists()


def assert_same_arrays(shell, *runs):
    first, second = (load_file(shell.folder / "runs" / run / HEAD) for run in runs)
    assert set(first) == set(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)


def texts_beside(path):
    """The text beside the tensors of a safetensors file: a length, then JSON."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


# --- BayesianMF


@pytest.mark.thorough
@pytest.mark.slow
def test_a_chain_is_resumed_further(shell):
    command = [*CHAIN, "--checkpoint", "states"]
    shell(*command, "--iterations", 40, "--run", "runs/shorter")
    shell(*command, "--iterations", 80, "--resume", "--run", "runs/longer")
    shorter, longer = (shell.history(f"runs/{name}") for name in ("shorter", "longer"))
    assert longer.height == 80
    assert longer[:40].equals(shorter)  # seconds, too
    draws = load_file(shell.folder / "runs" / "longer" / HEAD)["draw_table"]
    assert len(draws) == 70  # the burn-in is that of the first
    message = shell(*command, "--iterations", 60, "--run", "runs/less", fails=True)
    assert "80 iterations" in message


@pytest.mark.thorough
def test_a_killed_chain_is_resumed_and_ends_the_same(shell):
    command = [*CHAIN, "--iterations", 120, "--checkpoint", "killed", "--checkpoint-every", 4]
    state = shell.folder / "killed" / "bayesianmf" / "state.safetensors"
    kill_once_it_has(state, shell, *command, "--run", "runs/killed")
    assert not (shell.folder / "runs" / "killed").exists()
    shell(*command, "--resume", "--run", "runs/resumed")
    shell(*CHAIN, "--iterations", 120, "--run", "runs/at-once")
    assert_same_arrays(shell, "resumed", "at-once")


# --- models trained by gradients


@pytest.mark.thorough
def test_a_killed_gradient_model_is_resumed_and_ends_the_same(shell):
    pytest.importorskip("torch")
    long = [*MF, "--set", "epochs=400", "--set", "learning_rate=0.002"]
    command = [*long, "--checkpoint", "state", "--checkpoint-every", 50]
    state = shell.folder / "state" / "matrixfactorization" / "state.safetensors"
    kill_once_it_has(state, shell, *command, "--run", "runs/killed-mf")
    assert not (shell.folder / "runs" / "killed-mf").exists()
    kept = json.loads(texts_beside(state)["state"])["history"]
    assert 50 <= len(kept) < 400
    shell(*command, "--run", "runs/resumed-mf")
    shell(*long, "--run", "runs/at-once-mf")
    resumed, at_once = (shell.history(f"runs/{name}") for name in ("resumed-mf", "at-once-mf"))
    assert resumed["seconds"][: len(kept)].to_list() == [row["seconds"] for row in kept]
    assert resumed.drop("seconds").equals(at_once.drop("seconds"))
    assert_same_arrays(shell, "resumed-mf", "at-once-mf")


@pytest.mark.slow
def test_each_head_has_a_checkpoint_and_a_finished_one_is_not_trained_once_more(shell):
    pytest.importorskip("torch")
    short = ["epochs=2", "factors=2", "ranker.epochs=2", "ranker.factors=2"]
    command = ["train", "small", "--model", "neumf", "--ranker", "neumf", "--device", "cpu",
               *(word for text in short for word in ("--set", text)),
               "--checkpoint", "two", "--checkpoint-every", 2]  # fmt: skip
    shell(*command, "--run", "runs/one")
    states = list((shell.folder / "two").rglob("*.safetensors"))
    assert sorted(path.parent.name for path in states) == ["neumf-explicit", "neumf-implicit"]
    shell(*command, "--run", "runs/two")
    assert shell.history("runs/one").equals(shell.history("runs/two"))  # seconds, too


@pytest.mark.parametrize(
    "change",
    [["--set", "epochs=3"], ["--set", "learning_rate=0.1"], ["--regularization", 3],
     ["--seed", 1], ["--test-fraction", 0.2], ["--patience", 1]],
    ids=lambda change: change[-1] if change[0] == "--set" else change[0],
)  # fmt: skip
def test_a_checkpoint_of_other_settings_or_data_is_refused(shell, change):
    pytest.importorskip("torch")
    command = [*MF, "--checkpoint", "other"]
    short = ["--set", "epochs=2"]
    if not (shell.folder / "other").exists():
        shell(*command, *short, "--run", "runs/other")
    options = change if change[-1] == "epochs=3" else [*short, *change]
    message = shell(*command, *options, "--run", "runs/changed", fails=True)
    assert message.startswith("matinee: other/matrixfactorization: ")
    assert "other hyperparameters or other data" in message
    assert not (shell.folder / "runs" / "changed").exists()


def test_a_damaged_checkpoint_is_refused(shell):
    pytest.importorskip("torch")
    state = shell.folder / "damaged" / "matrixfactorization" / "state.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"no state")
    message = shell(*MF, "--checkpoint", "damaged", fails=True)
    assert "cannot be read" in message
    assert state.read_bytes() == b"no state"


def test_a_file_is_no_folder_of_checkpoints(shell):
    (shell.folder / "afile").write_text("in the way")
    message = shell(*CHAIN, "--checkpoint", "afile", fails=True)
    assert "--checkpoint afile: this is a file; name a folder." in message
    assert (shell.folder / "afile").read_text() == "in the way"
