"""Pairs of a viewer and a movie, from what a person passes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.ids import as_many
from matinee.errors import SettingError
from matinee.models.head import DistributionHead, StarsHead
from matinee.models.viewer import Audience, Viewer, viewer_codes

if TYPE_CHECKING:
    from matinee.models.bayes.predictive import Predictive
    from matinee.models.factor_model import FactorModel


@dataclass(frozen=True, eq=False)
class Pairs:
    """What stars are asked for.

    Parameters
    ----------
    users, items : int32 (n,)
        Codes; -1 is the viewer or movie nothing is known of.
    times : int64 (n,) or None
        Unix seconds.
    somebody : Audience or None
        The one viewer that all pairs are about, where they came as a `Viewer`.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    times: NDArray[np.int64] | None
    somebody: Audience | None = None


def pairs_of(model: "FactorModel", users: Any, items: Any, timestamps: Any, unknown: str) -> Pairs:
    """The codes behind ids and titles; see `FactorModel.predict`."""
    if unknown not in ("error", "average"):
        raise SettingError(f"unknown is 'error' or 'average', not {unknown!r}.")
    asked_items = as_many(items)
    if isinstance(users, Viewer):
        if timestamps is not None:
            raise SettingError("Somebody new has no history in time; leave timestamps out.")
        codes = np.array([model.movie(one) for one in asked_items], np.int32)
        return Pairs(np.full(len(codes), -1, np.int32), codes, None, model.audience([users]))
    asked_users = as_many(users)
    length = max(len(asked_users), len(asked_items))
    if {len(asked_users), len(asked_items)} - {1, length}:
        raise SettingError(
            f"{len(asked_users)} viewers do not pair with {len(asked_items)} movies."
        )
    user = viewer_codes(model.user_ids, model.rated, asked_users, unknown)
    item = model.catalog.ids.codes(asked_items)
    if unknown == "error":  # a title is found, all else raises
        for at in np.flatnonzero(item < 0):
            item[at] = model.movie(asked_items[at])
    user, item = (np.ascontiguousarray(np.broadcast_to(c, length)) for c in (user, item))
    return Pairs(user, item, _times(timestamps, length))


def stars_of_pairs(head: StarsHead, pairs: Pairs) -> NDArray[np.float32]:
    """Expected stars, not clipped."""
    if pairs.somebody is None:
        return head.pairs(pairs.users, pairs.items, pairs.times)
    first = np.zeros(len(pairs.items), np.intp)
    return head.listed(pairs.somebody, first, pairs.items)


def predictive_of_pairs(head: StarsHead | None, pairs: Pairs) -> "Predictive":
    """The distribution of stars; SettingError from heads that know none."""
    if not isinstance(head, DistributionHead):
        raise SettingError(
            "This model knows one number of stars and no range; train one with BayesianMF "
            "(matinee train DATASET --model bayes)."
        )
    if pairs.somebody is None:
        return head.predictive(pairs.users, pairs.items, pairs.times)
    first = np.zeros(len(pairs.items), np.intp)
    return head.predictive_of(pairs.somebody, first, pairs.items)


def _times(timestamps: Any, length: int) -> NDArray[np.int64] | None:
    if timestamps is None:
        return None
    times = np.atleast_1d(np.asarray(timestamps))
    whole = times.dtype.kind in "iu" and (times <= np.iinfo(np.int64).max).all()
    if not whole or times.ndim > 1 or len(times) not in (1, length):
        raise SettingError(
            f"timestamps are whole Unix seconds, one for all or one for each of {length} pairs."
        )
    return np.ascontiguousarray(np.broadcast_to(times, length), np.int64)
