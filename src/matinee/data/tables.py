"""Delimited text and Parquet into typed columns, with errors that name the cell.

A file is read twice only when something is wrong with it: first as typed columns
at full speed; if that fails, as plain text, to find the row and the column to
blame.
"""

from pathlib import Path

import polars as pl

from matinee.data.checks import Origin
from matinee.errors import DataError, printable

Schema = dict[str, pl.DataType | type[pl.DataType]]


def read_delimited(
    path: Path,
    separator: str,
    schema: Schema,
    *,
    header: bool,
    names: dict[str, str] | None = None,
) -> tuple[pl.DataFrame, Origin]:
    """The columns of a text file that have a type in `schema`.

    Parameters
    ----------
    path : Path
    separator : str
        One character, or ``"::"``.
    schema : dict
        Every column of the file, in order, with its type; `pl.Null` for one to leave out.
    header : bool
        Whether the first row holds names.
    names : dict, optional
        How a column is called in the file where that differs, for messages.

    Raises
    ------
    DataError
        Naming the file, the row and the column.
    """
    origin = Origin(path.name, 2 if header else 1, names or {})
    _refuse_wrong_encoding(path)
    # "a::b" is "a", "", "b" to a reader that knows only single characters
    spaced: Schema = {}
    for at, (name, dtype) in enumerate(schema.items()):
        if at and separator == "::":
            spaced[f"_{at}"] = pl.String
        spaced[name] = pl.String if dtype == pl.Null else dtype
    wanted = [name for name, dtype in schema.items() if dtype != pl.Null]
    # polars counts the fields of a row only where it reads every column
    filled = [pl.col(name).is_not_null() for name in spaced if name not in wanted]
    try:
        table = (
            pl.scan_csv(
                path,
                separator=separator[0],
                has_header=False,
                skip_rows=int(header),
                schema=spaced,
                quote_char=None if separator == "::" else '"',
                glob=False,
            )
            .select(*wanted, *filled)
            .collect(engine="streaming")
        )
    except pl.exceptions.NoDataError:
        raise DataError(f"{path.name}: the file is empty.") from None
    except pl.exceptions.PolarsError as problem:
        decoded(path)  # raises where the trouble is the encoding
        raise _blame(path, separator, schema, origin, header) or DataError(
            f"{path.name}: {str(problem).splitlines()[0]}."
        ) from None
    # an empty last line is no row
    while table.height and all(value is None or value is False for value in table.row(-1)):
        table = table.head(-1)
    if separator == "::":
        for at, name in enumerate(wanted[1:], start=1):
            if table[f"_{at}"].any():
                row = table[f"_{at}"].arg_max() or 0
                raise origin.error(row, name, "the fields are not separated by '::'")
    return table.select(wanted), origin


def _blame(
    path: Path, separator: str, schema: Schema, origin: Origin, header: bool
) -> DataError | None:
    """The error for the first row that does not fit the schema, read as bare lines of text."""
    wanted = [name for name, dtype in schema.items() if dtype != pl.Null]
    # whatever byte ends no field serves as the separator of whole lines
    lines = pl.scan_csv(
        path,
        separator="\x01",
        has_header=False,
        skip_rows=int(header),
        quote_char=None,
        schema={"line": pl.String},
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        glob=False,
    ).select(pl.col("line").fill_null("").str.strip_chars_end("\r"))
    if separator == "::":
        split = pl.col("line").str.split(separator)
    else:  # a separator between quotes is none
        field = rf'[{separator}]("(?:[^"]|"")*"|[^{separator}]*)'
        split = (separator + pl.col("line")).str.extract_all(field)
        split = split.list.eval(pl.element().str.slice(1).str.replace('^"(.*)"$', "$1"))
    fields = lines.select(split).collect().to_series()
    surplus = fields.list.len() > len(schema)
    first_wide = surplus.arg_max() if surplus.any() else None
    worst: tuple[int, str, str] | None = None
    for at, (name, dtype) in enumerate(schema.items()):
        if dtype in (pl.Null, pl.String):
            continue
        text = fields.list.get(at, null_on_oob=True)
        bad = text.is_not_null() & (text != "") & text.cast(dtype, strict=False).is_null()
        row = bad.arg_max()
        if row is not None and bad[row] and (worst is None or row < worst[0]):
            kind = "whole number" if dtype == pl.Int64 else "number"
            worst = (row, name, f"{text[row]!r} is not a {kind}")
    if first_wide is not None and (worst is None or first_wide <= worst[0]):
        return origin.error(first_wide, wanted[-1], f"the row has more than {len(schema)} fields")
    if worst:
        return origin.error(*worst)
    # polars takes the number of fields from the first row
    present = 0 if fields[0].to_list() == [""] else len(fields[0])
    if present < len(schema):
        absent = [name for name in list(schema)[present:] if name in wanted]
        what = f"the row has fewer than {len(schema)} fields"
        return origin.error(0, absent[0] if absent else wanted[-1], what)
    return None


def _refuse_wrong_encoding(path: Path) -> None:
    """Refuse what is plainly not text in UTF-8, before a parser says something odd about it."""
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise DataError(f"{path.name}: the file is empty.")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise DataError(f"{path.name}, row 1: this is not UTF-8 text. Save it as UTF-8.")


def header_of(path: Path, separator: str) -> list[str]:
    """The names in the first line of a delimited file."""
    _refuse_wrong_encoding(path)
    with path.open("rb") as file:
        line = file.readline(65536).decode("utf-8-sig", "replace").strip("\r\n")
    return [name.strip().strip('"') for name in line.split(separator)]


def listed(names: list[str]) -> str:
    """Column names for a message, not too many."""
    shown = ", ".join(name[:40] for name in names[:12])
    return printable(shown) + (", ..." if len(names) > 12 else "")


def decoded(path: Path, latin_allowed: bool = False) -> str:
    """The text of a file, UTF-8 or, where that is usual, ISO-8859-1.

    Text that decodes as UTF-8 is UTF-8: hardly any other text does by chance. (ml-100k and
    ml-1m are ISO-8859-1; the same layout in ml-10m is UTF-8.)
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        if latin_allowed:
            return content.decode("iso-8859-1")
        row = content.count(b"\n", 0, problem.start) + 1
        raise DataError(
            f"{path.name}, row {row}: this is not UTF-8 text. Save the file as UTF-8."
        ) from None


def read_lines(path: Path, separator: str, fields: int) -> pl.DataFrame:
    """A small text file of unquoted fields, in UTF-8 or ISO-8859-1, as columns of text.

    Returns
    -------
    polars.DataFrame
        Columns `0` to `fields - 1`.

    Raises
    ------
    DataError
        If a row has another number of fields.
    """
    text = decoded(path, latin_allowed=True).rstrip("\r\n")
    if not text:
        raise DataError(f"{path.name}: the file is empty.")
    lines = pl.Series("line", text.split("\n")).str.strip_chars_end("\r")
    split = lines.str.split(separator)
    odd = split.list.len() != fields
    if odd.any():
        row = odd.arg_max() or 0
        raise DataError(
            f"{path.name}, row {row + 1}: {split[row].len()} fields where {fields} belong."
        )
    return pl.DataFrame({str(at): split.list.get(at) for at in range(fields)})
