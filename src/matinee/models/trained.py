"""A trained model: its heads, and what it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from matinee._html import html_block, html_table
from matinee._types import F32, I64
from matinee.data.catalog import Catalog
from matinee.data.forks import check_threads
from matinee.data.id_map import IdMap
from matinee.data.ratings import RatingScale
from matinee.errors import SettingError, check_choice
from matinee.kernels.csr import Rows
from matinee.models.blended_head import BlendedHead
from matinee.models.cosine_head import CosineHead
from matinee.models.head import Head, RatingHead, fitted_params
from matinee.models.next_head import NextHead
from matinee.models.population import need_all_users
from matinee.models.profiles import UserBatch, UserProfile
from matinee.models.queries import TrainingIndex
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.rating_head import FactorRatingHead
from matinee.models.timely_head import TimelyHead
from matinee.storage.runs import RunParts, write_run

HEADS = ("timely", "both", "next", "rating", "ranking")
"""What `head` may name: the orders in which lists are made, and scores explained."""
MISSING = {
    "next": "This model does not know what comes next; train one with NextItem (--ranker next).",
    "timely": "What comes next makes no list of this model better, or it was not trained with "
    "NextItem (--ranker next).",
    "both": "This model has not both a rating and a ranking head of factors.",
}
SILENT = 1e-6  # factors that are all smaller say nothing


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What a `Recommender` holds, and answers from."""

    index: TrainingIndex
    rating_head: RatingHead | None = None
    ranking_head: Head | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # what polars makes by threads is made now: a process that is forked later has none of them
        _ = self.index.users_known, self.catalog.noun, self.catalog.rows(np.empty(0, np.int32))

    def __repr__(self) -> str:
        names = " and ".join(str(head.estimator.get("name")) for head in self.heads.values())
        users, population = f"{len(self.user_ids):,}", self.index.population
        if population is not None:
            users = f"{np.count_nonzero(self.user_counts):,} of {population.n_users:,}"
        size = f"{users} users, {len(self.items):,} items"
        return f"{type(self).__name__}({names}, {size})"

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

    @cached_property
    def orders(self) -> dict[str, Head]:
        """What lists can be ordered by, by the names that `head` takes, the default first."""
        knows_next = self.ranking_head if isinstance(self.ranking_head, NextHead) else None
        ranking = knows_next.long_term if knows_next else self.ranking_head
        both = self._blended(ranking, self.rating_head)
        lasting = {"both": both, "ranking": ranking, "rating": self.rating_head}
        orders = {name: head for name, head in lasting.items() if head is not None}
        if knows_next is None:
            return orders
        if knows_next.lead > 0:
            orders = {"timely": TimelyHead(both or knows_next.long_term, knows_next), **orders}
        return {**orders, "next": knows_next}

    def head(self, head: str | None = None) -> Head:
        """The head of this name, or the one that makes lists; SettingError if there is none."""
        if head is None:
            return next(iter(self.orders.values()))
        check_choice("head", head, HEADS)
        if head not in self.orders:
            missing = f"This model has no {head} head; train one with it."
            raise SettingError(MISSING.get(head, missing))
        return self.orders[head]

    def _blended(self, ranking: Head | None, rating: Head | None) -> BlendedHead | None:
        if isinstance(ranking, FactorRankingHead) and isinstance(rating, FactorRatingHead):
            if self.index.population is not None:
                return BlendedHead(ranking, rating, self.index.population.blend_weight or 0.0)
            return BlendedHead.of(ranking, rating, self.interactions)
        return None

    def by_cosine(self, head: str | None) -> CosineHead:
        """The order by the angle between the factors of one head, by default the ranking head's."""
        if head is not None:
            self.head(head)  # refuses a name that is none
        for name in reversed(self.heads_with("users")):
            source = self.orders[name]
            if head in (None, name) and isinstance(source, FactorRatingHead | FactorRankingHead):
                return CosineHead(source)
        whose = f"the {head} head" if head else "this model"
        raise SettingError(
            f"measure='cosine' compares factors of users with factors of items, and {whose} has "
            "none that say something; leave it out."
        )

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
    def user_counts(self) -> I64:
        """Training ratings of each user, (users,)."""
        return self.index.user_counts

    @property
    def item_counts(self) -> I64:
        """Training ratings of each item, (items,)."""
        return self.index.item_counts

    def item_factors(self, head: str | None = None) -> F32:
        """Item factors without biases, float32 (items, factors); SettingError if there are none.

        By default those of the rating head if it has any, else of the ranking head.
        """
        return self._telling("items")[self.head_with("items", head)]

    def user_factors(self, head: str | None = None) -> F32:
        """User factors without biases, float32 (users, factors); as `item_factors`."""
        return self._telling("users")[self.head_with("users", head)]

    def head_with(self, of: str, head: str | None = None) -> str:
        """The name of the head by whose factors ``"items"`` or ``"users"`` are compared.

        By default the rating head if its factors say something, else the ranking head. Where all
        ratings are the same, the factors of a rating head are all zero and say nothing.
        """
        if head is not None:
            check_choice("head", head, ("ranking", "rating"))
            self.head(head)  # refuses what the model does not have
        names = self.heads_with(of)
        if head in names or (head is None and names):
            return head or names[0]
        whose = head or next(iter(self.heads))
        asked = self.heads.values() if head is None else [self.heads[head]]
        if of == "users" and all(each.user_factors is None for each in asked):
            raise SettingError(f"The {whose} head of this model has no user factors.")
        if all(each.item_factors is None for each in asked):
            raise SettingError("A model without factors cannot tell which items are similar.")
        raise SettingError(
            f"The factors of the {whose} head are all zero (are all ratings the same?), so they "
            f"do not tell which {of} are similar."
        )

    def heads_with(self, of: str) -> list[str]:
        """The names of the heads whose factors of ``"items"`` or ``"users"`` say something."""
        return list(self._telling(of))

    def _telling(self, of: str) -> dict[str, F32]:
        """Factors by head, where those of items are not all zero, for then no others matter."""
        telling = {}
        for name, head in self.heads.items():
            items = head.item_factors
            asked = items if of == "items" else head.user_factors
            said = items is not None and np.abs(items).max(initial=0) > SILENT
            if said and asked is not None:
                telling[name] = asked
        return telling

    def with_ranking(self, other: "TrainedModel") -> Self:
        """This model with the ranking head of another one that was trained on the same data."""
        if not self.index.same_as(other.index):
            raise SettingError("The two models were trained on other users, items or ratings.")
        other.head("ranking")  # refuses a model without one
        index = self.index
        if other.index.moments is not None:
            index = replace(index, moments=other.index.moments)
        return replace(self, index=index, ranking_head=other.ranking_head)

    @property
    def history(self) -> pl.DataFrame:
        """A row for each head and iteration: `head`, `iteration`, losses and errors, seconds."""
        check_threads("Looking at the history")
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

    def save(self, run: str | Path) -> Path:
        """Write the model to a run folder, whole or not at all; see `matinee.storage.runs`."""
        check_threads("Saving a run")
        return write_run(self.to_parts(), Path(run))

    def to_parts(self) -> RunParts:
        """What the files of its run hold."""
        need_all_users(self.index.population)
        from matinee.models.serialization import run_parts  # which knows every kind of head

        return run_parts(self.index, self.heads, self.history, self.metadata)
