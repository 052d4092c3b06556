"""A study whose file cannot be written, at any statement: one line, and no trial is lost."""

import sqlite3

import pytest
from faulty import Faults, Killed, contents

from matinee.errors import RunError

pytest.importorskip("optuna")
from sqlalchemy.engine.default import DefaultDialect

from matinee.tuning import tune

pytestmark = pytest.mark.thorough
PROBLEMS = ["database or disk is full", "disk I/O error", "attempt to write a readonly database"]


def search(data, folder, trials=3):
    return tune(
        data,
        "bias",
        trials=trials,
        space={"regularization": (1.0, 9.0)},
        study=folder / "study",
        run=folder / "run",
    )


def failing(faults):
    """Statements fail as SQLite's do; a process that is dead makes no more of them."""
    execute = DefaultDialect.do_execute
    patch = pytest.MonkeyPatch()
    patch.setattr(DefaultDialect, "do_execute", faults.wrap(execute))
    return patch


@pytest.mark.parametrize("part", [1])
def test_a_study_goes_on_after_any_statement_that_failed(generated, tmp_path, part):
    data = generated[0]
    counting = Faults()
    patch = failing(counting)
    search(data, tmp_path / "counted")
    patch.undo()
    assert counting.calls > 100
    whole = search(data, tmp_path / "counted")
    for step in range(part * 5, counting.calls, counting.calls // 3):
        for kill in (True, False):
            folder = tmp_path / f"{step}-{kill}"
            problem = PROBLEMS[step % len(PROBLEMS)]
            faults = Faults(step, lambda text=problem: sqlite3.OperationalError(text), kill)
            patch = failing(faults)
            with pytest.raises(Killed if kill else RunError) as refused:
                search(data, folder)
            patch.undo()
            assert kill or (str(refused.value).count("\n") == 0 and problem in str(refused.value))
            result = search(data, folder)
            states = [trial["state"] for trial in result.trials]
            assert states.count("complete") == 3
            assert {t["value"] for t in result.trials} == {t["value"] for t in whole.trials}
            assert sorted(path.name for path in folder.iterdir()) == ["run", "study"]
            own = {f"study.sqlite3{ending}" for ending in ("", "-shm", "-wal")}
            assert contents(folder / "study").keys() <= own
