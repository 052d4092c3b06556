"""A run as it is served: loaded, warm, and with all that an answer says of an item at hand."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import matinee
from matinee._types import I32, Bools
from matinee.data.id_map import IdMap
from matinee.errors import UnknownIdError, shortened
from matinee.export.model_card import model_card
from matinee.models.head import ProbabilisticHead
from matinee.models.profiles import UserProfile
from matinee.models.recommender import Recommender
from matinee.service.catalog_search import CatalogSearch
from matinee.service.first_items import FirstItems
from matinee.service.title_index import TitleIndex
from matinee.storage.runs import MANIFEST

MAP_ITEMS = 2_000
WARM_RATINGS = 20  # of the user who is folded in before the first request


@dataclass(frozen=True, eq=False)
class Served:
    """A recommender and what is prepared beside it; immutable, so a request keeps the one it began
    with while another takes its place.
    """

    run: Path
    model: Recommender

    @classmethod
    def load(cls, run: Path) -> "Served":
        """The run, ready: the next question takes no longer than any other."""
        served = cls(run, matinee.load(run))
        served.warm()
        return served

    @cached_property
    def search(self) -> CatalogSearch:
        """Of titles."""
        return CatalogSearch(self.model.catalog, self.model.index.item_counts)

    @cached_property
    def titles(self) -> TitleIndex:
        """Of titles as other sites write them."""
        return TitleIndex(self.model.catalog)

    @cached_property
    def first(self) -> FirstItems:
        """Whose ratings tell most of a new user."""
        return FirstItems.of(self.model)

    @cached_property
    def card(self) -> str:
        """The model card, in Markdown."""
        return model_card(self.model)

    @cached_property
    def _columns(self) -> tuple[list[Any], list[int | None], list[list[str]], list[int]]:
        catalog = self.model.catalog
        years = catalog.frame["year"].to_list()
        genres = catalog.frame["genres"].to_list()
        counts = self.model.index.item_counts.tolist()
        return catalog.ids.values.to_list(), years, genres, counts

    @cached_property
    def trained_at(self) -> datetime:
        """When the run was written."""
        return datetime.fromtimestamp((self.run / MANIFEST).stat().st_mtime, UTC)

    @property
    def item_ids(self) -> list[Any]:
        """By code."""
        return self._columns[0]

    def describe(self, code: int) -> dict[str, Any]:
        """An item as answers have it."""
        ids, years, genres, counts = self._columns
        return {
            "item_id": ids[code],
            "title": self.model.catalog.titles[code],
            "year": years[code],
            "genres": genres[code],
            "n_ratings": counts[code],
        }

    def code(self, item_id: Any) -> int:
        """The code of an item by its id, as a number or as the text of one; UnknownIdError."""
        code = self.code_or_none(item_id)
        if code is None:
            raise UnknownIdError(f"There is no {self.model.catalog.noun} {shortened(item_id)}.")
        return code

    def code_or_none(self, item_id: Any) -> int | None:
        """The same, or None if the model does not have it."""
        return self._codes.get(_id_of(self.model.catalog.ids, item_id))

    @cached_property
    def _codes(self) -> dict[Any, int]:
        return {item_id: code for code, item_id in enumerate(self.item_ids)}

    def user_code(self, user_id: str) -> int:
        """The code of a user whom training knows, by the text of their id; -1 for any other."""
        ids = self.model.index.user_ids
        wanted = _id_of(ids, user_id)
        code = -1 if wanted is None else int(ids.codes([wanted])[0])
        return code if code >= 0 and self.model.index.users_known[code] else -1

    def best_known(self, allowed: Bools | None, n: int) -> I32:
        """Codes of the items with most ratings."""
        order = self._by_popularity
        return order[:n] if allowed is None else order[allowed[order]][:n]

    @cached_property
    def has_ranges(self) -> bool:
        """Whether the model knows in which range a rating lies."""
        return isinstance(self.model.rating_head, ProbabilisticHead)

    @cached_property
    def all_items(self) -> Bools:
        """A mask that leaves no item out, (items,); not to be changed."""
        return np.ones(len(self.item_ids), bool)

    @cached_property
    def _by_popularity(self) -> I32:
        return np.argsort(-self.model.index.item_counts, kind="stable").astype(np.int32)

    @cached_property
    def about(self) -> dict[str, Any]:
        """The model in numbers and words."""
        model = self.model
        index, scale, metadata = model.index, model.index.scale, model.metadata
        return {
            "name": self.run.name,
            "version": matinee.__version__,
            "trained_at": self.trained_at.isoformat(timespec="seconds"),
            "noun": model.catalog.noun,
            "n_users": int((index.user_counts > 0).sum()),
            "n_items": len(model.catalog),
            "n_ratings": int(index.user_counts.sum()),
            "scale": scale and {"low": scale.low, "high": scale.high, "step": scale.step},
            "genres": list(model.catalog.genre_names),
            "orders": list(model.orders),
            "metrics": metadata.get("metrics") or {},
            "model_card": self.card,
        }

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """Where the best known items are on the map, from 0 to 1."""
        codes = self.best_known(None, MAP_ITEMS)
        factors = next((h.item_factors for h in self._heads if h.item_factors is not None), None)
        if factors is None or len(codes) < 3:
            return []
        rows = factors[codes].astype(np.float64)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)  # taste, not fame
        rows -= rows.mean(axis=0)
        _, _, axes = np.linalg.svd(rows, full_matrices=False)
        places = rows @ axes[:2].T
        # by rank: a few far ones would crowd all others
        ranks = places.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
        x, y = (ranks / (len(codes) - 1)).T if places.shape[1] == 2 else (ranks[:, 0],) * 2
        return [
            {
                **{name: item[name] for name in ("item_id", "title", "year", "genres")},
                "x": round(float(x[place]), 4),
                "y": round(float(y[place]), 4),
                "genre": next(iter(self._columns[2][code]), None),
            }
            for place, code in enumerate(codes.tolist())
            if (item := self.describe(code))
        ]

    @property
    def _heads(self) -> list[Any]:
        return [h for h in (self.model.ranking_head, self.model.rating_head) if h is not None]

    def warm(self) -> None:
        """Ask each kind of question once: kernels are loaded, and what is computed once is."""
        with ThreadPoolExecutor(
            1
        ) as beside:  # kernels leave the interpreter to the words of titles
            searched = beside.submit(self._warm_search)
            self._warm_model()
        searched.result()
        _ = self.card

    def _warm_search(self) -> None:
        for text in ("the", "abcdefg"):
            self.search.find(text)

    def _warm_model(self) -> None:
        model = self.model
        popular = np.sort(self.best_known(None, WARM_RATINGS))
        scale = model.index.scale
        value = np.float32(1 if scale is None else scale.high)
        someone = UserProfile(popular, np.full(len(popular), value), rated=scale is not None)
        model.recommend(someone, n=5, threads=1)
        model.recommend(someone, n=5, discover=0.5, threads=1)
        model.explain(someone, self.item_ids[int(popular[0])])
        self.first.choose([], 10)
        self.code_or_none(0)


def _id_of(ids: IdMap, given: Any) -> Any:
    """An id as the data have it, of which a path has the text; None if there can be none such."""
    if ids.are_text:
        return str(given)
    if not isinstance(given, str):
        return given
    digits = given.removeprefix("-")
    plain = digits.isascii() and digits.isdecimal() and len(digits) < 20
    return int(given) if plain and abs(int(given)) < 2**63 else None
