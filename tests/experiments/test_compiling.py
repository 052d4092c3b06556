"""Compiling ahead: all kernels at once, and by two processes."""

import os
import subprocess
import sys

import pytest

from matinee.data.synthetic import write_generated
from matinee.experiments.compiling import ALL, compile_kernels
from matinee.models import ALS, EASE

pytestmark = pytest.mark.thorough
DEMO = """
import sys
from matinee.cli.app import main
from matinee.kernels.cache import compiled_here

sys.argv = ["matinee", {command}]
try:
    main()
finally:
    print(compiled_here, file=sys.stderr)
"""


def kernels_compiled_by(*command, folder, cache):
    """The kernels that a command compiles in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", DEMO.format(command=", ".join(map(repr, command)))],
        cwd=folder,
        env={**os.environ, "MATINEE_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.strip()


def test_after_a_warm_up_no_command_compiles_anything(tmp_path):
    write_generated(tmp_path / "ml-latest-small", users=80, items=60, ratings=2500, seed=3)
    options = {"folder": tmp_path, "cache": tmp_path}
    kernels_compiled_by("warm-up", **options)
    for command in (
        ["demo"],
        ["recommend", "--user", "1"],
        ["recommend", "--rating", "1=5"],
        ["similar", "1"],
        ["train", "ml-latest-small", "--model", "bayes", "--iterations", "8"],
        ["describe", "ml-latest-small"],
        ["warm-up"],
    ):
        assert kernels_compiled_by(*command, **options) == "[]", command


def test_settings_that_the_tiny_data_do_not_allow_are_left_out():
    patient = ALS(patience=3), EASE(min_rating=4.5)
    models = compile_kernels(patient)
    assert [list(model.heads) for model in models[:2]] == [["rating"], ["ranking"]]
    assert len(compile_kernels(ALL)) == len(ALL) + 1
