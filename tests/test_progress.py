"""What shows on a terminal, and that nothing does elsewhere."""

import os
import subprocess
import sys
import textwrap

import pytest

pty = pytest.importorskip("pty", reason="needs a Unix terminal")

BAR = """
    import time
    import matinee.progress
    from matinee.progress import progress
    matinee.progress.PATIENCE = {patience}
    with progress("Counting", 3) as tick:
        for k in range(4):
            tick(k, "[red]note")
            time.sleep(0.05)
    print("done")
"""
COMPILATION = """
    import numba
    from matinee.progress import compilation_announced
    with compilation_announced():
        twice = numba.njit(lambda x: 2 * x)
        twice(1), twice(1.5)
    print("done")
"""


def run(code, *, terminal):
    """(stdout, stderr) of a Python process; stderr is a terminal or a pipe."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with os.fdopen(ours, "rb", buffering=0) as shown:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
        )
        os.close(theirs)
        text = b""
        try:
            while chunk := shown.read(65536):
                text += chunk
        except OSError:  # how a terminal says that it is at its end
            pass
    return done.stdout.decode().strip(), text.decode()


def test_a_bar_shows_on_a_terminal_after_a_while_and_nowhere_else():
    out, shown = run(BAR.format(patience=0), terminal=True)
    assert out == "done"
    assert "Counting" in shown
    assert "[red]note" in shown
    assert run(BAR.format(patience=60), terminal=True) == ("done", "")
    assert run(BAR.format(patience=0), terminal=False) == ("done", "")


def test_compiling_is_announced_once_on_a_terminal_and_nowhere_else():
    out, shown = run(COMPILATION, terminal=True)
    assert out == "done"
    assert shown.count("Compiling") == 1
    assert run(COMPILATION, terminal=False) == ("done", "")


NESTED = """
    import time
    import matinee.progress
    from matinee.progress import progress
    matinee.progress.PATIENCE = 0
    with progress("Outside", 3) as tick:
        time.sleep(0.1)
        with progress("Inside", 3) as inner:
            inner(1, "")
            time.sleep(0.1)
    with progress("Later", 3) as tick:
        time.sleep(0.1)
"""


def test_what_happens_within_something_longer_shows_no_bar_of_its_own():
    _, shown = run(NESTED, terminal=True)
    assert "Outside" in shown
    assert "Inside" not in shown
    assert "Later" in shown
