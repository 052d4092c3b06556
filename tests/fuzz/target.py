"""What is fuzzed: how an input is drawn, written to an empty folder, read and asked about."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Target:
    """One kind of input.

    `cases` draws what an input is made of, `write` puts it into an empty folder, and `ask` reads it
    there: whatever it raises has escaped. `few` are tried in the tests.
    """

    cases: SearchStrategy[Any]
    write: Callable[[Any, Path], Any]
    ask: Callable[[Path, Any], None]
    few: int
