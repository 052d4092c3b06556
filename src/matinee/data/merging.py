"""What users have told since, put into the data that they are about."""

from dataclasses import dataclass, replace

import polars as pl

from matinee.data.dataset import Dataset
from matinee.data.ratings import may_be
from matinee.data.reading import read
from matinee.data.validation import id_problems
from matinee.data.writing import described

PAIR = ["user_id", "item_id"]


@dataclass(frozen=True)
class Merged:
    """Data with feedback in them.

    `used` rows of feedback are in, of `users` users, of whom `new_users` were not in the data
    before; `left_out` are about items that the data do not have, or off the scale.
    """

    dataset: Dataset
    used: int
    users: int
    new_users: int
    left_out: int


def merge_feedback(dataset: Dataset, feedback: pl.DataFrame) -> Merged:
    """The data set with each row of feedback in place of what it had for that user and item.

    `feedback` has columns `user_id` and `item_id` (text, distinct pairs), `rating` (null: an item
    without one) and `timestamp` (Unix seconds). Where there are ratings, rows without one say
    nothing; where there are none, each row is an interaction. Where ids of users are numbers and
    one of feedback is none, all become text.

    Examples
    --------
    >>> told = pl.DataFrame({"user_id": ["ann"], "item_id": ["7"], "rating": [4.5], "timestamp": 0})
    >>> merged = merge_feedback(data, told)
    >>> merged.new_users, len(merged.dataset) - len(data)
    (1, 1)
    """
    ratings, scale = dataset.ratings, dataset.ratings.scale
    frame = ratings.to_frame().drop("first_timestamp", strict=False)
    value = "rating" if scale else "weight"
    told = feedback.sort(PAIR).filter(pl.col("rating").is_not_null() | (scale is None))
    codes = ratings.item_ids.codes(told["item_id"])
    values = told["rating"].cast(pl.Float64).fill_null(1.0).to_numpy()  # each counts once
    known = (codes >= 0) & may_be(scale, values)
    told_by = _user_ids(told["user_id"].filter(known), frame["user_id"])
    usable = told.filter(known).with_columns(
        told_by,
        ratings.item_ids.values[codes[known]].alias("item_id"),
        pl.col("rating").fill_null(1.0).cast(pl.Float32).alias(value),
    )
    refused = [invalid for invalid, _ in id_problems(told_by)]
    usable = usable.filter(~pl.any_horizontal(refused))
    usable = usable.unique(PAIR, keep="last", maintain_order=True)
    left_out = len(told) - len(usable)
    frame = frame.cast({"user_id": told_by.dtype})
    # a mark says nothing new of an item that there is an interaction with
    marked = usable.filter(pl.col("rating").is_null()).join(frame, on=PAIR, how="semi")
    usable = usable.join(marked, on=PAIR, how="anti", maintain_order="left")
    kept = frame.join(usable, on=PAIR, how="anti", maintain_order="left")
    distinct = usable["user_id"].unique()
    new_users = distinct.filter(~distinct.is_in(frame["user_id"].unique().implode()))
    items, users = described(dataset)
    whole = read(
        pl.concat([kept, usable.select(frame.columns)], how="vertical_relaxed"),
        items=items,
        users=users if users is None else users.cast({"user_id": told_by.dtype}),
        scale=scale,
        time_format="s" if "timestamp" in frame.columns else None,
        name=dataset.name,
    )
    return Merged(
        replace(whole, licence=dataset.licence),
        used=len(usable),
        users=len(distinct),
        new_users=len(new_users),
        left_out=left_out,
    )


def _user_ids(told: pl.Series, known: pl.Series) -> pl.Series:
    """Ids of feedback as `read` takes them: numbers, where those of the data are and all can be."""
    told = told.str.strip_chars(" ")
    if known.dtype != pl.Int64:
        return told
    numbers = told.cast(pl.Int64, strict=False)
    same = numbers.cast(pl.String).eq_missing(told).all()  # 007 is not 7
    return numbers if same else told
