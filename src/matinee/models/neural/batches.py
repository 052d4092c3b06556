"""Training examples: columns on the device in shuffled batches, and negatives drawn for them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from matinee.kernels.csr import Rows, row_of_entries

RANDOM_RANGE = 2**31  # so large that no item is noticeably more likely than another


def seeded_generator(device: torch.device, *seeds: int) -> torch.Generator:
    """A random generator of its own for each seed, or seed and epoch."""
    state = np.random.SeedSequence(seeds).generate_state(1)  # mixed: torch looks at 32 bits
    return torch.Generator(device).manual_seed(int(state[0]))


class ShuffledBatches:
    """Columns (n,) of equal length, in an order of seed and epoch alone; batch size 0: as is."""

    def __init__(self, columns: tuple[Tensor, ...], batch_size: int, seed: int) -> None:
        self.columns, self.seed = columns, seed
        self.batch_size = batch_size or len(columns[0])

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-len(self.columns[0]) // self.batch_size)

    def generator(self, epoch: int) -> torch.Generator:
        """The source of everything random in an epoch."""
        return seeded_generator(self.columns[0].device, self.seed, epoch)

    def epoch(self, number: int) -> Iterator[tuple[tuple[Tensor, ...], torch.Generator]]:
        """The batches of an epoch, each with the generator for what else it draws."""
        generator = self.generator(number)
        columns, size = self.columns, self.batch_size
        n = len(columns[0])
        if size < n:
            order = torch.randperm(n, generator=generator, device=columns[0].device)
            columns = tuple(column[order] for column in columns)
        for start in range(0, n, size):
            yield tuple(column[start : start + size] for column in columns), generator


class NegativeSampler:
    """Draws items that are not positives of a user, uniformly among those that are someone's.

    With a user's positives w_0 < w_1 < ... numbered among those items, ``w_j - j`` counts the
    negatives before the j-th; so the r-th negative is r plus the number of j with ``w_j - j <= r``,
    which one binary search finds.
    """

    def __init__(self, positives: Rows, device: torch.device) -> None:
        indptr, indices, _ = positives
        items = np.unique(indices)
        counts = np.diff(indptr)
        user = row_of_entries(positives)
        before = np.searchsorted(items, indices) - (np.arange(len(indices)) - indptr[user])
        self.stride = len(items) + 1  # keys of a user stay below those of the next
        self.keys = torch.from_numpy(user * self.stride + before).to(device)
        self.starts = torch.from_numpy(indptr[:-1].astype(np.int64)).to(device)
        self.n_negatives = torch.from_numpy(len(items) - counts).to(device)
        self.items = torch.from_numpy(items.astype(np.int64)).to(device)

    def __call__(self, users: Tensor, generator: torch.Generator) -> Tensor:
        """An item for each of `users`, int64 (n,); any item for a user without negatives."""
        number = torch.randint(RANDOM_RANGE, users.shape, generator=generator, device=users.device)
        rank = number % self.n_negatives[users].clamp(min=1)
        key = torch.searchsorted(self.keys, users * self.stride + rank, right=True)
        index = rank + key - self.starts[users]
        return self.items[index.clamp_(max=len(self.items) - 1)]
