"""A trained model that is two matrices: what it predicts, recommends, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data import Catalog, Ids, Scale
from matinee.data.ids import as_many, is_one
from matinee.errors import SettingError
from matinee.kernels import (
    Rows,
    equal_blocks,
    predict_pairs,
    run_blocks,
    score_items,
    take_rows,
)
from matinee.models.explanation import contributions, parts_of_a_score
from matinee.models.lists import allowed_items, best_lists, most_alike
from matinee.models.viewer import (
    Viewer,
    check_ratings,
    join_rated,
    solve_viewer,
    viewer_code,
    viewer_codes,
)


@dataclass(frozen=True, eq=False)
class FactorModel:
    """``score(u, i) = mean + b_u + b_i + p_u . q_i``, and everything one can ask of it.

    A score is in stars; as a prediction it is clipped to the scale.

    Parameters
    ----------
    user_ids : Ids
        All viewers of the training codes; one without training ratings counts as unknown.
    catalog : Catalog
        All movies; one without ratings has the row that its genres give it.
    scale : Scale
    mean : float32
        Mean stars of the training ratings.
    user_rows, item_rows : float32 (users, 1 + factors), (items, 1 + factors)
        Bias first, then factors.
    user_prior : float32 (1 + factors,)
        The row of a viewer about whom nothing is known.
    genre_rows : float32 (1 + genres, 1 + factors)
        What makes the prior mean of a movie: a constant, then a row for each genre that was a
        feature (none if features were off).
    regularization, exponent : float
        As in training, for `fold_in` and `explain`.
    rated : Rows
        The training ratings by viewer.
    trainer : dict
        Name and hyperparameters of the recipe.
    history : polars.DataFrame
        One row per iteration: loss, train and test error, seconds since the start.
    about : dict
        What a run notes beside the model: data, split, metrics.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> model = matinee.ALS(factors=4, iterations=3).fit(data)
    >>> model
    FactorModel(ALS, 4 factors, 60 viewers, 50 movies)
    >>> model.predict([1, 1, 999], [7, 8, 7], unknown="average").shape
    (3,)
    >>> model.recommend([1, 2], n=3, genres="Comedy").height
    6
    >>> model.similar(data.catalog.titles[0], n=3).columns
    ['item', 'title', 'genres', 'similarity', 'ratings']
    >>> ann = model.fold_in({data.catalog.titles[0]: 5, 2: 1.5})
    >>> ann
    Viewer(2 ratings)
    >>> parts = model.explain(ann, 7)
    >>> bool(abs(parts["contribution"].sum() - model.scores(ann)[6]) < 1e-4)
    True
    """

    user_ids: Ids
    catalog: Catalog
    scale: Scale
    mean: np.float32
    user_rows: NDArray[np.float32]
    item_rows: NDArray[np.float32]
    user_prior: NDArray[np.float32]
    genre_rows: NDArray[np.float32]
    regularization: float
    exponent: float
    rated: Rows
    trainer: Mapping[str, Any]
    history: pl.DataFrame
    about: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"FactorModel({self.trainer.get('name')}, {self.factors} factors, "
            f"{len(self.user_ids):,} viewers, {len(self.catalog):,} movies)"
        )

    # what it holds

    @property
    def factors(self) -> int:
        """Length of a vector."""
        return int(self.item_rows.shape[1]) - 1

    @property
    def items(self) -> pl.Series:
        """Ids of all movies, in the order of `scores` and of the rows of `item_factors`."""
        return self.catalog.ids.values

    @property
    def user_factors(self) -> NDArray[np.float32]:
        """(users, factors) float32, in the order of `user_ids`."""
        return self.user_rows[:, 1:]

    @property
    def item_factors(self) -> NDArray[np.float32]:
        """(items, factors) float32, in the order of `items`."""
        return self.item_rows[:, 1:]

    @property
    def user_biases(self) -> NDArray[np.float32]:
        """(users,) float32, in stars."""
        return self.user_rows[:, 0]

    @property
    def item_biases(self) -> NDArray[np.float32]:
        """(items,) float32, in stars."""
        return self.item_rows[:, 0]

    @cached_property
    def item_counts(self) -> NDArray[np.int64]:
        """Training ratings of each movie, (items,)."""
        return np.bincount(self.rated.indices, minlength=len(self.catalog))

    # finding people and movies

    def movie(self, wanted: Any) -> int:
        """The code of a movie from its id or its title; see `Catalog.find`."""
        return self.catalog.find(wanted, self.item_counts)

    def viewer(self, user: Any) -> Viewer:
        """The viewer with this id (or the `Viewer` itself).

        Raises
        ------
        UnknownIdError
            If there is no such id, or it has no rating in the training part.
        """
        if isinstance(user, Viewer):
            if not user.fits(1 + self.factors, len(self.catalog)):
                raise SettingError("This viewer was folded into another model.")
            return user
        code = viewer_code(self.user_ids, self.rated, user)
        first, last = self.rated.indptr[code : code + 2]
        return Viewer(
            self.user_rows[code], self.rated.indices[first:last], self.rated.values[first:last]
        )

    # predicting

    def predict(self, users: Any, items: Any, *, unknown: str = "error") -> NDArray[np.float32]:
        """Stars for pairs of a viewer and a movie.

        Parameters
        ----------
        users, items : sequences of ids of the same length, or one id (or `Viewer`) for all
            A movie may be given by its title where unknown ones are errors.
        unknown : {"error", "average"}
            What to do about ids the training part does not have: refuse, or take the average
            viewer, the average movie. (A movie of the catalogue that nobody rated is known by
            its genres.)

        Returns
        -------
        float32 (n,)
            On the scale.

        Raises
        ------
        UnknownIdError, SettingError
        """
        if unknown not in ("error", "average"):
            raise SettingError(f"unknown is 'error' or 'average', not {unknown!r}.")
        if isinstance(users, Viewer):
            codes = [self.movie(one) for one in as_many(items)]
            return self._on_scale(self.scores(users)[codes])
        asked_users, asked_items = as_many(users), as_many(items)
        length = max(len(asked_users), len(asked_items))
        if {len(asked_users), len(asked_items)} - {1, length}:
            raise SettingError(
                f"{len(asked_users)} viewers do not pair with {len(asked_items)} movies."
            )
        user = viewer_codes(self.user_ids, self.rated, asked_users, unknown)
        item = self.catalog.ids.codes(asked_items)
        if unknown == "error":  # a title is found, all else raises
            for at in np.flatnonzero(item < 0):
                item[at] = self.movie(asked_items[at])
        user, item = (np.ascontiguousarray(np.broadcast_to(c, length)) for c in (user, item))
        stars = np.empty(length, np.float32)
        run_blocks(
            predict_pairs,
            equal_blocks(np.arange(length + 1)),
            user,
            item,
            self.mean,
            self.user_rows,
            self.item_rows,
            self.user_prior,
            self.genre_rows[0],
            stars,
        )
        return self._on_scale(stars)

    def scores(self, user: Any) -> NDArray[np.float32]:
        """Score of every movie for one viewer, in the order of `items`, not clipped."""
        scores = np.empty(len(self.catalog), np.float32)
        score_items(self.mean, self.viewer(user).row, self.item_rows, scores)
        return scores

    # recommending

    def recommend(
        self,
        user: Any = None,
        n: int = 10,
        *,
        exclude_seen: bool = True,
        include: Any = None,
        exclude: Any = None,
        genres: Any = None,
        years: tuple[int, int] | None = None,
        min_ratings: int = 0,
        threads: int | None = None,
    ) -> pl.DataFrame:
        """The best n movies for one viewer, for several, or for all.

        Parameters
        ----------
        user : id, Viewer, sequence of them, or None for all viewers with ratings
        n : int
            Fewer are listed where fewer are allowed.
        exclude_seen : bool
            Leave out what the viewer has rated.
        include, exclude : id or title, or several
            List only these; never list these.
        genres : str or several
            List only movies with at least one of these genres.
        years : (first, last)
            List only movies from these years; one without a year is left out.
        min_ratings : int
            List only movies with so many training ratings. By default even a movie without any
            may be listed, on the strength of its genres.
        threads : int, optional
            By default all processors; lists are the same for any number.

        Returns
        -------
        polars.DataFrame
            Columns `item`, `title`, `genres`, `stars` (the prediction, on the scale) and `score`
            (what the list is ranked by; ties go by id), best first; for several viewers, `user`
            stands in front (of a `Viewer`, the place in the list).

        Raises
        ------
        UnknownIdError, SettingError
            For an unknown viewer, movie or genre, or a setting that makes no sense.
        """
        if n < 1:
            raise SettingError(f"n is at least 1, not {n}.")
        allowed = allowed_items(
            self.catalog,
            None if include is None else [self.movie(one) for one in as_many(include)],
            [] if exclude is None else [self.movie(one) for one in as_many(exclude)],
            [] if genres is None else as_many(genres),
            years,
        )
        allowed &= self.item_counts >= min_ratings
        labels, rows, seen = self._audience(user)
        indptr = seen.indptr if exclude_seen else np.zeros_like(seen.indptr)
        codes, scores = best_lists(
            self.mean, rows, self.item_rows, allowed, indptr, seen.indices, n, threads
        )
        who, place = np.nonzero(codes >= 0)
        score = scores[who, place]
        found = self.catalog.rows(codes[who, place]).with_columns(
            stars=pl.Series(self._on_scale(score)), score=pl.Series(score)
        )
        if user is not None and is_one(user):
            return found
        return found.insert_column(0, labels[who])

    def similar(self, movie: Any, n: int = 10, *, measure: str = "cosine") -> pl.DataFrame:
        """The n movies whose factors are most like those of a movie.

        Parameters
        ----------
        movie : id or title
        n : int
        measure : {"cosine", "dot"}
            The angle between the vectors, or their dot product, which long vectors (movies that
            divide opinions) win.

        Returns
        -------
        polars.DataFrame
            Columns `item`, `title`, `genres`, `similarity`, `ratings` (how many the movie has in
            training), the most alike first. Movies with fewer than ten ratings come after all
            others, for their vectors say more of their genres than of themselves; movies
            without ratings are left out.

        Raises
        ------
        UnknownIdError, SettingError
            For an unknown movie or measure, or a model without factors.
        """
        if measure not in ("cosine", "dot"):
            raise SettingError(f"measure is 'cosine' or 'dot', not {measure!r}.")
        if n < 1:
            raise SettingError(f"n is at least 1, not {n}.")
        if self.factors == 0:
            raise SettingError("A model without factors cannot tell which movies are alike.")
        code = self.movie(movie)
        likeness, codes = most_alike(self.item_factors, self.item_counts, code, n, measure)
        return self.catalog.rows(codes).with_columns(
            similarity=pl.Series(likeness[codes], dtype=pl.Float32),
            ratings=pl.Series(self.item_counts[codes]),
        )

    # somebody new, and why

    def fold_in(self, ratings: Any) -> Viewer:
        """Somebody new from a handful of ratings, without retraining.

        The row is the one that training would have solved for them with everything else as it
        is: for a viewer of the training part, their own.

        Parameters
        ----------
        ratings : dict of id or title to stars, or pairs of them

        Raises
        ------
        UnknownIdError, SettingError
            For an unknown movie, one rated twice, or stars off the scale.
        """
        pairs = list(ratings.items() if isinstance(ratings, Mapping) else ratings)
        codes = np.array([self.movie(movie) for movie, _ in pairs], np.int32)
        stars = np.array([given for _, given in pairs], np.float32)
        order = np.argsort(codes, kind="stable")
        codes, stars = codes[order], stars[order]
        check_ratings(self.catalog, self.scale, codes, stars)
        settings = self.regularization, self.exponent
        return solve_viewer(codes, stars, self.mean, self.item_rows, self.user_prior, *settings)

    def explain(self, user: Any, movie: Any) -> pl.DataFrame:
        """Where the score of a movie comes from, in parts that add up to it.

        Parameters
        ----------
        user : id or Viewer
        movie : id or title

        Returns
        -------
        polars.DataFrame
            Columns `part`, `item`, `title`, `stars` (what the viewer gave) and `contribution` (in
            stars). First ``"mean"``, ``"movie"`` (how the movie is liked in general) and
            ``"prior"`` (how viewers lean towards movies of its kind), then a
            ``"rating"`` for each movie the viewer rated, the weightiest first.

        Raises
        ------
        UnknownIdError
        """
        viewer, item = self.viewer(user), self.movie(movie)
        penalty = self.regularization * max(1, len(viewer.items)) ** self.exponent
        from_prior, from_ratings = contributions(
            viewer, self.mean, self.item_rows, item, self.user_prior, penalty
        )
        general = (float(self.mean), float(self.item_biases[item]), from_prior)
        return parts_of_a_score(self.catalog, viewer, general, from_ratings)

    def save(self, run: str | Path) -> Path:
        """Write the model to a run folder, whole or not at all; see `matinee.models.runs`."""
        from matinee.models.runs import save

        return save(self, Path(run))

    def _audience(self, user: Any) -> tuple[pl.Series, NDArray[np.float32], Rows]:
        """Who lists are for: what to call each, their rows, and what they have rated."""
        asked = [] if user is None else as_many(user)
        if any(isinstance(one, Viewer) for one in asked):
            viewers = [self.viewer(one) for one in asked]
            labels = pl.Series("user", range(len(viewers)))  # they have no ids
            return labels, np.array([viewer.row for viewer in viewers]), join_rated(viewers)
        if user is None:
            codes = np.flatnonzero(np.diff(self.rated.indptr)).astype(np.int32)
        else:
            codes = viewer_codes(self.user_ids, self.rated, asked, "error")
        labels = self.user_ids.values[codes].alias("user")
        return labels, self.user_rows[codes], take_rows(self.rated, codes)

    def _on_scale(self, stars: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip(stars, self.scale.low, self.scale.high).astype(np.float32)
