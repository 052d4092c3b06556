"""What a forked process cannot do is refused in a line rather than waited for."""

import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at Linux's threads"),
]
LONG = 60  # seconds after which something hangs
FORK = """
import os, sys
import polars as pl
import matinee
from matinee.data import generate
from matinee.errors import SettingError

data = generate(users=30, items=20, ratings=300)[0]
model = matinee.Bias().fit(data)
model.save("run")
table = {"user": [1, 2], "item": [1, 2], "rating": [3, 4]}
assert pl.DataFrame({"a": [3, 1, 2]}).sort("a").height == 3
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
refused = 0
for asked in (
    lambda: matinee.load("run"), lambda: matinee.read(table), lambda: model.save("again"),
    lambda: model.history, lambda: generate(users=30, items=20, ratings=300),
):
    try:
        asked()
    except SettingError as error:
        assert "forked process may hang" in str(error) and "spawn" in str(error)
        refused += 1
print(refused, model.recommend(1, n=2).height, flush=True)
os._exit(0)
"""
UNUSED = """
import os, sys
import matinee.data.forks
import polars
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
import matinee
print(len(matinee.read({"user": [1, 2], "item": [1, 2], "rating": [3, 4]})), flush=True)
os._exit(0)
"""


def output(code, folder):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder, capture_output=True, text=True, timeout=LONG, check=False,
        env={**os.environ, "MATINEE_CACHE": str(folder / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_child_whose_parent_used_polars_refuses_what_would_hang_and_answers(tmp_path):
    assert output(FORK, tmp_path) == "5 2\n"


def test_a_child_whose_parent_did_not_use_polars_reads(tmp_path):
    assert output(UNUSED, tmp_path) == "2\n"
