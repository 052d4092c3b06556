"""Seconds for lists of ten: for everybody, for one user, for somebody new; and what others take.

python bench/speed_lists.py RUN_BY_STARS RUN_BY_RANKING

The runs are of the same data, with as many factors. Each round measures one way after the other,
so that whatever else the machine does falls on all of them.
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
TILE = 4096  # movies of the bare product at a time, so that what it writes stays in the cache
BATCHES = 20  # of theirs that are measured; seconds are scaled up to all
ONE_BY_ONE = 1000  # users asked about one at a time
RATED = 20  # ratings of somebody new


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes, once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def for_everybody(model: Recommender) -> float:
    """Seconds from a model in memory to the table of ten titles for every user."""
    return seconds(lambda: model.recommend(n=10))


def for_one(model: Recommender) -> float:
    """Median seconds of ten titles for one user, over many users."""
    ids = model.user_ids.values.sample(ONE_BY_ONE, with_replacement=True, seed=0).to_list()
    return statistics.median(seconds(lambda user=user: model.recommend(user)) for user in ids)


def for_somebody_new(model: Recommender) -> float:
    """Median seconds from twenty ratings of known movies to ten titles."""
    rng = np.random.default_rng(0)
    known = model.items.to_numpy()[model.item_counts >= RATED]
    given = [
        {int(item): float(rng.integers(1, 6)) for item in rng.choice(known, RATED, replace=False)}
        for _ in range(ONE_BY_ONE // 5)
    ]
    return statistics.median(
        seconds(lambda one=one: model.recommend(model.fold_in(one))) for one in given
    )


def bare_product(users: np.ndarray, items: np.ndarray) -> float:
    """Seconds that brute force needs for its products alone, by BLAS on all threads."""
    out = np.empty((BATCH, TILE), np.float32)

    def multiply() -> None:
        for first in range(0, BATCH * BATCHES, BATCH):
            block = users[first : first + BATCH]
            for at in range(0, len(items), TILE):
                tile = items[at : at + TILE].T
                np.matmul(block, tile, out=out[: len(block), : tile.shape[1]])

    return seconds(multiply) * len(users) / min(len(users), BATCH * BATCHES)


def measure(values: Recommender, ranking: Recommender) -> dict[str, Any]:
    """Medians of all of the above, and of `implicit` with the ranking head's own vectors."""
    models = {"rating": values, "ranking": ranking}
    for model in models.values():  # compiled and packed before anything is timed
        model.recommend(model.user_ids.values[:20])
        for_somebody_new(model)
    users, items = (np.ascontiguousarray(side) for side in item_factors(ranking))
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.npz"
        rated = ranking.rated
        np.savez(given, users=users, items=items, indptr=rated.indptr, indices=rated.indices)
        for _ in range(ROUNDS):
            now = {"bare product, everybody": bare_product(users, items)}
            for head, model in models.items():
                now[f"matinee by {head}, everybody"] = for_everybody(model)
                now[f"matinee by {head}, one user"] = for_one(model)
                now[f"matinee by {head}, somebody new"] = for_somebody_new(model)
            peer = json.loads(run_peer("implicit", "peer_lists.py", str(given), str(BATCHES)))
            now |= {f"implicit, {what}": spent for what, spent in peer.items()}
            for what, spent in now.items():
                found.setdefault(what, []).append(spent)
    return {
        "users": len(users),
        "items": len(items),
        "factors": users.shape[1],
        "rounds": ROUNDS,
        "scaled up to everybody from": BATCH * BATCHES,
        "seconds": {what: statistics.median(spent) for what, spent in sorted(found.items())},
    }


def item_factors(model: Recommender) -> tuple[np.ndarray, np.ndarray]:
    """Of users and movies."""
    head = model.head("ranking")
    if head.item_factors is None or head.user_factors is None:
        sys.exit("The run by ranking has no vectors: train it with ImplicitALS.")
    return head.user_factors, head.item_factors


if __name__ == "__main__":
    print(json.dumps(measure(*(load(run) for run in sys.argv[1:3])), indent=2))
