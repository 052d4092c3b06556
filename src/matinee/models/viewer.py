"""One person as a model sees them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.data import Catalog, Ids, Scale
from matinee.errors import SettingError, UnknownIdError
from matinee.kernels import Rows, solve_rows_exact


@dataclass(frozen=True, eq=False)
class Viewer:
    """Somebody's ratings and the row that a model solved for them.

    `FactorModel.fold_in` makes one for somebody new; wherever a model takes a viewer's id, it
    takes a `Viewer` as well.

    Parameters
    ----------
    row : float32 (1 + factors,)
        Bias and factors.
    items : int32 (n,)
        Codes of the movies rated.
    stars : float32 (n,)
    """

    row: NDArray[np.float32]
    items: NDArray[np.int32]
    stars: NDArray[np.float32]

    def __repr__(self) -> str:
        return f"Viewer({len(self.items)} ratings)"

    def fits(self, width: int, movies: int) -> bool:
        """Whether row and codes can belong to a model of that width and so many movies."""
        known = len(self.items) == 0 or (self.items.min() >= 0 and self.items.max() < movies)
        return self.row.shape == (width,) and bool(known)


def solve_viewer(
    codes: NDArray[np.int32],
    stars: NDArray[np.float32],
    mean: np.float32,
    item_rows: NDArray[np.float32],
    prior: NDArray[np.float32],
    regularization: float,
    exponent: float,
) -> Viewer:
    """The viewer with these ratings, solved by the same kernel as in training."""
    row = np.empty((1, len(prior)), np.float32)
    penalty = np.float32(regularization), np.float32(exponent)
    indptr = np.array([0, len(codes)])
    solve_rows_exact(0, 1, indptr, codes, stars, mean, item_rows, prior[None], *penalty, row)
    return Viewer(row[0], codes, stars)


def join_rated(viewers: list[Viewer]) -> Rows:
    """The ratings of several viewers as compressed rows."""
    counts = [len(viewer.items) for viewer in viewers]
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    items, stars = ([getattr(one, side) for one in viewers] for side in ("items", "stars"))
    return Rows(indptr, np.concatenate(items), np.concatenate(stars))


def check_ratings(
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
