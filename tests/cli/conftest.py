"""Data and runs that the tests of the command line share: made once, copied for whoever asks."""

import shutil

import pytest
from shell import Shell

from matinee.data.synthetic import write_generated

RUNS = {  # the newest last
    "biases": ["--model", "bias", "--ranker", "none"],
    "ease": ["--model", "bias", "--ranker", "ease"],
    "popular": ["--model", "none", "--ranker", "popularity"],
    "als": ["--factors", 5, "--iterations", 4, "--set", "ranker.factors=6"],
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with `RUNS` on the data set `small` (80 users, 70 movies) of its cache."""
    root = tmp_path_factory.mktemp("trained")
    (root / "work").mkdir()
    for name, seed in (("small", 2), ("other", 3)):
        write_generated(root / "cache" / name, users=80, items=70, ratings=2400, seed=seed)
    shell = Shell(root / "work", root / "cache")
    for run, options in RUNS.items():
        shell("train", "small", *options, "--run", f"runs/{run}")
    return shell


@pytest.fixture(scope="module")
def shell(trained, tmp_path_factory):
    """A copy of it for the tests of one file."""
    return copied(trained, tmp_path_factory.mktemp("copied"))


@pytest.fixture
def own_shell(trained, tmp_path):
    """A copy of it for one test, which may change what it likes."""
    return copied(trained, tmp_path)


def copied(shell, folder):
    shutil.copytree(shell.folder, folder / "work")
    return Shell(folder / "work", shell.cache)
