"""How results look on a terminal and as JSON."""

import json
import shutil
import sys
import textwrap
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.errors import printable

if TYPE_CHECKING:
    import polars as pl

PIPE_WIDTH = 100  # columns where there is no terminal to ask
GAP = 3  # blanks between the columns of a table
ELLIPSIS = "…"
NEVER_CUT = ("run", "name", "item_id", "user_id")  # one has to type them again
IDS = ("item_id", "user_id")  # names, even where they are numbers: no thousands separators
MIN_TEXT = 12  # columns that text keeps on narrow terminals


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if any(line != printable(line) for line in text.split("\n")):  # then as JSON escapes it
        text = json.dumps(value, indent=2, allow_nan=False)
    print(text)


def say(text: str = "") -> None:
    """A line on stdout; on a terminal it breaks between words."""
    print(_wrapped(printable(text), sys.stdout))


def complain(text: str) -> None:
    """A line on stderr that says which program speaks."""
    print(_wrapped(f"matinee: {printable(text)}", sys.stderr), file=sys.stderr)


def heading(text: str) -> None:
    """A line on stdout that stands out."""
    from rich.console import Console
    from rich.text import Text

    title = Text(printable(text), style="bold")
    Console(width=_width(), highlight=False).print(title)


def short(path: Path) -> str:
    """A path as a person would write it: the home folder is ``~``."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def program() -> str:
    """What to type to run matinee again: its name if the shell finds it, else its path."""
    path = shutil.which("matinee")
    same = path is not None and Path(path).resolve() == Path(sys.argv[0]).resolve()
    if same:
        return "matinee"
    return "python -m matinee" if Path(sys.argv[0]).name == "__main__.py" else sys.argv[0]


def print_table(
    frame: "pl.DataFrame",
    headings: Mapping[str, str],
    formats: Mapping[str, str] | None = None,
    numbers: Container[str] = (),
) -> None:
    """Some columns of a frame, by their headings; `numbers` are columns of text that hold numbers.

    Where the terminal is narrow, text gives way: genres first, and titles keep their year. Numbers
    and what one has to type again are never cut.
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    columns: dict[str, list[str]] = {}
    fixed: set[str] = set()
    for name, title in headings.items():
        dtype = frame[name].dtype
        default = "," if dtype.is_integer() and name not in IDS else ""
        form = (formats or {}).get(name, default)
        columns[name] = [
            "" if value is None else printable(format(value, form)) for value in frame[name]
        ]
        is_number = name in numbers or dtype.is_numeric()
        if is_number or name in NEVER_CUT:
            fixed.add(name)
        table.add_column(title, justify="right" if is_number else "left", no_wrap=True)
    natural = {
        name: max(map(cell_len, [headings[name], *cells])) for name, cells in columns.items()
    }
    floors = {
        name: width if name in fixed else min(width, max(MIN_TEXT, cell_len(headings[name])))
        for name, width in natural.items()
    }
    widths = _shrunk(natural, floors, _width())
    cut = [[_cut(cell, widths[name], name) for cell in cells] for name, cells in columns.items()]
    for row in zip(*cut, strict=True):
        # Text, not str: what stands in square brackets in a title is no markup
        table.add_row(*map(Text, row))
    needed = sum(widths.values()) + GAP * len(widths)
    Console(width=max(needed, _width()), highlight=False).print(table)


def _shrunk(natural: Mapping[str, int], floors: Mapping[str, int], room: int) -> dict[str, int]:
    """Widths that fit into `room` if they can: genres give way first, then the widest column."""
    widths = dict(natural)
    excess = sum(widths.values()) + GAP * (len(widths) - 1) - room
    while excess > 0:
        loose = [name for name in widths if widths[name] > floors[name]]
        if not loose:
            break
        first = max(loose, key=lambda name: (name == "genres", widths[name]))
        widths[first] -= 1
        excess -= 1
    return widths


def _cut(cell: str, width: int, column: str) -> str:
    """A cell in at most `width` columns, cut between genres or words; a title keeps its year."""
    import re

    from rich.cells import cell_len, set_cell_size

    from matinee.data.catalog import YEAR

    if cell_len(cell) <= width:
        return cell
    year = re.search(YEAR, cell)
    end = f" {year.group()}" if year and width > 2 * len(year.group()) else ""
    kept = set_cell_size(cell, width - len(ELLIPSIS + end))
    separator = "|" if column == "genres" else " "
    if separator in kept and kept.rindex(separator) > len(kept) // 2:
        kept = kept[: kept.rindex(separator) + (separator == "|")]
    return kept.rstrip(" ,") + ELLIPSIS + end


def _width() -> int:
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns


def _wrapped(text: str, stream: Any) -> str:
    """Text as a terminal should show it; what is indented, such as a command, stays one line."""
    if not stream.isatty() or text.startswith(" "):
        return text
    return textwrap.fill(text, _width(), break_long_words=False, break_on_hyphens=False)
