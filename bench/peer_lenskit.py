"""Run by LensKit's own interpreter: seconds of a training and the test errors it ends at, as JSON.

python peer_lenskit.py TRAIN.npz SETTINGS

SETTINGS: `scorer`, "als" (`BiasedMFScorer`) or "items" (`ItemKNNScorer`), and its configuration;
or a list of such to choose from on a tenth of the training set. What a scorer cannot predict,
LensKit's pipeline leaves to its biases.
"""

import logging
import sys
import time
import warnings

import numpy as np
import pandas as pd
from lenskit import predict
from lenskit.als import BiasedMFScorer
from lenskit.data import ItemList, from_interactions_df
from lenskit.knn import ItemKNNScorer
from lenskit.parallel import initialize
from lenskit.pipeline import predict_pipeline
from lenskit.training import TrainingOptions

import peer_arrays

SCORERS = {"als": BiasedMFScorer, "items": ItemKNNScorer}


def fit_and_predict(arrays, settings):
    settings = dict(settings)
    scorer = SCORERS[settings.pop("scorer")](**settings)
    frame = pd.DataFrame(
        {
            "user_id": arrays["user"],
            "item_id": arrays["item"],
            "rating": arrays["rating"].astype(np.float64),
        }
    )
    data = from_interactions_df(frame)
    pipeline = predict_pipeline(scorer, fallback=True)
    started = time.perf_counter()
    pipeline.train(data, TrainingOptions(rng=0))
    seconds = time.perf_counter() - started
    values = np.full(len(arrays["test_user"]), np.nan)
    order = np.argsort(arrays["test_user"], kind="stable")
    users, starts = np.unique(arrays["test_user"][order], return_index=True)
    for user, rows in zip(users, np.split(order, starts[1:]), strict=True):
        items = ItemList(item_ids=arrays["test_item"][rows])
        values[rows] = predict(pipeline, int(user), items).scores()
    return {"seconds": seconds, "rating": values}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    initialize(processes=1, threads=1, backend_threads=1)
    peer_arrays.search_and_report(fit_and_predict, *sys.argv[1:])
