"""The models as PyTorch modules: parameters, and how a score comes about."""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class EmbeddingLookup(torch.autograd.Function):
    """Rows of a table; the gradient is added up in half the time that autograd's own takes."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> Tensor:
        """``table[rows]``, (n, width)."""
        ctx.save_for_backward(rows)
        ctx.length = len(table)
        return table.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None]:
        """The gradient of the table: that of each row is the sum over where it was used."""
        (rows,), (slope,) = ctx.saved_tensors, slopes
        return slope.new_zeros(ctx.length, slope.shape[1]).index_add_(0, rows, slope), None


class Scorer(nn.Module):
    """Scores pairs of a user and a movie; `groups` sorts the parameters for weight decay.

    Parameters
    ----------
    sparse : bool
        Whether gradients of embeddings hold only the rows that were looked up.
    """

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.sparse = sparse
        self.groups: dict[str, list[nn.Parameter]] = {}

    def add(self, group: str, name: str, values: Tensor) -> nn.Parameter:
        """A new parameter of a group."""
        parameter = nn.Parameter(values)
        setattr(self, name, parameter)
        self.groups.setdefault(group, []).append(parameter)
        return parameter

    def look_up(self, table: Tensor, rows: Tensor) -> Tensor:
        """Rows of a table, (n, width)."""
        if self.sparse:
            return functional.embedding(rows, table, sparse=True)
        found: Tensor = EmbeddingLookup.apply(table, rows)  # type: ignore[no-untyped-call]
        return found

    def forward(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (n,) of pairs, and what the vectors that were used cost, ()."""
        raise NotImplementedError


class Factorization(Scorer):
    """``mean + b_u + b_i + p_u . q_i``.

    Parameters
    ----------
    users, items : float32 (users, factors), (items, factors)
        The first vectors.
    mean : float
    biases : {"both", "items", "none"}
    gravity : float
    user_weights, item_weights : float32 (users,), (items,)
        Of a row's squared length, each time that a rating uses it.
    """

    def __init__(
        self,
        users: Tensor,
        items: Tensor,
        *,
        mean: float = 0.0,
        biases: str = "both",
        gravity: float = 0.0,
        user_weights: Tensor,
        item_weights: Tensor,
        sparse: bool = False,
    ) -> None:
        super().__init__(sparse)
        self.user_factors = self.add("factors", "user_factors", users)
        self.item_factors = self.add("factors", "item_factors", items)
        self.biases = biases
        if biases == "both":
            self.user_bias = self.add("biases", "user_bias", torch.zeros(len(users), 1))
        if biases in ("both", "items"):
            self.item_bias = self.add("biases", "item_bias", torch.zeros(len(items), 1))
        self.mean, self.gravity = mean, gravity
        self.weighted = bool(user_weights.any() or item_weights.any())
        self.register_buffer("user_weights", user_weights, persistent=False)
        self.register_buffer("item_weights", item_weights, persistent=False)
        self.user_weights: Tensor
        self.item_weights: Tensor

    def forward(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and penalty; see `Scorer.forward`."""
        p = self.look_up(self.user_factors, user)  # (n, factors)
        q = self.look_up(self.item_factors, item)
        score = self.mean + (p * q).sum(1)  # (n,)
        of_user, of_item = [p], [q]
        if self.biases == "both":
            of_user.append(self.look_up(self.user_bias, user))
        if self.biases != "none":
            of_item.append(self.look_up(self.item_bias, item))
        for bias in (*of_user[1:], *of_item[1:]):
            score = score + bias[:, 0]
        penalty = torch.zeros((), device=score.device)
        if self.weighted:
            size_u, size_i = (sum(part.square().sum(1) for part in of) for of in (of_user, of_item))
            sizes = self.user_weights[user] * size_u + self.item_weights[item] * size_i
            penalty = penalty + sizes.mean()
        if self.gravity:
            penalty = penalty + self.gravity * mean_square_of_all(
                self.user_factors, self.item_factors
            )
        return score, penalty


def mean_square_of_all(p: Tensor, q: Tensor) -> Tensor:
    """Mean of ``(p_u . q_i)^2`` over all pairs, as ``sum(P'P * Q'Q) / (n m)``: none is formed."""
    return ((p.T @ p) * (q.T @ q)).sum() / (len(p) * len(q))


class Collaborative(Scorer):
    """``mean + output . [g_u * g_i, tower(m_u, m_i)] + bias`` (He et al. 2017).

    Either half may be missing: GMF has no tower, MLP no products.

    Parameters
    ----------
    users, items : int
    factors : int
        Length of g; 0: no products.
    layers : tuple of int
        Inputs of the tower, shared evenly by both sides, and outputs of each layer; empty: none.
    mean : float
    stddev : float
        Of the first vectors.
    generator : torch.Generator
    """

    def __init__(
        self,
        users: int,
        items: int,
        *,
        factors: int,
        layers: tuple[int, ...],
        mean: float,
        stddev: float,
        generator: torch.Generator,
        sparse: bool = False,
    ) -> None:
        super().__init__(sparse)
        self.mean, self.factors, self.layers = mean, factors, layers

        def normal(rows: int, width: int) -> Tensor:
            return stddev * torch.randn(rows, width, generator=generator)

        def uniform(inputs: int, *shape: int) -> Tensor:  # Glorot & Bengio 2010
            limit = math.sqrt(6 / (inputs + shape[0]))
            return limit * (2 * torch.rand(*shape, generator=generator) - 1)

        if factors:
            self.user_gmf = self.add("factors", "user_gmf", normal(users, factors))
            self.item_gmf = self.add("factors", "item_gmf", normal(items, factors))
        if layers:
            self.user_mlp = self.add("factors", "user_mlp", normal(users, layers[0] // 2))
            self.item_mlp = self.add("factors", "item_mlp", normal(items, layers[0] // 2))
        for k, (inputs, outputs) in enumerate(pairwise(layers), start=1):
            self.add("layers", f"weights_{k}", uniform(inputs, outputs, inputs))
            self.add("layers", f"bias_{k}", torch.zeros(outputs))
        last = factors + (layers[-1] if layers else 0)
        self.output = self.add("layers", "output", uniform(last, 1, last))
        self.output_bias = self.add("layers", "output_bias", torch.zeros(1))

    def forward(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, and no penalty; see `Scorer.forward`."""
        halves: list[Tensor] = []
        if self.factors:
            g_u, g_i = self.look_up(self.user_gmf, user), self.look_up(self.item_gmf, item)
            halves.append(g_u * g_i)  # (n, factors)
        if self.layers:
            m_u, m_i = self.look_up(self.user_mlp, user), self.look_up(self.item_mlp, item)
            active = torch.cat([m_u, m_i], dim=1)  # (n, layers[0])
            for weights, bias in self.tower():
                active = torch.relu(functional.linear(active, weights, bias))
            halves.append(active)  # (n, layers[-1])
        joined = torch.cat(halves, dim=1)
        score: Tensor = functional.linear(joined, self.output, self.output_bias)[:, 0]
        return self.mean + score.float(), torch.zeros((), device=score.device)

    def tables(self) -> tuple[Tensor, Tensor]:
        """Vectors ``[g, m]`` of users and of movies, (users, width) and (items, width)."""
        halves = [name for name in ("gmf", "mlp") if hasattr(self, f"user_{name}")]
        users, items = (
            torch.cat([getattr(self, f"{side}_{name}") for name in halves], dim=1)
            for side in ("user", "item")
        )
        return users, items

    def tower(self) -> list[tuple[nn.Parameter, nn.Parameter]]:
        """Weights and bias of each layer."""
        return [
            (getattr(self, f"weights_{k}"), getattr(self, f"bias_{k}"))
            for k in range(1, len(self.layers))
        ]
