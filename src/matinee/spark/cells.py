"""The cells of a table of ratings, under our names and not yet checked, whatever its files hold."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pyspark.errors import AnalysisException, PythonException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    MapType,
    NullType,
    StringType,
    StructType,
    VariantType,
)

from matinee.data.delimited import COLUMNS
from matinee.data.movielens import HALF_STARS, WHOLE_STARS
from matinee.data.ratings import RatingScale
from matinee.data.reading import is_movielens
from matinee.data.sources import TEXT
from matinee.data.tables import VALUES, TableReader, likely_scale
from matinee.data.text_tables import Header
from matinee.errors import DataError, cut, printable
from matinee.spark.failures import OF_DATA, is_sparks
from matinee.spark.session import Workspace, literal
from matinee.spark.sources import Files

FILE = "file"
LINE = "line"
ORDER = ("block", "place")
BAD = "_bad"


@dataclass(frozen=True)
class Cells:
    """A row for each rating of a table.

    `frame` has the columns of `VALUES` that there are; `file`, the URL of the row's file; `line`,
    null but for a line of text that is no row; `block` and `place`, by which rows of one file are
    in order. `names` are those of the columns in the files. Cells of a text file (`is_text`) are
    text without spaces around it, null if empty. `scales` are those that the ratings of the
    layout are on, the likelier first, `certain` if they must be; `whole_ids` if ids are whole
    numbers from 1 on, as in the first editions.
    """

    frame: DataFrame
    files: Files
    names: Mapping[str, str] = field(default_factory=dict)
    is_text: bool = False
    scales: tuple[RatingScale, ...] = ()
    certain: bool = False
    whole_ids: bool = False

    def kind(self, name: str) -> DataType:
        """The type of a column."""
        return self.frame.schema[name].dataType

    def of(self, frame: DataFrame) -> "Cells":
        """The same with some of the rows and columns."""
        return replace(self, frame=frame)

    def named(self, name: str) -> str:
        """The name of a column for a message."""
        return cut(printable(self.names.get(name, name)))


@contextmanager
def told_of_files(label: str) -> Iterator[None]:
    """What Spark says of files that it cannot read, in one line."""
    context = logging.getLogger("DataFrameQueryContextLogger")  # says all of it once more
    before = context.level
    context.setLevel(logging.CRITICAL)
    try:
        yield
    except PythonException:  # a mistake of ours
        raise
    except Exception as problem:
        said = str(problem).strip()
        of_files = isinstance(problem, AnalysisException) or any(name in said for name in OF_DATA)
        if not (is_sparks(problem) and of_files):
            raise
        said = said.partition("\n")[0]
        raise DataError(f"{label}: Spark cannot read it ({cut(said, 300)}).") from None
    finally:
        context.setLevel(before)


def read_cells(workspace: Workspace, files: Files, reader: TableReader) -> Cells:
    """The columns of a table that are wanted; DataError if one that is needed is not there."""
    if files.suffix not in TEXT:
        return _of_typed(workspace, files, reader)
    head = files.head
    scales: tuple[RatingScale, ...] = ()
    if head.name == "u.data":
        header, scales = Header("\t", list(COLUMNS), 0, 0), (WHOLE_STARS,)
    elif head.name == "ratings.dat" and is_movielens(head):
        header, scales = Header("::", list(COLUMNS), 0, 0), (WHOLE_STARS, HALF_STARS)
    else:
        header = reader.header(head, "ratings")
    if scales:
        names = dict(zip(COLUMNS, COLUMNS, strict=True))
    else:
        names = reader.match(header, "ratings", head)
    lines = _lines(workspace, files, header).select(_fields(header, bool(scales)), "*")
    cells = [
        sf.nullif(sf.btrim(sf.get("fields", sf.lit(header.cells.index(names[ours])))), sf.lit(""))
        for ours in VALUES
        if ours in names
    ]
    ours = [name for name in VALUES if name in names]
    columns = [cell.alias(name) for cell, name in zip(cells, ours, strict=True)]
    is_row = sf.is_valid_utf8("value") & (sf.size("fields") <= len(header.cells))
    line = sf.when(is_row, sf.lit(None)).otherwise(sf.col("value")).alias(LINE)
    frame = lines.select(*columns, line, *_places(reader.options.duplicates))
    likely = likely_scale([names.get(name, name) for name in COLUMNS])
    return Cells(
        workspace.keep("cells", frame),  # text is parsed once
        files,
        names,
        is_text=True,
        scales=scales or ((likely,) if likely else ()),
        certain=bool(scales),
        whole_ids=bool(scales),
    )


def _lines(workspace: Workspace, files: Files, header: Header) -> DataFrame:
    """The lines of text files below their headers."""
    lines = workspace.spark.read.text([literal(url) for url in files.ratings])
    if header.n_lines > 1:
        raise DataError(f"{files.label}: the names of its columns must stand in one line.")
    if header.n_lines:
        with files.head.open("rb") as file:
            names = file.read(header.n_bytes).decode("utf-8-sig").rstrip("\r\n")
        lines = lines.filter(sf.col("value") != names)  # each part has them
    return lines.filter(sf.btrim("value") != "").select("value", "_metadata")


def _fields(header: Header, plain: bool) -> Column:
    """The fields of a line, `fields`; too many for a line whose quotes cannot be told apart."""
    line, n = sf.col("value"), len(header.cells)
    fields = sf.split(line, re.escape(header.separator), -1)
    if plain:
        return fields.alias("fields")
    schema = ", ".join(f"_{at} string" for at in range(n))
    options = {
        "sep": header.separator,
        "quote": '"',
        "escape": '"',
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": BAD,
    }
    parsed = sf.from_csv(line, f"{schema}, {BAD} string", options)
    whole = sf.array(*(parsed[f"_{at}"] for at in range(n)))
    n_quotes = sf.length(line) - sf.length(sf.replace(line, sf.lit('"'), sf.lit("")))
    malformed = (n_quotes % 2 == 1) | parsed[BAD].isNotNull()
    surplus = sf.array_repeat(sf.lit(""), n + 1)
    quoted = sf.when(malformed, surplus).otherwise(whole)
    return sf.when(sf.contains(line, sf.lit('"')), quoted).otherwise(fields).alias("fields")


def _places(duplicates: str | None) -> list[Column]:
    """Where a row is: its file, and its order within it where the last of several is wanted."""
    columns = [sf.col("_metadata.file_path").alias(FILE)]
    if duplicates == "last":
        block = sf.col("_metadata.file_block_start")
        columns += [block.alias(ORDER[0]), sf.monotonically_increasing_id().alias(ORDER[1])]
    return columns


def _of_typed(workspace: Workspace, files: Files, reader: TableReader) -> Cells:
    """The cells of Parquet or JSON, whose columns have types."""
    urls, read = [literal(url) for url in files.ratings], workspace.spark.read
    if files.suffix == ".parquet":
        frame = read.option("mergeSchema", str(len(urls) > 1)).parquet(*urls)
    else:
        frame = read.option("mode", "FAILFAST").json(urls)
    names = reader.named.match(frame.columns, "ratings", files.label)
    columns = []
    for ours in VALUES:
        if ours in names:
            cell = sf.col("`" + names[ours].replace("`", "``") + "`")
            kind = frame.schema[names[ours]].dataType
            if isinstance(kind, ArrayType | MapType | StructType | VariantType):
                name = cut(printable(names[ours]))
                raise DataError(
                    f"{files.label}, column {name}: must be numbers or text, got "
                    f"{cut(kind.simpleString())}."
                )
            if isinstance(kind, NullType | BinaryType | StringType):
                cell = sf.nullif(sf.btrim(cell.cast("string")), sf.lit(""))
            columns.append(cell.alias(ours))
    line = sf.lit(None).cast("string").alias(LINE)
    frame = frame.select(*columns, line, *_places(reader.options.duplicates))
    likely = likely_scale([names.get(name, name) for name in COLUMNS])
    return Cells(frame, files, names, scales=(likely,) if likely else ())
