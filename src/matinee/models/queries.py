"""Viewers as models see them: who is asked about, and what each has rated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee.data.catalog import Catalog
from matinee.data.id_map import Ids, as_many, is_one
from matinee.data.ratings import Scale
from matinee.errors import SettingError, UnknownIdError
from matinee.kernels.csr import Rows, take_rows
from matinee.models.head import DistributionHead, StarsHead

if TYPE_CHECKING:
    from matinee.models.bayesian.predictive import Predictive
    from matinee.models.recommender import FactorModel


@dataclass(frozen=True, eq=False)
class Viewer:
    """Somebody's ratings: all that a model needs to know of a person.

    `FactorModel.fold_in` makes one for somebody new; wherever a model takes a viewer's id, it
    takes a `Viewer` as well.

    Parameters
    ----------
    items : int32 (n,)
        Codes of the movies rated, ascending.
    stars : float32 (n,)
    """

    items: NDArray[np.int32]
    stars: NDArray[np.float32]

    def __repr__(self) -> str:
        return f"Viewer({len(self.items)} ratings)"


@dataclass(frozen=True, eq=False)
class Audience:
    """Several viewers: what heads score, and lists are made for.

    Parameters
    ----------
    codes : int32 (viewers,)
        Training viewers by code; -1 for somebody new.
    rated : Rows
        A row per viewer, movies ascending.
    """

    codes: NDArray[np.int32]
    rated: Rows

    def part(self, start: int, stop: int) -> "Audience":
        """The viewers `start` to `stop`."""
        return Audience(
            self.codes[start:stop], take_rows(self.rated, np.arange(start, min(stop, len(self))))
        )

    def __len__(self) -> int:
        return len(self.codes)


def find_viewer(ids: Ids, rated: Rows, user: Any) -> Viewer:
    """The ratings of the viewer with this id (or the `Viewer` itself)."""
    if isinstance(user, Viewer):
        return user
    code = viewer_code(ids, rated, user)
    first, last = rated.indptr[code : code + 2]
    return Viewer(rated.indices[first:last], rated.values[first:last])


def find_audience(ids: Ids, rated: Rows, movies: int, user: Any) -> Audience:
    """One viewer or several, by id or as `Viewer`, or all with ratings (None)."""
    asked = [] if user is None else as_many(user)
    if any(isinstance(one, Viewer) for one in asked):
        known = [-1 if isinstance(one, Viewer) else viewer_code(ids, rated, one) for one in asked]
        viewers = [find_viewer(ids, rated, one) for one in asked]
        return audience_of(viewers, np.array(known, np.int32), movies)
    if user is None:
        codes = np.flatnonzero(np.diff(rated.indptr)).astype(np.int32)
    elif is_one(user):
        codes = np.array([viewer_code(ids, rated, user)], np.int32)
    else:
        codes = viewer_codes(ids, rated, asked, "error")
    return Audience(codes, take_rows(rated, codes))


def audience_of(viewers: list[Viewer], codes: NDArray[np.int32], movies: int) -> Audience:
    """Viewers and their codes (-1 for somebody new) for a model of so many movies."""
    counts = [len(viewer.items) for viewer in viewers]
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    items = np.concatenate([np.empty(0, np.int32), *(one.items for one in viewers)])
    stars = np.concatenate([np.empty(0, np.float32), *(one.stars for one in viewers)])
    if len(items) and not (items.min() >= 0 and items.max() < movies):
        raise SettingError("This viewer was folded into another model.")
    return Audience(codes, Rows(indptr, items.astype(np.int32), stars.astype(np.float32)))


def new_viewer(movie: Callable[[Any], int], catalog: Catalog, scale: Scale, ratings: Any) -> Viewer:
    """Somebody new from a dict of id or title to stars, or pairs of them; `movie` finds codes."""
    pairs = list(ratings.items() if isinstance(ratings, Mapping) else ratings)
    codes = np.array([movie(wanted) for wanted, _ in pairs], np.int32)
    stars = np.array([given for _, given in pairs], np.float32)
    order = np.argsort(codes, kind="stable")
    codes, stars = codes[order], stars[order]
    _check_ratings(catalog, scale, codes, stars)
    return Viewer(codes, stars)


def _check_ratings(
    catalog: Catalog, scale: Scale, codes: NDArray[np.int32], stars: NDArray[np.float32]
) -> None:
    """Refuse stars off the scale, and a movie rated twice; codes are in ascending order."""
    off = ~scale.holds(stars)
    if off.any():
        first = int(off.argmax())
        title = catalog.titles[codes[first]]
        raise SettingError(f"{title}: {stars[first]:g} stars are not on the scale {scale}.")
    twice = codes[1:][codes[1:] == codes[:-1]]
    if len(twice):
        raise SettingError(f"{catalog.titles[twice[0]]} is rated twice.")


def viewer_code(ids: Ids, rated: Rows, user: Any) -> int:
    """Code of a viewer who has training ratings; UnknownIdError for any other."""
    code = ids.code(user)
    if rated.indptr[code] == rated.indptr[code + 1]:
        raise UnknownIdError(
            f"Viewer {user} has no ratings in the training part. Fold in some that they gave."
        )
    return code


def viewer_codes(ids: Ids, rated: Rows, asked: Any, unknown: str) -> NDArray[np.int32]:
    """Codes of viewers who have training ratings; others are an error, or -1 (``"average"``)."""
    codes = ids.codes(asked)
    codes[rated.indptr[codes] == rated.indptr[codes + 1]] = -1  # of those there are, the unrated
    if unknown == "error":  # an id given as text is found, all else raises
        for at in np.flatnonzero(codes < 0):
            codes[at] = viewer_code(ids, rated, asked[at])
    return codes


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
