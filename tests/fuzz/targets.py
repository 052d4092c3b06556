"""All targets by name, and how one of their inputs is tried."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import data_targets
import model_targets
from questions import EscapeError
from target import Target

TARGETS: dict[str, Target] = {
    "archives": data_targets.archives,
    "text": data_targets.text,
    "lines": data_targets.lines,
    "binary": data_targets.binary,
    "frames": data_targets.frames,
    "reading": data_targets.reading,
    "runs": model_targets.runs,
    "checkpoints": model_targets.checkpoints,
    "spaces": model_targets.spaces,
}
if model_targets.HAS_OPTUNA:
    TARGETS["studies"] = model_targets.studies


def attempt(target: Target, case: Any, folder: Path) -> None:
    """Try one input in an empty folder; EscapeError, with its cause, for whatever escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the writer, over what is odd on purpose
        target.write(case, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # none may reach who only reads a file
            target.ask(folder, case)
    except Exception as problem:
        if isinstance(problem, EscapeError):
            raise
        raise EscapeError(f"{type(problem).__name__}: {str(problem)[:2000]}") from problem


def attempt_anywhere(target: Target, case: Any) -> None:
    """The same in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="matinee-fuzz-") as folder:
        attempt(target, case, Path(folder))
