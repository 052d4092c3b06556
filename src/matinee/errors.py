"""Every error that matinee raises on purpose is a `MatineeError`.

Its message says in one or two lines what is wrong, where, and what to do.
Anything else that escapes is a bug.
"""

import os
import re
import reprlib
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from numbers import Integral, Real
from pathlib import Path
from shlex import quote
from typing import Any

EXTRAS = {
    "charts": "Charts, clusters and pages need",
    "service": "The service needs",
    "spark": "Spark needs",
    "torch": "PyTorch estimators need",
    "tuning": "Tuning needs",
}
UNPRINTABLE = ("Cc", "Cf", "Zl", "Zp", "Cs")
"""Unicode categories that a terminal acts on (escape sequences, right-to-left marks, line ends) or
cannot show (surrogates, as which Python reads the undecodable bytes of a file's name)."""

LONGEST = 1000  # characters of a message
WIDEST = 1000  # bits of a whole number that is shown digit by digit


class MatineeError(Exception):
    """Base of all errors that are raised on purpose; its message is one line of bounded length."""

    def __init__(self, message: object = "") -> None:
        super().__init__(bounded(str(message)))


class DataError(MatineeError):
    """A table of ratings or items cannot be read, or has a bad row."""


class ArchiveError(MatineeError):
    """An archive or a download is truncated, unsafe, or not the published one."""


class UnknownIdError(MatineeError):
    """A user or an item is not in the dataset or the model."""


class RunError(MatineeError):
    """A saved run is missing, incomplete, altered, or newer than this version."""


class WriteError(MatineeError, OSError):
    """Something cannot be written: the disk is full, or the place belongs to others."""


class StoreError(MatineeError):
    """What users told cannot be read or kept now: its database is away, full, damaged or newer."""


class ConflictError(MatineeError):
    """A request has the idempotency key of another one."""


class SettingError(MatineeError):
    """A hyperparameter or an argument has an invalid value."""


class ExtraError(MatineeError, ImportError):
    """A part of matinee needs a package that is not installed."""


class DivergedWarning(UserWarning):
    """Training diverged; the model is that of the last epoch before."""


def printable(text: str) -> str:
    r"""Untrusted text (a name of a file or column) as one line, with `?` for what is `UNPRINTABLE`.

    >>> printable("runs/\x1b[31mred\nrun")
    'runs/?[31mred?run'
    """
    return "".join("?" if unicodedata.category(c) in UNPRINTABLE else c for c in text)


def cut(text: str, limit: int = 60) -> str:
    """Text of any length for a message: what is too long is cut in the middle.

    >>> cut("x" * 50_000, 30)
    'xxxxxxxxxxxx...xxxxxxxxxxxxxxx'
    """
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2 - 3]}...{text[len(text) - limit // 2 :]}"


def bounded(text: str) -> str:
    """A whole message as one line of at most `LONGEST` characters, whatever came into it."""
    return printable(cut(text, LONGEST))


def shortened(value: Any) -> str:
    """Any value that a person passed, in one short line of a message.

    >>> shortened([1] * 50_000)
    '[1, 1, 1, 1, 1, 1, ...]'
    >>> shortened(10**5000)
    'a whole number of 16,610 bits'
    """
    if isinstance(value, int) and value.bit_length() > WIDEST:
        return f"a whole number of {value.bit_length():,} bits"
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, str):
        return cut(repr(cut(value, 2 * LONGEST)))
    try:
        return cut(" ".join(_REPR.repr(value).split()))
    except Exception:
        return f"a {type(value).__name__}"


_REPR = reprlib.Repr()  # looks only at the beginning of containers
_REPR.maxstring = _REPR.maxother = 2 * LONGEST


def check_whole(name: str, value: Any, least: int | None, most: int | None = None) -> None:
    """Refuse what is not a whole number, or outside these limits.

    >>> check_whole("n", 2.5, 1)
    Traceback (most recent call last):
    matinee.errors.SettingError: n must be a whole number, got 2.5.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise SettingError(f"{name} must be a whole number, got {shortened(value)}.")
    if least is not None and int(value) < least:
        raise SettingError(f"{name} must be >= {least}, got {shortened(value)}.")
    if most is not None and int(value) > most:
        raise SettingError(f"{name} must be <= {most:,}, got {shortened(value)}.")


def check_number(name: str, value: Any, allowed: Callable[[float], bool], expected: str) -> None:
    """Refuse what is not a number, or none that is allowed; `expected` says which are.

    >>> check_number("fraction", "half", lambda x: 0 < x < 1, "> 0 and < 1")
    Traceback (most recent call last):
    matinee.errors.SettingError: fraction must be > 0 and < 1, got 'half'.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    try:
        if is_number and allowed(float(value)):
            return
    except OverflowError:
        pass
    raise SettingError(f"{name} must be {expected}, got {shortened(value)}.")


def check_choice(name: str, value: Any, choices: Sequence[str | None]) -> None:
    """Refuse what is none of these texts (or None, where that is one).

    >>> check_choice("head", "both", ("ranking", "rating"))
    Traceback (most recent call last):
    matinee.errors.SettingError: head must be 'ranking' or 'rating', got 'both'.
    """
    if (value is None or isinstance(value, str)) and value in choices:
        return
    names = [repr(choice) for choice in choices]
    expected = " or ".join(names) if len(names) == 2 else f"one of {', '.join(names)}"
    raise SettingError(f"{name} must be {expected}, got {shortened(value)}.")


def require_extra(extra: str, *packages: str) -> None:
    """Raise an `ExtraError` with the command that installs an extra unless its packages import."""
    for package in packages:
        try:
            with _some_home():
                import_module(package)
        except ImportError as error:
            absent = isinstance(error, ModuleNotFoundError)
            problem = "is not installed" if absent else f"fails to import ({printable(str(error))})"
            raise ExtraError(
                f"{EXTRAS[extra]} {error.name or package}, which {problem}: "
                f"{install_command(f'matinee[{extra}]')}"
            ) from None


@contextmanager
def _some_home() -> Iterator[None]:
    """A home for a user who has none, while packages are imported that ask for one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = Path.cwd().anchor
        try:
            yield
        finally:
            del os.environ["HOME"]
    else:
        yield


def install_command(requirement: str) -> str:
    """The command that installs a package into the running environment, whatever made that."""
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx runpip {quote(prefix.name)} install {quote(requirement)}"
    on_path = next((p for p in ("python", "python3") if shutil.which(p) == sys.executable), None)
    python = on_path or quote(sys.executable)
    config = prefix / "pyvenv.cfg"
    made_by_uv = config.exists() and re.search(r"^uv\s*=", config.read_text(), re.MULTILINE)
    if made_by_uv or find_spec("pip") is None:
        return f"uv pip install --python {python} {quote(requirement)}"
    return f"{python} -m pip install {quote(requirement)}"  # conda's environments have pip too
