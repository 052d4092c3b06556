"""The arithmetic of neural collaborative filtering on trained weights, without PyTorch."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """From the vectors of a viewer and a movie to a score (He et al. 2017, NeuMF).

    A vector is ``[g, m]``. The products ``g_u * g_i`` (GMF) and what a tower of layers makes of
    ``[m_u, m_i]`` (MLP) are weighed by one output layer; either half may be missing.

    Parameters
    ----------
    dot : int
        Length of g.
    tower : list of (float32 (outputs, inputs), float32 (outputs,))
        Weights and biases; a ReLU follows each layer. The first takes ``[m_u, m_i]``.
    output : float32 (dot + outputs of the last layer,)
    output_bias : float
    """

    dot: int
    tower: list[tuple[F32, F32]]
    output: F32
    output_bias: np.float32

    @classmethod
    def unpack(cls, widths: NDArray[np.int32], dense: F32) -> "Network":
        """The network from all weights in one array.

        Parameters
        ----------
        widths : int32 (1,) or (1 + layers,)
            Length of g; then the inputs of the tower and the outputs of each layer.
        dense : float32 (n,)
            Weights (outputs, inputs) and biases of each layer, output weights, output bias.

        Raises
        ------
        ValueError
            If the two do not fit.
        """
        sizes = [int(width) for width in widths]
        if not sizes or min(sizes) < 0 or sizes == [0] or len(sizes) == 2 or not any(sizes[:2]):
            raise ValueError("the widths are none of a network")
        tower, at = [], 0
        for inputs, outputs in pairwise(sizes[1:]):
            weights = dense[at : at + inputs * outputs].reshape(outputs, inputs)
            at += inputs * outputs
            tower.append((weights, dense[at : at + outputs]))
            at += outputs
        last = sizes[0] + (sizes[-1] if tower else 0)
        if len(dense) != at + last + 1:
            raise ValueError("the weights do not fit their widths")
        return cls(sizes[0], tower, dense[at:-1], dense[-1])

    def scores(self, users: F32, items: F32) -> F32:
        """Score of every item for every user, float32 (users, items)."""
        found = (users[:, : self.dot] * self.output[: self.dot]) @ items[:, : self.dot].T
        found += self.output_bias
        if self.tower:
            of_users, of_items = self._first(users, items)
            for row, part in enumerate(of_users):  # one user's layers stay in the cache
                *_, last = self._layers(part + of_items)
                found[row] += last @ self.output[self.dot :]
        return np.ascontiguousarray(found)

    def pairs(self, users: F32, items: F32) -> F32:
        """Score of user row k with item row k, float32 (n,)."""
        found = (users[:, : self.dot] * items[:, : self.dot]) @ self.output[: self.dot]
        found += self.output_bias
        if self.tower:
            of_users, of_items = self._first(users, items)
            *_, last = self._layers(of_users + of_items)
            found += last @ self.output[self.dot :]
        return np.asarray(found, np.float32)

    def slopes(self, users: F32, items: F32) -> tuple[F32, F32]:
        """Scores of pairs, and how each changes with the user's vector, float32 (n, width)."""
        slope = np.empty_like(users)
        slope[:, : self.dot] = items[:, : self.dot] * self.output[: self.dot]
        found = np.einsum("nk,nk->n", users[:, : self.dot], slope[:, : self.dot])
        found += self.output_bias
        if self.tower:
            of_users, of_items = self._first(users, items)
            layers = list(self._layers(of_users + of_items))
            found += layers[-1] @ self.output[self.dot :]
            active = [layer > 0 for layer in layers]
            back = np.broadcast_to(self.output[self.dot :], layers[-1].shape)
            for (weights, _), on in zip(
                reversed(self.tower[1:]), reversed(active[1:]), strict=True
            ):
                back = (back * on) @ weights
            half = users.shape[1] - self.dot
            slope[:, self.dot :] = (back * active[0]) @ self.tower[0][0][:, :half]
        return found, slope

    def _first(self, users: F32, items: F32) -> tuple[F32, F32]:
        """The parts of the first layer's inputs; it is linear, so each side has its own."""
        weights, bias = self.tower[0]
        half = users.shape[1] - self.dot
        return (
            users[:, self.dot :] @ weights[:, :half].T,
            items[:, self.dot :] @ weights[:, half:].T + bias,
        )

    def _layers(self, first: F32) -> Iterator[F32]:
        """What each layer puts out."""
        active = np.maximum(first, 0)
        yield active
        for weights, bias in self.tower[1:]:
            active = np.maximum(active @ weights.T + bias, 0)
            yield active
