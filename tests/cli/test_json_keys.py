"""The page on JSON keys says what `--json` prints."""

import re

import pytest
import typer
from json_page import PAGE, keys_on_page

from matinee.cli.app import app

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
    "warm-up": [],
    "data list": [],
    "data add": ["fresh.csv"],
    "data clean": [],
    "runs rename": ["runs/ease", "renamed"],
    "runs remove": ["runs/ease", "--yes"],
}
ELSEWHERE = {"data fetch", "retrain"}  # in tests of their own


def commands_with_json(group, name=""):
    """Names of all commands that have the option."""
    if name and any("--json" in option.opts for option in group.params):
        yield name
    for child, command in getattr(group, "commands", {}).items():
        yield from commands_with_json(command, f"{name} {child}".strip())


def test_every_command_with_json_is_on_the_page():
    sections = re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    offered = set(commands_with_json(typer.main.get_command(app)))
    assert set(sections) == offered == set(ARGUMENTS) | ELSEWHERE


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(ARGUMENTS))
def test_the_page_has_the_keys_that_a_command_prints(command, own_shell):
    if command == "tune":
        pytest.importorskip("optuna")
    if command == "data add":
        (own_shell.folder / "fresh.csv").write_text("user_id,item_id,rating\n1,1,3\n1,2,5\n2,1,4\n")
    printed = own_shell.json(*command.split(), *ARGUMENTS[command])
    first = printed[0] if isinstance(printed, list) else printed
    wanted = keys_on_page(command)
    if command == "reproduce":
        wanted = wanted - {"train"} | keys_on_page("train") - {"model", "ranker"}
    assert set(first) == wanted
