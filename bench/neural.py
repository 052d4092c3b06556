"""Models trained by gradient descent: how accurate, and how fast against a tutorial's loop.

    python bench/neural.py [--json FILE] [--only PART ...] [--plot FILE]

Needs ml-1m, ml-100k and, for NeuMF, the NCF paper's test files (the folder `ncf-ml-1m`) in the
cache, and the extras torch and charts. The naive versions below are what notebooks hold: rows
picked one by one by a `Dataset` and a `DataLoader`, and the course's full-batch descent by
autograd.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

import matinee
from matinee.evaluation import evaluate_ranking, evaluate_ratings, read_negatives
from matinee.experiments import Split, get_preset, run_preset
from matinee.models.neural import MatrixFactorization
from matinee.models.registry import estimator_from_config
from matinee.storage.cache_folder import cache_folder

PARTS = ("factorization", "embedding", "course", "speed", "neumf")
SEEDS = 5  # of the course's preset: differences are compared with their spread
PAIRS = 5  # of timed epochs, one of ours and one of the naive loop in turn
FACTORS, BATCH = 64, 4096  # of the timed epochs


class Rows(Dataset):
    """One rating at a time, as tutorials do it."""

    def __init__(self, ratings):
        self.user = torch.tensor(ratings.user, dtype=torch.long)
        self.item = torch.tensor(ratings.item, dtype=torch.long)
        self.values = torch.tensor(ratings.values)

    def __len__(self):
        return len(self.user)

    def __getitem__(self, row):
        return self.user[row], self.item[row], self.values[row]


class Embeddings(torch.nn.Module):
    """Two embeddings and their dot product."""

    def __init__(self, users, items, factors):
        super().__init__()
        self.users = torch.nn.Embedding(users, factors)
        self.items = torch.nn.Embedding(items, factors)

    def forward(self, user, item):
        return (self.users(user) * self.items(item)).sum(1)


def naive_epochs(train, epochs):
    """Seconds of each epoch of the loop in the tutorials, on a CPU."""
    ratings = train.ratings
    model = Embeddings(len(ratings.user_ids), len(ratings.item_ids), FACTORS)
    loader = DataLoader(Rows(ratings), batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(epochs):
        started = time.perf_counter()
        for user, item, values in loader:
            loss = functional.mse_loss(model(user, item), values)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield time.perf_counter() - started


def our_epochs(train, epochs):
    """Seconds of each epoch of the same model here."""
    estimator = MatrixFactorization(
        factors=FACTORS,
        biases=False,
        regularization=0.0,
        batch_size=BATCH,
        epochs=epochs,
        schedule="constant",
        device="cpu",
    )
    seconds = estimator.fit(train).history["seconds"].to_list()
    return [after - before for before, after in zip([0.0, *seconds], seconds, strict=False)]


def speed():
    """Ratings per second in one epoch over ml-1m, against the naive loop, interleaved."""
    train, _ = Split().apply(matinee.read("ml-1m"))
    naive, ours = naive_epochs(train, PAIRS + 1), []
    next(naive)  # both without their first epoch
    theirs = []
    for pair in range(PAIRS):
        ours.append(statistics.median(our_epochs(train, 4)[1:]))
        theirs.append(next(naive))
        note(f"epoch {pair + 1}: {ours[-1]:.3f} s, naive {theirs[-1]:.2f} s")
    seconds, naive_seconds = statistics.median(ours), statistics.median(theirs)
    return {
        "epoch, seconds": seconds,
        "epoch of the naive loop, seconds": naive_seconds,
        "times as fast": naive_seconds / seconds,
        "ratings per second": len(train) / seconds,
    }


def factorization():
    """Test RMSE of the defaults, biases and Adam, on ml-1m 90/10, seed 0."""
    train, test = Split().apply(matinee.read("ml-1m"))
    model = MatrixFactorization(device="cpu").fit(train)
    errors = evaluate_ratings(model, train, test)
    return {
        "RMSE": errors.rmse,
        "MAE": errors.mae,
        "fit, seconds": model.history["seconds"][-1],
    }


def embedding():
    """The notebook's preset and the tuned one on ml-1m, 90/10, seed 0."""
    data, metrics = matinee.read("ml-1m"), {}
    for name in ("embedding-adam", "embedding-adam-tuned"):
        rating = run_preset(data, get_preset(name))[-1].rating
        metrics[f"{name}, RMSE"], metrics[f"{name}, MAE"] = rating.rmse, rating.mae
    return metrics


def naive_course(train, test, settings, seed):
    """Test mean squared error after each step of the course's model, naively implemented."""
    torch.manual_seed(seed)
    users, items = len(train.ratings.user_ids), len(train.ratings.item_ids)
    u = torch.normal(0.0, settings.init_stddev, (users, settings.factors)).requires_grad_()
    v = torch.normal(0.0, settings.init_stddev, (items, settings.factors)).requires_grad_()
    columns = []
    for ratings in (train.ratings, test.ratings):
        user, item = (torch.tensor(ids, dtype=torch.long) for ids in (ratings.user, ratings.item))
        columns.append((user, item, torch.tensor(ratings.values)))
    curve = []
    for _ in range(settings.epochs):
        user, item, values = columns[0]
        loss = ((u[user] * v[item]).sum(1) - values).square().mean()
        if settings.l2:
            loss = loss + settings.l2 * (u.square().sum() / users + v.square().sum() / items)
        if settings.gravity:
            gravity = ((u.T @ u) * (v.T @ v)).sum() / (users * items)
            loss = loss + settings.gravity * gravity
        gradients = torch.autograd.grad(loss, (u, v))
        with torch.no_grad():
            for rows, gradient in zip((u, v), gradients, strict=True):
                rows -= settings.learning_rate * gradient
            user, item, values = columns[1]
            curve.append(float(((u[user] * v[item]).sum(1) - values).square().mean()))
    return curve


def course(plot=None):
    """Test mean squared error of Google's model on ml-100k, here and naively implemented."""
    data, metrics, curves = matinee.read("ml-100k"), {}, []
    train, test = Split().apply(data)
    for name in ("google-course", "google-course-regularized"):
        config = get_preset(name).stages[0].rating
        for seed in range(SEEDS):
            estimator = estimator_from_config({**config, "seed": seed, "device": "cpu"})
            history = estimator.fit(train, test=test).history
            pair = {
                "here": (history["test_rmse"] ** 2).to_list(),
                "naive": naive_course(train, test, estimator, 1000 + seed),
            }
            note(f"{name}, seed {seed}: {pair['here'][-1]:.4f}, naive {pair['naive'][-1]:.4f}")
            for code, curve in pair.items():
                steps = range(1, len(curve) + 1)
                curves.append(
                    pl.DataFrame({"step": steps, "mse": curve}).with_columns(
                        preset=pl.lit(name), code=pl.lit(code), seed=pl.lit(seed)
                    )
                )
    curves = pl.concat(curves)
    last = curves.filter(pl.col("step") == pl.col("step").max().over("preset"))
    for (name, code), rows in sorted(last.group_by("preset", "code")):
        metrics[f"{name}, {code}, test MSE"] = float(rows["mse"].mean())
        metrics[f"{name}, {code}, standard deviation over seeds"] = float(rows["mse"].std())
    if plot:
        draw(curves, plot)
    return metrics


def draw(curves, path):
    """The curves of both, one panel for each preset."""
    import altair

    thinned = curves.filter((pl.col("step") % 10 == 0) & (pl.col("seed") == 0))
    altair.data_transformers.disable_max_rows()
    chart = (
        altair.Chart(thinned)
        .mark_line()
        .encode(
            x=altair.X("step:Q", title="step"),
            y=altair.Y("mse:Q", title="test mean squared error").scale(type="log", domain=[1, 16]),
            color=altair.Color("code:N", title=None),
            strokeDash=altair.StrokeDash("code:N", title=None),
        )
        .properties(width=360, height=260)
        .facet(column=altair.Column("preset:N", title=None))
        .resolve_scale(x="independent")
    )
    chart.save(path, scale_factor=2)


def neumf():
    """The preset `neumf` on the NCF paper's own training and test set."""
    task = read_negatives(matinee.read("ml-1m"), cache_folder() / "ncf-ml-1m")
    estimator = estimator_from_config(get_preset("neumf").stages[0].ranking)
    started = time.perf_counter()
    metrics = evaluate_ranking(estimator.fit(task.train), task)
    return {
        "HR@10": metrics["hit_rate@10"],
        "NDCG@10": metrics["ndcg@10"],
        "fit and evaluation, minutes": (time.perf_counter() - started) / 60,
    }


def note(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="Write the results to this file, too.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--plot", help="Draw the course's curves to this file (.png, .svg).")
    options = parser.parse_args()
    measured = {}
    for part in options.only:
        arguments = {"plot": options.plot} if part == "course" else {}
        measured[part] = globals()[part](**arguments)
        for name, value in measured[part].items():
            print(f"{part + ': ' + name:66}{value:12.4f}", flush=True)
    if options.json:
        environment = {
            "processors": os.cpu_count(),
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "numpy": np.__version__,
        }
        options.json.write_text(json.dumps({"metrics": measured, **environment}, indent=2) + "\n")


if __name__ == "__main__":
    main()
