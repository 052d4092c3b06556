"""What shows on a terminal, and that nothing does elsewhere."""

import os
import re
import subprocess
import sys
import textwrap

import pytest
from rich.text import Text

pty = pytest.importorskip("pty", reason="needs a Unix terminal")
termios = pytest.importorskip("termios")

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
NESTED = """
    import time
    import matinee.progress
    from matinee.progress import progress
    matinee.progress.PATIENCE = 0
    with progress("Folds", 2) as outer:
        for k in range(2):
            with progress("Training", 4) as inner:
                for step in range(1, 5):
                    inner(step, f"fold {k}")
                    time.sleep(0.4)
            outer(k + 1, "")
    with progress("Afterwards", 1):
        time.sleep(0.4)
"""
COMPILATION = """
    import numba
    from matinee.progress import compilation_announced
    for _ in range(2):
        with compilation_announced(), compilation_announced():
            twice = numba.njit(lambda x: 2 * x)
            twice(1), twice(1.5)
    print("done")
"""


TRAINING = """
    import time
    import matinee.progress
    from matinee.progress import metrics_note, progress
    matinee.progress.PATIENCE = 0
    row = {{"train_rmse": 0.771, "validation_rmse": 0.8712, "test_rmse": 0.88}}
    with progress("{description}", 40, "{unit}") as tick:
        for epoch in range(1, 5):
            tick(10 * epoch, metrics_note(row))
            time.sleep(0.4)
"""


def run(code, *, terminal):
    """(stdout, stderr) of a Python process; stderr is a terminal of 80 columns or a pipe."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(theirs, (24, 80))
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


@pytest.mark.slow
def test_a_bar_shows_on_a_terminal_after_a_while_and_nowhere_else():
    out, shown = run(BAR.format(patience=0), terminal=True)
    assert out == "done"
    assert "Counting" in shown
    assert "[red]note" in shown
    assert run(BAR.format(patience=60), terminal=True) == ("done", "")
    assert run(BAR.format(patience=0), terminal=False) == ("done", "")


@pytest.mark.thorough
@pytest.mark.slow
def test_work_inside_of_other_work_is_told_beside_its_bar():
    _, shown = run(NESTED, terminal=True)
    lines = [line for line in shown.replace("\r", "\n").splitlines() if "Training" in line]
    assert lines
    assert all("Folds" in line for line in lines)
    assert any("Training 50%  fold 1" in line and " 50% " in line for line in lines)
    assert "Afterwards" in shown


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    "description", ["Training", "MatrixFactorization on events of implicit users"]
)
@pytest.mark.parametrize("unit", ["", "bytes"])
def test_bar_amount_and_metrics_fit_in_80_columns(description, unit):
    _, shown = run(TRAINING.format(description=description, unit=unit), terminal=True)
    lines = [Text.from_ansi(line).plain for line in shown.replace("\r", "\n").splitlines()]
    lines = [line for line in lines if line.startswith(description[:20])]
    assert lines
    for line in lines:
        assert len(line) <= 80
        assert line.count("━") + line.count("╸") + line.count("╺") == 12
        assert re.search(r" \d\d/40 bytes " if unit else r" (25|50|75|100)% .* RMSE 0\.77", line)
    if not unit and description == "Training":
        assert any("RMSE 0.7710 train, 0.8712 validation, 0.88" in line for line in lines)


@pytest.mark.slow
def test_compiling_is_announced_once_on_a_terminal_and_nowhere_else():
    out, shown = run(COMPILATION, terminal=True)
    assert out == "done"
    assert shown.count("Compiling") == 1
    assert run(COMPILATION, terminal=False) == ("done", "")


EARLY = """
    import time
    import matinee.progress
    from matinee.progress import progress
    matinee.progress.PATIENCE = 0
    try:
        with progress("Training", 50) as tick:
            time.sleep(0.4)
            tick(47, "")
            time.sleep(0.4)
            {end}
    except ValueError:
        pass
"""


@pytest.mark.slow
def test_what_ends_early_ends_at_100_percent_unless_it_failed():
    _, shown = run(EARLY.format(end="pass"), terminal=True)
    assert " 94%" in shown
    assert " 100%" in shown
    _, shown = run(EARLY.format(end="raise ValueError"), terminal=True)
    assert " 94%" in shown
    assert " 100%" not in shown
