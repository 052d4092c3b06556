"""What a CSV says that a person exported from Letterboxd, IMDb or here, and our own export.

Nothing is known here of the catalogue: rows say by which title, year or id an item is to be found.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Literal

from matinee.errors import DataError, SettingError, shortened
from matinee.service.store.feedback import KINDS, LONGEST_ID, Feedback, Kind, check_text

LARGEST = 10_000_000  # characters of a file
MOST_ROWS = 50_000
LONGEST_TITLE = 1000  # characters
YEARS = range(1850, 2200)
SEPARATORS = ",;\t"
COLUMNS = ("item_id", "title", "rating", "kind", "updated_at")  # of our own export
NUMBER = re.compile(r"[+-]?\d{1,30}([.,]\d{1,30})?(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
IMDB_ID = re.compile(r"tt\d{5,12}", re.ASCII)
# where a spreadsheet, which may split at semicolons or tabs, would see a formula: its first letter,
# wide ones too, perhaps after quotes and spaces
BEFORE_FORMULA = r"""(?:\A|(?<=[;\t\r\n])){}(?=['" ]*[-=+@\t\r\n\uff1d\uff0b\uff0d\uff20])"""
FORMULA = re.compile(BEFORE_FORMULA.format(""))
HARMLESS = re.compile(BEFORE_FORMULA.format("'"))


@dataclass(frozen=True, kw_only=True)
class ImportedRow:
    """What one row says.

    Attributes
    ----------
    row : int
        As a spreadsheet counts; the header is row 1.
    kind : {"rating", "seen", "later"}
    share : float or None
        The rating as a share of the highest one of its scale, above 0 and up to 1: 4.5 of 5 and
        9 of 10 are both 0.9.
    rating : float or None
        The rating in the units of the data; only our own export has it, and no share.
    item_id : str or None
        The item's own id; only in our own export.
    title, original_title : str or None
        As people read it: "The Matrix".
    year : int or None
        Of the release.
    imdb_id : str or None
        As in ``tt0133093``; only in IMDb's export.
    title_type : str or None
        "Movie", "TV Series", "Video Game"...; only in IMDb's export.
    told_at : datetime or None
        In UTC; midnight where only the day is known.
    """

    row: int
    kind: Kind
    share: float | None = None
    rating: float | None = None
    item_id: str | None = None
    title: str | None = None
    original_title: str | None = None
    year: int | None = None
    imdb_id: str | None = None
    title_type: str | None = None
    told_at: datetime | None = None


@dataclass(frozen=True)
class SkippedRow:
    """A row that says nothing that can be used, and why."""

    row: int
    reason: str


@dataclass(frozen=True)
class Imported:
    """All rows of a file, in their order."""

    source: Literal["letterboxd", "imdb", "matinee"]
    rows: list[ImportedRow]
    skipped: list[SkippedRow]


class _SkipError(Exception):
    """Why a row is skipped."""


def read_rows(text: str | bytes, *, unrated: Literal["seen", "later"] = "seen") -> Imported:
    """What a CSV of Letterboxd (ratings, watched, diary, watchlist), IMDb or our own says.

    `unrated` is what a row of Letterboxd without a rating means: its `watched.csv` and
    `watchlist.csv` look the same. DataError if it is none of these files.

    Example
    -------
    >>> from matinee.service.import_formats import read_rows
    >>> text = "Date,Name,Year,Letterboxd URI,Rating\\n2024-01-02,The Matrix,1999,,4.5\\n"
    >>> (row,) = read_rows(text).rows
    >>> row.title, row.year, row.share
    ('The Matrix', 1999, 0.9)
    """
    content = _decoded(text)
    if len(content) > LARGEST:
        raise DataError(f"the file has more than {LARGEST:,} characters; import it in parts.")
    source, separator = _recognized(content)
    names: list[str] = []
    rows: list[ImportedRow] = []
    skipped: list[SkippedRow] = []
    for number, cells in _records(content, separator):
        if not names:
            names = _names(cells)
            continue
        try:
            row = source.read(number, _by_name(names, cells))
        except _SkipError as problem:
            skipped.append(SkippedRow(number, str(problem)))
            continue
        is_unrated = source.name == "letterboxd" and row.kind == "seen"
        rows.append(replace(row, kind=unrated) if is_unrated else row)
    return Imported(source.name, rows, skipped)


def write_rows(rows: Iterable[tuple[Feedback, str | None]]) -> str:
    """Feedback and the titles of its items as a CSV that `read_rows` reads as it was.

    A text in which a spreadsheet would see a formula has an apostrophe before it, which
    `read_rows` takes away.
    """
    file = io.StringIO()
    writer = csv.writer(file)  # with the line ends of RFC 4180: it quotes cells that hold either
    writer.writerow(COLUMNS)
    for feedback, title in rows:
        writer.writerow(
            [
                FORMULA.sub("'", feedback.item_id),
                FORMULA.sub("'", title or ""),
                "" if feedback.rating is None else repr(feedback.rating),
                feedback.kind,
                feedback.updated_at.isoformat(),
            ]
        )
    return file.getvalue()


def _decoded(text: str | bytes) -> str:
    """Text in UTF-8 or UTF-16, or else in the encoding of Windows in the west."""
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return text.decode("utf-16", errors="replace")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("cp1252", errors="replace")


def _recognized(content: str) -> tuple["_Source", str]:
    """Whose file it is, by the columns of its first row, and what separates them."""
    for separator in SEPARATORS:
        try:
            _, cells = next(_records(content, separator), (0, []))
        except DataError:
            continue
        for source in SOURCES:
            if source.needs <= set(_names(cells)):
                return source, separator
    expected = ", or ".join(" and ".join(sorted(source.needs)) for source in SOURCES)
    raise DataError(
        "this is no file of Letterboxd, IMDb or matinee: its first row must name the columns "
        f"{expected}, got {shortened(content[: 2 * LONGEST_TITLE].strip().partition(chr(10))[0])}."
    )


def _names(cells: Iterable[str]) -> list[str]:
    return [cell.strip().lower() for cell in cells]


def _records(content: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """All rows with something in them, and their numbers; DataError where quotes go wrong."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if number > MOST_ROWS:
                raise DataError(f"the file has more than {MOST_ROWS:,} rows; import it in parts.")
            if any(cells):
                yield number, cells
    except csv.Error as problem:
        raise DataError(f"row {number + 1}: {problem}; is a quote left open there?") from None


def _by_name(names: list[str], cells: list[str]) -> Mapping[str, str]:
    """The cells of a row by column; what the row lacks is empty, and of two of a name one counts:
    the first.
    """
    if any(cells[len(names) :]):
        raise _SkipError(f"it has {len(cells)} cells, and the header has {len(names)}.")
    padded = zip_longest(names, cells[: len(names)], fillvalue="")
    return dict(reversed(list(padded)))


def _letterboxd(row: int, cells: Mapping[str, str]) -> ImportedRow:
    """`ratings.csv`, `diary.csv`, `watched.csv` or `watchlist.csv`."""
    title = _title(cells, "name")
    if title is None:
        raise _SkipError("it has no title.")
    share = _share(cells.get("rating", ""), 0.5, 5)
    return ImportedRow(
        row=row,
        kind="seen" if share is None else "rating",
        share=share,
        title=title,
        year=_year(cells),
        told_at=_time(cells.get("watched date") or cells.get("date", "")),
    )


def _imdb(row: int, cells: Mapping[str, str]) -> ImportedRow:
    """Ratings, or a list in which some titles are rated: of the others nothing is known."""
    imdb_id = cells["const"].strip()
    if not IMDB_ID.fullmatch(imdb_id):
        raise _SkipError(f"Const must be an id like tt0133093, got {shortened(imdb_id)}.")
    share = _share(cells["your rating"], 1, 10)
    if share is None:
        raise _SkipError("it has no rating.")
    return ImportedRow(
        row=row,
        kind="rating",
        share=share,
        title=_title(cells, "title"),
        original_title=_title(cells, "original title"),
        year=_year(cells),
        imdb_id=imdb_id,
        title_type=cells.get("title type", "").strip()[:LONGEST_ID] or None,
        told_at=_time(cells.get("date rated", "")),
    )


def _own(row: int, cells: Mapping[str, str]) -> ImportedRow:
    """Our own export, or a table of ids and ratings."""
    item_id = HARMLESS.sub("", cells["item_id"])
    try:
        check_text("item_id", item_id, LONGEST_ID)
    except SettingError as problem:
        raise _SkipError(str(problem)) from None
    rating = _number(cells["rating"])
    told = cells.get("kind", "").strip() or ("seen" if rating is None else "rating")
    kind = next((kind for kind in KINDS if kind == told), None)
    if kind is None:
        raise _SkipError(f"kind must be one of {', '.join(KINDS)}, got {shortened(told)}.")
    if (kind == "rating") != (rating is not None):
        which = "is missing" if rating is None else "must be empty"
        raise _SkipError(f"rating {which} where kind is {kind}.")
    return ImportedRow(
        row=row,
        kind=kind,
        rating=rating,
        item_id=item_id,
        title=HARMLESS.sub("", _title(cells, "title", strip=False) or "") or None,
        told_at=_time(cells.get("updated_at", "")),
    )


@dataclass(frozen=True)
class _Source:
    name: Literal["letterboxd", "imdb", "matinee"]
    needs: frozenset[str]  # columns, by which its files are recognized
    read: Callable[[int, Mapping[str, str]], ImportedRow]


SOURCES = (
    _Source("letterboxd", frozenset({"name", "letterboxd uri"}), _letterboxd),
    _Source("imdb", frozenset({"const", "your rating"}), _imdb),
    _Source("matinee", frozenset({"item_id", "rating"}), _own),
)


def _title(cells: Mapping[str, str], name: str, strip: bool = True) -> str | None:
    title = cells.get(name, "")
    if len(title) > LONGEST_TITLE:
        raise _SkipError(f"its {name} has {len(title):,} characters.")
    return (title.strip() if strip else title) or None


def _number(text: str) -> float | None:
    """A number, with a decimal comma too; None if there is none."""
    text = text.strip()
    if not text:
        return None
    number = float(text.replace(",", ".")) if NUMBER.fullmatch(text) else float("inf")
    if abs(number) == float("inf"):
        raise _SkipError(f"rating must be a number, got {shortened(text)}.")
    return number


def _share(text: str, low: float, high: float) -> float | None:
    """A rating as a share of the highest one, or None if there is none."""
    number = _number(text)
    if number is not None and not low <= number <= high:
        raise _SkipError(f"rating must be {low:g} to {high:g}, got {shortened(text.strip())}.")
    return None if number is None else number / high


def _year(cells: Mapping[str, str]) -> int | None:
    text = cells.get("year", "").strip()
    is_year = re.fullmatch(r"\d{4}", text, re.ASCII) and int(text) in YEARS
    return int(text) if is_year else None


def _time(text: str) -> datetime | None:
    """A day or a moment as ISO 8601 has it, in UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
