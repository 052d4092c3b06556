"""Run by `implicit`'s own interpreter: fit its ALS as told and write down what it made.

python peer_implicit.py factors IN.npz OUT.npz SETTINGS    vectors of everybody asked about
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


def item_factors(given, out, settings):
    """Train on `train`, fold the rows of `asked` in, save both sides."""
    arrays = np.load(given)
    model = AlternatingLeastSquares(**json.loads(settings), num_threads=2, random_state=0)
    model.fit(matrix(arrays, "train"), show_progress=False)
    asked = matrix(arrays, "asked")
    rows = model.recalculate_user(np.arange(asked.shape[0]), asked)
    np.savez(out, users=np.asarray(rows), items=np.asarray(model.item_factors))


def seconds(given, factors, iterations, solver="cg"):
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
        matrix(np.load(given), "train"),
        show_progress=False,
        callback=lambda iteration, elapsed, *rest: spent.append(elapsed),
    )
    print(statistics.median(spent[1:]))


if __name__ == "__main__":
    {"factors": item_factors, "seconds": seconds}[sys.argv[1]](*sys.argv[2:])
