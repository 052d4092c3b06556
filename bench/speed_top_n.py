"""Seconds for the top ten: of all users, of one, of a new one; and of a peer.

python bench/speed_top_n.py RATING_RUN RANKING_RUN

The runs are of the same data, with as many factors. Each round measures all of them in turn, so
that whatever else the machine does slows all.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from matinee.models import Recommender
from matinee.models.loading import load
from peers import run_peer

ROUNDS = 3
BATCH = 1000  # users that the peer and the bare product take at a time
TILE = 4096  # movies of the bare product at a time, so that its output stays in the cache
BATCHES = 20  # measured of the peer and the bare product; seconds are scaled up to all
SINGLE_USERS = 1000  # timed one at a time
RATED = 20  # ratings of a new user


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes, once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def for_all_users(model: Recommender) -> float:
    """Seconds from a model in memory to the table of ten titles for every user."""
    return seconds(lambda: model.recommend(n=10))


def for_one_user(model: Recommender) -> float:
    """Median seconds of ten titles for one user, over many users."""
    ids = model.user_ids.values.sample(SINGLE_USERS, with_replacement=True, seed=0).to_list()
    return statistics.median(seconds(lambda user=user: model.recommend(user)) for user in ids)


def for_new_user(model: Recommender) -> float:
    """Median seconds from twenty ratings of known movies to ten titles."""
    rng = np.random.default_rng(0)
    items = model.items.to_numpy()[model.item_counts >= RATED]
    ratings = [
        {int(item): float(rng.integers(1, 6)) for item in rng.choice(items, RATED, replace=False)}
        for _ in range(SINGLE_USERS // 5)
    ]
    return statistics.median(
        seconds(lambda new=new: model.recommend(model.fold_in(new))) for new in ratings
    )


def bare_product(users: np.ndarray, items: np.ndarray) -> float:
    """Seconds that brute force needs for its products alone, by BLAS on all threads."""
    out = np.empty((BATCH, TILE), np.float32)

    def multiply() -> None:
        for first in range(0, BATCH * BATCHES, BATCH):
            block = users[first : first + BATCH]
            for start in range(0, len(items), TILE):
                tile = items[start : start + TILE].T
                np.matmul(block, tile, out=out[: len(block), : tile.shape[1]])

    return seconds(multiply) * len(users) / min(len(users), BATCH * BATCHES)


def measure(rating: Recommender, ranking: Recommender) -> dict[str, Any]:
    """Medians of all of the above, and of `implicit` with the ranking head's own factors."""
    models = {"rating": rating, "ranking": ranking}
    for model in models.values():  # compiled and packed before anything is timed
        model.recommend(model.user_ids.values[:20])
        for_new_user(model)
    users, items = (np.ascontiguousarray(side) for side in factors_of(ranking))
    timings: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "factors.npz"
        seen = ranking.interactions
        np.savez(path, users=users, items=items, indptr=seen.indptr, indices=seen.indices)
        for _ in range(ROUNDS):
            now = {"bare product, all users": bare_product(users, items)}
            for head, model in models.items():
                now[f"matinee, {head} head, all users"] = for_all_users(model)
                now[f"matinee, {head} head, one user"] = for_one_user(model)
                now[f"matinee, {head} head, new user"] = for_new_user(model)
            peer = json.loads(run_peer("implicit", "peer_top_n.py", str(path), str(BATCHES)))
            now |= {f"implicit, {name}": spent for name, spent in peer.items()}
            for name, spent in now.items():
                timings.setdefault(name, []).append(spent)
    return {
        "users": len(users),
        "items": len(items),
        "factors": users.shape[1],
        "rounds": ROUNDS,
        "scaled up to all users from": BATCH * BATCHES,
        "seconds": {name: statistics.median(spent) for name, spent in sorted(timings.items())},
    }


def factors_of(model: Recommender) -> tuple[np.ndarray, np.ndarray]:
    """Of users and items."""
    head = model.head("ranking")
    if head.item_factors is None or head.user_factors is None:
        sys.exit("The ranking run has no factors: train it with ImplicitALS.")
    return head.user_factors, head.item_factors


if __name__ == "__main__":
    print(json.dumps(measure(*(load(run) for run in sys.argv[1:3])), indent=2))
