"""A trained model: what it predicts, recommends, and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from matinee._html import html_block, html_table
from matinee._types import F32, I64
from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap, is_scalar
from matinee.data.ratings import RatingScale
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.kernels.parallel import thread_limit
from matinee.models.blended_head import BlendedHead
from matinee.models.head import Head, ProbabilisticHead, RatingHead, components_table, fitted_params
from matinee.models.queries import Pairs, TrainingIndex, UserBatch, UserProfile
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.rating_head import FactorRatingHead
from matinee.models.reranking import CANDIDATES, calibrated, check_dial, discovery_offsets
from matinee.models.topk import MIN_RATINGS, allowed_items, most_similar, top_items
from matinee.storage.runs import RunParts, write_run

if TYPE_CHECKING:
    from matinee.models.bayesian.predictive import Predictive

HEADS = ("ranking", "rating")


@dataclass(frozen=True, eq=False)
class Recommender:
    """What was learned from ratings, and everything one can ask of it.

    A recommender has a rating head, which predicts ratings, a ranking head, which knows what a
    user would watch, or both (`with_ranking`). Lists are in the order of both heads where both are
    factorizations, else of the ranking head if there is one; ``head="ranking"`` and
    ``head="rating"`` ask one alone.

    Parameters
    ----------
    index : TrainingIndex
        Ids, titles, the scale, and the training ratings by user.
    rating_head, ranking_head : Head or None
    metadata : dict
        What a run keeps beside the model: data, split, metrics, environment.

    Examples
    --------
    >>> model = matinee.ALS(factors=4, iterations=3).fit(data)
    >>> model = model.with_ranking(matinee.ImplicitALS(factors=8).fit(data))
    >>> model
    Recommender(ALS and ImplicitALS, 60 users, 50 items)
    >>> model.predict([1, 1, 999], [7, 8, 7], unknown="average").shape
    (3,)
    >>> model.recommend(1, n=3, genres="Comedy").columns
    ['item_id', 'title', 'genres', 'predicted_rating', 'score']
    >>> model.similar_items(data.catalog.titles[0], n=3).columns
    ['item_id', 'title', 'genres', 'similarity', 'n_ratings']
    >>> ann = model.fold_in({data.catalog.titles[0]: 5, 2: 1.5})
    >>> ann
    UserProfile(2 ratings)
    >>> components = model.explain(ann, 7, head="rating")
    >>> bool(abs(components["contribution"].sum() - model.scores(ann, head="rating")[6]) < 1e-4)
    True
    """

    index: TrainingIndex
    rating_head: RatingHead | None = None
    ranking_head: Head | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        names = " and ".join(str(head.estimator.get("name")) for head in self.heads.values())
        return f"Recommender({names}, {len(self.user_ids):,} users, {len(self.items):,} items)"

    def _repr_html_(self) -> str:
        tables = [
            html_table(None, fitted_params(head).items(), caption=f"{name} head")
            for name, head in self.heads.items()
        ]
        metrics = self.metadata.get("metrics", {})
        shown = [(name, metrics[name]) for name in ("rmse", "mae") if name in metrics]
        if shown:
            tables.append(html_table(None, shown, caption="test set"))
        return html_block(repr(self), *tables)

    @property
    def heads(self) -> dict[str, Head]:
        """The heads there are: ``"rating"``, ``"ranking"`` or both."""
        both: dict[str, Head | None] = {"rating": self.rating_head, "ranking": self.ranking_head}
        return {name: head for name, head in both.items() if head is not None}

    def head(self, head: str | None = None) -> Head:
        """The head of this name, or the one that makes lists; SettingError if there is none."""
        if head is None:
            if self._blended is not None:
                return self._blended
            head = "ranking" if self.ranking_head else "rating"
        if head not in HEADS:
            raise SettingError(f"head must be 'ranking' or 'rating', got {head!r}.")
        if head not in self.heads:
            raise SettingError(f"This model has no {head} head; train one with it.")
        return self.heads[head]

    @cached_property
    def _blended(self) -> BlendedHead | None:
        ranking, rating = self.ranking_head, self.rating_head
        if isinstance(ranking, FactorRankingHead) and isinstance(rating, FactorRatingHead):
            return BlendedHead.of(ranking, rating, self.interactions)
        return None

    @property
    def user_ids(self) -> IdMap:
        """All users of the data set that it was trained on."""
        return self.index.user_ids

    @property
    def catalog(self) -> Catalog:
        """All items of that data set: ids, titles, years, genres."""
        return self.index.catalog

    @property
    def scale(self) -> RatingScale | None:
        """The scale of ratings; None if it was trained on interactions without ratings."""
        return self.index.scale

    @property
    def interactions(self) -> Rows:
        """The training ratings by user."""
        return self.index.interactions

    @property
    def items(self) -> pl.Series:
        """Ids of all items, in the order of `scores`."""
        return self.catalog.ids.values

    @property
    def item_counts(self) -> I64:
        """Training ratings of each item, (items,)."""
        return self.index.item_counts

    def item_factors(self, head: str | None = None) -> F32:
        """Item factors without biases, float32 (items, factors); SettingError if there are none.

        By default those of the rating head if it has any, else of the ranking head.
        """
        for source in [self.head(head)] if head else self.heads.values():
            if source.item_factors is not None:
                return source.item_factors
        raise SettingError("A model without factors cannot tell which items are similar.")

    def with_ranking(self, other: "Recommender") -> "Recommender":
        """This model with the ranking head of another one that was trained on the same data."""
        if not self.index.same_as(other.index):
            raise SettingError("The two models were trained on other users, items or ratings.")
        return replace(self, ranking_head=other.head("ranking"))

    @property
    def history(self) -> pl.DataFrame:
        """A row for each head and iteration: `head`, `iteration`, losses and errors, seconds."""
        histories = [
            head.history.select(pl.lit(name).alias("head"), pl.all())
            for name, head in self.heads.items()
            if head.history.height
        ]
        return pl.concat(histories, how="diagonal") if histories else pl.DataFrame()

    def item_index(self, item: Any) -> int:
        """The place of an item in `items`, from its id or its title; see `Catalog.find`."""
        return self.index.item(item)

    def user_profile(self, user: Any) -> UserProfile:
        """The training ratings of a user; UnknownIdError if there are none."""
        return self.index.profile(user)

    def user_batch(self, users: Any = None) -> UserBatch:
        """One user or several, by id or as `UserProfile`, or all with ratings (None)."""
        return self.index.batch(users)

    def predict(
        self,
        users: Any,
        items: Any,
        timestamps: Any = None,
        *,
        interval: float | None = None,
        unknown: str = "error",
    ) -> Any:
        """Predicted ratings of pairs of a user and an item, on the scale.

        UnknownIdError for an id that is unknown; SettingError for arguments that make no sense.

        Parameters
        ----------
        users, items : sequences of ids of the same length, or one id (or `UserProfile`) for all
            An item may be given by its title where unknown ones are errors.
        timestamps : int or sequence of int, optional
            When the ratings are given, in Unix seconds. Only `BayesianMF` knows of time; a date
            that its training never saw counts as the one before it, none as no particular date.
        interval : float, optional
            Also return the range in which the rating lies with this probability, such as 0.9.
        unknown : {"error", "average"}
            Whether an id that the training set does not have is an error, or counts as the
            average user or item. (An item that has no ratings is known by its genres.)

        Returns
        -------
        float32 (n,), or with `interval` a pair of that and float32 (n, 2)
        """
        if self.rating_head is None:
            raise SettingError("This model has no rating head, so it predicts no ratings.")
        pairs = self.index.pairs(users, items, timestamps, unknown)
        if interval is not None:
            predictive = self._predictive(pairs)
            limits = predictive.interval(interval)
            return self.index.on_scale(predictive.mean()), self.index.on_scale(limits)
        if pairs.profile is None:
            return self.index.on_scale(
                self.rating_head.pairs(pairs.users, pairs.items, pairs.times)
            )
        first = np.zeros(len(pairs.items), np.intp)
        return self.index.on_scale(self.rating_head.listed(pairs.profile, first, pairs.items))

    def predict_proba(
        self, users: Any, items: Any, timestamps: Any = None, *, unknown: str = "error"
    ) -> pl.DataFrame:
        """The probability of each rating there is, for pairs of a user and an item.

        Arguments and errors as in `predict`; for models that know it (`BayesianMF`).

        Returns
        -------
        polars.DataFrame
            A row for each pair, a column for each level of the ratings, ascending.
        """
        predictive = self._predictive(self.index.pairs(users, items, timestamps, unknown))
        levels = predictive.levels.astype(np.float32)  # all digits: a rating may be any number
        names = [np.format_float_positional(level, trim="-") for level in levels]
        return pl.DataFrame(predictive.distribution().astype(np.float32), schema=names)

    def _predictive(self, pairs: Pairs) -> "Predictive":
        head = self.rating_head
        if not isinstance(head, ProbabilisticHead):
            raise SettingError(
                "This model predicts a rating and no range around it; train one with BayesianMF "
                "(matinee train DATASET --model bayes)."
            )
        if pairs.profile is None:
            return head.predictive(pairs.users, pairs.items, pairs.times)
        return head.predictive_of(pairs.profile, np.zeros(len(pairs.items), np.intp), pairs.items)

    def scores(self, user: Any, *, head: str | None = None, threads: int | None = None) -> F32:
        """What lists are ranked by, for every item in the order of `items`.

        Parameters
        ----------
        user : id, UserProfile, or sequence of them
        head : {"ranking", "rating"}, optional
            By default what lists are made by. Ratings are not clipped here.

        Returns
        -------
        float32 (items,), or (users, items) for several users
        """
        with thread_limit(threads):
            scores = self.head(head).scores(self.user_batch(user))
        return scores[0] if is_scalar(user) else scores

    def recommend(
        self,
        user: Any = None,
        n: int = 10,
        *,
        head: str | None = None,
        discover: float = 0.0,
        diverse: float = 0.0,
        exclude_seen: bool = True,
        include: Any = None,
        exclude: Any = None,
        genres: Any = None,
        years: tuple[int, int] | None = None,
        min_ratings: int = 0,
        threads: int | None = None,
    ) -> pl.DataFrame:
        """The best n items for one user, for several, or for all.

        UnknownIdError for an unknown user or item; SettingError for an unknown genre, or an
        argument that makes no sense.

        Parameters
        ----------
        user : id, UserProfile, sequence of them, or None for all users with ratings
        n : int
            Fewer are listed where fewer are allowed.
        head : {"ranking", "rating"}, optional
            Rank by the ranking head alone, or by predicted rating, which obscure items win; by
            default by both heads.
        discover : float
            From 0, what the user would like best of all, to 1, what few others know.
        diverse : float
            From 0 to 1: how far the genres of a list should have the proportions that they have
            in what the user rated well (`matinee.models.reranking`).
        exclude_seen : bool
            Leave out what the user has rated.
        include, exclude : id or title, or several
            List only these; never list these.
        genres : str or several
            List only items with at least one of these genres.
        years : (first, last)
            List only items from these years; one without a year is left out.
        min_ratings : int
            List only items with so many training ratings; by default even an item without any.
        threads : int, optional
            By default all processors; lists are the same for any number.

        Returns
        -------
        polars.DataFrame
            Columns `item_id`, `title`, `genres`, `predicted_rating` (on the scale; missing
            without a rating head) and `score` (what the list is ranked by; ties go by id), best
            first unless `diverse`; for several users, `user_id` stands in front (for a
            `UserProfile`, its place).
        """
        if n < 1:
            raise SettingError(f"n must be >= 1, got {n}.")
        check_dial("discover", discover)
        check_dial("diverse", diverse)
        ranker = self.head(head)
        allowed = allowed_items(self.index, include, exclude, genres, years, min_ratings)
        batch = self.user_batch(user)
        with thread_limit(threads):
            offsets = discovery_offsets(ranker, self.index, discover) if discover else None
            longer = n * CANDIDATES if diverse else n
            codes, scores = top_items(ranker, batch, allowed, exclude_seen, longer, offsets)
        if diverse:
            genre_matrix = self.catalog.genre_matrix
            codes, scores = calibrated(codes, scores, batch.interactions, genre_matrix, n, diverse)
        row, rank = np.nonzero(codes >= 0)
        items, score = codes[row, rank], scores[row, rank]
        columns = [pl.Series("score", score)]
        if self.rating_head is not None:
            same = ranker is self.rating_head and not discover
            ratings = score if same else self.rating_head.listed(batch, row, items)
            columns.insert(0, pl.Series("predicted_rating", self.index.on_scale(ratings)))
        lists = self.catalog.rows(items).hstack(columns)
        if user is not None and is_scalar(user):
            return lists
        has_new = (batch.codes < 0).any()  # a new user has no id
        labels = pl.Series(range(len(batch))) if has_new else self.user_ids.values[batch.codes]
        return lists.insert_column(0, labels[row].alias("user_id"))

    def similar_items(
        self,
        item: Any,
        n: int = 10,
        *,
        measure: str = "cosine",
        head: str | None = None,
        min_ratings: int = MIN_RATINGS,
    ) -> pl.DataFrame:
        """The n items whose factors are most similar to those of an item.

        UnknownIdError for an unknown item; SettingError for an unknown measure, or a model
        without factors.

        Parameters
        ----------
        item : id or title
        n : int
        measure : {"cosine", "dot"}
            The cosine of the angle between the factors, or their dot product, which favours long
            ones: items that divide opinions, or that many watch.
        head : {"ranking", "rating"}, optional
            Similar in who watches them, or in how they are rated. By default the rating head if it
            has factors: who watched one film of a year often watched another, however different.
        min_ratings : int
            Items with fewer training ratings come last: their factors are mostly their genres'.

        Returns
        -------
        polars.DataFrame
            Columns `item_id`, `title`, `genres`, `similarity`, `n_ratings` (in training), the most
            similar first; items without ratings are left out.
        """
        if measure not in ("cosine", "dot"):
            raise SettingError(f"measure must be 'cosine' or 'dot', got {measure!r}.")
        if n < 1:
            raise SettingError(f"n must be >= 1, got {n}.")
        factors, index = self.item_factors(head), self.item_index(item)
        similarity, codes = most_similar(factors, self.item_counts, index, n, measure, min_ratings)
        return self.catalog.rows(codes).with_columns(
            similarity=pl.Series(similarity[codes], dtype=pl.Float32),
            n_ratings=pl.Series(self.item_counts[codes]),
        )

    def fold_in(self, ratings: Any) -> UserProfile:
        """A new user from a handful of ratings, without retraining.

        Wherever the profile is passed, each head solves what training would have solved for this
        user with everything else as it is: for a training user, that gives their own factors.

        UnknownIdError for an unknown item; SettingError for one that is rated twice, or
        a rating off the scale.

        Parameters
        ----------
        ratings : dict of id or title to rating, or pairs of them
        """
        return self.index.fold_in(ratings)

    def explain(self, user: Any, item: Any, *, head: str | None = None) -> pl.DataFrame:
        """Where the score of an item comes from, in components that add up to it.

        UnknownIdError for an unknown user or item.

        Parameters
        ----------
        user : id or UserProfile
        item : id or title
        head : {"ranking", "rating"}, optional
            Why it is on the list, or why this rating is predicted. By default the ranking head if
            there is one.

        Returns
        -------
        polars.DataFrame
            Columns `component`, `item_id`, `title`, `rating` (the user's) and `contribution` (in
            the unit of `scores`). First what comes from no rating: ``"global_mean"``,
            ``"item_bias"``, ``"prior"`` ... (`COMPONENT_LABELS`). Then a ``"rating"`` for each item
            that the user rated, the largest contribution first.
        """
        batch = self.user_batch([user])
        general, from_ratings = self.head(head).contributions(batch, self.item_index(item))
        return components_table(self.catalog, batch, general, from_ratings)

    def save(self, run: str | Path) -> Path:
        """Write the model to a run folder, whole or not at all; see `matinee.storage.runs`."""
        return write_run(self.to_parts(), Path(run))

    def to_parts(self) -> RunParts:
        """What the files of its run hold."""
        from matinee.models.serialization import run_parts  # which knows every kind of head

        return run_parts(self.index, self.heads, self.history, self.metadata)
