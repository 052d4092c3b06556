"""The arithmetic of neural collaborative filtering on trained weights, without PyTorch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Array, Ints
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, row_of_entries, take_rows
from matinee.models.head import check_array
from matinee.models.implicit_feedback import positives
from matinee.models.queries import UserBatch

F32 = F32


@dataclass(frozen=True)
class Network:
    """From the vectors of a user and a movie to a score (He et al. 2017, NeuMF).

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
    def unpack(cls, widths: I32, dense: F32) -> "Network":
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


STEPS = 100  # of gradient descent for somebody new
RATE = 0.2  # length of the first of them, in standard deviations of a user's vector
FEWEST = 200  # movies that stand for the unwatched ones, at least
PAIRS = 200_000  # scored at a time


@dataclass(frozen=True, eq=False)
class NetworkHead:
    """``score(u, i) = mean + bias_i + network(vector_u, vector_i)``; see `Network`.

    In stars, or higher for what a user would rather watch. Somebody new gets the vector that
    is most probable given their ratings, if training users are a fair (Gaussian) sample of
    people: `STEPS` of gradient descent with everything else as it is. For lists, watched movies
    are told from unwatched ones by cross-entropy, also where training compared pairs (BPR).

    Parameters
    ----------
    mean : float
    user_params, item_params : float32 (users, width), (items, width)
        Users without ratings have the average row, movies without have that of their genres.
    item_bias : float32 (items,)
    widths : int32
    dense : float32
        See `Network.unpack`.
    noise : float
        Mean squared error in training, for stars; 1 for lists.
    unobserved : float
        Unwatched movies that training drew for each watched one; 0: the head predicts stars.
    min_rating : float or None
        Least stars of a positive, for lists.
    estimator : dict
    history : polars.DataFrame
    """

    mean: float
    user_params: F32
    item_params: F32
    item_bias: F32
    widths: I32
    dense: F32
    noise: float
    unobserved: float
    min_rating: float | None
    estimator: Mapping[str, Any]
    history: pl.DataFrame

    @cached_property
    def network(self) -> Network:
        """The arithmetic."""
        return Network.unpack(self.widths, self.dense)

    @property
    def is_rating(self) -> bool:
        """Whether scores are stars."""
        return not self.unobserved

    @property
    def item_factors(self) -> F32 | None:
        """(items, width) float32: what movies are compared by."""
        return self.item_params

    @property
    def user_factors(self) -> F32 | None:
        """(users, width) float32."""
        return self.user_params

    @cached_property
    def default_user(self) -> F32:
        """The vector of a user about whom nothing is known: the average one."""
        return _average(self.user_params)

    @cached_property
    def spread(self) -> float:
        """Mean squared distance of users' entries from the average ones."""
        return float(self.user_params.var(axis=0, dtype=np.float64).mean())

    def rows(self, user_batch: UserBatch) -> F32:
        """The vector of each user, float32 (users, width)."""
        rows = self.user_params[user_batch.codes]
        new = np.flatnonzero(user_batch.codes < 0)
        counts = np.diff(user_batch.interactions.indptr)[new]
        examples = np.cumsum(counts * (1 + self.unobserved) + FEWEST)
        for some in np.split(new, np.flatnonzero(np.diff(examples // PAIRS)) + 1):
            if len(some):  # as many as fit into memory; each is solved on their own
                rows[some] = self._solved(take_rows(user_batch.interactions, some))
        return rows

    def scores(self, user_batch: UserBatch, threads: int | None = None) -> F32:
        """Score of every movie for every user, float32 (users, items)."""
        found = self.network.scores(self.rows(user_batch), self.item_params)
        found += self.item_bias
        found += np.float32(self.mean)
        return found

    def pairs(
        self,
        users: I32,
        items: I32,
        times: I64 | None = None,
        threads: int | None = None,
    ) -> F32:
        """Scores of pairs; -1 is the user or movie nothing is known of."""
        return self._pairs(self.user_params, users, items)

    def listed(self, user_batch: UserBatch, who: Ints, items: I32) -> F32:
        """Scores of movie ``items[k]`` for user ``who[k]`` of the audience."""
        return self._pairs(self.rows(user_batch), who, items)

    def _pairs(self, user_params: F32, users: Array, items: I32) -> F32:
        found = self.item_bias[items] + np.float32(self.mean)
        found[items < 0] = self.item_bias.mean(dtype=np.float64) + self.mean
        for first in range(0, len(users), PAIRS):
            part = slice(first, first + PAIRS)
            of_users, of_items = user_params[users[part]], self.item_params[items[part]]
            of_users[users[part] < 0] = self.default_user
            of_items[items[part] < 0] = _average(self.item_params)
            found[part] += self.network.pairs(of_users, of_items)
        return found

    def _solved(self, interactions: Rows) -> F32:
        """The most probable vectors of users with these ratings."""
        rows = np.tile(self.default_user, (len(interactions.indptr) - 1, 1))
        who, items, target, weight = self._examples(interactions)
        # everything below is per user: who else is asked about changes nothing
        spread = self.spread
        if spread == 0 or len(who) == 0:
            return rows
        some, starts = np.unique(who, return_index=True)  # users with examples, in order
        drift, size = np.zeros_like(rows), np.zeros_like(rows)
        given = self.item_bias[items] + np.float32(self.mean)
        for step in range(1, STEPS + 1):
            scores, slope = self.network.slopes(rows[who], self.item_params[items])
            scores += given
            if not self.is_rating:
                np.tanh(scores / 2, out=scores)  # the slope of both cross-entropies
                scores += 1
                scores /= 2
            slope *= ((scores - target) * weight)[:, None]
            total = (rows - self.default_user) / np.float32(spread)
            total[some] += np.add.reduceat(slope, starts, axis=0)
            drift += 0.1 * (total - drift)  # Adam (Kingma & Ba 2015)
            size += 0.01 * (total * total - size)
            pace = RATE * np.sqrt(spread) * (1 - (step - 1) / STEPS)
            away = (drift / (1 - 0.9**step)) / (np.sqrt(size / (1 - 0.99**step)) + 1e-8)
            rows -= np.asarray(pace * away, np.float32)
        return rows

    def _examples(self, interactions: Rows) -> tuple[I64, I32, F32, F32]:
        """What new users' vectors are fitted to: user, movie, target, weight."""
        if self.is_rating:
            who = row_of_entries(interactions)
            weight = np.full(len(who), 1 / max(self.noise, 1e-6), np.float32)
            return who, interactions.indices, interactions.values, weight
        watched = positives(interactions, self.min_rating)
        n_items = np.random.default_rng(0).permutation(len(self.item_params)).astype(np.int32)
        parts = []
        for user in range(len(watched.indptr) - 1):
            mine = watched.indices[watched.indptr[user] : watched.indptr[user + 1]]
            wanted = self.unobserved * len(mine)
            drawn = n_items[~np.isin(n_items, mine)][: max(round(wanted), FEWEST if wanted else 0)]
            share = wanted / max(1, len(drawn))
            parts.append(
                (
                    np.full(len(mine) + len(drawn), user),
                    np.concatenate([mine, drawn]),
                    np.repeat(np.array([1, 0], np.float32), [len(mine), len(drawn)]),
                    np.repeat(np.array([1, share], np.float32), [len(mine), len(drawn)]),
                )
            )
        who, items, target, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
        return who, items, target, weight

    def contributions(self, user_batch: UserBatch, item: int) -> tuple[dict[str, float], F64]:
        """Refused: what a network adds up are not ratings."""
        raise SettingError(
            f"The scores of {self.estimator.get('name')} do not come apart into what each rating "
            "adds. A head of ALS, ImplicitALS or MatrixFactorization explains itself."
        )

    def check(self, users: int, items: int, genres: int) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""
        if self.widths.ndim != 1 or self.dense.ndim != 1 or self.widths.dtype != np.int32:
            raise ValueError("the network's weights have another shape than they should")
        sizes = [int(width) for width in self.widths]
        width = sizes[0] + (sizes[1] // 2 if len(sizes) > 1 else 0) if sizes else 0
        check_array("dense", self.dense, self.dense.shape)
        check_array("user_params", self.user_params, (users, width))
        check_array("item_params", self.item_params, (items, width))
        check_array("item_bias", self.item_bias, (items,))
        Network.unpack(self.widths, self.dense)
        if len(sizes) > 1 and sizes[1] % 2:
            raise ValueError("users and movies share the tower's inputs evenly")
        if not (np.isfinite(self.mean) and self.noise > 0 and 0 <= self.unobserved <= 1e6):
            raise ValueError("a setting of the network head makes no sense")


def _average(rows: F32) -> F32:
    return np.asarray(rows.mean(axis=0, dtype=np.float64), np.float32)
