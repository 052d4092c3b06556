"""Updates against their definitions, and embeddings whose gradients are sparse."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from matinee.models.neural import BPR, MLP, MatrixFactorization, NeuMF, optimizers
from matinee.models.neural.modules import Scorer
from matinee.models.neural.optimizers import build_optimizers, use_sparse_gradients

RATE = 0.1


class Bare(Scorer):
    """Parameters and nothing else."""

    def __init__(self, sparse=False):
        super().__init__(sparse)
        generator = torch.Generator().manual_seed(0)
        for group in ("factors", "biases", "layers"):
            self.add_parameter(group, group, torch.randn(5, 2, generator=generator))


def estimator_of(optimizer, **settings):
    return MatrixFactorization(optimizer=optimizer, learning_rate=RATE, **settings)


def random_gradients(steps, seed=1):
    """A gradient (5, 2) for each step."""
    return np.random.default_rng(seed).standard_normal((steps, 5, 2)).astype(np.float32)


def run_steps(module, updates, gradients):
    """The factors after steps with these gradients."""
    for gradient in gradients:
        for parameter in module.parameters():
            parameter.grad = torch.from_numpy(gradient.copy())
        for optimizer in updates:
            optimizer.step()
    return module.factors.detach().numpy()


def adamw(w, gradients, decay):
    """Loshchilov & Hutter 2019, algorithm 2."""
    w, m, v = w.astype(np.float64), np.zeros_like(w, np.float64), np.zeros_like(w, np.float64)
    for t, g in enumerate(gradients, start=1):
        w -= RATE * decay * w
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        w -= RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


def sgd(w, gradients, decay):
    w = w.astype(np.float64)
    for g in gradients:
        w -= RATE * (g + decay * w)
    return w


def adagrad(w, gradients, decay):
    w, total = w.astype(np.float64), 0.0
    for g in gradients:
        g = g + decay * w
        total = total + g**2
        w = w - RATE * g / (np.sqrt(total) + 1e-10)
    return w


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(
    ("name", "reference"), [("adam", adamw), ("sgd", sgd), ("adagrad", adagrad)]
)
def test_steps_are_those_of_the_definition(name, reference, decay):
    module = Bare()
    first = module.factors.detach().numpy().copy()
    updates = build_optimizers(estimator_of(name, weight_decay=decay), module)
    gradients = random_gradients(6)
    factors = run_steps(module, updates, gradients)
    np.testing.assert_allclose(factors, reference(first, gradients, decay), rtol=1e-5, atol=1e-6)
    assert np.abs(factors - first).max() > 0.1


def test_sparse_adam_moves_only_rows_with_a_gradient():
    """As torch.optim.SparseAdam is defined: the moments of other rows stay, too."""
    module = Bare(sparse=True)
    first = module.factors.detach().numpy().copy()
    updates = build_optimizers(estimator_of("sparse-adam"), module)
    batches = [[0, 1], [1, 3], [1, 0]]
    w, m, v = first.astype(np.float64), np.zeros((5, 2)), np.zeros((5, 2))
    for t, (rows, gradient) in enumerate(zip(batches, random_gradients(3), strict=True), start=1):
        g = gradient[rows]
        m[rows] = 0.9 * m[rows] + 0.1 * g
        v[rows] = 0.999 * v[rows] + 0.001 * g**2
        w[rows] -= RATE * (m[rows] / (1 - 0.9**t)) / (np.sqrt(v[rows] / (1 - 0.999**t)) + 1e-8)
        for name in ("factors", "biases", "layers"):
            whole = torch.sparse_coo_tensor(
                torch.tensor([rows]), torch.from_numpy(g), (5, 2), check_invariants=True
            )
            getattr(module, name).grad = whole.to_dense() if name == "layers" else whole
        for optimizer in updates:
            optimizer.step()
    np.testing.assert_allclose(module.factors.detach(), w, rtol=1e-5, atol=1e-6)
    assert np.array_equal(module.factors.detach().numpy()[[2, 4]], first[[2, 4]])
    # the layers have an optimizer that knows dense gradients, and Adam moves on in every row
    moved = (module.layers.detach() != Bare().layers).any(dim=1)
    assert moved.tolist() == [True, True, False, True, False]


@pytest.mark.parametrize("name", ["adam", "sgd", "adagrad"])
def test_weight_decay_moves_its_group_alone(name):
    module, before = Bare(), Bare()
    estimator = estimator_of(name, weight_decay={"biases": 0.5})
    run_steps(module, build_optimizers(estimator, module), np.zeros((1, 5, 2), np.float32))
    assert torch.equal(module.factors, before.factors)
    assert torch.equal(module.layers, before.layers)
    assert not torch.equal(module.biases, before.biases)


def test_weight_decay_for_all_groups_is_one_number(parts):
    estimator = MatrixFactorization(factors=4, epochs=3, device="cpu", learning_rate=0.02)
    single, by_group, none = (
        replace(estimator, weight_decay=decay).fit(parts[0]).rating_head
        for decay in (0.2, {"factors": 0.2, "biases": 0.2}, 0.0)
    )
    assert np.array_equal(single.user_params, by_group.user_params)
    assert np.abs(single.user_params).mean() < np.abs(none.user_params).mean()


def head_of(model):
    return next(iter(model.heads.values()))


def assert_close(model, other, atol=1e-5):
    for name in ("user_params", "item_params"):
        np.testing.assert_allclose(
            getattr(head_of(model), name), getattr(head_of(other), name), rtol=1e-4, atol=atol
        )


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # see the test after this one
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
@pytest.mark.parametrize(
    "estimator",
    [
        MatrixFactorization(factors=3, init_stddev=0.3, learning_rate=0.1),
        MLP(
            layers=(4, 4),
            init_stddev=0.5,
            feedback="explicit",
            learning_rate=0.05,
            weight_decay=0.0,
        ),
        BPR(factors=3, init_stddev=0.3, learning_rate=0.1),
    ],
)
def test_skipping_rows_outside_a_batch_changes_nothing(parts, optimizer, estimator, monkeypatch):
    estimator = replace(estimator, optimizer=optimizer, batch_size=50, epochs=1, device="cpu")
    assert use_sparse_gradients(estimator, 500)
    sparse = estimator.fit(parts[0])
    monkeypatch.setattr(optimizers, "ROWS_PER_EXAMPLE", 10**6)
    assert not use_sparse_gradients(estimator, 500)
    dense = estimator.fit(parts[0])
    assert_close(sparse, dense)
    assert head_of(dense).user_params.std() > 0.1


@pytest.mark.parametrize("optimizer", ["sgd", "sparse-adam", "adagrad"])
def test_sparse_gradients_raise_no_warning(small, optimizer):
    estimator = MatrixFactorization(factors=2, epochs=1, batch_size=2, device="cpu")
    torch.set_warn_always(True)  # not only the first time in this process
    try:
        replace(estimator, optimizer=optimizer).fit(small)
    finally:
        torch.set_warn_always(False)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"optimizer": "sgd", "batch_size": 10}, True),
        ({"optimizer": "adagrad", "batch_size": 10}, True),
        ({"optimizer": "adam", "batch_size": 10}, False),
        ({"optimizer": "sgd", "batch_size": 0}, False),  # all at once
        ({"optimizer": "sgd", "batch_size": 1000}, False),
        ({"optimizer": "sgd", "batch_size": 10, "weight_decay": 0.1}, False),
        ({"optimizer": "sgd", "batch_size": 10, "weight_decay": {"biases": 0.1}}, False),
        ({"optimizer": "sparse-adam", "batch_size": 0}, True),
    ],
)
def test_gradients_are_sparse_where_that_changes_nothing(settings, expected):
    assert use_sparse_gradients(MatrixFactorization(**settings), 500) is expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "estimator",
    [
        MatrixFactorization(factors=3),
        BPR(factors=3),
        NeuMF(factors=3, layers=(4, 4)),
        MLP(layers=(4, 4), feedback="explicit"),
    ],
)
def test_sparse_adam_trains_every_estimator(parts, estimator):
    estimator = replace(
        estimator, optimizer="sparse-adam", weight_decay=0.0, batch_size=256, epochs=2, device="cpu"
    )
    model = estimator.fit(parts[0])
    loss = model.history["loss"]
    assert loss[1] < loss[0]
    assert np.isfinite(model.scores([1, 2])).all()


def test_sparse_adam_with_gravity_is_refused():
    from matinee.errors import SettingError

    with pytest.raises(SettingError, match="gravity"):
        MatrixFactorization(biases=False, gravity=0.1, optimizer="sparse-adam")


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0]),
        ("cosine", [1, 0.5 + 0.25 * np.sqrt(2), 0.5, 0]),
    ],
)
def test_rates_at_the_start_a_quarter_half_and_end(schedule, shares):
    estimator = MatrixFactorization(schedule=schedule, learning_rate=0.2)
    rates = [estimator.learning_rate_at(progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    np.testing.assert_allclose(rates, 0.2 * np.array(shares), atol=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_history_has_the_rate_of_the_last_step(parts, schedule):
    estimator = MatrixFactorization(
        factors=2, epochs=4, batch_size=3000, schedule=schedule, device="cpu"
    )
    assert -(-len(parts[0]) // 3000) == 4
    expected = [estimator.learning_rate_at((4 * epoch - 1) / 16) for epoch in (1, 2, 3, 4)]
    rates = estimator.fit(parts[0]).history["learning_rate"].to_list()
    assert rates == pytest.approx(expected, rel=1e-12)


def test_both_optimizers_of_sparse_adam_follow_the_schedule(small):
    estimator = NeuMF(
        factors=2,
        layers=(4, 3),
        optimizer="sparse-adam",
        weight_decay=0.0,
        epochs=1,
        batch_size=0,
        schedule="linear",
        device="cpu",
    )
    module = estimator.build_module(small)
    updates = build_optimizers(estimator, module)
    assert [type(update).__name__ for update in updates] == ["SparseAdam", "AdamW"]
    from matinee.models.neural.trainer import _set_learning_rate

    _set_learning_rate(updates, 0.125)
    groups = [group for update in updates for group in update.param_groups]
    updated = {id(parameter) for group in groups for parameter in group["params"]}
    assert {group["lr"] for group in groups} == {0.125}
    assert updated == {id(parameter) for parameter in module.parameters()}
