"""What the log says, where it goes, and that without it nothing is printed."""

import logging
import re

import pytest

from matinee.models.loading import load


@pytest.fixture(autouse=True)
def quiet():
    """A logger as a new process has it, before and after."""
    logger = logging.getLogger("matinee")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.parametrize("place", ["before", "after"])
def test_verbose_tells_on_stderr_what_is_done(shell, place):
    command = ["train", "small", "--factors", "2", "--run", "runs/told"]
    given = ["-v", *command] if place == "before" else [*command, "--verbose"]
    quiet = shell(*command)
    assert shell.stderr == ""
    assert shell(*given).split("fit")[0] == quiet.split("fit")[0]
    told = re.sub(r"[\d.]+ s$", "", shell.stderr, flags=re.MULTILINE).splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d \w+", line) for line in told)
    assert f" read 2,400 ratings from {shell.cache}/small in " in told[0]
    training = "training ALS on small: 2,160 ratings of 80 users and 70 items"
    # and not the trainings that compile
    assert [line[9:] for line in told if "training ALS" in line] == [training]
    assert told[-1].endswith(" saved runs/told")


def test_the_library_prints_nothing_and_logs_by_name(model, tmp_path, caplog, capfd):
    with caplog.at_level(logging.INFO, "matinee"):
        load(model.save(tmp_path / "run\x1b[31m"))
    assert [record.name for record in caplog.records] == [
        "matinee.storage.runs",
        "matinee.models.loading",
    ]
    assert all(record.getMessage().isprintable() for record in caplog.records)
    assert capfd.readouterr() == ("", "")
