"""The page on JSON keys says what `--json` prints."""

import re

import pytest
from json_page import PAGE, keys_on_page

ARGUMENTS = {
    "describe": ["small"],
    "train": ["small", "--factors", 3, "--iterations", 2, "--run", "runs/keys"],
    "reproduce": ["runs/als"],
    "evaluate": ["runs/als"],
    "tune": ["small", "--model", "bias", "--trials", 1],
    "compare": ["runs/als", "runs/ease"],
    "cross-validate": ["small", "--folds", 2],
    "recommend": ["runs/als", "--user", 1],
    "similar": ["runs/als", 1],
    "audience": ["runs/als", 1],
    "explain": ["runs/als", 1, "--user", 1],
    "cluster": ["runs/als"],
    "map": ["runs/als", "--method", "pca"],
    "report": ["runs/als"],
    "export": ["runs/als", "exported"],
    "runs": [],
    "presets": [],
    "doctor": [],
    "data list": [],
}


def test_every_command_with_json_is_on_the_page():
    sections = re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    assert sections == [*ARGUMENTS, "retrain"]  # in test_retrain.py


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(ARGUMENTS))
def test_the_page_has_the_keys_that_a_command_prints(command, own_shell):
    if command == "tune":
        pytest.importorskip("optuna")
    printed = own_shell.json(*command.split(), *ARGUMENTS[command])
    first = printed[0] if isinstance(printed, list) else printed
    wanted = keys_on_page(command)
    if command == "reproduce":
        wanted = wanted - {"train"} | keys_on_page("train") - {"model", "ranker"}
    assert set(first) == wanted
