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
from matinee.models.head import Components, WholeRowFactors, check_array
from matinee.models.implicit_feedback import positives
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes


@dataclass(frozen=True)
class Network:
    """From the embeddings [g, m] of a user and an item to a score (He et al. 2017, NeuMF).

    One output layer weighs the products ``g_u * g_i`` (GMF) and what a tower of layers, each
    followed by a ReLU, computes from ``[m_u, m_i]`` (MLP); either half may be missing.
    """

    dot: int  # length of g
    tower: list[tuple[F32, F32]]  # weights (outputs, inputs) and biases (outputs,) of each layer
    output: F32  # (dot + outputs of the last layer,)
    output_bias: np.float32

    @classmethod
    def unpack(cls, widths: I32, dense: F32) -> "Network":
        """The network from all its weights; ValueError if they do not fit `widths`."""
        # the length of g, then the inputs of the tower and the outputs of each layer
        sizes = [int(width) for width in widths]
        if not sizes or min(sizes) < 0 or sizes == [0] or len(sizes) == 2 or not any(sizes[:2]):
            raise ValueError("the widths are not those of a network")
        tower, start = [], 0
        for inputs, outputs in pairwise(sizes[1:]):
            weights = dense[start : start + inputs * outputs].reshape(outputs, inputs)
            start += inputs * outputs
            tower.append((weights, dense[start : start + outputs]))
            start += outputs
        n_outputs = sizes[0] + (sizes[-1] if tower else 0)
        if len(dense) != start + n_outputs + 1:
            raise ValueError("the weights do not fit their widths")
        return cls(sizes[0], tower, dense[start:-1], dense[-1])

    def scores(self, users: F32, items: F32) -> F32:
        """Score of every item for every user, float32 (users, items)."""
        scores = (users[:, : self.dot] * self.output[: self.dot]) @ items[:, : self.dot].T
        scores += self.output_bias
        if self.tower:
            user_inputs, item_inputs = self._first_layer(users, items)
            for row, inputs in enumerate(user_inputs):  # one user's layers stay in the cache
                *_, last = self._activations(inputs + item_inputs)
                scores[row] += last @ self.output[self.dot :]
        return np.ascontiguousarray(scores)

    def pairs(self, users: F32, items: F32) -> F32:
        """Score of user row k with item row k, float32 (n,)."""
        scores = (users[:, : self.dot] * items[:, : self.dot]) @ self.output[: self.dot]
        scores += self.output_bias
        if self.tower:
            user_inputs, item_inputs = self._first_layer(users, items)
            *_, last = self._activations(user_inputs + item_inputs)
            scores += last @ self.output[self.dot :]
        return np.asarray(scores, np.float32)

    def gradients(self, users: F32, items: F32) -> tuple[F32, F32]:
        """Scores of pairs, and their gradients in the user's embedding, float32 (n, width)."""
        gradient = np.empty_like(users)
        gradient[:, : self.dot] = items[:, : self.dot] * self.output[: self.dot]
        scores = np.einsum("nk,nk->n", users[:, : self.dot], gradient[:, : self.dot])
        scores += self.output_bias
        if self.tower:
            user_inputs, item_inputs = self._first_layer(users, items)
            layers = list(self._activations(user_inputs + item_inputs))
            scores += layers[-1] @ self.output[self.dot :]
            active = [layer > 0 for layer in layers]
            back = np.broadcast_to(self.output[self.dot :], layers[-1].shape)
            for (weights, _), is_active in zip(
                reversed(self.tower[1:]), reversed(active[1:]), strict=True
            ):
                back = (back * is_active) @ weights
            half = users.shape[1] - self.dot
            gradient[:, self.dot :] = (back * active[0]) @ self.tower[0][0][:, :half]
        return scores, gradient

    def _first_layer(self, users: F32, items: F32) -> tuple[F32, F32]:
        """What each side adds to the first layer, which is linear in both."""
        weights, bias = self.tower[0]
        half = users.shape[1] - self.dot
        return (
            users[:, self.dot :] @ weights[:, :half].T,
            items[:, self.dot :] @ weights[:, half:].T + bias,
        )

    def _activations(self, first: F32) -> Iterator[F32]:
        """The outputs of each layer."""
        active = np.maximum(first, 0)
        yield active
        for weights, bias in self.tower[1:]:
            active = np.maximum(active @ weights.T + bias, 0)
            yield active


FOLD_IN_STEPS = 100  # of gradient descent for a new user
FOLD_IN_RATE = 0.2  # length of the first of them, in standard deviations of a user's embedding
MIN_NEGATIVES = 200  # items that stand for all negatives of a new user, at least
MAX_PAIRS = 200_000  # scored at a time


@dataclass(frozen=True, eq=False)
class NetworkHead(WholeRowFactors):
    """``score(u, i) = mean + bias_i + network(embedding_u, embedding_i)``; see `Network`.

    A new user gets the most probable embedding given their ratings, if training users are a sample
    of a Gaussian, by `FOLD_IN_STEPS` of gradient descent (by cross-entropy in a ranking head).
    """

    mean: float
    user_params: F32  # (users, width); users without ratings have the average row
    item_params: F32  # (items, width); items without ratings have that of their genres
    item_bias: F32  # (items,)
    widths: I32  # see `Network.unpack`
    dense: F32
    noise: float  # mean squared error in training; 1 in a ranking head
    negatives: float  # drawn in training for each positive; 0: the head predicts ratings
    min_rating: float | None  # the least rating that counts as positive, in a ranking head
    estimator: Mapping[str, Any]
    history: pl.DataFrame

    @cached_property
    def network(self) -> Network:
        """The arithmetic."""
        return Network.unpack(self.widths, self.dense)

    @property
    def is_rating(self) -> bool:
        """Whether scores are ratings."""
        return not self.negatives

    @cached_property
    def default_user(self) -> F32:
        """The embedding of a user about whom nothing is known: the average one."""
        return _mean_row(self.user_params)

    @cached_property
    def user_variance(self) -> float:
        """Mean squared distance of users' entries from the average ones."""
        return float(self.user_params.var(axis=0, dtype=np.float64).mean())

    def rows(self, user_batch: UserBatch) -> F32:
        """The embedding of each user, float32 (users, width)."""
        rows = self.user_params[user_batch.codes]
        new = np.flatnonzero(user_batch.codes < 0)
        counts = np.diff(user_batch.interactions.indptr)[new]
        n_examples = np.cumsum(counts * (1 + self.negatives) + MIN_NEGATIVES)
        for chunk in np.split(new, np.flatnonzero(np.diff(n_examples // MAX_PAIRS)) + 1):
            if len(chunk):  # as many as fit into memory; each user is solved alone
                rows[chunk] = self._fold_in(take_rows(user_batch.interactions, chunk))
        return rows

    def scores(self, user_batch: UserBatch) -> F32:
        scores = self.network.scores(self.rows(user_batch), self.item_params)
        scores += self.item_bias
        scores += np.float32(self.mean)
        return scores

    def pairs(self, users: I32, items: I32, times: I64 | None = None) -> F32:
        return self._pairs(self.user_params, users, items)

    def listed(self, user_batch: UserBatch, who: Ints, items: I32) -> F32:
        return self._pairs(self.rows(user_batch), who, items)

    def _pairs(self, user_params: F32, users: Array, items: I32) -> F32:
        scores = self.item_bias[items] + np.float32(self.mean)
        scores[items < 0] = self.item_bias.mean(dtype=np.float64) + self.mean
        for start in range(0, len(users), MAX_PAIRS):
            chunk = slice(start, start + MAX_PAIRS)
            user_rows, item_rows = user_params[users[chunk]], self.item_params[items[chunk]]
            user_rows[users[chunk] < 0] = self.default_user
            item_rows[items[chunk] < 0] = _mean_row(self.item_params)
            scores[chunk] += self.network.pairs(user_rows, item_rows)
        return scores

    def _fold_in(self, interactions: Rows) -> F32:
        """The most probable embeddings of users with these ratings."""
        rows = np.tile(self.default_user, (len(interactions.indptr) - 1, 1))
        user, item, target, weight = self._examples(interactions)
        # everything below is per user: who else is asked about changes nothing
        variance = self.user_variance
        if variance == 0 or len(user) == 0:
            return rows
        with_examples, starts = np.unique(user, return_index=True)
        momentum, square = np.zeros_like(rows), np.zeros_like(rows)
        offset = self.item_bias[item] + np.float32(self.mean)
        for step in range(1, FOLD_IN_STEPS + 1):
            scores, gradient = self.network.gradients(rows[user], self.item_params[item])
            scores += offset
            if not self.is_rating:
                np.tanh(scores / 2, out=scores)  # the sigmoid, whose gradient is that of the loss
                scores += 1
                scores /= 2
            gradient *= ((scores - target) * weight)[:, None]
            total = (rows - self.default_user) / np.float32(variance)
            total[with_examples] += np.add.reduceat(gradient, starts, axis=0)
            momentum += 0.1 * (total - momentum)  # Adam (Kingma & Ba 2015)
            square += 0.01 * (total * total - square)
            rate = FOLD_IN_RATE * np.sqrt(variance) * (1 - (step - 1) / FOLD_IN_STEPS)
            direction = (momentum / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
            rows -= np.asarray(rate * direction, np.float32)
        return rows

    def _examples(self, interactions: Rows) -> tuple[I64, I32, F32, F32]:
        """What new users' embeddings are fitted to: user, item, target and weight, each (n,)."""
        if self.is_rating:
            user = row_of_entries(interactions)
            weight = np.full(len(user), 1 / max(self.noise, 1e-6), np.float32)
            return user, interactions.indices, interactions.values, weight
        indptr, indices, _ = positives(interactions, self.min_rating)
        shuffled = np.random.default_rng(0).permutation(len(self.item_params)).astype(np.int32)
        examples = []
        for row in range(len(indptr) - 1):
            own = indices[indptr[row] : indptr[row + 1]]
            wanted = self.negatives * len(own)
            n_negatives = max(round(wanted), MIN_NEGATIVES if wanted else 0)
            drawn = shuffled[~np.isin(shuffled, own)][:n_negatives]
            share = wanted / max(1, len(drawn))
            counts = [len(own), len(drawn)]
            examples.append(
                (
                    np.full(len(own) + len(drawn), row),
                    np.concatenate([own, drawn]),
                    np.repeat(np.array([1, 0], np.float32), counts),
                    np.repeat(np.array([1, share], np.float32), counts),
                )
            )
        user, item, target, weight = (np.concatenate(c) for c in zip(*examples, strict=True))
        return user, item, target, weight

    def contributions(self, user_batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """Refused: a network's score is not a sum over ratings."""
        raise SettingError(
            f"Scores of {self.estimator.get('name')} cannot be explained: they are not a sum over "
            "ratings. Use a head of ALS, ImplicitALS or MatrixFactorization."
        )

    def check(self, sizes: Sizes) -> None:
        if self.widths.ndim != 1 or self.dense.ndim != 1 or self.widths.dtype != np.int32:
            raise ValueError("the network's weights have the wrong shape or type")
        widths = [int(width) for width in self.widths]
        width = widths[0] + (widths[1] // 2 if len(widths) > 1 else 0) if widths else 0
        check_array("dense", self.dense, self.dense.shape)
        check_array("user_params", self.user_params, (sizes.users, width))
        check_array("item_params", self.item_params, (sizes.items, width))
        check_array("item_bias", self.item_bias, (sizes.items,))
        Network.unpack(self.widths, self.dense)
        if len(widths) > 1 and widths[1] % 2:
            raise ValueError("the tower needs an even number of inputs")
        if not (np.isfinite(self.mean) and self.noise > 0 and 0 <= self.negatives <= 1e6):
            raise ValueError("a setting of the network head makes no sense")


def _mean_row(rows: F32) -> F32:
    return np.asarray(rows.mean(axis=0, dtype=np.float64), np.float32)
