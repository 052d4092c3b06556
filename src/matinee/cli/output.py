"""How results look on a terminal and as JSON."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.errors import bounded, cut, printable

if TYPE_CHECKING:
    import polars as pl

PIPE_WIDTH = 100  # columns where there is no terminal to ask
GAP = 2  # blanks between the columns of a table
ELLIPSIS = "…"
NEVER_CUT = ("run", "name", "item_id", "user_id")  # one has to type them again
IDS = ("item_id", "user_id")  # names, even where they are numbers: no thousands separators
LONGEST_CELL = 300  # characters that are shown of one that is cut
MIN_TEXT = 12  # columns that text keeps on narrow terminals


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    if any(line != printable(line) for line in text.split("\n")):  # then as JSON escapes it
        text = json.dumps(value, indent=2, allow_nan=False)
    print(text)


def answer(as_json: bool, value: Any, text: str) -> None:
    """A result that is told in a line, or its value as JSON."""
    if as_json:
        print_json(value)
    else:
        say(text)


def say(text: str = "", indent: str = "") -> None:
    """A line on stdout; on a terminal it breaks between words, `indent` before each part."""
    print(_wrapped(bounded(text), sys.stdout, indent))


def complain(text: str) -> None:
    """A line on stderr that says which program speaks."""
    print(_wrapped(f"matinee: {bounded(text)}", sys.stderr), file=sys.stderr)


def heading(text: str) -> None:
    """A line on stdout that stands out."""
    from rich.console import Console
    from rich.text import Text

    Console(width=_width(), highlight=False).print(Text(bounded(text), style="bold"))


def section(text: str) -> None:
    """A heading after an empty line."""
    say()
    heading(text)


def short(path: Path) -> str:
    """A path as a person would write it: the home folder is ``~``."""
    try:
        home = Path.home()
    except RuntimeError:  # a user without a name and a home
        return str(path)
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def program() -> str:
    """What to type to run matinee again: its name if the shell finds it, else its path."""
    path = shutil.which("matinee")
    if path and Path(path).resolve() == Path(sys.argv[0]).resolve():
        return "matinee"
    return "python -m matinee" if Path(sys.argv[0]).name == "__main__.py" else sys.argv[0]


def print_table(
    frame: "pl.DataFrame",
    headings: Mapping[str, str],
    formats: Mapping[str, str] | None = None,
    numbers: Container[str] = (),
) -> None:
    """Some columns of a frame, by their headings; `numbers` are columns of text that hold numbers.

    Where the terminal is narrow, genres give way first, then other text: titles are cut but keep
    their year, the rest breaks between words. Numbers and what one has to type again stay whole.
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    right = {name for name in headings if name in numbers or frame[name].dtype.is_numeric()}
    cells = {name: _formatted(frame[name], name, formats or {}) for name in headings}
    natural = {name: max(map(cell_len, ["", *cells[name]])) for name in headings}
    titles = dict(headings)
    if sum(max(natural[name], cell_len(titles[name])) + GAP for name in titles) - GAP > _width():
        wide = {name for name, title in titles.items() if cell_len(title) > natural[name]}
        titles |= {name: titles[name].replace(" ", "\n") for name in wide}
    widest = {name: max(map(cell_len, titles[name].split("\n"))) for name in titles}
    natural = {name: max(natural[name], widest[name]) for name in titles}
    floors = {
        name: width if name in {*right, *NEVER_CUT} else min(width, max(MIN_TEXT, widest[name]))
        for name, width in natural.items()
    }
    widths = _shrunk(natural, floors, _width())
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for name, title in titles.items():
        justify: Any = "right" if name in right else "left"
        table.add_column(title, justify=justify, vertical="top", width=widths[name])
    for row in zip(*cells.values(), strict=True):
        # Text, not str: what stands in square brackets in a title is no markup
        fitting = (_cut(cell, widths[name], name) for name, cell in zip(titles, row, strict=True))
        table.add_row(*map(Text, fitting))
    needed = sum(widths.values()) + GAP * len(widths)
    Console(width=max(needed, _width()), highlight=False).print(table)


def _formatted(column: "pl.Series", name: str, formats: Mapping[str, str]) -> list[str]:
    default = "," if column.dtype.is_integer() and name not in IDS else ""
    form = formats.get(name, default)
    texts = ["" if value is None else format(value, form) for value in column]
    if name not in NEVER_CUT:
        texts = [cut(text, LONGEST_CELL) for text in texts]
    return [printable(text) for text in texts]


def _shrunk(natural: Mapping[str, int], floors: Mapping[str, int], room: int) -> dict[str, int]:
    """Widths that fit into `room` if they can: genres give way first, then the widest column."""
    widths = dict(natural)
    for _ in range(sum(widths.values()) + GAP * (len(widths) - 1) - room):
        if loose := [name for name in widths if widths[name] > floors[name]]:
            widths[max(loose, key=lambda name: (name == "genres", widths[name]))] -= 1
    return widths


def _cut(cell: str, width: int, column: str) -> str:
    """Genres, or a title with its year, in at most `width` columns; all else breaks into lines."""
    from rich.cells import cell_len, set_cell_size

    from matinee.data.catalog import YEAR

    years = re.findall(r"\(\d{4}", cell)
    end = re.search(YEAR, cell)
    if cell_len(cell) <= width or not (column == "genres" or (end and len(years) == 1)):
        return cell
    suffix = ELLIPSIS + (f" {end.group().strip()}" if end else "")
    kept = set_cell_size(cell, max(width - len(suffix), 1))
    separator = "|" if column == "genres" else " "
    if separator in kept and kept.rindex(separator) > len(kept) // 2:
        kept = kept[: kept.rindex(separator) + (separator == "|")]
    return kept.rstrip(" ,") + suffix


def _width() -> int:
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns


def _wrapped(text: str, stream: Any, indent: str = "") -> str:
    """Text as a terminal should show it; what begins with a space, a command, stays one line."""
    if not stream.isatty() or text.startswith(" "):
        return indent + text
    return textwrap.fill(
        text,
        _width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
