"""A network without PyTorch: the same scores, gradients and solutions as with it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from matinee.kernels.csr import Rows
from matinee.models.network_head import Network, NetworkHead
from matinee.models.profiles import UserBatch

torch = pytest.importorskip("torch")

SHAPES = {
    "GMF": (5, ()),
    "MLP": (0, (6, 4)),
    "deep MLP": (0, (8, 7, 3, 2)),
    "NeuMF": (4, (6, 5, 3)),
}
USERS, ITEMS = 9, 11


def module_of(factors, layers, *, seed=0, mean=0.0):
    """A module in float64 whose weights are far from special."""
    from matinee.models.neural.modules import NCFModule

    generator = torch.Generator().manual_seed(seed)
    module = NCFModule(
        USERS, ITEMS, factors=factors, layers=layers, mean=mean, stddev=1.0, generator=generator
    )
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
            if name.startswith("bias_"):
                parameter.add_(0.5)  # no layer is all zero
    return module.double()


def network_of(module):
    """(network, user embeddings, item embeddings) with the weights of a module."""
    layers = [*module.tower(), (module.output, module.output_bias)]
    dense = torch.cat([part.detach().reshape(-1) for layer in layers for part in layer])
    widths = np.array([module.factors, *module.layers], np.int32)
    users, items = (table.detach().numpy().astype(np.float32) for table in module.embeddings())
    return Network.unpack(widths, dense.numpy().astype(np.float32)), users, items


@pytest.fixture(autouse=True)
def in_double(monkeypatch):
    """Scores leave a module as float32; a reference has more digits."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def every_pair():
    return torch.arange(USERS).repeat_interleave(ITEMS), torch.arange(ITEMS).repeat(USERS)


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_are_those_of_the_module(shape):
    module = module_of(*SHAPES[shape])
    network, users, items = network_of(module)
    user, item = every_pair()
    expected = module(user, item)[0].detach().numpy().reshape(USERS, ITEMS)
    found = network.scores(users, items)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    pairs = network.pairs(users[user.numpy()], items[item.numpy()])
    assert pairs.dtype == np.float32
    np.testing.assert_allclose(pairs, expected.ravel(), rtol=1e-4, atol=1e-4)
    assert np.abs(expected).std() > 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_the_module(shape):
    module = module_of(*SHAPES[shape])
    network, users, items = network_of(module)
    for item in range(ITEMS):  # each user with this item: rows of gradients do not mix
        module.zero_grad()
        codes = torch.arange(USERS), torch.full((USERS,), item)
        scores = module(*codes)[0]
        scores.sum().backward()
        parts = (getattr(module, name, None) for name in ("user_gmf", "user_mlp"))
        expected = torch.cat([part.grad for part in parts if part is not None], dim=1)
        result, gradients = network.gradients(users, items[np.full(USERS, item)])
        np.testing.assert_allclose(result, scores.detach(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(gradients, expected, rtol=1e-4, atol=1e-4)


def test_without_its_tower_neumf_is_gmf():
    """Scores, and gradients of the half that both have."""
    both, alone = module_of(4, (6, 5, 3)), module_of(4, ())
    with torch.no_grad():
        both.output[:, 4:] = 0
        for name in ("user_gmf", "item_gmf", "output_bias"):
            getattr(alone, name).copy_(getattr(both, name))
        alone.output.copy_(both.output[:, :4])
    user, item = every_pair()
    values = torch.linspace(-2, 2, len(user), dtype=torch.float64)
    for module in (both, alone):
        score, penalty = module(user, item)
        ((score - values).square().mean() + penalty).backward()
    torch.testing.assert_close(both(user, item)[0], alone(user, item)[0], rtol=1e-12, atol=1e-12)
    for name in ("user_gmf", "item_gmf", "output_bias"):
        grads = getattr(both, name).grad, getattr(alone, name).grad
        torch.testing.assert_close(*grads, rtol=1e-12, atol=1e-12)
        assert grads[0].abs().max() > 0.01
    torch.testing.assert_close(both.output.grad[:, :4], alone.output.grad, rtol=1e-12, atol=1e-12)
    assert both.output.grad[:, 4:].abs().max() > 0.01  # the tower still learns
    assert both.user_mlp.grad.abs().max() == 0
    network, users, items = network_of(both)
    small, g_users, g_items = network_of(alone)
    np.testing.assert_allclose(
        network.scores(users, items), small.scores(g_users, g_items), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("widths", "length"),
    [
        ([], 1),
        ([0], 1),
        ([-1], 0),
        ([3], 3),
        ([3], 5),
        ([3, 4], 4),
        ([3, 4, 2], 15),
        ([3, 4, 2], 17),
        ([3, 4, -2], 4),
        ([0, 4, 2], 14),
        ([2_000_000_000, 2_000_000_000, 2_000_000_000], 10),
    ],
)
def test_weights_that_do_not_fit_their_widths_are_refused(widths, length):
    with pytest.raises(ValueError, match=r"widths|reshape"):
        Network.unpack(np.array(widths, np.int32), np.zeros(length, np.float32))


def head_of(shape, *, negatives=0.0, noise=0.4, seed=0):
    """A head with these weights; embeddings are of about the size that training leaves."""
    module = module_of(*SHAPES[shape], seed=seed)
    _, users, items = network_of(module)
    layers = [*module.tower(), (module.output, module.output_bias)]
    dense = torch.cat([part.detach().reshape(-1) for layer in layers for part in layer])
    rng = np.random.default_rng(seed)
    return NetworkHead(
        mean=0.0 if negatives else 3.2,
        user_params=0.5 * users,
        item_params=0.7 * items,
        item_bias=rng.normal(0, 0.3, ITEMS).astype(np.float32),
        widths=np.array([module.factors, *module.layers], np.int32),
        dense=0.7 * dense.numpy().astype(np.float32),
        noise=1.0 if negatives else noise,
        negatives=negatives,
        min_rating=None,
        estimator={"name": "NeuMF"},
        history=pl.DataFrame(),
    )


def new_users(counts, seed=0):
    """Ratings of new users, as many as these."""
    rng = np.random.default_rng(seed)
    items = [np.sort(rng.permutation(ITEMS)[:count]) for count in counts]
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    values = rng.integers(1, 6, indptr[-1]).astype(np.float32)
    return Rows(indptr, np.concatenate(items).astype(np.int32), values)


def user_batch(interactions):
    return UserBatch(np.full(len(interactions.indptr) - 1, -1, np.int32), interactions)


def variance_of(head):
    return np.mean((head.user_params.astype(np.float64) - head.default_user) ** 2)


def test_folding_into_gmf_is_ridge_regression():
    """A score is linear in the user's embedding, so the most probable one has a closed form."""
    head = head_of("GMF")
    interactions = new_users([1, 3, 8])
    solved = head.rows(user_batch(interactions)).astype(np.float64)
    default_user, prior = head.default_user.astype(np.float64), 1 / variance_of(head)
    for user in range(3):
        own = slice(*interactions.indptr[user : user + 2])
        codes = interactions.indices[own]
        design = head.item_params[codes].astype(np.float64) * head.network.output
        without = head.mean + head.item_bias[codes] + head.network.output_bias
        residual = interactions.values[own] - without - design @ default_user
        normal = design.T @ design / head.noise + prior * np.eye(design.shape[1])
        best = default_user + np.linalg.solve(normal, design.T @ residual / head.noise)
        distance = np.abs(best - default_user).max()
        assert distance > 0.1
        np.testing.assert_allclose(solved[user], best, atol=0.02 * distance)


def objective(head, interactions, user):
    """What a new user's embedding minimizes, as a function of torch in float64."""
    users, items, target, weight = head._examples(interactions)
    own = users == user
    items, target, weight = (
        torch.from_numpy(np.asarray(column[own], np.float64)) for column in (items, target, weight)
    )
    codes = items.long().numpy()
    item_factors = torch.from_numpy(head.item_params[codes].astype(np.float64))
    given = torch.from_numpy(head.item_bias[codes].astype(np.float64)) + head.mean
    net, default_user = head.network, torch.from_numpy(head.default_user.astype(np.float64))

    def loss(row):
        parts = [row[: net.dot] * item_factors[:, : net.dot]]
        if net.tower:
            half = row[net.dot :].expand(len(item_factors), -1)
            active = torch.cat([half, item_factors[:, net.dot :]], dim=1)
            for weights, bias in net.tower:
                layer = torch.from_numpy(weights.astype(np.float64))
                active = torch.relu(active @ layer.T + torch.from_numpy(bias.astype(np.float64)))
            parts.append(active)
        output = torch.from_numpy(net.output.astype(np.float64))
        scores = torch.cat(parts, dim=1) @ output + float(net.output_bias) + given
        if head.negatives:
            cost = torch.nn.functional.binary_cross_entropy_with_logits(
                scores, target, weight=weight, reduction="sum"
            )
        else:
            cost = (weight * (scores - target).square()).sum() / 2
        return cost + (row - default_user).square().sum() / (2 * variance_of(head))

    return loss


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("negatives", [0.0, 2.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_folding_in_ends_near_the_minimum(shape, negatives):
    """As far down as a thousand plain steps of gradient descent from the same start."""
    head = head_of(shape, negatives=negatives)
    interactions = new_users([2, 7])
    solved = head.rows(user_batch(interactions))
    for user in range(2):
        loss = objective(head, interactions, user)
        start = torch.from_numpy(head.default_user.astype(np.float64))
        row = start.clone().requires_grad_()
        optimizer = torch.optim.SGD([row], lr=0.01)
        for _ in range(1000):
            optimizer.zero_grad()
            loss(row).backward()
            optimizer.step()
        reached = loss(torch.from_numpy(solved[user].astype(np.float64))).item()
        first, best = loss(start).item(), loss(row.detach()).item()
        assert best < first - 0.05
        assert (first - reached) > 0.95 * (first - best)  # its last steps jump between kinks


@pytest.mark.parametrize("negatives", [0.0, 2.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_other_users_of_a_batch_change_nothing(shape, negatives, monkeypatch):
    from matinee.models import network_head

    head = head_of(shape, negatives=negatives)
    counts = [2, 0, 7, 4, 1]
    interactions = new_users(counts)
    together = head.scores(user_batch(interactions))
    for user, count in enumerate(counts):
        first = interactions.indptr[user]
        own = slice(first, first + count)
        alone = Rows(np.array([0, count]), interactions.indices[own], interactions.values[own])
        np.testing.assert_allclose(head.scores(user_batch(alone))[0], together[user], atol=2e-3)
    monkeypatch.setattr(network_head, "MAX_PAIRS", 60)  # a few users, a few pairs at a time
    np.testing.assert_allclose(head.scores(user_batch(interactions)), together, atol=2e-3)


@pytest.mark.parametrize("negatives", [0.0, 2.0])
def test_a_user_without_ratings_is_the_average_one(negatives):
    head = head_of("NeuMF", negatives=negatives)
    row = head.rows(user_batch(Rows(np.array([0, 0]), np.zeros(0, np.int32), np.zeros(0, "f4"))))
    np.testing.assert_allclose(row[0], head.user_params.mean(axis=0), atol=1e-6)
    disliked = replace(head, min_rating=6.0) if negatives else head
    if negatives:
        assert np.array_equal(disliked.rows(user_batch(new_users([3])))[0], head.default_user)


def test_a_user_with_every_item_is_no_error():
    head = head_of("NeuMF", negatives=3.0)
    scores = head.scores(user_batch(new_users([ITEMS])))
    assert np.isfinite(scores).all()
    assert scores.mean() > head.scores(user_batch(new_users([0]))).mean()


def test_pairs_know_the_average_user_and_item():
    head = head_of("NeuMF")
    users, items = np.array([0, -1, 3, -1], np.int32), np.array([2, 2, -1, -1], np.int32)
    scores = head.pairs(users, items)
    rows = np.vstack([head.user_params, head.user_params.mean(axis=0)])
    others = np.vstack([head.item_params, head.item_params.mean(axis=0)])
    bias = np.append(head.item_bias, head.item_bias.mean())
    expected = head.network.pairs(rows[users], others[items]) + bias[items] + head.mean
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    trained = UserBatch(np.arange(USERS, dtype=np.int32), new_users([0] * USERS))
    whole = head.scores(trained)
    user, item = (codes.numpy().astype(np.int32) for codes in every_pair())
    np.testing.assert_allclose(head.pairs(user, item), whole.ravel(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        head.listed(trained, user.astype(np.intp), item), whole.ravel(), rtol=1e-4, atol=1e-4
    )


def test_many_pairs_are_scored_in_chunks(monkeypatch):
    from matinee.models import network_head

    head = head_of("NeuMF")
    user, item = (codes.numpy().astype(np.int32) for codes in every_pair())
    whole = head.pairs(user, item)
    monkeypatch.setattr(network_head, "MAX_PAIRS", 7)
    np.testing.assert_allclose(head.pairs(user, item), whole, rtol=1e-5, atol=1e-5)
