"""Run by `cmfrec`'s own interpreter: seconds of a training and the test RMSE it ends at, as JSON.

python peer_cmfrec.py TRAIN.npz SETTINGS
"""

import json
import sys
import time

import numpy as np
import scipy.sparse as sp
from cmfrec import CMF


def main(given, settings):
    arrays = np.load(given)
    shape = int(arrays["viewers"]), int(arrays["movies"])
    matrix = sp.coo_matrix((arrays["stars"], (arrays["user"], arrays["item"])), shape=shape)
    model = CMF(
        nthreads=2,
        use_float=True,
        verbose=False,
        precompute_for_predictions=False,
        **json.loads(settings),
    )
    started = time.perf_counter()
    model.fit(matrix)
    seconds = time.perf_counter() - started
    stars = np.clip(model.predict(arrays["test_user"], arrays["test_item"]), 0.5, 5)
    rmse = float(np.sqrt(np.square(stars - arrays["test_stars"], dtype=np.float64).mean()))
    print(json.dumps({"seconds": seconds, "rmse": rmse}))


if __name__ == "__main__":
    main(*sys.argv[1:])
