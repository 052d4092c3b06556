"""Run by RecTools' own interpreter: SASRec trained on histories, and its scores of all items.

python peer_rectools.py FOLDER SETTINGS

FOLDER has ``in.npz``: `users` and `items` of all interactions, by user and in order, `asked` (the
users to score) and `n_items`; ``scores.npy``, float32 (users, items), is left there. Printed
are, as JSON, seconds of the training, versions, threads. SETTINGS are those of `SASRecModel`.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

AT_A_TIME = 500  # users


def as_dataset(users, items):
    frame = {Columns.User: users, Columns.Item: items, Columns.Weight: 1.0}
    # the order is all that it learns from times: without ties, it is ours
    frame[Columns.Datetime] = pd.to_datetime(np.arange(len(users)), unit="s")
    return Dataset.construct(pd.DataFrame(frame))


def scores_of(model, dataset, asked, n_items):
    """Scores of all items; what it does not know comes last."""
    scores = np.full((len(asked), n_items), np.finfo(np.float32).min, np.float32)
    for first in range(0, len(asked), AT_A_TIME):
        some = asked[first : first + AT_A_TIME]
        listed = model.recommend(
            users=some,
            dataset=dataset,
            k=n_items,
            filter_viewed=False,
            add_rank_col=False,
            on_unsupported_targets="ignore",
        )
        rows = first + np.searchsorted(some, listed[Columns.User].to_numpy())
        scores[rows, listed[Columns.Item].to_numpy()] = listed[Columns.Score].to_numpy()
    return scores


def main(folder, settings):
    warnings.simplefilter("ignore")
    arrays = np.load(Path(folder, "in.npz"))
    dataset = as_dataset(arrays["users"], arrays["items"])
    seed_everything(0)
    model = SASRecModel(deterministic=True, **json.loads(settings))
    started = time.perf_counter()
    model.fit(dataset)
    seconds = time.perf_counter() - started
    scores = scores_of(model, dataset, arrays["asked"], int(arrays["n_items"]))
    np.save(Path(folder, "scores.npy"), scores)
    versions = {"rectools": version("rectools"), "torch": torch.__version__}
    print(json.dumps({"seconds": seconds, **versions, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
