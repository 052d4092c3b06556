"""Updates against their definitions, and embeddings whose gradients are sparse."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from matinee.models.neural import BPR, MLP, MatrixFactorization, NeuMF, optimizers
from matinee.models.neural.modules import Scorer
from matinee.models.neural.optimizers import build_optimizers, wants_sparse

RATE = 0.1


class Bare(Scorer):
    """Parameters and nothing else."""

    def __init__(self, sparse=False):
        super().__init__(sparse)
        generator = torch.Generator().manual_seed(0)
        for group in ("factors", "biases", "layers"):
            self.add(group, group, torch.randn(5, 2, generator=generator))


def estimator_of(optimizer, **settings):
    return MatrixFactorization(optimizer=optimizer, learning_rate=RATE, **settings)


def slopes(steps, seed=1):
    """A gradient (5, 2) for each step."""
    return np.random.default_rng(seed).standard_normal((steps, 5, 2)).astype(np.float32)


def stepped(module, updates, gradients):
    """What the factors are after steps with these gradients."""
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
    gradients = slopes(6)
    found = stepped(module, updates, gradients)
    np.testing.assert_allclose(found, reference(first, gradients, decay), rtol=1e-5, atol=1e-6)
    assert np.abs(found - first).max() > 0.1


def test_sparse_adam_moves_only_rows_with_a_gradient():
    """As torch.optim.SparseAdam is defined: the moments of other rows rest too."""
    module = Bare(sparse=True)
    first = module.factors.detach().numpy().copy()
    updates = build_optimizers(estimator_of("sparse-adam"), module)
    batches = [[0, 1], [1, 3], [1, 0]]
    w, m, v = first.astype(np.float64), np.zeros((5, 2)), np.zeros((5, 2))
    for t, (rows, gradient) in enumerate(zip(batches, slopes(3), strict=True), start=1):
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
    # the layers have an optimizer that knows dense gradients, and Adam goes on in every row
    moved = (module.layers.detach() != Bare().layers).any(dim=1)
    assert moved.tolist() == [True, True, False, True, False]


@pytest.mark.parametrize("name", ["adam", "sgd", "adagrad"])
def test_weight_decay_moves_its_group_alone(name):
    module, before = Bare(), Bare()
    estimator = estimator_of(name, weight_decay={"biases": 0.5})
    stepped(module, build_optimizers(estimator, module), np.zeros((1, 5, 2), np.float32))
    assert torch.equal(module.factors, before.factors)
    assert torch.equal(module.layers, before.layers)
    assert not torch.equal(module.biases, before.biases)


def test_weight_decay_for_all_groups_is_one_number(parts):
    estimator = MatrixFactorization(factors=4, epochs=3, device="cpu", learning_rate=0.02)
    one, both, none = (
        replace(estimator, weight_decay=decay).fit(parts[0]).rating_head
        for decay in (0.2, {"factors": 0.2, "biases": 0.2}, 0.0)
    )
    assert np.array_equal(one.user_params, both.user_params)
    assert np.abs(one.user_params).mean() < np.abs(none.user_params).mean()


def head_of(model):
    return next(iter(model.heads.values()))


def assert_close(one, other, atol=1e-5):
    for name in ("user_params", "item_params"):
        np.testing.assert_allclose(
            getattr(head_of(one), name), getattr(head_of(other), name), rtol=1e-4, atol=atol
        )


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
def test_rows_that_rest_are_skipped_without_a_difference(parts, optimizer, estimator, monkeypatch):
    estimator = replace(estimator, optimizer=optimizer, batch_size=50, epochs=1, device="cpu")
    estimator_wants = [wants_sparse(estimator, 500)]
    skipping = estimator.fit(parts[0])
    monkeypatch.setattr(optimizers, "ROWS_PER_EXAMPLE", 10**6)
    estimator_wants.append(wants_sparse(estimator, 500))
    whole = estimator.fit(parts[0])
    assert estimator_wants == [True, False]
    assert_close(skipping, whole)
    moved = head_of(whole).user_params.std()
    assert moved > 0.1


@pytest.mark.parametrize(
    "optimizer",
    [
        "sgd",
        "sparse-adam",
        "adagrad",
    ],
)
def test_training_row_by_row_warns_of_nothing(small, optimizer):
    estimator = MatrixFactorization(factors=2, epochs=1, batch_size=2, device="cpu")
    torch.set_warn_always(True)  # not only the first time in this process
    try:
        replace(estimator, optimizer=optimizer).fit(small)
    finally:
        torch.set_warn_always(False)


@pytest.mark.parametrize(
    ("settings", "wanted"),
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
def test_gradients_are_sparse_where_that_changes_nothing(settings, wanted):
    assert wants_sparse(MatrixFactorization(**settings), 500) is wanted


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


def test_sparse_adam_with_gravity_trains_or_is_refused(parts):
    from matinee.errors import SettingError

    try:
        estimator = MatrixFactorization(
            factors=3,
            epochs=1,
            biases=False,
            gravity=0.1,
            optimizer="sparse-adam",
            device="cpu",
        )
    except SettingError:
        return
    estimator.fit(parts[0])


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
    found = [estimator.rate_at(done) for done in (0.0, 0.25, 0.5, 1.0)]
    np.testing.assert_allclose(found, 0.2 * np.array(shares), atol=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_history_notes_the_rate_of_the_last_step(parts, schedule):
    estimator = MatrixFactorization(
        factors=2, epochs=4, batch_size=3000, schedule=schedule, device="cpu"
    )
    steps = -(-len(parts[0]) // 3000)
    assert steps == 4
    expected = [estimator.rate_at((steps * epoch - 1) / (4 * steps)) for epoch in (1, 2, 3, 4)]
    found = estimator.fit(parts[0]).history["learning_rate"].to_list()
    assert found == pytest.approx(expected, rel=1e-12)


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
    module = estimator.start(small, {}, None)
    updates = build_optimizers(estimator, module)
    assert [type(update).__name__ for update in updates] == ["SparseAdam", "AdamW"]
    from matinee.models.neural.trainer import _set_rate

    _set_rate(updates, 0.125)
    assert {group["lr"] for update in updates for group in update.param_groups} == {0.125}
    every = {id(part) for update in updates for g in update.param_groups for part in g["params"]}
    assert every == {id(part) for part in module.parameters()}
