"""What Spark raises, as one line: its own messages hold the stacks of several machines."""

import re
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matinee import errors
from matinee.errors import DataError, MatineeError, SettingError, cut

PACKAGES = ("pyspark", "py4j")  # of what it raises; the second is the way to its JVM
RAISED = "Traceback (most recent call last):"
TASK = re.compile(
    r"Lost (?P<task>task [\d.]+ in stage [\d.]+) \(TID \d+\) "
    r"\((?P<host>\S+) executor \S+\): (?P<why>.*)"
)
JAVA_CLASS = re.compile(r"^(?:[a-z]\w*\.)+[A-Z][\w$]*: ")
CONDITION = re.compile(r"^\[([A-Z_.]+)\] ")
SQL_STATE = re.compile(r" *SQLSTATE: \w+[.;]?$")
OF_DATA = ("PATH_NOT_FOUND", "FAILED_READ_FILE")  # conditions of Spark that say so
ENDED = "its JVM on this machine has ended, perhaps for want of memory (spark.driver.memory)"
NOT_INSTALLED = " in the Python of the executors: install it there, or name one by PYSPARK_PYTHON"


def is_sparks(problem: Exception) -> bool:
    """Whether this comes from Spark, whichever way it was asked."""
    modules = (kind.__module__ for kind in type(problem).__mro__)
    return any(module.partition(".")[0] in PACKAGES for module in modules)


@contextmanager
def in_one_line(log: Path | None = None) -> Iterator[None]:
    """Raise what `one_line` makes of that which Spark raises here."""
    try:
        yield
    except Exception as problem:
        if not is_sparks(problem):
            raise
        raise one_line(problem, log) from None


def one_line(problem: Exception, log: Path | None = None) -> MatineeError:
    """The error to raise in place of one that `is_sparks`.

    What this package raises in an executor is the same error here. Of all else the line says what
    it was and where, as far as Spark tells; `keep_log` has the rest, with what the JVM said in the
    file `log`.
    """
    text = _text(problem)
    raised = _raised_in_python(text)
    name, _, said = raised.partition(": ")
    module, _, kind = name.rpartition(".")
    if module == errors.__name__:
        return _our_own(kind, said)
    task = TASK.search(text)
    cause = raised or reason(text) or ENDED
    place = f" in {task['task']} on {task['host']}" if task else ""
    advice = NOT_INSTALLED if name == "ModuleNotFoundError" else ""
    condition = CONDITION.match(cause)
    error = DataError if condition and condition[1].startswith(OF_DATA) else SettingError
    cause = cut(CONDITION.sub("", cause).rstrip("."), 600)
    return error(f"Spark failed{place}: {cause}{advice}. Its log is {keep_log(problem, log)}.")


def _our_own(kind: str, said: str) -> MatineeError:
    found = getattr(errors, kind, MatineeError)
    return found(said) if issubclass(found, MatineeError) else MatineeError(said)


def reason(text: str) -> str:
    """What a message of the JVM says first, and what it gives as the last cause."""
    lines = text.strip().splitlines() or [""]
    if task := TASK.search(text):
        first = task["why"]
    elif lines[0].startswith("An error occurred while calling"):  # of the JVM; then what it was
        first = " ".join(lines[1:2]).removeprefix(": ")
    else:
        first = lines[0]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    parts = [_without_names(part) for part in (first, *causes[-1:])]
    return ": ".join(part.rstrip(".") for part in dict.fromkeys(parts) if part)


def why_not_started(problem: Exception, log: Path) -> str:
    """Why there is no session: what its JVM has said, if that has ended, or the error."""
    said = log.read_text(errors="replace") if log.exists() else ""
    ended = re.search(r"Exception in thread \S+ (.*)", said)
    given_up = re.search(r"Reason: (.*)", said)  # of a master that does not answer
    found = ended or given_up
    return _without_names(found[1]) if found else reason(_text(problem))


def keep_log(problem: Exception, log: Path | None) -> str:
    """Write all that is known of a failure into a file that outlives the session; its path."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="matinee-spark-", suffix=".log", delete=False
    ) as f:
        if log is not None and log.exists():
            with log.open(errors="replace") as said:
                shutil.copyfileobj(said, f)
        f.writelines(traceback.format_exception(problem))
    return f.name


def _text(problem: Exception) -> str:
    """All that it says; nothing, where the JVM that would say it has ended."""
    try:
        return str(problem)
    except Exception:
        return ""


def _raised_in_python(text: str) -> str:
    """The last line of the last traceback of an executor's Python, or nothing."""
    _, found, frames = text.rpartition(RAISED)
    lines = (line for line in frames.splitlines() if line and not line[0].isspace())
    return next(lines, "") if found else ""


def _without_names(said: str) -> str:
    """Without the names of Java's classes, which stand before what they say, and SQL's states."""
    while (shorter := JAVA_CLASS.sub("", said)) != said:
        said = shorter
    return SQL_STATE.sub("", said.strip())
