"""How results look on a terminal and as JSON."""

import json
import shutil
import sys
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.errors import printable

if TYPE_CHECKING:
    import polars as pl

NO_END = 10_000  # columns: more than any table has
PIPE_WIDTH = 100  # columns where there is no terminal to ask
WHOLE = ("run", "name", "item_id", "user_id")  # what one has to type again is never cut
IDS = ("user_id", "item_id")  # names, even where they are numbers: no thousands separators


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if any(line != printable(line) for line in text.split("\n")):  # then as JSON escapes it
        text = json.dumps(value, indent=2, allow_nan=False)
    print(text)


def say(text: str = "") -> None:
    """A line on stdout."""
    print(printable(text))


def complain(text: str) -> None:
    """A line on stderr that says who speaks."""
    print(f"matinee: {printable(text)}", file=sys.stderr)


def short(path: Path) -> str:
    """A path as a person would write it: the home folder is ``~``."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def command() -> str:
    """What to type to run matinee again: its name if the shell finds it, else its path."""
    found = shutil.which("matinee")
    same = found is not None and Path(found).resolve() == Path(sys.argv[0]).resolve()
    return "matinee" if same else sys.argv[0]


def heading(text: str) -> None:
    """A line on stdout that stands out."""
    from rich.text import Text

    _console().print(Text(printable(text), style="bold"))


def print_table(
    frame: "pl.DataFrame",
    headings: dict[str, str],
    formats: dict[str, str] | None = None,
    numbers: Container[str] = (),
) -> None:
    """Some columns of a frame as a table.

    Parameters
    ----------
    frame : polars.DataFrame
    headings : dict
        Column to what stands above it, in order.
    formats : dict, optional
        Column to format, such as ``".2f"``.
    numbers : container of str, optional
        Columns of text that hold numbers, of several kinds.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    formats = formats or {}
    columns: list[list[str]] = []
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, title in headings.items():
        form = "" if name in IDS else formats.get(name, _default_format(frame[name].dtype))
        cells = ["" if value is None else format(value, form) for value in frame[name]]
        # text gives way where the terminal is narrow; numbers never do
        right = frame[name].dtype.is_numeric() or name in numbers
        if right or name in WHOLE:
            table.add_column(title, justify="right" if right else "left", no_wrap=True)
        else:
            table.add_column(title)
        columns.append(cells)
    for row in zip(*columns, strict=True):
        # Text, not str: what stands in square brackets in a title is no markup
        table.add_row(*(Text(printable(cell), no_wrap=True, overflow="ellipsis") for cell in row))
    console = _console()
    room = console.options.update(width=NO_END)
    console.width = max(console.width, console.measure(table, options=room).minimum)
    console.print(table)


def _default_format(dtype: Any) -> str:
    return "," if dtype.is_integer() else ""


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
