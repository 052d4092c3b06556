"""Synthetic ratings in the shape of MovieLens, of any size, with a known truth (`Truth`).

All depends on the seed alone, and is made in blocks of users, so that it need not be held.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Array, Bools
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.id_map import IdMap
from matinee.data.ratings import Ratings, RatingScale
from matinee.errors import SettingError
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.kernels.sampling import draw_items, item_keys
from matinee.progress import progress

RANK = 10
MEAN = 3.4
USER_BIAS, ITEM_BIAS, FACTOR, NOISE = 0.42, 0.45, 0.42, 0.79  # standard deviations
GENRE_SHARE = 0.5  # of the variance of an item's bias and factors that its genres explain
FIRST_RATING, LAST_RATING = 946_684_800, 1_704_067_200  # 2000 and 2024, Unix seconds
BLOCK_ROWS = 4_000_000
LONG_ROW = 8  # items of users who rated over 1/8 of all are drawn by keys, not by rejection

GENRES = (
    "Drama", "Comedy", "Thriller", "Romance", "Action", "Horror", "Documentary", "Crime",
    "Adventure", "Sci-Fi", "Children", "Animation", "Mystery", "Fantasy", "War", "Western",
    "Musical", "Film-Noir",
)  # fmt: skip
FIRST_WORDS = (
    "Silent", "Golden", "Last", "Broken", "Hidden", "Crimson", "Distant", "Electric", "Paper",
    "Midnight", "Endless", "Stolen", "Winter", "Burning", "Secret", "Velvet", "Lonely", "Glass",
    "Wild", "Forgotten", "Hollow", "Second", "Borrowed", "Iron", "Quiet", "Restless", "Scarlet",
    "Sunken", "Tall", "Uncertain", "Wandering", "Yellow",
)  # fmt: skip
SECOND_WORDS = (
    "Harbor", "Orchard", "Train", "Promise", "Garden", "Empire", "Letter", "River", "Summer",
    "Stranger", "Machine", "Waltz", "Island", "Mirror", "Kingdom", "Hour", "Bridge", "Lantern",
    "Witness", "Carnival", "Signal", "Voyage", "Desert", "Detective", "Dancer", "Frontier",
    "Cathedral", "Comet", "Library", "Masquerade", "Neighbor", "Tide",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Truth:
    """The model that ratings were generated from, before noise and rounding to half stars."""

    user_bias: F32  # (users,)
    item_bias: F32  # (items,)
    user_factors: F32  # (users, 10)
    item_factors: F32  # (items, 10)

    def values(self, user: I32, item: I32) -> F32:
        """Noiseless ratings for pairs of codes, float32 (n,), clipped to the scale."""
        inner = np.einsum("nk,nk->n", self.user_factors[user], self.item_factors[item])
        values = MEAN + self.user_bias[user] + self.item_bias[item] + inner
        return np.asarray(np.clip(values, 0.5, 5.0), np.float32)


def generate(*, users: int, items: int, ratings: int, seed: int = 0) -> tuple[Dataset, Truth]:
    """A synthetic data set in memory, about 20 bytes per rating, and the truth behind it.

    `Truth` has the biases and factors, and ``values(user, item)``: ratings without noise.

    Parameters
    ----------
    users, items, ratings : int
        How many; every user has at least min(20, `ratings` // `users`) ratings.

    Examples
    --------
    >>> data, truth = generate(users=50, items=80, ratings=1500, seed=0)
    >>> len(data), data.catalog.titles[0]
    (1500, 'Sunken Dancer (1991)')
    """
    truth, catalog, counts = _plan(users, items, ratings, seed)
    user, item = np.empty(ratings, np.int32), np.empty(ratings, np.int32)
    values, timestamp = np.empty(ratings, np.float32), np.empty(ratings, np.int64)
    done = 0
    for block in _blocks(truth, counts, seed):
        rows = slice(done, done + len(block[0]))
        user[rows], item[rows], values[rows], timestamp[rows] = block
        done = rows.stop
    user_ids = IdMap(pl.Series("user_id", np.arange(1, users + 1)))
    ids = user_ids, catalog.ids
    table = Ratings(user, item, values, timestamp, *ids, RatingScale(0.5, 5, 0.5))
    return Dataset(table, catalog, name="generated", source="generated"), truth


def write_generated(folder: Path, *, users: int, items: int, ratings: int, seed: int = 0) -> Truth:
    """The same data set as MovieLens CSV files, written block by block in bounded memory."""
    truth, catalog, counts = _plan(users, items, ratings, seed)
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        {
            "movieId": catalog.ids.values,
            "title": catalog.frame["title"],
            "genres": catalog.frame["genres"].list.join("|"),
        }
    ).write_csv(folder / "movies.csv")
    done = 0
    with (folder / "ratings.csv").open("wb") as out, progress("Writing ratings", ratings) as tick:
        out.write(b"userId,movieId,rating,timestamp\n")
        for user, item, values, timestamp in _blocks(truth, counts, seed):
            pl.DataFrame(
                {"userId": user + 1, "movieId": item + 1, "rating": values, "timestamp": timestamp}
            ).write_csv(out, include_header=False, float_precision=1)
            done += len(user)
            tick(done, "")
    return truth


def _plan(users: int, items: int, ratings: int, seed: int) -> tuple[Truth, Catalog, I64]:
    """Truth, catalog, and how many ratings each user gives."""
    if users < 1 or items < 1 or not users <= ratings <= users * items:
        raise SettingError(
            "users and items must be ≥ 1, and ratings between users and users * items, "
            f"got {users:,}, {items:,} and {ratings:,}."
        )
    rng = np.random.default_rng([seed, 1])
    genres = _genres(items, rng)
    item = _from_genres(genres, 1 + RANK, rng)
    user = rng.standard_normal((users, 1 + RANK), np.float32)
    # factors on both sides have the same spread; their product adds FACTOR**2 to the variance
    spread = np.float32(np.sqrt(FACTOR) / RANK**0.25)
    truth = Truth(
        user[:, 0] * np.float32(USER_BIAS),
        item[:, 0] * np.float32(ITEM_BIAS),
        user[:, 1:] * spread,
        item[:, 1:] * spread,
    )
    return truth, _catalog(genres, rng), _activity(users, items, ratings, rng)


def _genres(items: int, rng: np.random.Generator) -> Bools:
    """One to three genres for each item, the first ones in `GENRES` most often, (items, genres)."""
    weights = 1.0 / np.arange(1, len(GENRES) + 1) ** 0.7
    keys = np.log(rng.random((items, len(GENRES)))) / weights
    ranks = (-keys).argsort(axis=1).argsort(axis=1)
    return np.asarray(ranks < rng.integers(1, 4, size=(items, 1)))


def _from_genres(genres: Bools, width: int, rng: np.random.Generator) -> F32:
    """Rows of unit variance, (items, width), partly shared by the items of a genre."""
    centres = rng.standard_normal((len(GENRES), width))
    shared = genres @ centres / np.sqrt(genres.sum(axis=1, keepdims=True))
    own = rng.standard_normal((len(genres), width))
    return np.asarray(np.sqrt(GENRE_SHARE) * shared + np.sqrt(1 - GENRE_SHARE) * own, np.float32)


def _catalog(genres: Bools, rng: np.random.Generator) -> Catalog:
    items = len(genres)
    years = 2023 - rng.geometric(0.05, items).clip(1, 100)
    names = len(FIRST_WORDS) * len(SECOND_WORDS)
    pairs = np.concatenate([rng.permutation(names) for _ in range(items // names + 1)])[:items]
    sequel = np.arange(items) // names  # titles run out: "Silent Harbor 2"
    titles = [
        f"{FIRST_WORDS[pair // len(SECOND_WORDS)]} {SECOND_WORDS[pair % len(SECOND_WORDS)]}"
        f"{f' {part + 1}' if part else ''} ({year})"
        for pair, part, year in zip(pairs.tolist(), sequel.tolist(), years.tolist(), strict=True)
    ]
    ids = pl.Series("item_id", np.arange(1, items + 1))
    genre_lists = [[GENRES[genre] for genre in np.flatnonzero(row)] for row in genres]
    frame = pl.DataFrame({"item_id": ids, "title": titles, "genres": genre_lists})
    return Catalog.build(IdMap(ids), frame)


def _activity(users: int, items: int, ratings: int, rng: np.random.Generator) -> I64:
    """Ratings of each user: a common minimum and a log-normal tail that add up exactly."""
    least = min(20, ratings // users)
    most = max(least, min(items, int(0.4 * items) + 20, ratings))
    if most * users < ratings:
        most = items
    tail = rng.lognormal(0.0, 1.45, users)
    counts = np.full(users, least, np.int64)
    while (left := ratings - int(counts.sum())) > 0:
        room = counts < most
        share = np.where(room, tail, 0.0)
        added = np.floor(left * share / share.sum()).astype(np.int64)
        if not added.any():  # less than one each: one for as many as it takes, most active first
            most_active = np.argsort(-share, kind="stable")[: min(left, int(room.sum()))]
            added[most_active] = 1
        counts = np.minimum(counts + added, most)
    return counts


def _popularity(items: int, rng: np.random.Generator) -> F64:
    """Weights with a long tail, (items,), of items in random order: Mandelbrot's law."""
    # as in ml-32m: half of the users rate the first item, half of the items have under 5 ratings
    weights = (np.arange(items) / (0.002 * items) + 1.0) ** -2.2
    return rng.permutation(weights / weights.sum())


def _blocks(truth: Truth, counts: I64, seed: int) -> Iterator[tuple[Array, ...]]:
    """(user, item, values, timestamp) for a block of users after another."""
    items = len(truth.item_bias)
    weights = _popularity(items, np.random.default_rng([seed, 2]))
    cumulative = np.cumsum(weights)
    cumulative[-1] = 1.0
    cells = np.linspace(0, 1, max(1024, items) + 1)
    guide = np.searchsorted(cumulative, cells).astype(np.int32)
    starts = np.concatenate(([0], np.cumsum(counts)))
    cuts = np.searchsorted(starts, np.arange(0, starts[-1], BLOCK_ROWS))
    cuts = np.unique(np.append(cuts, len(counts)))
    for number, (first, stop) in enumerate(pairwise(cuts)):
        n_items = counts[first:stop]
        indptr = np.concatenate(([0], np.cumsum(n_items)))
        item = np.empty(indptr[-1], np.int32)
        for row in np.flatnonzero(n_items * LONG_ROW > items):
            keys = np.empty(items)
            item_keys(seed, first + row, weights, keys)
            chosen = np.argpartition(-keys, n_items[row] - 1)[: n_items[row]]
            # sorted: the order argpartition leaves them in depends on the processor
            item[indptr[row] : indptr[row + 1]] = np.sort(chosen)
        short = np.where(n_items * LONG_ROW > items, 0, n_items)
        drawn_ptr = np.concatenate(([0], np.cumsum(short)))
        drawn = np.empty(drawn_ptr[-1], np.int32)
        run_blocks(
            draw_items, balanced_blocks(drawn_ptr), seed, first, drawn_ptr, cumulative, guide, drawn
        )
        item[np.repeat(short > 0, n_items)] = drawn
        user = np.repeat(np.arange(first, stop), n_items)
        rng = np.random.default_rng([seed, 3, number])
        noise = rng.normal(0, NOISE, len(user))
        values = np.clip(np.round(2 * (truth.values(user, item) + noise)) / 2, 0.5, 5.0)
        yield user, item.astype(np.int64), values, _timestamps(indptr, rng)


def _timestamps(indptr: I64, rng: np.random.Generator) -> I64:
    """Each user rates in one session, in random order, somewhere in the years covered."""
    counts = np.diff(indptr)
    starts = rng.integers(FIRST_RATING, LAST_RATING, len(counts))
    steps = rng.geometric(1 / 40, indptr[-1])
    running = np.cumsum(steps)
    before = np.repeat(running[indptr[:-1].clip(max=len(steps) - 1)], counts)
    ascending = np.repeat(starts, counts) + running - before
    shuffled = np.lexsort((rng.random(indptr[-1]), np.repeat(np.arange(len(counts)), counts)))
    return np.asarray(ascending[shuffled])
