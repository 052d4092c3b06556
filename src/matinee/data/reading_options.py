"""The options of `read`, checked; as JSON they stand in runs and beside added data."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from matinee.data.columns import NONE, NamedColumns
from matinee.data.ratings import RatingScale
from matinee.data.times import check_format
from matinee.errors import SettingError, shortened

DUPLICATES = ("error", "sum", "last", "mean")


@dataclass(frozen=True)
class ReadingOptions:
    """How a source is read; what is None is found out or left at its default.

    `items` and `users` are paths; `missing` holds numbers and texts.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    scale: RatingScale | None = None
    duplicates: str | None = None
    event_weights: Mapping[str, float] | None = None
    missing: tuple[float | str, ...] = ()
    time_format: str | None = None
    items: str | None = None
    users: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON."""
        scale = self.scale
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {
            "columns": dict(self.columns),
            "scale": None if scale is None else [scale.low, scale.high, scale.step],
            "event_weights": None if self.event_weights is None else dict(self.event_weights),
            "missing": list(self.missing) or None,
        }

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "ReadingOptions":
        """The options from arguments of `read`, or from JSON; SettingError for a wrong value."""
        options = {name: value for name, value in options.items() if value is not None}
        for name, value in options.items():
            if not _is_text(value):
                raise SettingError(f"{name} holds half a character, got {shortened(value)}.")
        columns = options.get("columns") or {}
        if not isinstance(columns, Mapping):
            raise SettingError(f"columns must be a dict of names, got {shortened(columns)}.")
        columns = {
            str(ours): NONE if theirs is None else str(theirs) for ours, theirs in columns.items()
        }
        NamedColumns(columns)  # refuses keys that are none
        duplicates = options.get("duplicates")
        if duplicates is not None and duplicates not in DUPLICATES:
            valid = ", ".join(map(repr, DUPLICATES))
            raise SettingError(f"duplicates must be one of {valid}, got {shortened(duplicates)}.")
        time_format = options.get("time_format")
        if time_format is not None and not isinstance(time_format, str):
            raise SettingError(f"time_format must be text, got {shortened(time_format)}.")
        check_format(time_format)
        return cls(
            columns,
            _scale(options.get("scale")),
            duplicates,
            _event_weights(options.get("event_weights")),
            _missing(options.get("missing", ())),
            time_format,
            *(None if options.get(name) is None else str(options[name])
              for name in ("items", "users")),
        )  # fmt: skip


def _is_text(value: Any) -> bool:
    """Whether all text in a value can be encoded: in JSON there may be halves of characters."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, Mapping):
        return all(map(_is_text, (*value, *value.values())))
    return not isinstance(value, list | tuple | set) or all(map(_is_text, value))


def _scale(scale: Any) -> RatingScale | None:
    if scale is None or isinstance(scale, RatingScale):
        return scale
    try:
        return RatingScale(*(float(limit) for limit in scale))
    except (TypeError, ValueError):
        expected = "(low, high) or (low, high, step)"
        raise SettingError(f"scale must be {expected}, got {shortened(scale)}.") from None


def _event_weights(weights: Any) -> dict[str, float] | None:
    if weights is None:
        return None
    if not isinstance(weights, Mapping) or not weights:
        raise SettingError(
            f"event_weights must be a dict from events to weights, got {shortened(weights)}."
        )
    checked = {}
    for event, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise SettingError(
                f"event_weights: the weight of {shortened(event)} must be a number, "
                f"got {shortened(weight)}."
            )
        if not (math.isfinite(weight) and weight >= 0):
            raise SettingError(
                f"event_weights: the weight of {shortened(event)} must be ≥ 0, got {weight:g}."
            )
        checked[str(event).strip()] = float(weight)
    return checked


def _missing(values: Any) -> tuple[float | str, ...]:
    several = isinstance(values, Iterable) and not isinstance(values, str | Mapping)
    checked: list[float | str] = []
    for value in values if several else (values,):
        if isinstance(value, str):
            checked.append(value.strip())
        elif isinstance(value, int | float) and not isinstance(value, bool):
            checked.append("" if math.isnan(value) else float(value))
        else:
            raise SettingError(f"missing must be numbers or text, got {shortened(value)}.")
    return tuple(checked)
