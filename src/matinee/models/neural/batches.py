"""What a step learns from: columns on the device, handed out in shuffled slices."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from matinee.kernels.csr import Rows, row_of_entries

CHANCES = 2**31  # so many that no movie has a better chance than another


def generator_of(device: torch.device, *seeds: int) -> torch.Generator:
    """A source of random numbers of its own for each seed, or seed and epoch."""
    state = np.random.SeedSequence(seeds).generate_state(1)  # mixed: torch looks at 32 bits
    return torch.Generator(device).manual_seed(int(state[0]))


class ShuffledBatches:
    """Columns of equal length, in a new order every epoch.

    The order depends on the seed and the number of the epoch alone, so a training that goes on
    from a checkpoint sees what it would have seen. No row is ever collected by Python: an epoch
    is one permutation, and a batch a slice.

    Parameters
    ----------
    columns : tensors (n,), ...
        On the device.
    batch : int
        Rows of a slice; 0: all, in their own order.
    seed : int
    """

    def __init__(self, columns: tuple[Tensor, ...], batch: int, seed: int) -> None:
        self.columns, self.seed = columns, seed
        self.batch = batch or len(columns[0])

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.columns[0]) // self.batch)

    def generator(self, epoch: int) -> torch.Generator:
        """The source of everything that is drawn in an epoch."""
        return generator_of(self.columns[0].device, self.seed, epoch)

    def epoch(self, number: int) -> Iterator[tuple[tuple[Tensor, ...], torch.Generator]]:
        """The batches of an epoch, and a generator for what is drawn beside them."""
        generator = self.generator(number)
        columns = self.columns
        n = len(columns[0])
        if self.batch < n:
            order = torch.randperm(n, generator=generator, device=columns[0].device)
            columns = tuple(column[order] for column in columns)
        for first in range(0, n, self.batch):
            yield tuple(column[first : first + self.batch] for column in columns), generator


class NegativeSampler:
    """Draws movies that a user has not watched, each equally likely, without trying twice.

    Only movies that somebody has watched are drawn: of the others nothing is known. With the
    user's n watched movies in ascending order, ``w_j - j`` counts the unwatched ones before
    the j-th; so the r-th unwatched movie is r plus the number of j with ``w_j - j <= r``, which
    one binary search finds.

    Parameters
    ----------
    watched : Rows
        By user, movies ascending.
    device : torch.device

    Examples
    --------
    >>> rows = Rows(np.array([0, 2, 4]), np.array([0, 2, 1, 3], np.int32), np.ones(4, np.float32))
    >>> draw = NegativeSampler(rows, torch.device("cpu"))
    >>> generator = torch.Generator().manual_seed(0)
    >>> sorted(set(draw(torch.zeros(50, dtype=torch.int64), generator).tolist()))
    [1, 3]
    """

    def __init__(self, watched: Rows, device: torch.device) -> None:
        indptr, indices, _ = watched
        known = np.unique(indices)
        counts = np.diff(indptr)
        user = row_of_entries(watched)
        before = np.searchsorted(known, indices) - (np.arange(len(indices)) - indptr[user])
        self.stride = len(known) + 1  # keys of a user stay below those of the next
        self.keys = torch.from_numpy(user * self.stride + before).to(device)
        self.starts = torch.from_numpy(indptr[:-1].astype(np.int64)).to(device)
        self.left = torch.from_numpy(len(known) - counts).to(device)
        self.known = torch.from_numpy(known.astype(np.int64)).to(device)

    def __call__(self, users: Tensor, generator: torch.Generator) -> Tensor:
        """A movie for each of `users`, int64 (n,); any movie for one who watched them all."""
        chance = torch.randint(CHANCES, users.shape, generator=generator, device=users.device)
        rank = chance % self.left[users].clamp(min=1)
        at = torch.searchsorted(self.keys, users * self.stride + rank, right=True)
        place = rank + at - self.starts[users]
        return self.known[place.clamp_(max=len(self.known) - 1)]
