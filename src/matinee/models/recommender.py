"""A trained model: what it predicts, recommends, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I64, Floats
from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap, as_many, is_one
from matinee.data.ratings import RatingScale
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.models.head import Head, ProbabilisticHead, RatingHead
from matinee.models.queries import (
    Pairs,
    UserBatch,
    UserProfile,
    find_batch,
    find_profile,
    new_profile,
    pairs_of,
)
from matinee.models.topk import MIN_RATINGS, allowed_items, best_lists, most_alike

if TYPE_CHECKING:
    from matinee.models.bayesian.predictive import Predictive

HEADS = ("ranking", "rating")


@dataclass(frozen=True, eq=False)
class Recommender:
    """What was learned from ratings, and everything one can ask of it.

    A model has a rating head, which predicts stars, a ranking head, which knows what a user
    would watch, or both (`with_ranking`). Lists are made by the ranking head if there is one;
    ``head="rating"`` asks the rating head. `Bias` and `ALS` make the one, `ImplicitALS`,
    `Popularity` and `EASE` the other.

    Parameters
    ----------
    user_ids : IdMap
        All users of the training codes; one without training ratings counts as unknown.
    catalog : Catalog
        All movies; one without ratings is known by its genres.
    scale : RatingScale
    interactions : Rows
        The training ratings by user.
    rating_head : RatingHead or None
    ranking_head : Head or None
    metadata : dict
        What a run notes beside the model: data, split, metrics.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> model = matinee.ALS(factors=4, iterations=3).fit(data)
    >>> model = model.with_ranking(matinee.ImplicitALS(factors=8).fit(data))
    >>> model
    Recommender(ALS and ImplicitALS, 60 users, 50 movies)
    >>> model.predict([1, 1, 999], [7, 8, 7], unknown="average").shape
    (3,)
    >>> model.recommend([1, 2], n=3, genres="Comedy").height
    6
    >>> model.similar_items(data.catalog.titles[0], n=3).columns
    ['item_id', 'title', 'genres', 'similarity', 'ratings']
    >>> ann = model.fold_in({data.catalog.titles[0]: 5, 2: 1.5})
    >>> ann
    UserProfile(2 ratings)
    >>> parts = model.explain(ann, 7, head="rating")
    >>> bool(abs(parts["contribution"].sum() - model.scores(ann, head="rating")[6]) < 1e-4)
    True
    """

    user_ids: IdMap
    catalog: Catalog
    scale: RatingScale
    interactions: Rows
    rating_head: RatingHead | None = None
    ranking_head: Head | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        names = " and ".join(str(head.estimator.get("name")) for head in self.heads.values())
        return f"Recommender({names}, {len(self.user_ids):,} users, {len(self.catalog):,} movies)"

    # what it holds

    @property
    def heads(self) -> dict[str, Head]:
        """The heads there are, by the name of their field."""
        both: dict[str, Head | None] = {"rating": self.rating_head, "ranking": self.ranking_head}
        return {name: head for name, head in both.items() if head is not None}

    def head(self, head: str | None = None) -> Head:
        """The head behind ``head="ranking"`` or ``head="rating"``; None: what lists are made by.

        Raises
        ------
        SettingError
            If the model has no such head.
        """
        if head is None:
            head = "ranking" if self.ranking_head else "rating"
        if head not in HEADS:
            raise SettingError(f"head must be 'ranking' or 'rating', got {head!r}.")
        found = self.heads.get(head)
        if found is None:
            raise SettingError(f"This model has no {head} head; train one with it.")
        return found

    def item_factors(self, head: str | None = None) -> F32:
        """What movies are compared by, float32 (items, width).

        Parameters
        ----------
        head : {"ranking", "rating"}, optional
            Whose; by default the rating head's if it has any.

        Raises
        ------
        SettingError
            If there are none.
        """
        for chosen in [self.head(head)] if head else self.heads.values():
            if chosen.item_factors is not None:
                return chosen.item_factors
        raise SettingError("A model without factors cannot tell which movies are alike.")

    def with_ranking(self, other: "Recommender") -> "Recommender":
        """This model with the ranking head of another one, trained on the same data."""
        same = self.user_ids.values.equals(other.user_ids.values) and self.items.equals(other.items)
        mine, theirs = self.interactions, other.interactions
        if not (same and all(np.array_equal(mine[part], theirs[part]) for part in range(3))):
            raise SettingError("The two models were trained on other users, movies or ratings.")
        return replace(self, ranking_head=other.head("ranking"))

    @property
    def items(self) -> pl.Series:
        """Ids of all movies, in the order of `scores`."""
        return self.catalog.ids.values

    @cached_property
    def item_counts(self) -> I64:
        """Training ratings of each movie, (items,)."""
        return np.bincount(self.interactions.indices, minlength=len(self.catalog))

    @property
    def history(self) -> pl.DataFrame:
        """One row per head and iteration: `head`, `iteration`, losses and errors, seconds."""
        parts = [
            head.history.select(pl.lit(name).alias("head"), pl.all())
            for name, head in self.heads.items()
            if head.history.height
        ]
        return pl.concat(parts, how="diagonal") if parts else pl.DataFrame()

    # finding people and movies

    def item(self, wanted: Any) -> int:
        """The code of a movie from its id or its title; see `Catalog.find`."""
        return self.catalog.find(wanted, self.item_counts)

    def user(self, user: Any) -> UserProfile:
        """The ratings of the user with this id (or the `UserProfile` itself).

        Raises
        ------
        UnknownIdError
            If there is no such id, or it has no rating in the training part.
        """
        return find_profile(self.user_ids, self.interactions, user)

    def user_batch(self, user: Any = None) -> UserBatch:
        """One user or several, by id or as `UserProfile`, or all with ratings (None)."""
        return find_batch(self.user_ids, self.interactions, len(self.catalog), user)

    # predicting

    def predict(
        self,
        users: Any,
        items: Any,
        timestamps: Any = None,
        *,
        interval: float | None = None,
        unknown: str = "error",
    ) -> Any:
        """Stars for pairs of a user and a movie.

        Parameters
        ----------
        users, items : sequences of ids of the same length, or one id (or `UserProfile`) for all
            A movie may be given by its title where unknown ones are errors.
        timestamps : int or sequence of int, optional
            Unix seconds: when the stars are given. Only `BayesianMF` knows of time; a date its
            training never saw counts as the one before it, none at all as no date in particular.
        interval : float, optional
            Give the range as well in which the stars lie with this probability, such as 0.9.
        unknown : {"error", "average"}
            What to do about ids the training part does not have: refuse, or take the average
            user, the average movie. (A movie of the catalogue that nobody rated is known by
            its genres.)

        Returns
        -------
        float32 (n,), or with `interval` a pair of that and float32 (n, 2)
            On the scale.

        Raises
        ------
        UnknownIdError, SettingError
        """
        if self.rating_head is None:
            raise SettingError("This model has no rating head, so it predicts no stars.")
        pairs = pairs_of(self, users, items, timestamps, unknown)
        if interval is not None:
            found = predictive_of_pairs(self.rating_head, pairs)
            return self._on_scale(found.values()), self._on_scale(found.interval(interval))
        return self._on_scale(rating_of_pairs(self.rating_head, pairs))

    def predict_proba(
        self, users: Any, items: Any, timestamps: Any = None, *, unknown: str = "error"
    ) -> pl.DataFrame:
        """How probable each number of stars is, for pairs of a user and a movie.

        Parameters as in `predict`; for models that know it (`BayesianMF`).

        Returns
        -------
        polars.DataFrame
            A row for each pair, a column for each number of stars there is, ascending.

        Raises
        ------
        UnknownIdError, SettingError
        """
        found = predictive_of_pairs(
            self.rating_head, pairs_of(self, users, items, timestamps, unknown)
        )
        levels = found.levels.astype(np.float32)  # all their digits: stars may be any numbers
        names = [np.format_float_positional(value, trim="-") for value in levels]
        return pl.DataFrame(found.distribution().astype(np.float32), schema=names)

    def scores(self, user: Any, *, head: str | None = None, threads: int | None = None) -> F32:
        """What lists are ranked by, for every movie in the order of `items`.

        Parameters
        ----------
        user : id, UserProfile, or sequence of them
        head : {"ranking", "rating"}, optional
            By default the ranking head if there is one. Stars are not clipped here.

        Returns
        -------
        float32 (items,), or (users, items) for several
        """
        scores = self.head(head).scores(self.user_batch(user), threads)
        return scores[0] if is_one(user) else scores

    # recommending

    def recommend(
        self,
        user: Any = None,
        n: int = 10,
        *,
        head: str | None = None,
        exclude_seen: bool = True,
        include: Any = None,
        exclude: Any = None,
        genres: Any = None,
        years: tuple[int, int] | None = None,
        min_ratings: int = 0,
        threads: int | None = None,
    ) -> pl.DataFrame:
        """The best n movies for one user, for several, or for all.

        Parameters
        ----------
        user : id, UserProfile, sequence of them, or None for all users with ratings
        n : int
            Fewer are listed where fewer are allowed.
        head : {"ranking", "rating"}, optional
            What to rank by: what they would watch, or how many stars they would give it, which
            obscure movies win. By default the ranking head if there is one.
        exclude_seen : bool
            Leave out what the user has rated.
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
            Columns `item`, `title`, `genres`, `values` (predicted, on the scale; missing without
            a rating head) and `score` (what the list is ranked by; ties go by id), best first;
            for several users, `user` stands in front (of a `UserProfile`, the place in the list).

        Raises
        ------
        UnknownIdError, SettingError
            For an unknown user, movie or genre, or a setting that makes no sense.
        """
        if n < 1:
            raise SettingError(f"n is at least 1, not {n}.")
        chosen = self.head(head)
        allowed = allowed_items(
            self.catalog,
            None if include is None else [self.item(one) for one in as_many(include)],
            [] if exclude is None else [self.item(one) for one in as_many(exclude)],
            [] if genres is None else as_many(genres),
            years,
        )
        if min_ratings > 0:
            allowed &= self.item_counts >= min_ratings
        user_batch = self.user_batch(user)
        codes, scores = best_lists(chosen, user_batch, allowed, exclude_seen, n, threads)
        who, place = np.nonzero(codes >= 0)
        listed, score = codes[who, place], scores[who, place]
        columns = [pl.Series("score", score)]
        if self.rating_head is not None:
            own = chosen is self.rating_head
            values = score if own else self.rating_head.listed(user_batch, who, listed)
            columns.insert(0, pl.Series("rating", self._on_scale(values)))
        found = self.catalog.rows(listed).hstack(columns)
        if user is not None and is_one(user):
            return found
        new = (user_batch.codes < 0).any()  # somebody new has no id
        labels = (
            pl.Series(range(len(user_batch))) if new else self.user_ids.values[user_batch.codes]
        )
        return found.insert_column(0, labels[who].alias("user_id"))

    def similar_items(
        self,
        item: Any,
        n: int = 10,
        *,
        measure: str = "cosine",
        head: str | None = None,
        min_ratings: int = MIN_RATINGS,
    ) -> pl.DataFrame:
        """The n movies whose vectors are most like those of a movie.

        Parameters
        ----------
        item : id or title
        n : int
        measure : {"cosine", "dot"}
            The angle between the vectors, or their dot product, which long vectors (movies that
            divide opinions, or that many watch) win.
        head : {"ranking", "rating"}, optional
            Whose vectors: alike in who watches them, or in how they are rated. By default the
            rating head's if it has any: people who watched the one film of a year often watched
            the other, however little the two have in common.
        min_ratings : int
            Movies with fewer training ratings come after all others: their vectors say more of
            their genres than of themselves.

        Returns
        -------
        polars.DataFrame
            Columns `item`, `title`, `genres`, `similarity`, `ratings` (how many the movie has in
            training), the most alike first; movies without ratings are left out.

        Raises
        ------
        UnknownIdError, SettingError
            For an unknown movie or measure, or a model without vectors.
        """
        if measure not in ("cosine", "dot"):
            raise SettingError(f"measure is 'cosine' or 'dot', not {measure!r}.")
        if n < 1:
            raise SettingError(f"n is at least 1, not {n}.")
        code = self.item(item)
        likeness, codes = most_alike(
            self.item_factors(head), self.item_counts, code, n, measure, min_ratings
        )
        return self.catalog.rows(codes).with_columns(
            similarity=pl.Series(likeness[codes], dtype=pl.Float32),
            ratings=pl.Series(self.item_counts[codes]),
        )

    # somebody new, and why

    def fold_in(self, ratings: Any) -> UserProfile:
        """Somebody new from a handful of ratings, without retraining.

        Wherever a `UserProfile` is passed, each head solves what training would have solved for them
        with everything else as it is: for a user of the training part, the same.

        Parameters
        ----------
        ratings : dict of id or title to stars, or pairs of them

        Raises
        ------
        UnknownIdError, SettingError
            For an unknown movie, one rated twice, or stars off the scale.
        """
        return new_profile(self.item, self.catalog, self.scale, ratings)

    def explain(self, user: Any, item: Any, *, head: str | None = None) -> pl.DataFrame:
        """Where the score of a movie comes from, in parts that add up to it.

        Parameters
        ----------
        user : id or UserProfile
        item : id or title
        head : {"ranking", "rating"}, optional
            Why it is on the list, or why so many stars. By default the ranking head if there is
            one.

        Returns
        -------
        polars.DataFrame
            Columns `part`, `item`, `title`, `values` (what the user gave) and `contribution` (in
            the unit of `scores`). First what is general: for stars ``"mean"``, ``"item"`` (how
            the movie is liked in general) and ``"prior"`` (how users lean towards movies of its
            kind). Then a ``"rating"`` for each movie the user rated, the weightiest first.

        Raises
        ------
        UnknownIdError
        """
        user_batch, code = self.user_batch([user]), self.item(item)
        general, from_ratings = self.head(head).contributions(user_batch, code)
        return parts_of_a_score(self.catalog, user_batch, general, from_ratings)

    def save(self, run: str | Path) -> Path:
        """Write the model to a run folder, whole or not at all; see `matinee.storage.runs`."""
        from matinee.storage.runs import save

        return save(self, Path(run))

    def _on_scale(self, values: Floats) -> F32:
        return np.asarray(np.clip(values, self.scale.low, self.scale.high), np.float32)


def rating_of_pairs(head: RatingHead, pairs: Pairs) -> F32:
    """Expected stars, not clipped."""
    if pairs.profile is None:
        return head.pairs(pairs.users, pairs.items, pairs.times)
    first = np.zeros(len(pairs.items), np.intp)
    return head.listed(pairs.profile, first, pairs.items)


def predictive_of_pairs(head: RatingHead | None, pairs: Pairs) -> "Predictive":
    """The distribution of stars; SettingError from heads that know none."""
    if not isinstance(head, ProbabilisticHead):
        raise SettingError(
            "This model knows one number of stars and no range; train one with BayesianMF "
            "(matinee train DATASET --model bayes)."
        )
    if pairs.profile is None:
        return head.predictive(pairs.users, pairs.items, pairs.times)
    first = np.zeros(len(pairs.items), np.intp)
    return head.predictive_of(pairs.profile, first, pairs.items)


PART_NAMES = {
    "rating": {
        "mean": "stars of an average movie",
        "item": "how this movie is liked",
        "prior": "how users like its kind",
        "training": "what training added beyond the ratings",
    },
    "ranking": {"item": "users who watched it", "prior": "how it suits the average user"},
}
"""The general parts of a score, for people: by the head's name, then the part's."""


def parts_of_a_score(
    catalog: Catalog,
    user_batch: UserBatch,
    general: dict[str, float],
    from_ratings: F64,
) -> pl.DataFrame:
    """General parts, then the ratings by weight, as `Recommender.explain` returns them.

    Parameters
    ----------
    catalog : Catalog
    user_batch : UserBatch
        Of one user.
    general : dict
        Part to contribution.
    from_ratings : float64 (n,)
        What each of the user's ratings adds, in their order.
    """
    order = np.argsort(-np.abs(from_ratings), kind="stable")
    interactions = catalog.rows(user_batch.interactions.indices[order]).select(
        part=pl.lit("rating"),
        item_id="item_id",
        title="title",
        values=pl.Series(user_batch.interactions.values[order]),
        contribution=pl.Series(from_ratings[order]),
    )
    first = pl.DataFrame(
        {"part": list(general), "contribution": list(general.values())},
        schema={"part": pl.String, "contribution": pl.Float64},
    )
    return pl.concat([first, interactions], how="diagonal").select(interactions.columns)
