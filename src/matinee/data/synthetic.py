"""Synthetic ratings in the shape of MovieLens, of any size, with a known truth (`Truth`).

Who watches what follows popularity, affinity and the years in which both were around: popular items
come to mind most, and whether a user watches one is a matter of `interest`. They watch in sessions,
by moods, sequels in their order, and nothing before it is out. All depends on the seed alone, and
is made in blocks of users, so that it need not be held.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Array
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.forks import check_threads
from matinee.data.id_map import IdMap
from matinee.data.ratings import Ratings, RatingScale
from matinee.data.synthetic_catalog import YEAR_SECONDS, InventedItems, invent_items
from matinee.errors import SettingError
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.kernels.sampling import (
    AFFINITY,
    CLASSIC,
    RELUCTANCE,
    UNRELEASED,
    YEARS_AROUND,
    draw_items,
    item_keys,
)
from matinee.progress import progress

RANK = 10
MEAN = 3.5  # of what people watch
MEAN_SAMPLE, NEWTON_STEPS = 100, 12  # users with whom the mean of all pairs is found; see `_mean`
USER_BIAS, ITEM_BIAS, FACTOR, NOISE = 0.42, 0.4, 0.6, 0.75  # standard deviations
SHIFT, EXPONENT = 0.02, 2.0  # of popularity: see `_popularity`
QUALITY = 0.5  # correlation of an item's popularity with its bias
SEQUEL_POPULARITY = 0.6  # of that of what it continues
FIRST_RATING, LAST_RATING = 946_684_800, 1_704_067_200  # 2000 and 2024, Unix seconds
SESSION = 40  # ratings
SESSION_GAP = 30 * 86_400  # seconds, on average
LEAST_GAP = 2 * 86_400
SECONDS_EACH = 30  # between ratings of a session, on average
BLOCK_ROWS = 2_000_000
LONG_ROW = 8  # items of users who rated over 1/8 of all are drawn by keys, not by rejection


@dataclass(frozen=True, eq=False)
class Truth:
    """What ratings were generated from: before noise and rounding, and before chance."""

    mean: float  # of all pairs; people watch what they like, so that ratings are higher
    user_bias: F32  # (users,)
    item_bias: F32  # (items,)
    user_factors: F32  # (users, 10)
    item_factors: F32  # (items, 10)
    popularity: F64  # (items,): how often it comes to mind; the sum is 1
    released: I64  # (items,) Unix seconds
    first_session: I64  # (users,) Unix seconds
    session_gap: I64  # (users,) seconds
    sessions: I64  # (users,)

    def values(self, user: I32, item: I32) -> F32:
        """Noiseless ratings for pairs of codes, float32 (n,), clipped to the scale."""
        inner = np.einsum("nk,nk->n", self.user_factors[user], self.item_factors[item])
        values = self.mean + self.user_bias[user] + self.item_bias[item] + inner
        return np.asarray(np.clip(values, 0.5, 5.0), np.float32)

    def watching(self, user: int) -> F64:
        """How likely each item is to be the next that a user watches, (items,); the sum is 1."""
        inner = self.item_factors.astype(np.float64) @ self.user_factors[user] / FACTOR
        age = (self.last_session[user] - self.released) / YEAR_SECONDS
        around = CLASSIC + (1 - CLASSIC) * np.exp(-np.maximum(age, 0) / YEARS_AROUND)
        interest = around / (1 + np.exp(RELUCTANCE - AFFINITY * inner))
        weights = self.popularity * np.where(age < 0, UNRELEASED, interest)
        return np.asarray(weights / weights.sum())

    @property
    def last_session(self) -> I64:
        """When each user's last session begins, (users,) Unix seconds."""
        return self.first_session + self.session_gap * (self.sessions - 1)


@dataclass(frozen=True, eq=False)
class _Plan:
    """All that is drawn before the ratings."""

    truth: Truth
    invented: InventedItems
    catalog: Catalog
    counts: I64  # ratings of each user
    seed: int


def generate(*, users: int, items: int, ratings: int, seed: int = 0) -> tuple[Dataset, Truth]:
    """A synthetic data set in memory, about 20 bytes per rating, and the truth behind it.

    `Truth` has the biases and factors, ``values(user, item)``: ratings without noise, and
    ``watching(user)``: how likely they are to watch each item.

    Parameters
    ----------
    users, items, ratings : int
        How many; every user has at least min(20, `ratings` // `users`) ratings.

    Examples
    --------
    >>> data, truth = generate(users=50, items=80, ratings=1500, seed=0)
    >>> len(data), data.catalog.titles[0]
    (1500, 'Last Bridge (2020)')
    """
    check_threads("Making data")
    plan = _plan(users, items, ratings, seed)
    user, item = np.empty(ratings, np.int32), np.empty(ratings, np.int32)
    values, timestamp = np.empty(ratings, np.float32), np.empty(ratings, np.int64)
    done = 0
    for block in _blocks(plan):
        rows = slice(done, done + len(block[0]))
        user[rows], item[rows], values[rows], timestamp[rows] = block
        done = rows.stop
    user_ids = IdMap(pl.Series("user_id", np.arange(1, users + 1)))
    ids = user_ids, plan.catalog.ids
    table = Ratings(user, item, values, timestamp, *ids, RatingScale(0.5, 5, 0.5))
    return Dataset(table, plan.catalog, name="generated", source="generated"), plan.truth


def write_generated(folder: Path, *, users: int, items: int, ratings: int, seed: int = 0) -> Truth:
    """The same data set as MovieLens CSV files, written block by block in bounded memory."""
    plan = _plan(users, items, ratings, seed)
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        {
            "movieId": plan.catalog.ids.values,
            "title": plan.catalog.frame["title"],
            "genres": plan.catalog.frame["genres"].list.join("|"),
        }
    ).write_csv(folder / "movies.csv")
    done = 0
    with (folder / "ratings.csv").open("wb") as out, progress("Writing ratings", ratings) as tick:
        out.write(b"userId,movieId,rating,timestamp\n")
        for user, item, values, timestamp in _blocks(plan):
            pl.DataFrame(
                {"userId": user + 1, "movieId": item + 1, "rating": values, "timestamp": timestamp}
            ).write_csv(out, include_header=False, float_precision=1)
            done += len(user)
            tick(done, "")
    return plan.truth


def _plan(users: int, items: int, ratings: int, seed: int) -> _Plan:
    """Everything but the ratings."""
    if users < 1 or items < 1 or not users <= ratings <= users * items:
        raise SettingError(
            "users and items must be ≥ 1, and ratings between users and users * items, "
            f"got {users:,}, {items:,} and {ratings:,}."
        )
    rng = np.random.default_rng([seed, 1])
    invented, catalog = invent_items(items, rng)
    item = invented.rows(1 + RANK, rng)
    user = rng.standard_normal((users, 1 + RANK), np.float32)
    counts = _activity(users, items, ratings, rng)
    # factors on both sides have the same spread; their product adds FACTOR**2 to the variance
    spread = np.float32(np.sqrt(FACTOR) / RANK**0.25)
    truth = Truth(
        0.0,
        user[:, 0] * np.float32(USER_BIAS),
        item[:, 0] * np.float32(ITEM_BIAS),
        user[:, 1:] * spread,
        item[:, 1:] * spread,
        _popularity(item[:, 0], invented, rng),
        invented.released,
        *_sessions(counts, rng),
    )
    return _Plan(replace(truth, mean=_mean(truth, counts)), invented, catalog, counts, seed)


def _mean(truth: Truth, counts: I64) -> float:
    """The mean of all pairs that makes `MEAN` that of the ratings, before noise.

    A user watches an item with a probability of about ``1 - exp(-drawn * watching)``, where the
    number drawn is such that the sum is their number of ratings.
    """
    total, ratings = 0.0, 0
    for user in range(0, len(counts), -(-len(counts) // MEAN_SAMPLE)):
        watching, drawn = truth.watching(user), float(counts[user])
        for _ in range(NEWTON_STEPS):
            left = np.exp(-drawn * watching)
            drawn += (counts[user] - (1 - left).sum()) / max((left * watching).sum(), 1e-9)
        watched = 1 - np.exp(-drawn * watching)
        values = truth.item_bias + truth.item_factors @ truth.user_factors[user]
        total += float(watched @ values + watched.sum() * truth.user_bias[user])
        ratings += int(counts[user])
    return MEAN - total / ratings


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


def _popularity(quality: F32, invented: InventedItems, rng: np.random.Generator) -> F64:
    """Weights with a long tail, (items,), Mandelbrot's law; better items have more."""
    items = len(quality)
    weights = (np.arange(items) / (min(SHIFT, items**-0.5) * items) + 1.0) ** -EXPONENT
    luck = rng.standard_normal(items)
    order = np.argsort(-(QUALITY * quality + np.sqrt(1 - QUALITY**2) * luck), kind="stable")
    popularity = np.empty(items)
    popularity[order] = weights
    sequels = np.flatnonzero(invented.part > 1)
    popularity[sequels] = SEQUEL_POPULARITY * popularity[invented.base[sequels]]
    return np.asarray(popularity / popularity.sum())


def _sessions(counts: I64, rng: np.random.Generator) -> tuple[I64, I64, I64]:
    """When each user's first session is, the gap between sessions, and how many there are."""
    sessions = 1 + (counts - 1) // SESSION
    gap = np.maximum(rng.exponential(SESSION_GAP, len(counts)), LEAST_GAP)
    most = (LAST_RATING - FIRST_RATING) / 2
    gap = np.minimum(gap, most / np.maximum(sessions - 1, 1)).astype(np.int64)
    latest = LAST_RATING - gap * (sessions - 1) - LEAST_GAP
    first = FIRST_RATING + (rng.random(len(counts)) * (latest - FIRST_RATING)).astype(np.int64)
    return first, gap, sessions


def _blocks(plan: _Plan) -> Iterator[tuple[Array, ...]]:
    """(user, item, values, timestamp) for a block of users after another."""
    truth, counts, seed = plan.truth, plan.counts, plan.seed
    cumulative = np.cumsum(truth.popularity)
    cumulative[-1] = 1.0
    cells = np.linspace(0, 1, max(1024, len(cumulative)) + 1)
    guide = np.searchsorted(cumulative, cells).astype(np.int32)
    released = truth.released / YEAR_SECONDS
    until = truth.last_session / YEAR_SECONDS
    affinities = truth.user_factors / np.float32(FACTOR), truth.item_factors
    starts = np.concatenate(([0], np.cumsum(counts)))
    cuts = np.searchsorted(starts, np.arange(0, starts[-1], BLOCK_ROWS))
    cuts = np.unique(np.append(cuts, len(counts)))
    for number, (first, stop) in enumerate(pairwise(cuts)):
        n_items = counts[first:stop]
        indptr = np.concatenate(([0], np.cumsum(n_items)))
        item = np.full(indptr[-1], -1, np.int32)
        short = np.where(n_items * LONG_ROW > len(cumulative), 0, n_items)
        drawn_ptr = np.concatenate(([0], np.cumsum(short)))
        drawn = np.empty(drawn_ptr[-1], np.int32)
        users = affinities[0][first:stop], affinities[1], until[first:stop], released
        arguments = seed, first, drawn_ptr, cumulative, guide, *users, drawn
        run_blocks(draw_items, balanced_blocks(drawn_ptr), *arguments)
        item[np.repeat(short > 0, n_items)] = drawn
        for row in np.flatnonzero(item[indptr[:-1]] < 0):
            keys = np.empty(len(cumulative))
            item_keys(seed, first + row, truth.watching(first + row), keys)
            chosen = np.argpartition(-keys, n_items[row] - 1)[: n_items[row]]
            # sorted: the order argpartition leaves them in depends on the processor
            item[indptr[row] : indptr[row + 1]] = np.sort(chosen)
        user = np.repeat(np.arange(first, stop), n_items)
        rng = np.random.default_rng([seed, 3, number])
        noise = rng.normal(0, NOISE, len(user))
        values = np.clip(np.round(2 * (truth.values(user, item) + noise)) / 2, 0.5, 5.0)
        yield user, item.astype(np.int64), values, _timestamps(plan, user, item, rng)


def _timestamps(plan: _Plan, user: I64, item: I32, rng: np.random.Generator) -> I64:
    """When each rating is given, (n,) Unix seconds; `user` is ascending."""
    truth, invented = plan.truth, plan.invented
    first = np.flatnonzero(np.diff(user, prepend=-1))
    lengths = np.diff(first, append=len(user))
    # a mood is a genre: one after another, in an order of each user's own, with some stragglers
    moods = rng.random((len(first), invented.genres.shape[1]))
    row = np.repeat(np.arange(len(first)), lengths)
    mood = moods[row, invented.main_genre[item]] + 0.05 * rng.random(len(user))
    order = np.lexsort((mood, user))
    session = np.empty(len(user), np.int64)
    session[order] = (np.arange(len(user)) - np.repeat(first, lengths)) // SESSION
    wait = truth.released[item] - truth.first_session[user]
    earliest = np.maximum(-(-wait // np.maximum(truth.session_gap[user], 1)), 0)
    session = np.minimum(np.maximum(session, earliest), truth.sessions[user] - 1)
    order = np.lexsort((mood, session, user))
    running = np.cumsum(rng.geometric(1 / SECONDS_EACH, len(user)))
    begins = np.flatnonzero(np.diff(user[order], prepend=-1) | np.diff(session[order], prepend=-1))
    before = np.repeat(running[begins] - 1, np.diff(begins, append=len(user)))
    times = np.empty(len(user), np.int64)
    times[order] = running - before
    times += truth.first_session[user] + session * truth.session_gap[user]
    # the parts of a series take each other's places, the first one first
    series = invented.base[item]
    by_part, by_time = (np.lexsort((key, series, user)) for key in (invented.part[item], times))
    times[by_part] = times[by_time]
    return times
