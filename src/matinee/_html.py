"""Plain HTML tables for `_repr_html_`: escaped, and without colours, for light and dark pages."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from matinee.errors import printable

# without the classes, MathJax of a notebook would typeset a title with two dollar signs
TABLE = (
    '<table class="tex2jax_ignore mathjax_ignore" '
    'style="border-collapse: collapse; color: inherit; margin: 0 0 0.8em">'
)


def html_table(
    columns: Sequence[str] | None,
    rows: Iterable[Sequence[Any]],
    *,
    caption: str = "",
    numeric: Iterable[str] = (),
) -> str:
    """A table; without `columns`, of (name, value) pairs.

    Columns of numbers are right-aligned, as are those named in `numeric` (formatted numbers).
    """
    rows, numeric = [tuple(row) for row in rows], set(numeric)
    right = [
        name in numeric or all(_is_number(row[position]) for row in rows)
        for position, name in enumerate(columns or ())
    ]
    parts = [TABLE]
    if caption:
        style = "text-align: left; font-weight: bold; white-space: nowrap"
        parts.append(f'<caption style="{style}">{_text(caption)}</caption>')
    if columns is not None:
        cells = (_cell("th", *cell) for cell in zip(columns, right, strict=True))
        parts.append(f"<thead><tr>{''.join(cells)}</tr></thead>")
    parts.append("<tbody>")
    for row in rows:
        if columns is None:
            cells = (_cell(*cell) for cell in zip(("th", "td"), row, strict=True))
        else:
            cells = (_cell("td", *cell) for cell in zip(row, right, strict=True))
        parts.append(f"<tr>{''.join(cells)}</tr>")
    return "".join([*parts, "</tbody></table>"])


def html_block(heading: str, *tables: str) -> str:
    """What `_repr_html_` returns: a heading (escaped) and tables made by `html_table`."""
    return f"<div><p><strong>{_text(heading)}</strong></p>{''.join(tables)}</div>"


def _cell(tag: str, value: Any, right: bool = False) -> str:
    style = f"text-align: {'right' if right else 'left'}; padding: 0.2em 0.6em"
    return f'<{tag} style="{style}">{_text(value)}</{tag}>'


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return escape(printable(f"{value:.4g}" if isinstance(value, float) else str(value)))
