"""How accurate peers predict ratings, on the same splits of the same data as matinee.

    python bench/accuracy_peers.py DATA PEER [--folds 1 2] [--json FILE]

DATA is in the cache; of ml-100k the official splits u1-u5 are used, of others the five folds of
`Dataset.folds(5, seed=0)`. PEERS are named below.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import matinee
from matinee.data.dataset import Dataset
from matinee.storage.cache_folder import cache_folder
from peers import run_peer

EVERYTHING = ["date", "indicators", "metadata"]
SAMPLED = {"rank": 10, "iterations": 512}
BIASED = {"method": "als", "use_cg": False, "finalize_chol": False, "niter": 15, "threads": 1}
CMFREC_GRID = [
    {**BIASED, "k": k, **strength, **extra}
    for extra in ({}, {"metadata": True, "add_implicit_features": True, "w_implicit": 0.3})
    for k in (8, 16, 24)
    for strength in (
        {"lambda_": [3.0, 3.0, 10.0, 10.0, 10.0, 10.0]},  # of the user and item biases first
        {"lambda_": [2.0, 2.0, 13.0, 13.0, 13.0, 13.0]},
        {"lambda_": 15.0},
        {"lambda_": 0.1, "scale_lam": True},
    )
]
"""Around the best of a wider search on a tenth of the training sets of the first folds:
`cmfrec`'s own documentation recommends its implicit features for small data, names 35 as a good
strength on ml-10m, where less is right for smaller data, or 0.05 scaled by the number of ratings.
"""
LENSKIT_GRID = [
    {"scorer": "als", "features": features, "regularization": strength, "epochs": 20}
    for features in (10, 50, 100)
    for strength in (0.1, 0.14, 0.2)
] + [{"scorer": "items", "max_nbrs": neighbours} for neighbours in (20, 40, 80)]
"""Around LensKit's defaults: 50 features, a regularization of 0.1 (times the number of ratings)
and 10 epochs, or 20 neighbours. Other damping of the biases than the default, 5, was worse.
"""
PEERS = {
    "myfm ordered": ("myfm", {**SAMPLED, "kind": "ordered", "features": EVERYTHING}),
    "myfm regression": ("myfm", {**SAMPLED, "kind": "regression", "features": EVERYTHING}),
    "myfm indicators": ("myfm", {**SAMPLED, "kind": "regression", "features": ["indicators"]}),
    "myfm ids": ("myfm", {**SAMPLED, "kind": "regression", "features": []}),
    "cmfrec": ("cmfrec", CMFREC_GRID),
    "lenskit": ("lenskit", LENSKIT_GRID),
}


def peer_errors(name: str, train: Dataset, test: Dataset, settings) -> dict:
    """Errors on the test set, and seconds, of a peer trained on the training set.

    Parameters
    ----------
    name : {"myfm", "cmfrec", "lenskit"}
    train, test : Dataset
        Of one split, so that users and items agree.
    settings : dict or list of dict
        As the peer's script takes them; of a list, the best on a tenth of `train`.

    Returns
    -------
    dict
        `rmse`, `mae`, `seconds` of fitting, and whatever the peer's script adds; after a
        search also the settings `chosen` and the errors of all in the `grid`.
    """
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        path = Path(folder, "split.npz")
        np.savez(path, **arrays_for_peers(train, test))
        return json.loads(run_peer(name, f"peer_{name}.py", str(path), json.dumps(settings)))


def arrays_for_peers(train: Dataset, test: Dataset) -> dict[str, np.ndarray]:
    """All that the peers may see, as arrays for interpreters without matinee."""
    scale, catalog = train.ratings.scale, train.catalog
    arrays = {
        "users": np.int64(len(train.ratings.user_ids)),
        "items": np.int64(len(catalog)),
        "low": np.float64(scale.low),
        "high": np.float64(scale.high),
        "step": np.float64(scale.step),
        "genres": catalog.genre_matrix,
        "year": catalog.frame["year"].fill_null(-1).to_numpy(),
    }
    for prefix, ratings in (("", train.ratings), ("test_", test.ratings)):
        columns = {"user": ratings.user, "item": ratings.item, "rating": ratings.values}
        arrays |= {f"{prefix}{name}": column for name, column in columns.items()}
        if ratings.timestamp is not None:
            arrays[f"{prefix}timestamp"] = ratings.timestamp
    if train.user_attributes is not None:
        arrays["traits"] = traits(train.user_attributes)
    return arrays


def traits(users: pl.DataFrame) -> np.ndarray:
    """Codes (users, traits) of all attributes of the users; -1: unknown.

    Ages in spans of five years, as in myFM's examples; editions that give groups of ages
    keep them.
    """
    attributes = users.drop("user_id").with_columns(pl.col("age") // 5)
    codes = attributes.select(pl.all().rank("dense").cast(pl.Int64).fill_null(0) - 1)
    return np.ascontiguousarray(codes.to_numpy())


def splits(data: Dataset):
    """Five pairs of training and test set: the official ones, where there are any."""
    if "u1" in data.official:
        return [data.split(f"u{k}") for k in range(1, 6)]
    return list(data.folds(5, seed=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--rank", type=int, help="For myfm, instead of 10.")
    parser.add_argument("--iterations", type=int, help="For myfm, instead of 512.")
    parser.add_argument("--features", nargs="*", help="For myfm, instead of those above.")
    parser.add_argument("--json", type=Path, help="Write the results to this file, too.")
    options = parser.parse_args()
    package, settings = PEERS[options.peer]
    for name in ("rank", "iterations", "features"):
        if package == "myfm" and (value := getattr(options, name)) is not None:
            settings = {**settings, name: value}
    folds, results = splits(matinee.read(options.data)), {}
    for fold in options.folds:
        results[fold] = peer_errors(package, *folds[fold - 1], settings)
        short = {key: value for key, value in results[fold].items() if key != "grid"}
        print(f"{options.data} {options.peer} {fold}: {json.dumps(short)}", file=sys.stderr)
    mean = {
        name: statistics.mean(row[name] for row in results.values()) for name in ("rmse", "mae")
    }
    print(f"{options.data} {options.peer}: RMSE {mean['rmse']:.4f}, MAE {mean['mae']:.4f}")
    if options.json:
        report = {"data": options.data, "peer": options.peer, "mean": mean, "folds": results}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
