"""Times in whatever form tables have them, as Unix seconds.

Numbers are seconds, milli-, micro- or nanoseconds by the largest of the column: up to 1e11 (the
year 5138) seconds, then a factor of a thousand each. Text is a number, an ISO date, or a date in
one of a few forms; a date that could be two is refused unless its format is given.
"""

import re

import polars as pl

from matinee.data.validation import LAST_SECOND, Origin, first_true
from matinee.errors import SettingError, shortened

UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Units of numbers that `time_format` may name."""
LARGEST_SECOND = 10**11
ISO = (
    r"^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?\s*(Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?$"
)
NUMERIC_DATE = r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(.*)$"
CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S%.f")
FORMATS = (
    *(
        date + clock
        for date in ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y",
                     "%d-%b-%Y", "%m %d, %Y")
        for clock in CLOCKS
    ),
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a %b %d %H:%M:%S %z %Y",
)  # fmt: skip
"""Forms with the name of a month, and Amazon's, in which no date could be two."""
ADVICE = (
    "Give its form, as in --time-format %d/%m/%Y, or leave the column out: --columns timestamp=none"
)


def check_format(time_format: str | None) -> None:
    """SettingError for a format of times that is none."""
    if time_format is None or time_format in UNITS:
        return
    codes = re.findall(r"%[-_0]?(\.?[a-zA-Z])", time_format)
    known = set("YymbBdjHIMSpzZaAefTFRDs")
    if not codes or not {code.removeprefix(".") for code in codes} <= known:
        units = ", ".join(UNITS)
        raise SettingError(
            f"time_format must be as in %d/%m/%Y %H:%M, or one of {units}, "
            f"got {shortened(time_format)}."
        )


def unix_seconds(column: pl.Series, origin: Origin, time_format: str | None = None) -> pl.Series:
    """A column of times as Int64, null where it is; a cell that is no time is refused."""
    kind = column.dtype
    if isinstance(kind, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if isinstance(kind, pl.Date | pl.Datetime):
        seconds = column.cast(pl.Datetime("us"), strict=False).dt.epoch("s")
    elif column.dtype == pl.String:
        column = column.str.strip_chars(" ").replace("", None)
        seconds = _from_text(column, origin, time_format)
    elif kind == pl.Null:
        seconds = column.cast(pl.Int64)
    elif kind.is_numeric():
        seconds = _from_numbers(column, origin, time_format)
    else:
        raise origin.type_error(column, "Unix seconds or dates (or --columns timestamp=none)")
    if (row := first_true(seconds.is_null() & column.is_not_null())) is not None:
        raise origin.error(row, column.name, f"{_shown(column, row)} is not a time", ADVICE)
    outside = ~seconds.is_between(-LAST_SECOND, LAST_SECOND)
    if (row := first_true(outside.fill_null(False))) is not None:
        problem = f"{_shown(column, row)} is not a time before the year 10000"
        raise origin.error(row, column.name, problem, ADVICE)
    return seconds.cast(pl.Int64)


def _shown(column: pl.Series, row: int) -> str:
    """A cell for a message; as its number where it is a date, for polars cannot show them all."""
    if isinstance(column.dtype, pl.Date | pl.Datetime):
        return f"{column.to_physical()[row]} ({type(column.dtype).__name__})"
    return shortened(column[row])


def unit_of(largest: float) -> int:
    """How many units a second has, by the largest number (without its sign) of a column."""
    for unit in UNITS.values():
        if largest < LARGEST_SECOND * unit:
            return unit
    return UNITS["ns"]


def look_like_dates(low: float, high: float) -> bool:
    """Whether numbers from `low` to `high` may be dates such as 20190213."""
    return low >= 1900_01_01 and high <= 2100_12_31


def _from_numbers(column: pl.Series, origin: Origin, time_format: str | None) -> pl.Series:
    """Unix seconds of numbers; null where they are not finite, or no whole seconds."""
    if time_format is not None and time_format not in UNITS:
        return dated(column, time_format)
    numbers = column.cast(pl.Float64, strict=False)
    finite = numbers.filter(numbers.is_finite())
    if time_format is None and len(finite):
        low, high = float(finite.min()), float(finite.max())  # type: ignore[arg-type]
        dates = pl.Series([None], dtype=pl.Int64)
        if look_like_dates(low, high):
            dates = _parsed(column.cast(pl.Int64, strict=False).cast(pl.String), "%Y%m%d")
        if not dates.has_nulls():
            problem = f"{column[0]} may be a date or Unix seconds"
            advice = "Say which: --time-format %Y%m%d, or --time-format s"
            raise origin.error(0, column.name, problem, advice)
    largest = float(finite.abs().max() or 0)  # type: ignore[arg-type]
    unit = UNITS[time_format] if time_format else unit_of(largest)
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False) // unit
    seconds = (numbers / unit).floor()
    return seconds.cast(pl.Int64, strict=False)


def _from_text(text: pl.Series, origin: Origin, time_format: str | None) -> pl.Series:
    """Unix seconds of text; null where it is no time."""
    if time_format is not None and time_format not in UNITS:
        return _parsed(text, time_format)
    numbers = text.cast(pl.Int64, strict=False)
    if numbers.null_count() > text.null_count():
        numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() == text.null_count():
        return _from_numbers(numbers, origin, time_format)
    seconds = _iso(text)
    if seconds.null_count() == text.null_count():
        return seconds
    return dated(text, form_of(text, origin))


def form_of(text: pl.Series, origin: Origin) -> str | None:
    """The form of dates in text; None where it is ISO, or none that is known."""
    present = text.drop_nulls()
    if _iso(present).count() or not len(present):
        return None
    if present.str.contains(NUMERIC_DATE).all():
        return _numeric_format(text, origin)
    first = present.head(100)
    return next((form for form in FORMATS if not _parsed(first, form).has_nulls()), None)


def dated(column: pl.Series, form: str | None) -> pl.Series:
    """Unix seconds of dates in one form (None: ISO), cell by cell; null where they are in none."""
    if column.dtype.is_numeric():
        whole = column.cast(pl.Int64, strict=False).cast(pl.String)
        return _parsed(whole, str(form)).fill_null(_parsed(column.cast(pl.String), str(form)))
    if form is None:  # a number among dates is in seconds
        return _iso(column).fill_null(column.cast(pl.Int64, strict=False))
    return _parsed(column, form)


def _parsed(text: pl.Series, form: str) -> pl.Series:
    """Unix seconds of text in a given form; null where it is in another."""
    try:
        moments = text.str.to_datetime(form, strict=False, time_unit="us")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return pl.Series(text.name, [None] * len(text), pl.Int64)
    return moments.dt.epoch("s")


def _iso(text: pl.Series) -> pl.Series:
    """Unix seconds of ISO dates, with time and zone where they have some."""
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"):  # fast, and most are
        seconds = _parsed(text, form)
        if seconds.null_count() == text.null_count():
            return seconds
    groups = text.str.extract_groups(ISO).struct.unnest()
    if not groups.width:
        return seconds
    parts = {
        name: groups[str(at)].cast(pl.Int64, strict=False)
        for at, name in enumerate(("year", "month", "day", "hour", "minute", "second"), start=1)
    }
    zone = groups["7"].fill_null("Z").str.replace(":", "", literal=True)
    sign = zone.str.starts_with("-").cast(pl.Int64) * -2 + 1
    hours = zone.str.extract(r"^[+-](\d{2})").cast(pl.Int64).fill_null(0)
    minutes = zone.str.extract(r"^[+-]\d{2}(\d{2})$").cast(pl.Int64).fill_null(0)
    dates = pl.select(
        pl.format("{}-{}-{}", *(parts[name] for name in ("year", "month", "day")))
    ).to_series()
    clock = (parts["hour"] * 60 + parts["minute"]).fill_null(0) * 60 + parts["second"].fill_null(0)
    invalid = (parts["hour"] > 24) | (parts["minute"] > 59) | (parts["second"] > 60)
    seconds = _parsed(dates, "%Y-%m-%d") + clock - sign * (hours * 60 + minutes) * 60
    return seconds.set(invalid.fill_null(False), None).alias(text.name)


def _numeric_format(text: pl.Series, origin: Origin) -> str:
    """The form of dates such as 04/25/2019; refused if it could be two."""
    groups = text.drop_nulls().str.extract_groups(NUMERIC_DATE).struct.unnest()
    first, second = (groups[name].cast(pl.Int64) for name in ("1", "2"))
    day_first, month_first = bool((first > 12).any()), bool((second > 12).any())
    row = first_true(text.is_not_null()) or 0
    if day_first == month_first:
        what = "no row tells day from month" if not day_first else "other rows have day and month"
        what += "" if not day_first else " the other way round"
        forms = "--time-format %d/%m/%Y or %m/%d/%Y"
        raise origin.error(row, text.name, f"{shortened(text[row])}: {what}", f"Say which: {forms}")
    separator: str = re.findall(r"[-/.]", text[row])[0]
    date = separator.join(("%d", "%m", "%Y") if day_first else ("%m", "%d", "%Y"))
    rest = groups["4"].head(100)
    for clock in CLOCKS:
        if _parsed("2000-01-01" + rest, "%Y-%m-%d" + clock).null_count() == 0:
            return date + clock
    return date
