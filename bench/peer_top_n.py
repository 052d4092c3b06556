"""Run by `implicit`'s own interpreter: seconds for the top ten from given factors, as JSON.

python peer_top_n.py IN.npz BATCHES
"""

import json
import statistics
import sys
import time

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares

BATCH = 1000


def main(path, batches):
    """All users in batches of 1000 (some measured, scaled up to all), and one at a time."""
    arrays = np.load(path)
    indptr, indices = arrays["indptr"], arrays["indices"]
    model = AlternatingLeastSquares(factors=arrays["users"].shape[1], num_threads=2)
    model.user_factors, model.item_factors = arrays["users"], arrays["items"]
    shape = len(model.user_factors), len(model.item_factors)
    seen = sp.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)

    def seconds(users):
        start = time.perf_counter()
        model.recommend(users, seen[users], N=10, filter_already_liked_items=True)
        return time.perf_counter() - start

    seconds(np.arange(BATCH))
    starts = range(0, BATCH * batches, BATCH)
    blocks = [np.arange(start, min(start + BATCH, shape[0])) for start in starts]
    spent = sum(seconds(block) for block in blocks if len(block))
    sample = np.random.default_rng(0).integers(0, shape[0], 300)
    print(
        json.dumps(
            {
                "all users": spent * shape[0] / sum(len(block) for block in blocks),
                "one user": statistics.median(seconds(int(user)) for user in sample),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
