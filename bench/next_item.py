"""How good lists are that know the order, against those that do not, and against peers.

    python bench/next_item.py DATASET [--epochs N] [--timed]

DATASET is what `matinee.read` takes: ml-1m or ml-100k in the cache, or a path. Two questions are
asked of models that were trained on the same training set, and all answers go through the same
`evaluate_ranking`, which ranks all items but those that the user has seen:

leave-one-out  the last item of each user; of those at the same second, the last in the file
temporal       the last tenth of all ratings in time, given those before

The peer is SASRec of RecTools on the processor, in an environment of its own under the cache
folder. Its settings are the library's defaults (softmax over all items, 256 factors, 2 blocks), but
for sessions of 200 items and the number of epochs. Five epochs are few: the benchmark that the
documentation of RecTools refers to is set to 200, on a GPU. On two processors, shared with others,
an epoch of ml-1m took eight minutes, and one of ml-100k one.

Seconds are those of a fit, of kernels that are compiled already; with --timed those of our models
are the median of three fits. All orders of `NextItem` come from the same fit.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import matinee
from matinee.evaluation import evaluate_ranking, leave_one_out, temporal
from matinee.experiments.compiling import compile_kernels
from matinee.kernels.csr import row_of_entries
from matinee.models import EASE, ImplicitALS, NextItem, Popularity
from peers import run_peer, temporary_folder

PROTOCOLS = {"leave-one-out": leave_one_out, "temporal": temporal}
ORDERS = ("next", "timely", "ranking")
METRICS = {"HR@10": "hit_rate@10", "NDCG@10": "ndcg@10"}
FADING = 10.0  # places until an item of the history counts 1 / e, in item-kNN
SHRINKAGE = 10.0  # the default of `ItemKNN`
SESSION = 200  # items that SASRec looks back on
FITS = 3  # of a model, with --timed


class Scores:
    """Scores as a model for `evaluate_ranking`.

    Parameters
    ----------
    task : RankingTask
    rows : callable
        Of positions in ``task.users``: float32 (users, items).
    """

    def __init__(self, task, rows):
        self.task, self.rows = task, rows

    def scores(self, users, *, head=None):
        codes = self.task.train.ratings.user_ids.codes(users)
        return self.rows(np.searchsorted(self.task.users, codes))


def in_order(ratings):
    """Users and items of all ratings, by user and then as they were watched."""
    users, items = row_of_entries(ratings.by_user), ratings.by_user.indices
    order = np.lexsort((ratings.moments, users))
    return users[order], items[order]


def recent_neighbours(task):
    """Item-kNN: the shrunk cosine to each item of the history, less the longer ago that was."""
    users, items = in_order(task.train.ratings)
    shape = len(task.train.ratings.user_ids), len(task.train.catalog)
    watched = np.zeros(shape, np.float32)
    watched[users, items] = 1
    counts = watched.sum(axis=0)
    similar = watched.T @ watched / (np.sqrt(np.outer(counts, counts)) + np.float32(SHRINKAGE))
    ends = task.train.ratings.by_user.indptr[1:]
    ago = ends[users] - 1 - np.arange(len(users))
    weights = np.zeros(shape, np.float32)
    weights[users, items] = np.exp(-ago / FADING)
    of_tested = weights[task.users]
    return Scores(task, lambda rows: of_tested[rows] @ similar)


def peer(task, epochs):
    """SASRec trained in its own environment, and what it says of the training."""
    users, items = in_order(task.train.ratings)
    settings = json.dumps({"session_max_len": SESSION, "epochs": epochs})
    with temporary_folder() as folder:
        known = {"users": users, "items": items, "asked": task.users}
        np.savez(Path(folder, "in.npz"), n_items=len(task.train.catalog), **known)
        told = run_peer("rectools", "peer_rectools.py", folder, settings)
        scores = np.load(Path(folder, "scores.npy"))
    report = json.loads(told.splitlines()[-1])
    return Scores(task, lambda rows: scores[rows]), report


def fitted(fit, times):
    """A model, and the median seconds of fitting it so many times."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        model = fit()
        seconds.append(time.perf_counter() - started)
    return model, statistics.median(seconds)


def models(task, epochs, times):
    """Names, models, orders to ask for and seconds of fitting, one after the other."""
    model, seconds = fitted(lambda: NextItem().fit(task.train), times)
    for order in ORDERS:
        if order in model.orders:
            default = ", the default" if order == next(iter(model.orders)) else ""
            yield f"NextItem, {order}{default}", model, order, seconds
        else:
            note(f"NextItem has no order {order!r} here")
    others = {
        "ImplicitALS": ImplicitALS(),
        "EASE": EASE(),
        "Popularity of 7 days": Popularity(days=7),
        "Popularity of 30 days": Popularity(days=30),
        "Popularity": Popularity(),
    }
    for name, estimator in others.items():
        model, seconds = fitted(lambda estimator=estimator: estimator.fit(task.train), times)
        yield name, model, None, seconds
    model, seconds = fitted(lambda: recent_neighbours(task), times)
    yield "item-kNN with recency", model, None, seconds
    model, report = peer(task, epochs)
    note(f"SASRec: {report}")
    name = f"SASRec of RecTools {report['rectools']}, {epochs} epoch{'s' * (epochs != 1)}"
    yield name, model, None, report["seconds"]


def show(task, rows):
    """The table of one protocol."""
    print(f"\n{task.train.name}, {task.protocol}: {len(task):,} test users")
    print(f"{'':40}" + "".join(f"{name:>9}" for name in METRICS) + f"{'fit seconds':>13}")
    for name, values, seconds in rows:
        print(f"{name:40}" + "".join(f"{value:9.4f}" for value in values) + f"{seconds:13.2f}")
    sys.stdout.flush()


def note(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--epochs", type=int, default=5, help="Of SASRec.")
    parser.add_argument("--timed", action="store_true", help="Fit our models three times.")
    options = parser.parse_args()
    data = matinee.read(options.dataset)
    compile_kernels((NextItem(), ImplicitALS(), EASE()))
    for protocol in PROTOCOLS.values():
        task, rows = protocol(data), []
        for name, model, head, seconds in models(task, options.epochs, FITS**options.timed):
            metrics = evaluate_ranking(model, task, head=head)
            rows.append((name, [metrics[metric] for metric in METRICS.values()], seconds))
            note(f"{task.protocol}: {name}: {rows[-1][1]}")
        show(task, rows)


if __name__ == "__main__":
    main()
