"""A score as a table of what it is made of."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data import Catalog
from matinee.models.viewer import Audience

PART_NAMES = {
    "stars": {
        "mean": "stars of an average movie",
        "movie": "how this movie is liked",
        "prior": "how viewers like its kind",
        "training": "what training added beyond the ratings",
    },
    "ranking": {"movie": "viewers who watched it", "prior": "how it suits the average viewer"},
}
"""The general parts of a score, for people: by the head's name, then the part's."""


def parts_of_a_score(
    catalog: Catalog,
    audience: Audience,
    general: dict[str, float],
    from_ratings: NDArray[np.float64],
) -> pl.DataFrame:
    """General parts, then the ratings by weight, as `FactorModel.explain` returns them.

    Parameters
    ----------
    catalog : Catalog
    audience : Audience
        Of one viewer.
    general : dict
        Part to contribution.
    from_ratings : float64 (n,)
        What each of the viewer's ratings adds, in their order.
    """
    order = np.argsort(-np.abs(from_ratings), kind="stable")
    rated = catalog.rows(audience.rated.indices[order]).select(
        part=pl.lit("rating"),
        item="item",
        title="title",
        stars=pl.Series(audience.rated.values[order]),
        contribution=pl.Series(from_ratings[order]),
    )
    first = pl.DataFrame(
        {"part": list(general), "contribution": list(general.values())},
        schema={"part": pl.String, "contribution": pl.Float64},
    )
    return pl.concat([first, rated], how="diagonal").select(rated.columns)
