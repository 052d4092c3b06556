"""What lies next to well-known movies, by either head."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from matinee.errors import SettingError
from matinee.explore.space import HEAD_TITLES
from matinee.models import FactorModel
from matinee.models.factor_model import BY
from matinee.models.lists import ENOUGH_RATINGS

FAMILIAR = (
    "Toy Story (1995)",
    "Star Wars: Episode IV - A New Hope (1977)",
    "Alien (1979)",
    "Casablanca (1942)",
    "Star Wars (1977)",
)
"""Movies of the MovieLens editions that most people know; one is called otherwise in ml-100k."""


def familiar_movies(model: FactorModel, n: int = 4) -> list[str]:
    """Titles that a person has an opinion of: those of `FAMILIAR`, then the most rated.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> familiar_movies(matinee.BiasOnly().fit(data), 1)
    ['Restless Harbor (2003)']
    """
    titles = model.catalog.titles
    rated = [titles[code] for code in np.argsort(-model.item_counts, kind="stable")]
    known = set(rated)
    chosen = [title for title in FAMILIAR if title in known]
    return list(dict.fromkeys([*chosen, *rated]))[:n]


def neighbours(model: FactorModel, movies: Sequence[Any] | None = None, n: int = 8) -> pl.DataFrame:
    """The nearest well-known movies by the vectors of each head, side by side.

    Well known is the half with more ratings of those that have at least ten: whether a neighbour
    makes sense, one can judge of a movie one knows.

    Parameters
    ----------
    model : FactorModel
    movies : sequence of ids or titles, optional
        By default `familiar_movies`.
    n : int

    Returns
    -------
    polars.DataFrame
        Columns `movie`, `place`, and the titles by each head that has vectors (``"rating head"``,
        ``"ranking head"``).

    Raises
    ------
    UnknownIdError, SettingError
        For an unknown movie, or a model without vectors.
    """
    if movies is not None and not len(movies):
        raise SettingError("Name at least one movie.")
    heads = [BY[name] for name, head in model.heads.items() if head.vectors is not None]
    counts = model.item_counts[model.item_counts >= ENOUGH_RATINGS]
    least = int(np.median(counts)) if len(counts) else ENOUGH_RATINGS
    parts = []
    for movie in familiar_movies(model) if movies is None else movies:
        columns = {
            HEAD_TITLES[by]: model.similar(movie, n, by=by, min_ratings=least)["title"]
            for by in heads or ["stars"]
        }
        title = model.catalog.titles[model.movie(movie)]
        parts.append(
            pl.DataFrame(columns)
            .with_row_index("place", offset=1)
            .insert_column(0, pl.Series("movie", [title] * n)[: len(next(iter(columns.values())))])
        )
    return pl.concat(parts)
