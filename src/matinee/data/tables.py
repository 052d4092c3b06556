"""Tables of ratings, items and users of one's own: text, JSON lines, Parquet, Arrow, or frames."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.data import times
from matinee.data.archives import allowance_of
from matinee.data.arrow_bounds import MAX_DEPTH, arrow_bounds
from matinee.data.builder import ParsedTable
from matinee.data.columns import NamedColumns
from matinee.data.compression import Scratch
from matinee.data.delimited import COLUMNS, PlainColumns, read_plain
from matinee.data.frames import known_type, repeated_names, to_frame
from matinee.data.items import check_genres, items_table
from matinee.data.json_lines import json_lines
from matinee.data.movielens import CSV_HEADER, HALF_STARS
from matinee.data.parquet_bounds import parquet_bounds
from matinee.data.ratings import RatingScale
from matinee.data.reading_options import ReadingOptions
from matinee.data.sources import BINARY, FORMATS, LINES, Sources, check_file, format_of
from matinee.data.text_tables import Header, read_header, read_text
from matinee.data.times import unix_seconds
from matinee.data.validation import Origin, first_true, id_column, numbers_in
from matinee.errors import DataError, cut
from matinee.kernels.csr import Empty

JSON = "JSON"
SCANS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    "Parquet": lambda path: pl.scan_parquet(path, glob=False),
    "Arrow": lambda path: pl.scan_ipc(path, glob=False),
    JSON: lambda path: pl.scan_ndjson(path, infer_schema_length=None),
}
BOUNDS = {"Parquet": parquet_bounds, "Arrow": arrow_bounds}
MAX_CELL_BYTES = 2**20
MAX_ROWS_PER_BYTE = 4
"""Of a Parquet file: honest ratings take more than a quarter of a byte each."""
FEW_ROWS = 2**22
VALUES = ("user_id", "item_id", "rating", "weight", "event", "timestamp")
UNREADABLE = (
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
    *(OSError, ValueError, RecursionError),
)


class TableReader:
    """Reads the tables of one source, which share names of columns and a temporary folder."""

    def __init__(self, options: ReadingOptions, scratch: Scratch) -> None:
        self.options = options
        self.named = NamedColumns(options.columns)
        self.scratch = scratch

    def read(self, sources: Sources, items: Any, users: Any, empty: Empty) -> ParsedTable:
        """The tables of files; `items` and `users` may be frames in place of theirs."""
        path = sources.ratings[0]
        if format_of(path) not in FORMATS:
            raise DataError(
                f"{cut(path.name)}: must be a MovieLens file or a table ({', '.join(FORMATS)}, "
                "perhaps compressed)."
            )
        parsed = (
            self._plain_ratings(path, empty) if len(sources.ratings) == 1 else None
        ) or self._ratings(*self._load_all(sources.ratings))
        items = sources.items if items is None else items
        users = sources.users if users is None else users
        return self._described(parsed, items, users, path.name)

    def read_frame(self, source: Any, items: Any, users: Any) -> ParsedTable:
        """The same of a table in memory."""
        table, origin = self._load(source, "ratings")
        return self._described(self._ratings(table, origin), items, users, "the frame")

    def describe(self, parsed: ParsedTable, items: Any, users: Any) -> ParsedTable:
        """Ratings of an edition, with other tables of items and users if they are given."""
        return self._described(parsed, items, users, parsed.origin.file)

    def _described(self, parsed: ParsedTable, items: Any, users: Any, file: str) -> ParsedTable:
        """Ratings together with the tables of items and users."""
        if items is not None:
            table, origin = self._load(items, "items")
            parsed = replace(parsed, items=items_table(table, origin), items_origin=origin)
        if users is not None:
            table, origin = self._load(users, "users")
            ids = id_column(table["user_id"], origin).alias("user_id")
            parsed = replace(parsed, users=table.with_columns(ids), users_origin=origin)
        self.named.check_all_used(cut(file))
        return parsed

    # ratings

    def _plain_ratings(self, path: Path, empty: Empty) -> ParsedTable | None:
        """A text file of nothing but ratings in plain numbers; None for any other."""
        if format_of(path) in (*BINARY, *LINES):
            return None
        plain_path = self.scratch.plain(path)
        header = self.header(plain_path, "ratings")
        chosen = self.match(header, "ratings", path)
        ours = {theirs: name for name, theirs in chosen.items()}
        names = tuple(ours.get(name, "") for name in header.cells)
        if not set(names) <= {*COLUMNS, "weight"} or {"rating", "weight"} <= set(names):
            return None
        columns = read_plain(plain_path, header.separator, names, begin=header.n_bytes, empty=empty)
        if columns is None or not self._in_seconds(columns):
            return None
        origin = Origin(path.name, header.n_lines + 1, chosen)
        return ParsedTable(columns, origin, likely_scale=likely_scale(header.cells))

    def _in_seconds(self, columns: PlainColumns) -> bool:
        """Make the times Unix seconds; False if that needs a closer look."""
        stamps, form = columns.timestamp, self.options.time_format
        if stamps is None:
            return True
        low, high = int(stamps.min()), int(stamps.max())
        if form not in (None, *times.UNITS) or (form is None and times.look_like_dates(low, high)):
            return False
        unit = times.UNITS[form] if form else times.unit_of(high)
        if unit > 1:
            np.floor_divide(stamps, unit, out=stamps)
        return True

    def _ratings(self, table: pl.DataFrame, origin: Origin) -> ParsedTable:
        """Ratings, and items where the table of ratings describes them."""
        for name in ("user_id", "item_id"):
            table = table.with_columns(id_column(table[name], origin).alias(name))
        if "timestamp" in table.columns:
            seconds = unix_seconds(table["timestamp"], origin, self.options.time_format)
            table = table.with_columns(seconds.alias("timestamp"))
        items = None
        if "title" in table.columns or "genres" in table.columns:
            items = items_table(table.drop(VALUES[0], *VALUES[2:], strict=False), origin)
            items = items.unique("item_id", keep="first", maintain_order=True)
        ratings = table.select(name for name in VALUES if name in table.columns)
        likely = likely_scale([str(origin.names.get(name, name)) for name in COLUMNS])
        if likely and not all(ratings[name].dtype.is_integer() for name in VALUES[:2]):
            likely = None
        return ParsedTable(ratings, origin, items, likely_scale=likely)

    # any table

    def _load_all(self, paths: tuple[Path, ...]) -> tuple[pl.DataFrame, Origin]:
        """The parts of one table, one below the other."""
        if len(paths) == 1:
            return self._load(paths[0], "ratings")
        loaded = [self._load(path, "ratings", guess=False) for path in paths]
        try:
            table = pl.concat([table for table, _ in loaded], how="vertical_relaxed")
        except pl.exceptions.PolarsError as problem:
            reason = cut(str(problem).split("\n")[0], 120)
            raise DataError(
                f"{cut(paths[0].name)} and other parts: their columns or types differ ({reason})."
            ) from None
        origin = replace(
            loaded[0][1], parts=tuple((table.height, origin) for table, origin in loaded)
        )
        return (_guessed(table) if format_of(paths[0]) not in BINARY else table), origin

    def _load(self, source: Any, kind: str, guess: bool = True) -> tuple[pl.DataFrame, Origin]:
        """The columns of a table under our names, and under their own for items and users."""
        if isinstance(source, Path):
            check_file(source)
            form = format_of(source)
            path = self.scratch.plain(source)
            if form in BINARY or form in LINES:
                table, origin = self._load_scanned(path, source.name, kind, BINARY.get(form, JSON))
            elif form in FORMATS:
                table, origin = self._load_text(path, source, kind, guess)
            else:
                raise DataError(f"{cut(source.name)}: must be a table ({', '.join(FORMATS)}).")
        else:
            frame = to_frame(source, rated=self.options.scale is not None)
            name = "the frame" if kind == "ratings" else f"the frame of {kind}"
            table, origin = self._renamed(frame, kind, name, repeated_names(source))
        for column in table:
            if column.dtype == pl.String:
                long = (column.str.len_bytes() > MAX_CELL_BYTES).fill_null(False)
                if (row := first_true(long)) is not None:
                    size = column.str.len_bytes()[row]
                    raise origin.error(row, column.name, f"the cell is too long ({size:,} bytes)")
        return table, origin

    def _load_text(
        self, path: Path, source: Path, kind: str, guess: bool
    ) -> tuple[pl.DataFrame, Origin]:
        header = self.header(path, kind)
        chosen = self.match(header, kind, source)
        wanted = chosen | _attributes(header.cells, chosen, kind)
        table, origin = read_text(path, header, wanted, self.scratch)
        return (_guessed(table) if guess else table), replace(origin, file=source.name)

    def _load_scanned(
        self, path: Path, file: str, kind: str, form: str
    ) -> tuple[pl.DataFrame, Origin]:
        """The columns of a file of Parquet, Arrow or JSON, which is bounded before it is read."""
        try:
            if form == JSON:
                path = json_lines(path, self.scratch)
            else:
                self._check_bounds(path, form)
            lazy = SCANS[form](path)
            schema = lazy.collect_schema()
            chosen = self.named.match(schema.names(), kind, cut(file))
            wanted = chosen | {
                ours: theirs
                for ours, theirs in _attributes(schema.names(), chosen, kind).items()
                if _is_attribute(schema[theirs])
            }
            for ours, theirs in chosen.items():  # before cells are read: what nests deep crashes
                empty = pl.Series(ours, [], schema[theirs])
                if ours == "genres":
                    check_genres(known_type(empty), Origin(file, 1, chosen))
                elif empty.dtype.is_nested():
                    raise Origin(file, 1, chosen).type_error(empty, "numbers or text")
            read = lazy.select(pl.selectors.by_name(*wanted.values())).collect()
            columns = [known_type(read[theirs]).alias(ours) for ours, theirs in wanted.items()]
            _check_unpacked(path, sum(map(_text_bytes, columns)))
            return pl.DataFrame(columns), Origin(file, 1, chosen)
        except UNREADABLE as problem:
            reason = cut(str(problem).split("\n")[0], 120)
            raise DataError(
                f"{cut(file)}: this is not a complete {form} file ({reason})."
            ) from None

    def _check_bounds(self, path: Path, form: str) -> None:
        """Refuse a file that announces more than ratings could hold, or nests deep; ValueError."""
        bounds, size = BOUNDS[form](path), path.stat().st_size
        if max(bounds.rows, bounds.values) > max(FEW_ROWS, MAX_ROWS_PER_BYTE * size):
            raise DataError(
                f"{cut(path.name)}: {bounds.values:,} values in {size:,} bytes are no ratings; "
                "refused."
            )
        _check_unpacked(path, bounds.unpacked)

    def _renamed(
        self, frame: pl.DataFrame, kind: str, file: str, repeated: list[str] | None = None
    ) -> tuple[pl.DataFrame, Origin]:
        """The columns of a frame that are wanted, under their new names."""
        _check_depth(frame, file)
        chosen = self.named.match([*frame.columns, *(repeated or [])], kind, cut(file))
        wanted = chosen | {
            ours: theirs
            for ours, theirs in _attributes(frame.columns, chosen, kind).items()
            if _is_attribute(frame[theirs].dtype)
        }
        columns = [frame[theirs].alias(ours) for ours, theirs in wanted.items()]
        return pl.DataFrame(columns), Origin(file, 1, chosen)

    def header(self, path: Path, kind: str) -> Header:
        """The first row of a text file, or the positions of its columns if those are named."""
        by_position = kind == "ratings" and self.named.by_position()
        separator = "\t" if format_of(path) == ".tsv" else None
        header = read_header(path, separator)
        numbered = [str(at) for at in range(len(header.cells))]  # as pandas names columns
        if by_position and header.cells != numbered:
            return read_header(path, separator, by_position=True)
        return header

    def match(self, header: Header, kind: str, path: Path) -> dict[str, str]:
        """Our column names to those of a text file; DataError if one that it needs is not there."""
        try:
            return self.named.match(header.cells, kind, cut(path.name))
        except DataError:
            if header.n_lines and not self.options.columns and _looks_like_data(header.cells):
                raise _no_header(path, header, kind) from None
            raise


def _check_unpacked(path: Path, n_bytes: int) -> None:
    """Refuse a file that unpacks to more than ratings could hold."""
    if n_bytes > allowance_of(path):
        raise DataError(
            f"{cut(path.name)}: {path.stat().st_size:,} bytes unpack to {n_bytes:,}, more than "
            "ratings could hold; refused."
        )


def _check_depth(frame: pl.DataFrame, file: str) -> None:
    """Refuse columns nested so deep that a look at them would crash."""
    waiting = [(column.dtype, 1) for column in frame]
    while waiting:
        dtype, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise DataError(f"{cut(file)}: its columns are nested more than {MAX_DEPTH} deep.")
        inner = [field.dtype for field in getattr(dtype, "fields", ())]
        inner += [dtype.inner] if isinstance(dtype, pl.List | pl.Array) else []
        waiting += [(kind, depth + 1) for kind in inner]


def _text_bytes(column: pl.Series) -> int:
    """Bytes of all texts of a column, of which rows may share few: later, each has its own."""
    if isinstance(column.dtype, pl.List | pl.Array):
        column = column.explode()
    return int(column.str.len_bytes().sum()) if column.dtype == pl.String else 0


def _guessed(table: pl.DataFrame) -> pl.DataFrame:
    """Ids and attributes as numbers where all of them are such, in a table of nothing but text."""
    keep = {*VALUES[2:], "title", "genres", "year"}
    return pl.DataFrame([column if column.name in keep else numbers_in(column) for column in table])


def _attributes(present: list[str], chosen: Mapping[str, str], kind: str) -> dict[str, str]:
    """The further columns of a table of items or users, by their stripped names."""
    if kind == "ratings":
        return {}
    names: dict[str, str] = {}
    for name in present:
        ours = name.strip()
        index = not ours or ours.startswith(("Unnamed: ", "__index_level_"))
        taken = ours in (*chosen, "item_id", "user_id", "title", "genres", "year")
        if name not in chosen.values() and not index and not taken:
            names.setdefault(ours, name)
    return names


def _is_attribute(kind: pl.DataType) -> bool:
    """Whether a column of this type can describe anything: no tables within cells."""
    inner = kind.inner if isinstance(kind, pl.List) else kind
    return not (inner.is_nested() or inner in (pl.Binary, pl.Object))


def likely_scale(names: list[str]) -> RatingScale | None:
    """The scale of the editions for a table with their columns."""
    return HALF_STARS if list(names) == CSV_HEADER else None


def _looks_like_data(cells: list[str]) -> bool:
    """Whether the first row of a file holds numbers, as no names of columns do."""
    return any(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    return cell.lstrip("-").replace(".", "", 1).isdecimal()


def _no_header(path: Path, header: Header, kind: str) -> DataError:
    """The error for a file that begins with data: how to name its columns by position."""
    if kind != "ratings" or len(header.cells) < 2:
        return DataError(
            f"{cut(path.name)}, row 1: this looks like data, not like names of columns. "
            "Add a first row with the names."
        )
    positions = {"user_id": 1, "item_id": 2}
    for at, cell in enumerate(header.cells[2:], start=3):
        if _is_number(cell):
            number = float(cell)
            ours = "rating" if abs(number) <= 1000 else "timestamp" if number > 1e8 else ""
        else:
            dates = pl.Series("t", [cell]).str.contains(times.ISO)
            ours = "timestamp" if dates[0] else ""
        if ours and ours not in positions:
            positions[ours] = at
    named = ",".join(f"{ours}={at}" for ours, at in positions.items())
    return DataError(
        f"{cut(path.name)}, row 1: this looks like data, not like names of columns. "
        f"Name them by position: --columns {named}"
    )
