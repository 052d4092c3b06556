"""Run by `cmfrec`'s own interpreter: seconds of a training and the test errors it ends at, as JSON.

python peer_cmfrec.py TRAIN.npz SETTINGS

SETTINGS are keyword arguments of `CMF`, or a list of such to choose from on a tenth of the
training set. Beside them, `threads`, and `metadata`: whether the model sees genres, decades of
release and the users' traits, as far as there are any, as side information.
"""

import sys
import time

import numpy as np
import scipy.sparse as sp
from cmfrec import CMF

import peer_arrays


def one_hot(codes):
    """A column for each value; rows without one (negative) are zero."""
    return (codes[:, None] == np.unique(codes[codes >= 0])).astype(np.float32)


def side_information(arrays):
    """`CMF`'s matrices U of the users and I of the movies, as far as there are any."""
    matrices = {}
    if "traits" in arrays:
        matrices["U"] = np.hstack([one_hot(codes) for codes in arrays["traits"].T])
    if "genres" in arrays:
        matrices["I"] = np.hstack((arrays["genres"], one_hot(arrays["year"] // 10)))
    return matrices


def fit_and_predict(arrays, settings):
    settings = dict(settings)
    side = side_information(arrays) if settings.pop("metadata", False) else {}
    shape = int(arrays["users"]), int(arrays["items"])
    matrix = sp.coo_matrix((arrays["rating"], (arrays["user"], arrays["item"])), shape=shape)
    model = CMF(
        nthreads=settings.pop("threads", 2),
        use_float=True,
        verbose=False,
        precompute_for_predictions=False,
        **settings,
    )
    started = time.perf_counter()
    model.fit(matrix, **side)
    seconds = time.perf_counter() - started
    # cmfrec leaves biases of those without ratings unset, which would cost it dearly
    for biases, name in ((model.user_bias_, "user"), (model.item_bias_, "item")):
        biases[np.bincount(arrays[name], minlength=len(biases)) == 0] = 0
    return {"seconds": seconds, "rating": model.predict(arrays["test_user"], arrays["test_item"])}


if __name__ == "__main__":
    peer_arrays.search_and_report(fit_and_predict, *sys.argv[1:])
