"""Run by `libmf`'s own interpreter: seconds of a training and the test RMSE it ends at, as JSON.

python peer_libmf.py TRAIN.npz SETTINGS
"""

import contextlib
import json
import os
import sys
import time

import numpy as np

with contextlib.redirect_stdout(sys.stderr):
    from libmf import mf

BLOCK = 1_000_000  # test ratings predicted at a time


def main(path, settings):
    """Fit and predict; the wrapper's own predictions are wrong, so numpy computes them."""
    arrays = np.load(path)
    columns = [arrays[name] for name in ("user", "item", "rating")]
    table = np.column_stack(columns).astype(np.float32)
    engine = mf.MF(nr_threads=2, nr_bins=40, quiet=True, **json.loads(settings))
    started = time.perf_counter()
    engine.fit(table)
    seconds = time.perf_counter() - started
    model = engine.model
    users = np.ctypeslib.as_array(model.P, (model.m, model.k))
    items = np.ctypeslib.as_array(model.Q, (model.n, model.k))
    squared_error = 0.0
    for first in range(0, len(arrays["test_user"]), BLOCK):
        block = slice(first, first + BLOCK)
        user, item = arrays["test_user"][block], arrays["test_item"][block]
        predicted = np.einsum("nk,nk->n", users[user], items[item])
        predicted = np.clip(np.where(np.isnan(predicted), model.b, predicted), 0.5, 5)
        errors = predicted - arrays["test_rating"][block]
        squared_error += float(np.square(errors, dtype=np.float64).sum())
    rmse = float(np.sqrt(squared_error / len(arrays["test_user"])))
    print(json.dumps({"seconds": seconds, "rmse": rmse}))
    sys.stdout.flush()
    os._exit(0)  # the wrapper frees its model twice


if __name__ == "__main__":
    main(*sys.argv[1:])
