"""The models as PyTorch modules: parameters, and how a score is computed."""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class EmbeddingLookup(torch.autograd.Function):
    """Rows of a table; the gradient is summed in half the time that autograd's own takes."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> Tensor:
        """``table[rows]``, (n, width)."""
        ctx.save_for_backward(rows)
        ctx.length = len(table)
        return table.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradient of the table: that of each row is the sum over where it was used."""
        (rows,), (gradient,) = ctx.saved_tensors, gradients
        table = gradient.new_zeros(ctx.length, gradient.shape[1])
        return table.index_add_(0, rows, gradient), None


class Scorer(nn.Module):
    """Scores pairs of a user and an item; `groups` are its parameters by group of weight decay."""

    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.sparse = sparse  # gradients of embeddings hold only the rows that were looked up
        self.groups: dict[str, list[nn.Parameter]] = {}

    def add_parameter(self, group: str, name: str, values: Tensor) -> nn.Parameter:
        """A new parameter of a group."""
        parameter = nn.Parameter(values)
        setattr(self, name, parameter)
        self.groups.setdefault(group, []).append(parameter)
        return parameter

    def look_up(self, table: Tensor, rows: Tensor) -> Tensor:
        """Rows of a table, (n, width)."""
        if self.sparse:
            return functional.embedding(rows, table, sparse=True)
        looked_up: Tensor = EmbeddingLookup.apply(table, rows)  # type: ignore[no-untyped-call]
        return looked_up

    def forward(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (n,) of pairs, and the penalty on the parameters they used, ()."""
        raise NotImplementedError


class FactorModule(Scorer):
    """``mean + b_u + b_i + p_u . q_i``, with biases of "both" sides, of "items", or "none".

    A penalty weighs a row's squared length each time that an example uses it.
    """

    def __init__(
        self,
        *,
        factors: int,
        stddev: float,
        generator: torch.Generator,
        user_penalty: Tensor,
        item_penalty: Tensor,
        mean: float = 0.0,
        biases: str = "both",
        gravity: float = 0.0,
        sparse: bool = False,
    ) -> None:
        super().__init__(sparse)
        users, items = (
            stddev * torch.randn(len(penalty), factors, generator=generator)
            for penalty in (user_penalty, item_penalty)
        )
        self.user_factors = self.add_parameter("factors", "user_factors", users)
        self.item_factors = self.add_parameter("factors", "item_factors", items)
        self.biases = biases
        if biases == "both":
            self.user_bias = self.add_parameter("biases", "user_bias", torch.zeros(len(users), 1))
        if biases in ("both", "items"):
            self.item_bias = self.add_parameter("biases", "item_bias", torch.zeros(len(items), 1))
        self.mean, self.gravity = mean, gravity
        self.has_penalty = bool(user_penalty.any() or item_penalty.any())
        self.register_buffer("user_penalty", user_penalty, persistent=False)
        self.register_buffer("item_penalty", item_penalty, persistent=False)
        self.user_penalty: Tensor
        self.item_penalty: Tensor

    def forward(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        p = self.look_up(self.user_factors, user)  # (n, factors)
        q = self.look_up(self.item_factors, item)
        score = self.mean + (p * q).sum(1)  # (n,)
        user_params, item_params = [p], [q]
        if self.biases == "both":
            user_params.append(self.look_up(self.user_bias, user))
        if self.biases != "none":
            item_params.append(self.look_up(self.item_bias, item))
        for bias in (*user_params[1:], *item_params[1:]):
            score = score + bias[:, 0]
        penalty = torch.zeros((), device=score.device)
        if self.has_penalty:
            user_size, item_size = (
                sum(param.square().sum(1) for param in params)
                for params in (user_params, item_params)
            )
            sizes = self.user_penalty[user] * user_size + self.item_penalty[item] * item_size
            penalty = penalty + sizes.mean()
        if self.gravity:
            mean_square = mean_square_score(self.user_factors, self.item_factors)
            penalty = penalty + self.gravity * mean_square
        return score, penalty


def mean_square_score(p: Tensor, q: Tensor) -> Tensor:
    """Mean of ``(p_u . q_i)^2`` over all pairs, as ``sum(P'P * Q'Q) / (n m)``: none is formed."""
    return ((p.T @ p) * (q.T @ q)).sum() / (len(p) * len(q))


class NCFModule(Scorer):
    """``mean + output . [g_u * g_i, tower(m_u, m_i)] + bias`` (He et al. 2017).

    Either half may be missing; of `layers` the first is the tower's inputs, the others are outputs.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
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

        add = self.add_parameter
        if factors:
            self.user_gmf = add("factors", "user_gmf", normal(n_users, factors))
            self.item_gmf = add("factors", "item_gmf", normal(n_items, factors))
        if layers:
            self.user_mlp = add("factors", "user_mlp", normal(n_users, layers[0] // 2))
            self.item_mlp = add("factors", "item_mlp", normal(n_items, layers[0] // 2))
        for k, (inputs, outputs) in enumerate(pairwise(layers), start=1):
            add("layers", f"weights_{k}", uniform(inputs, outputs, inputs))
            add("layers", f"bias_{k}", torch.zeros(outputs))
        n_outputs = factors + (layers[-1] if layers else 0)
        self.output = add("layers", "output", uniform(n_outputs, 1, n_outputs))
        self.output_bias = add("layers", "output_bias", torch.zeros(1))

    def forward(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
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

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """``[g, m]`` of users and of items, (users, width) and (items, width)."""
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
