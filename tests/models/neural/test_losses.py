"""Losses as their papers write them, and gradients as differences of losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from matinee.data.synthetic import generate
from matinee.models.neural import BPR, GMF, MLP, MatrixFactorization, NeuMF
from matinee.models.neural.modules import mean_square_score

CPU = torch.device("cpu")
STEP = 1e-6

MF = [
    MatrixFactorization(factors=3, regularization=0.0),
    *(MatrixFactorization(factors=3, regularization=0.3, exponent=v) for v in (0.0, 0.5, 1.0)),
    MatrixFactorization(factors=3, regularization=0.0, l2=0.4),
    MatrixFactorization(factors=3, regularization=0.3, l2=0.4, biases=False, gravity=0.7),
    MatrixFactorization(factors=3, gravity=0.2),
]
SHAPES = [
    (GMF, {"factors": 3}),
    (MLP, {"layers": (6, 4, 3)}),
    (MLP, {"layers": (4, 5)}),
    (NeuMF, {"factors": 2, "layers": (4, 5, 3)}),
]
EXPLICIT = [cls(**shape, feedback="explicit") for cls, shape in SHAPES]
IMPLICIT = [cls(**shape, negatives=3) for cls, shape in SHAPES]
PAIRWISE = [BPR(factors=3, negatives=2, regularization=0.1), BPR(factors=3, regularization=0.0)]


def class_name(estimator):
    return type(estimator).__name__


@pytest.fixture(autouse=True)
def in_double(monkeypatch):
    """Scores leave a network as float32; differences need more digits."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def make_loss(estimator, data, batch_size=0):
    """The loss of an estimator in float64, at weights that are far from special."""
    estimator = replace(estimator, batch_size=batch_size)
    module = estimator.build_module(data)
    loss = estimator.loss_class(estimator, module, data, {}, CPU)
    module.double()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator))
            if name.startswith("bias_"):
                parameter.add_(0.5)  # no layer is all zero
    return loss


def batch_of(loss, rows=None):
    columns = (column[:rows] for column in loss.batches.columns)
    return tuple(column.double() if column.is_floating_point() else column for column in columns)


def value_of(loss, batch):
    """The loss with the same negatives every time."""
    return loss(batch, torch.Generator().manual_seed(3))[0]


@torch.no_grad()
def differences(loss, batch, parameter):
    """Central differences of the loss, entry by entry."""
    slopes = torch.zeros_like(parameter)
    flat, out = parameter.view(-1), slopes.view(-1)
    for index in range(len(flat)):
        value = flat[index].item()
        flat[index] = value + STEP
        above = value_of(loss, batch)
        flat[index] = value - STEP
        out[index] = (above - value_of(loss, batch)) / (2 * STEP)
        flat[index] = value
    return slopes


@pytest.mark.parametrize("estimator", [*MF, *EXPLICIT, *IMPLICIT, *PAIRWISE], ids=class_name)
def test_gradients_are_differences_of_the_loss(small, estimator):
    loss = make_loss(estimator, small)
    batch = batch_of(loss, 25)  # some users and items are in it twice, some not at all
    value = value_of(loss, batch)
    assert value.dtype == torch.float64
    value.backward()
    for name, parameter in loss.module.named_parameters():
        expected = differences(loss, batch, parameter)
        assert expected.abs().max() > 1e-5, name
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-5, atol=1e-8, msg=name)


# gravity acts on all rows: its gradients are dense
UNCOUPLED = [estimator for estimator in MF if not estimator.gravity]


@pytest.mark.parametrize("estimator", [*UNCOUPLED, *EXPLICIT, *IMPLICIT, *PAIRWISE], ids=class_name)
def test_sparse_gradients_are_the_same_as_dense_ones(small, estimator):
    grads = []
    for sparse in (False, True):
        loss = make_loss(estimator, small)
        loss.module.sparse = sparse
        value_of(loss, batch_of(loss, 25)).backward()
        grads.append({name: part.grad for name, part in loss.module.named_parameters()})
    dense, sparse = grads
    assert any(grad.is_sparse for grad in sparse.values())
    for name, grad in sparse.items():
        torch.testing.assert_close(grad.to_dense(), dense[name], rtol=1e-12, atol=1e-14)


def numbers(loss):
    return {name: part.detach().numpy() for name, part in loss.module.named_parameters()}


def score_of(loss, estimator, user, item):
    """One score, term by term as the estimator's docstring writes it."""
    w = numbers(loss)
    if isinstance(estimator, MatrixFactorization | BPR):
        score = loss.module.mean
        score += sum(
            a * b for a, b in zip(w["user_factors"][user], w["item_factors"][item], strict=True)
        )
        for name, row in (("user_bias", user), ("item_bias", item)):
            score += w[name][row, 0] if name in w else 0.0
        return score
    parts = []
    if "user_gmf" in w:
        parts += [a * b for a, b in zip(w["user_gmf"][user], w["item_gmf"][item], strict=True)]
    if "user_mlp" in w:
        active = [*w["user_mlp"][user], *w["item_mlp"][item]]
        k = 1
        while f"weights_{k}" in w:
            layer = zip(w[f"weights_{k}"], w[f"bias_{k}"], strict=True)
            active = [max(0.0, np.dot(row, active) + bias) for row, bias in layer]
            k += 1
        parts += active
    return loss.module.mean + np.dot(w["output"][0], parts) + w["output_bias"][0]


@pytest.mark.parametrize("estimator", [*MF, *EXPLICIT], ids=class_name)
def test_the_error_of_ratings_is_their_mean_square(small, estimator):
    loss = make_loss(estimator, small)
    batch = batch_of(loss, 25)
    ratings = small.ratings
    residuals = [
        score_of(loss, estimator, u, i) - rating
        for u, i, rating in zip(ratings.user[:25], ratings.item[:25], ratings.values, strict=False)
    ]
    error = loss(batch, torch.Generator())[1]
    assert error.item() == pytest.approx(np.mean(np.square(residuals)), rel=1e-10)


@pytest.mark.parametrize("estimator", IMPLICIT, ids=class_name)
def test_the_error_of_implicit_feedback_is_cross_entropy(small, estimator):
    loss = make_loss(estimator, small)
    user, item = batch_of(loss, 25)
    error = loss((user, item), torch.Generator().manual_seed(3))[1]
    users = user.repeat(estimator.negatives)
    drawn = loss.draw_negatives(users, torch.Generator().manual_seed(3))
    total = 0.0
    for u, i in zip(user.tolist(), item.tolist(), strict=True):
        total -= np.log(1 / (1 + np.exp(-score_of(loss, estimator, u, i))))
    for u, j in zip(users.tolist(), drawn.tolist(), strict=True):
        total -= np.log(1 - 1 / (1 + np.exp(-score_of(loss, estimator, u, j))))
    assert error.item() == pytest.approx(total / (25 * (1 + estimator.negatives)), rel=1e-10)


@pytest.mark.parametrize("estimator", PAIRWISE, ids=class_name)
def test_the_loss_of_bpr_is_that_of_its_docstring(small, estimator):
    loss = make_loss(estimator, small)
    user, item = batch_of(loss, 25)
    value, error = loss((user, item), torch.Generator().manual_seed(3))
    users, items = user.repeat(estimator.negatives), item.repeat(estimator.negatives)
    drawn = loss.draw_negatives(users, torch.Generator().manual_seed(3))
    w, errors, sizes = numbers(loss), [], []
    for u, i, j in zip(users.tolist(), items.tolist(), drawn.tolist(), strict=True):
        ahead = score_of(loss, estimator, u, i) - score_of(loss, estimator, u, j)
        errors.append(-np.log(1 / (1 + np.exp(-ahead))))
        p, q_i, q_j = w["user_factors"][u], w["item_factors"][i], w["item_factors"][j]
        biases = w["item_bias"][i, 0] ** 2 + w["item_bias"][j, 0] ** 2
        sizes.append(2 * p @ p + q_i @ q_i + q_j @ q_j + biases)
    assert error.item() == pytest.approx(np.mean(errors), rel=1e-10)
    whole = np.mean(errors) + estimator.regularization * np.mean(sizes)
    assert value.item() == pytest.approx(whole, rel=1e-6)  # the weight of a row is float32


def penalty_of_docstring(estimator, data, w):
    """The penalties of `MatrixFactorization`'s docstring, sum by sum, on rows that are used."""
    scores = w["user_factors"] @ w["item_factors"].T
    total = estimator.gravity * np.mean(scores**2)
    for side, counts in (("user", data.ratings.user_counts), ("item", data.ratings.item_counts)):
        for row, n in enumerate(counts):
            if n > 0:
                square = (w[f"{side}_factors"][row] ** 2).sum()
                square += w[f"{side}_bias"][row, 0] ** 2 if estimator.biases else 0.0
                total += estimator.regularization / len(data) * n**estimator.exponent * square
                total += estimator.l2 / len(counts) * square
    return total


@pytest.mark.parametrize("items", [10, 40])  # of 40, some have no ratings
@pytest.mark.parametrize("estimator", MF, ids=class_name)
def test_the_penalty_of_all_ratings_is_that_of_the_docstring(estimator, items):
    data, _ = generate(users=12, items=items, ratings=60, seed=2)
    assert (data.ratings.item_counts == 0).any() == (items == 40)
    loss = make_loss(estimator, data)
    value, error = loss(batch_of(loss), torch.Generator())
    expected = penalty_of_docstring(estimator, data, numbers(loss))
    # the weights of rows are float32
    assert (value - error).item() == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_batches_of_an_epoch_have_the_penalty_of_all_ratings_on_average(small):
    loss = make_loss(MatrixFactorization(factors=3, regularization=0.3), small, batch_size=6)
    penalties = []
    for batch, generator in loss.batches.epoch(1):
        user, item, rating = batch
        value, error = loss((user, item, rating.double()), generator)
        penalties.append((value - error).item())
    assert len(penalties) == 10
    value, error = loss(batch_of(loss), torch.Generator())
    assert np.mean(penalties) == pytest.approx((value - error).item(), rel=1e-6)


@pytest.mark.parametrize("shape", [(7, 5, 3), (1, 1, 1), (2, 30, 6)])
def test_gravity_is_the_mean_over_all_pairs(shape):
    users, items, width = shape
    generator = torch.Generator().manual_seed(0)
    p, q = (
        torch.randn(rows, width, generator=generator, dtype=torch.float64)
        for rows in (users, items)
    )
    expected = (p @ q.T).square().mean()
    torch.testing.assert_close(mean_square_score(p, q), expected, rtol=1e-12, atol=1e-14)
