"""Which items of the catalogue the rows of an import are about, and what they say on our scale."""

import numpy as np

from matinee.errors import UnknownIdError, shortened
from matinee.models.queries import TrainingIndex
from matinee.service.import_formats import Imported, ImportedRow, SkippedRow
from matinee.service.served import Served
from matinee.service.store.feedback import NewFeedback

OTHER_TYPES = ("series", "episode", "game", "podcast", "music video")


def matched(served: Served, imported: Imported) -> tuple[list[NewFeedback], list[SkippedRow]]:
    """The feedback that an import is, and the rows that are none, with the reason."""
    feedback, skipped = [], list(imported.skipped)
    for row in imported.rows:
        code, reason = _code_of(served, row)
        if code is None:
            skipped.append(SkippedRow(row.row, reason))
            continue
        rating = _rating(row, served.model.index)
        if row.kind == "rating" and rating is None:
            skipped.append(SkippedRow(row.row, "the rating is not on the scale"))
            continue
        item_id = str(served.item_ids[code])
        feedback.append(NewFeedback(item_id, rating, row.kind, row.told_at))
    return feedback, sorted(skipped, key=lambda skip: skip.row)


def _code_of(served: Served, row: ImportedRow) -> tuple[int | None, str]:
    if row.item_id is not None:
        try:
            return served.code(row.item_id), ""
        except UnknownIdError as problem:
            return None, str(problem)
    kind = (row.title_type or "").casefold()
    if any(other in kind for other in OTHER_TYPES):
        return None, f"a {row.title_type} is no {served.model.catalog.noun}"
    for title in (row.title, row.original_title):
        if title and (code := served.titles.find(title, row.year)) is not None:
            return code, ""
    title = shortened(row.title or row.imdb_id)
    year = "" if row.year is None else f" of {row.year}"
    return None, f"there is no {served.model.catalog.noun} {title}{year}"


def _rating(row: ImportedRow, index: TrainingIndex) -> float | None:
    """The rating on the scale of the model."""
    scale = index.scale
    if row.kind != "rating":
        return None
    if row.rating is not None:
        return row.rating if index.may_be(np.array([row.rating]))[0] else None
    if row.share is None or scale is None:
        return row.share
    wanted = row.share * scale.high
    if scale.step:
        wanted = scale.low + scale.step * round((wanted - scale.low) / scale.step)
    return min(max(wanted, scale.low), scale.high)
