"""Run by `implicit`'s own interpreter: fit its ALS and save the factors, or time it.

python peer_implicit.py factors IN.npz OUT.npz SETTINGS    factors of the users to evaluate
python peer_implicit.py seconds IN.npz FACTORS ITERATIONS [exact]   median seconds of an iteration
"""

import json
import statistics
import sys

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares


def matrix(arrays, name):
    indptr, indices = arrays[f"{name}_indptr"], arrays[f"{name}_indices"]
    ones = np.ones(len(indices), np.float32)
    return sp.csr_matrix((ones, indices, indptr), shape=(len(indptr) - 1, int(arrays["items"])))


def factors(path, out, settings):
    """Train on `train`, fold the rows of `evaluated` in, save both sides."""
    arrays = np.load(path)
    model = AlternatingLeastSquares(**json.loads(settings), num_threads=2, random_state=0)
    model.fit(matrix(arrays, "train"), show_progress=False)
    histories = matrix(arrays, "evaluated")
    rows = model.recalculate_user(np.arange(histories.shape[0]), histories)
    np.savez(out, users=np.asarray(rows), items=np.asarray(model.item_factors))


def seconds(path, factors, iterations, solver="cg"):
    """Median seconds of an iteration with the library's defaults, the first left out."""
    spent = []
    model = AlternatingLeastSquares(
        factors=int(factors),
        iterations=int(iterations),
        use_cg=solver != "exact",
        num_threads=2,
        random_state=0,
    )
    model.fit(
        matrix(np.load(path), "train"),
        show_progress=False,
        callback=lambda iteration, elapsed, *rest: spent.append(elapsed),
    )
    print(statistics.median(spent[1:]))


if __name__ == "__main__":
    {"factors": factors, "seconds": seconds}[sys.argv[1]](*sys.argv[2:])
