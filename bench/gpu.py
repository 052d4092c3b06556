"""Seconds of an epoch on a GPU, over synthetic ratings in the shape of ml-32m.

    python bench/gpu.py [--device cuda] [--ratings 32000204] [--batch-size 65536]

Prints the median seconds of an epoch after the first, for each optimizer that suits large tables.
"""

import argparse
import itertools
import statistics

import torch

from matinee.data import generate
from matinee.models.neural import MatrixFactorization

USERS, ITEMS, RATINGS = 200_948, 87_585, 32_000_204  # of ml-32m
EPOCHS = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--ratings", type=int, default=RATINGS)
    parser.add_argument("--batch-size", type=int, default=65_536)
    parser.add_argument("--factors", type=int, default=64)
    options = parser.parse_args()
    share = options.ratings / RATINGS
    data, _ = generate(
        users=max(50, round(USERS * share)),
        items=max(50, round(ITEMS * share**0.5)),
        ratings=options.ratings,
    )
    print(f"{data.name}: {len(data):,} ratings, {len(data.ratings.user_ids):,} users")
    for optimizer in ("adam", "sparse-adam", "sgd"):
        estimator = MatrixFactorization(
            factors=options.factors,
            optimizer=optimizer,
            batch_size=options.batch_size,
            epochs=EPOCHS,
            device=options.device,
        )
        seconds = estimator.fit(data).history["seconds"].to_list()
        epochs = [after - before for before, after in itertools.pairwise(seconds)]
        print(
            f"{optimizer:12}{statistics.median(epochs):8.3f} s an epoch on {options.device}, "
            f"{len(data) / statistics.median(epochs) / 1e6:.1f} million ratings per second"
        )
    if options.device.startswith("cuda"):
        print(f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory at most")


if __name__ == "__main__":
    main()
