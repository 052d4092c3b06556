"""Run by `myFM`'s own interpreter: its test errors and its seconds, as JSON.

python peer_myfm.py TRAIN.npz SETTINGS

SETTINGS: `rank`, `iterations`, `kept` (samples kept, the last ones; all if left out), `seed`,
`kind` ("regression" or "ordered") and `features`, any of

    date         the day of the rating, one-hot, in the main table
    indicators   which movies the user has rated, and who has rated the movie, in the training
                 set, each 1/sqrt(number)
    metadata     genres (1/sqrt(number)), year of release, and the users' traits

Blocks, their scaling and a group of precisions for each of them are as in myFM's own examples
on MovieLens, and so is keeping every sample.
"""

import os
import sys
import time

import numpy as np
import scipy.sparse as sp

os.environ.setdefault("TQDM_DISABLE", "1")  # before myfm, which imports tqdm
import myfm

import peer_arrays

DAY = 24 * 60 * 60


def one_hot(codes):
    """A column for each value; rows without one (negative) are empty."""
    values = np.unique(codes[codes >= 0])
    rows = np.flatnonzero(codes >= 0)
    columns = np.searchsorted(values, codes[rows])
    return sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(codes), len(values)))


def even(matrix):
    """Rows of ones made to have length 1."""
    number = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1)
    return sp.csr_matrix(sp.diags(number**-0.5) @ matrix)


def groups_of_users(arrays, features):
    """Matrices (users, features), each a group with precisions of its own."""
    groups = [sp.identity(int(arrays["users"]), format="csr")]
    if "indicators" in features:
        groups.append(even(rated(arrays)))
    if "metadata" in features and "traits" in arrays:
        groups += [one_hot(codes) for codes in arrays["traits"].T]
    return groups


def groups_of_items(arrays, features):
    """Matrices (items, features), each a group with precisions of its own."""
    groups = [sp.identity(int(arrays["items"]), format="csr")]
    if "indicators" in features:
        groups.append(even(rated(arrays).T))
    if "metadata" in features and "genres" in arrays:
        groups += [even(sp.csr_matrix(arrays["genres"], dtype=np.float64)), one_hot(arrays["year"])]
    return groups


def rated(arrays):
    """1 where a user has rated a movie in the training set."""
    shape = int(arrays["users"]), int(arrays["items"])
    ones = np.ones(len(arrays["user"]))
    return sp.csr_matrix((ones, (arrays["user"], arrays["item"])), shape=shape)


def days(arrays, features):
    """One-hot days of the training and of the test set, or None each.

    A day without training ratings has a column too: its weights come from the prior, which is
    what myFM's encoders do with a value they have not seen.
    """
    if "date" not in features:
        return None, None
    both = one_hot(np.concatenate((arrays["timestamp"], arrays["test_timestamp"])) // DAY)
    rows = len(arrays["timestamp"])
    return both[:rows], both[rows:]


def fit_and_predict(arrays, settings):
    features = settings["features"]
    sides = groups_of_users(arrays, features), groups_of_items(arrays, features)
    train_days, test_days = days(arrays, features)
    sizes = [] if train_days is None else [train_days.shape[1]]
    sizes += [group.shape[1] for side in sides for group in side]
    rows = [sp.hstack(side, format="csr", dtype=np.float64) for side in sides]

    def blocks(prefix):
        codes = arrays[f"{prefix}user"], arrays[f"{prefix}item"]
        return [myfm.RelationBlock(*pair) for pair in zip(codes, rows, strict=True)]

    ordered = settings["kind"] == "ordered"
    low, step = float(arrays["low"]), float(arrays["step"])
    values = arrays["rating"].astype(np.float64)
    target = np.round((values - low) / step).astype(np.int64) if ordered else values
    estimator = myfm.MyFMOrderedProbit if ordered else myfm.MyFMRegressor
    model = estimator(rank=settings["rank"], random_seed=settings.get("seed", 42))
    ends = []

    def record_time(*_):
        ends.append(time.perf_counter())
        return False, None

    iterations = settings["iterations"]
    started = time.perf_counter()
    model.fit(
        train_days,
        target,
        X_rel=blocks(""),
        group_shapes=sizes,
        n_iter=iterations,
        n_kept_samples=settings.get("kept", iterations),
        callback=record_time,
    )
    result = {
        "seconds": time.perf_counter() - started,
        "seconds_per_sweep": float(np.median(np.diff(ends))),
    }
    started = time.perf_counter()
    if ordered:
        proba = model.predict_proba(test_days, blocks("test_"))
        result["rating"] = low + step * (proba @ np.arange(proba.shape[1]))
        levels = np.round((arrays["test_rating"] - low) / step).astype(np.int64)
        likelihood = proba[np.arange(len(levels)), levels]
        result["log_loss"] = float(-np.log(np.maximum(likelihood, 1e-15)).mean())
    else:
        result["rating"] = model.predict(test_days, blocks("test_"))
    return {**result, "seconds_of_predicting": time.perf_counter() - started}


if __name__ == "__main__":
    peer_arrays.search_and_report(fit_and_predict, *sys.argv[1:])
