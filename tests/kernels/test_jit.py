"""The compiler of kernels: in forked processes, and for processors other than this one."""

import os
import subprocess
import sys

import llvmlite.binding as llvm
import numpy as np
import pytest

from matinee.kernels.jit import processor

pytestmark = pytest.mark.thorough
LONG = 120  # seconds after which something hangs
FORK = """
import os, sys, threading, time
from numba.core import event
from matinee.kernels.jit import jit

@jit
def slow(x):
    return x + 1

compiling, release = threading.Event(), threading.Event()

class Listener(event.Listener):
    def on_start(self, event):
        compiling.set()
        release.wait(2)  # in the middle of compiling
    def on_end(self, event):
        pass

listener = Listener()
event.register("numba:compile", listener)
thread = threading.Thread(target=slow, args=(1,))
thread.start()
compiling.wait()
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
release.set()

@jit
def twice(x):
    return 2 * x

os._exit(0 if twice(2) == 4 else 1)
"""
KERNELS = """
import numpy as np
import matinee
from matinee.data import generate
from matinee.kernels.jit import processor

data = generate(users=60, items=50, ratings=1500, seed=1)[0]
model = matinee.ALS(factors=20, iterations=3).fit(data)
best = model.recommend(model.user_ids.values, n=5)
print(processor())
np.savez("{out}", ratings=model.predict([1, 2, 3], [4, 5, 6]), scores=best["score"].to_numpy(),
         factors=model.item_factors())
"""


def run(code, **variables):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_fork_waits_for_what_another_thread_compiles(tmp_path):
    run(FORK, MATINEE_CACHE=str(tmp_path))


@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="for x86")
def test_processors_without_avx_and_half_precision_give_the_same_answers(tmp_path):
    """The oldest processors with which numpy and polars work know neither."""
    named = run(KERNELS.format(out=tmp_path / "here.npz"))
    assert named.strip() == processor()
    older = {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": ""}
    named = run(KERNELS.format(out=tmp_path / "older.npz"), **older, MATINEE_CACHE=str(tmp_path))
    assert named.strip() == "x86-64-v2"
    here, there = np.load(tmp_path / "here.npz"), np.load(tmp_path / "older.npz")
    for name in ("ratings", "scores", "factors"):
        np.testing.assert_allclose(there[name], here[name], rtol=2e-3, atol=2e-3)
