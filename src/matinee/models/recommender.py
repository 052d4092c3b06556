"""A trained model: what it predicts, recommends, and why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from matinee._types import F32
from matinee.errors import SettingError, check_whole
from matinee.kernels.parallel import thread_limit
from matinee.models.head import EXTREME, ProbabilisticHead, components_table
from matinee.models.inputs import check_flag, is_one
from matinee.models.lists import ListOptions, best_users, labels, make_lists
from matinee.models.population import need_all_users
from matinee.models.profiles import UserProfile
from matinee.models.queries import Pairs
from matinee.models.similarity import (
    MIN_RATINGS,
    average_user,
    check_comparison,
    check_measure,
    most_similar,
    user_factors_of,
)
from matinee.models.topk import allowed_items
from matinee.models.trained import TrainedModel

if TYPE_CHECKING:
    from matinee.models.bayesian.predictive import Predictive


class Recommender(TrainedModel):
    """What was learned from ratings, and everything one can ask of it.

    A recommender has a rating head, which predicts ratings, a ranking head, which knows what a
    user would watch, or both (`with_ranking`). Lists are in the order of both heads where both are
    factorizations, else of the ranking head if there is one; ``head="ranking"`` and
    ``head="rating"`` ask one alone. Of a model that knows in which order things were watched
    (`NextItem`), ``head="next"`` lists what comes next, and the default order is ``"timely"``.

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
    >>> model.recommend(1, n=3, where={"genres": "Comedy"}).columns
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

    @EXTREME
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

    @EXTREME
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

    @EXTREME
    def scores(
        self, user: Any = None, *, head: str | None = None, threads: int | None = None
    ) -> F32:
        """What lists are ranked by, for every item in the order of `items`.

        Parameters
        ----------
        user : id, UserProfile, sequence of them, or None for all users with ratings
        head : {"timely", "both", "next", "ranking", "rating"}, optional
            By default what lists are made by. Ratings are not clipped here.

        Returns
        -------
        float32 (items,), or (users, items) for several users
        """
        with thread_limit(threads):
            scores = self.head(head).scores(self.user_batch(user))
        return scores[0] if user is not None and is_one(user) else scores

    @EXTREME
    def recommend(
        self,
        user: Any = None,
        n: int = 10,
        *,
        head: str | None = None,
        measure: str = "dot",
        discover: float = 0.0,
        diverse: float = 0.0,
        exclude_seen: bool = True,
        include: Any = None,
        exclude: Any = None,
        allow: Any = None,
        block: Any = None,
        where: Mapping[str, Any] | None = None,
        min_ratings: int = 0,
        threads: int | None = None,
    ) -> pl.DataFrame:
        """The best n items for one user, for several, or for all.

        UnknownIdError for an unknown user or item; SettingError for an unknown attribute or genre,
        or an argument that makes no sense.

        Parameters
        ----------
        user : id, UserProfile, sequence of them, or None for all users with ratings
        n : int
            Fewer are listed where fewer are allowed.
        head : {"timely", "both", "next", "ranking", "rating"}, optional
            Rank by both heads, by what comes next after what was watched last, by the ranking
            head alone, or by predicted rating, which obscure items win. By default by both heads,
            and where it makes lists better by what comes next and what is popular of late as well
            (``"timely"``).
        measure : {"dot", "cosine"}
            Rank by the scores of the head, which for factors are products; or by the cosine of the
            user's and the item's factors alone, by default those of the ranking head.
        discover : float
            From 0, what the user would like best of all, to 1, what few others know.
        diverse : float
            From 0 to 1: how far the genres of a list should have the proportions that they have
            in what the user rated well (`matinee.models.reranking`).
        exclude_seen : bool
            Leave out what the user has rated.
        include, exclude : id or title, or several
            List only these; never list these.
        allow, block : frame or list of pairs of a user and an item
            For single users: list only these for that user, and nothing for a user without a pair;
            never list these for that user. A frame has columns `user_id` and `item_id` (or
            `title`). Pairs of users who get no list do nothing.
        where : dict, optional
            List only items with these attributes: ``{"genres": ["Comedy", "Drama"], "year": (1990,
            None)}``, a text or several of which one is enough, a number, or ``(low, high)`` with
            None for an open end. Where an attribute is missing, the item is left out.
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
        check_measure(measure)
        allowed = allowed_items(self.index, include, exclude, where, min_ratings)
        options = ListOptions(n, discover, diverse, exclude_seen, allow, block)
        ranker = self.head(head) if measure == "dot" else self.by_cosine(head)
        batch = self.user_batch(user)
        with thread_limit(threads):
            lists = make_lists(self.index, ranker, batch, allowed, options)
        columns = [pl.Series("score", lists.scores)]
        if self.rating_head is not None:
            same = ranker is self.rating_head and not discover
            ratings = lists.scores
            if not same:
                ratings = self.rating_head.listed(batch, lists.users, lists.items)
            columns.insert(0, pl.Series("predicted_rating", self.index.on_scale(ratings)))
        table = self.catalog.rows(lists.items).hstack(columns)
        if user is not None and is_one(user):
            return table
        return table.insert_column(0, labels(self.index, batch)[lists.users].alias("user_id"))

    @EXTREME
    def recommend_users(
        self,
        item: Any,
        n: int = 10,
        *,
        head: str | None = None,
        exclude_seen: bool = True,
        threads: int | None = None,
    ) -> pl.DataFrame:
        """The n users to whom an item would be recommended most.

        Users are in the order of their scores of the item, which are comparable: those of the
        ranking head are near 1 for what a user would watch, whoever it is. By
        ``head="rating"`` users who rate everything high come first.

        UnknownIdError for an unknown item; SettingError for an argument that makes no sense.

        Parameters
        ----------
        item : id or title
        n : int
        head : {"timely", "both", "next", "ranking", "rating"}, optional
            By default what lists are made by.
        exclude_seen : bool
            Leave out the users who have rated it.
        threads : int, optional

        Returns
        -------
        polars.DataFrame
            Columns `user_id`, `predicted_rating` (missing without a rating head), `score` and
            `n_ratings` (of the user, in training), the highest score first.

        Examples
        --------
        >>> model.recommend_users(7, n=3).columns
        ['user_id', 'predicted_rating', 'score', 'n_ratings']
        """
        check_whole("n", n, 1)
        check_flag("exclude_seen", exclude_seen)
        code, ranker = self.item_index(item), self.head(head)
        with thread_limit(threads):
            batch, scores = best_users(self.index, ranker, code, n, exclude_seen)
        columns = [
            self.user_ids.values[batch.codes].alias("user_id"),
            pl.Series("score", scores),
            pl.Series("n_ratings", np.diff(batch.interactions.indptr)),
        ]
        if self.rating_head is not None:
            items = np.full(len(batch), code, np.int32)
            ratings = self.rating_head.listed(batch, np.arange(len(batch)), items)
            columns.insert(1, pl.Series("predicted_rating", self.index.on_scale(ratings)))
        return pl.DataFrame(columns)

    @EXTREME
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
        check_comparison(measure, n, min_ratings)
        code, factors = self.item_index(item), self.item_factors(head)
        similarity, codes = most_similar(
            factors, self.item_counts, factors[code], code, n, measure, min_ratings
        )
        return self.catalog.rows(codes).hstack(
            [
                pl.Series("similarity", similarity),
                pl.Series("n_ratings", self.item_counts[codes]),
            ]
        )

    @EXTREME
    def similar_users(
        self,
        user: Any,
        n: int = 10,
        *,
        measure: str = "cosine",
        head: str | None = None,
        min_ratings: int = MIN_RATINGS,
    ) -> pl.DataFrame:
        """The n training users whose factors are most similar to those of a user.

        Factors of users are compared as differences from those of the average user, for what all
        users share, such as the taste for popular items, would make them all alike.

        Arguments and errors are those of `similar_items`, but for the user, an id or a
        `UserProfile`; so are the columns, `user_id`, `similarity` and `n_ratings`.

        Examples
        --------
        >>> model.similar_users(1, n=3).columns
        ['user_id', 'similarity', 'n_ratings']
        """
        check_comparison(measure, n, min_ratings)
        need_all_users(self.index.population)
        batch, factors = self.user_batch([user]), self.user_factors(head)
        counts = self.user_counts
        average = average_user(factors, counts)
        source = self.orders[self.head_with("users", head)]
        own = user_factors_of(source, batch, factors.shape[1])[0] - average
        similarity, codes = most_similar(
            factors - average, counts, own, int(batch.codes[0]), n, measure, min_ratings
        )
        return pl.DataFrame(
            [
                self.user_ids.values[codes].alias("user_id"),
                pl.Series("similarity", similarity),
                pl.Series("n_ratings", counts[codes]),
            ]
        )

    def fold_in(
        self, ratings: Any = (), attributes: Mapping[str, Any] | None = None
    ) -> UserProfile:
        """A new user from a handful of ratings, or from what is known of them, without retraining.

        Wherever the profile is passed, each head solves what training would have solved for this
        user with everything else as it is: for a training user, that gives their own factors.

        UnknownIdError for an unknown item; SettingError for one that is named twice, a rating off
        the scale, or none where the model learned from ratings.

        Parameters
        ----------
        ratings : dict, pairs, frame, pandas.Series, or sequence of ids or titles
            In the order in which they were watched, the last one last: to `NextItem` it counts. A
            dict, or pairs, of id or title and rating; a frame with columns `item_id` or `title`
            and `rating`, or whose first two columns are these; a pandas series of ratings by title
            or id. Items without ratings are enough for a model that learned from interactions
            without them: each counts once.
        attributes : dict, optional
            What is known of the user, ``{"age": 30, "gender": "F"}``, by the names that the table
            of users had in training; what is left out counts as average. It moves the prior mean
            of factors, so it decides where there are no ratings, and matters little where there
            are many.

        Examples
        --------
        >>> model.fold_in(pl.DataFrame({"item_id": [1, 2], "rating": [5, 2]}))
        UserProfile(2 ratings)
        """
        return self.index.fold_in(ratings, attributes)

    @EXTREME
    def explain(self, user: Any, item: Any, *, head: str | None = None) -> pl.DataFrame:
        """Where the score of an item comes from, in components that add up to it.

        UnknownIdError for an unknown user or item.

        Parameters
        ----------
        user : id or UserProfile
        item : id or title
        head : {"timely", "both", "next", "ranking", "rating"}, optional
            Why it is on the list in this order, or why this rating is predicted. By default what
            lists are made by.

        Returns
        -------
        polars.DataFrame
            Columns `component`, `item_id`, `title`, `rating` (the user's) and `contribution` (in
            the unit of `scores`): what comes from no rating (`COMPONENT_LABELS`), then a
            ``"rating"`` for each item that the user rated, the largest contribution first.
        """
        batch = self.user_batch([user])
        code = np.array([self.item_index(item)])
        (general,), (from_ratings,) = self.head(head).contributions(batch, code)
        return components_table(self.catalog, batch, general, from_ratings)
