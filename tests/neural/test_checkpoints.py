"""A training that is killed and started again ends as if nothing had happened."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from matinee.errors import RunError
from matinee.models.neural import BPR, GMF, MLP, MatrixFactorization, NeuMF
from matinee.models.neural.losses import ImplicitLoss, RatingLoss
from matinee.storage.checkpoint import STATE, Checkpoint

MF = MatrixFactorization(factors=3, epochs=5, batch_size=2000, learning_rate=0.02, device="cpu")
BUSY = NeuMF(
    factors=2,
    layers=(4, 3),
    epochs=4,
    pretrain_epochs=3,
    batch_size=8000,
    negatives=1,
    learning_rate=0.01,
    device="cpu",
)


class KilledError(Exception):
    """What stands for the end of the process."""


@pytest.fixture
def kill_at(monkeypatch):
    """`kill_at(k)`: the k-th epoch from now on does not end; `kill_at(0)`: all do."""
    kinds = {RatingLoss: RatingLoss.metrics, ImplicitLoss: ImplicitLoss.metrics}
    seen = []

    def arm(epoch):
        seen.clear()
        for kind, metrics in kinds.items():

            def dying(loss, error, metrics=metrics):
                seen.append(loss)
                if len(seen) == epoch:
                    raise KilledError
                return metrics(loss, error)

            monkeypatch.setattr(kind, "metrics", dying)
        return seen

    return arm


@pytest.fixture(scope="module")
def watched(parts):
    """(train, validation)."""
    return parts[0].split("random", test_fraction=0.2, seed=1)


def assert_same(one, other):
    """The same model to the last bit, and the same history but for its seconds."""
    assert list(one.heads) == list(other.heads)
    for name, head in one.heads.items():
        for key, value in vars(head).items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, getattr(other.heads[name], key)), key
            elif key in ("mean", "noise", "regularization"):
                assert value == getattr(other.heads[name], key)
    assert one.history.drop("seconds").equals(other.history.drop("seconds"))
    assert other.history["seconds"].is_sorted()


def killed_and_finished(estimator, folder, data, kill_at, epoch, every=1, **more):
    """The model of a training killed in this epoch, and how many epochs it took again."""
    again = Checkpoint(estimator, folder, every=every)
    kill_at(epoch)
    with pytest.raises(KilledError):
        again.fit(data, **more)
    seen = kill_at(0)
    return again.fit(data, **more), len(seen)


EXPLICIT = {"layers": (4, 3), "feedback": "explicit", "batch_size": 2000, "epochs": 5}


@pytest.mark.parametrize(
    "estimator",
    [
        *(replace(MF, optimizer=name) for name in ("adam", "sgd", "adagrad", "sparse-adam")),
        replace(MF, optimizer="sgd", learning_rate=0.5, schedule="linear", weight_decay=0.01),
        replace(MF, biases=False, gravity=0.1, batch_size=0),
        MLP(**EXPLICIT, device="cpu"),
        MLP(**EXPLICIT, optimizer="sparse-adam", weight_decay=0.0, device="cpu"),
        GMF(factors=3, epochs=5, batch_size=8000, negatives=1, device="cpu"),
        BPR(factors=3, epochs=5, batch_size=8000, negatives=1, device="cpu"),
    ],
    ids=lambda estimator: f"{type(estimator).__name__}-{estimator.optimizer}",
)
@pytest.mark.parametrize("epoch", [1, 4])
def test_a_killed_training_ends_with_the_same_model(parts, tmp_path, kill_at, estimator, epoch):
    train, test = parts
    whole = estimator.fit(train, test=test)
    model, rest = killed_and_finished(estimator, tmp_path, train, kill_at, epoch, test=test)
    assert rest == 5 - (epoch - 1)
    assert_same(whole, model)


@pytest.mark.parametrize("epoch", [2, 5, 7])
def test_patience_goes_on_counting(watched, tmp_path, kill_at, epoch):
    train, validation = watched
    estimator = replace(
        MF, factors=16, learning_rate=0.05, epochs=30, patience=2, regularization=0.0
    )
    estimator = replace(estimator, schedule="constant")
    whole = estimator.fit(train, validation=validation)
    best = int(whole.history["validation_rmse"].arg_min())
    assert whole.history.height == best + 3 < 30
    assert whole.history.height >= 4
    epoch = min(epoch, whole.history.height)
    model, _ = killed_and_finished(
        estimator, tmp_path, train, kill_at, epoch, validation=validation
    )
    assert_same(whole, model)


@pytest.mark.parametrize("epoch", [2, 5, 9])  # of 3 of GMF, 3 of MLP, and 4 of both
@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_pretraining_goes_on_in_every_stage(parts, tmp_path, kill_at, epoch, feedback):
    estimator = replace(BUSY, feedback=feedback)
    whole = estimator.fit(parts[0])
    model, rest = killed_and_finished(estimator, tmp_path, parts[0], kill_at, epoch)
    assert rest == 10 - (epoch - 1)
    assert_same(whole, model)
    folders = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob(STATE)}
    halves = {f"neumf-halves/{name}-{feedback}" for name in ("gmf", "mlp")}
    assert folders == {*halves, f"neumf-{feedback}"}


def test_a_finished_training_gives_its_model_at_once(parts, tmp_path, kill_at):
    for estimator in (MF, BUSY):
        again = Checkpoint(estimator, tmp_path)
        first = again.fit(parts[0])
        seen = kill_at(1)
        second = again.fit(parts[0])
        assert seen == []
        kill_at(0)
        assert_same(first, second)
        assert first.history["seconds"].equals(second.history["seconds"])


@pytest.mark.parametrize(("every", "epoch", "rest"), [(2, 4, 3), (2, 5, 1), (3, 3, 5), (9, 5, 5)])
def test_states_are_left_every_few_epochs(parts, tmp_path, kill_at, every, epoch, rest):
    model, took = killed_and_finished(MF, tmp_path, parts[0], kill_at, epoch, every)
    assert took == rest
    assert_same(MF.fit(parts[0]), model)


def test_every_is_at_least_one(parts, tmp_path):
    from matinee.errors import SettingError

    with pytest.raises(SettingError, match="every"):
        Checkpoint(MF, tmp_path, every=0).fit(parts[0])


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.01},
        {"epochs": 6},
        {"seed": 1},
        {"optimizer": "sgd"},
        {"weight_decay": {"factors": 0.1}},
        {"factors": 4},
    ],
)
def test_a_state_of_another_estimator_is_refused(parts, tmp_path, change):
    Checkpoint(MF, tmp_path).fit(parts[0])
    before = (tmp_path / "matrixfactorization" / STATE).read_bytes()
    with pytest.raises(RunError, match="other settings"):
        Checkpoint(replace(MF, **change), tmp_path).fit(parts[0])
    assert (tmp_path / "matrixfactorization" / STATE).read_bytes() == before


def test_a_state_of_other_data_is_refused(parts, watched, tmp_path):
    train, test = parts
    Checkpoint(MF, tmp_path).fit(train, test=test)
    changed = replace(train, ratings=replace(train.ratings, values=5.5 - train.ratings.values))
    for data, evaluated in (
        (watched[0], {"test": test}),
        (changed, {"test": test}),
        (train, {}),
        (train, {"validation": test}),
        (train, {"test": watched[1]}),
    ):
        with pytest.raises(RunError, match="other data"):
            Checkpoint(MF, tmp_path).fit(data, **evaluated)


def rewritten(path, change):
    """Write a state again with other tensors or metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    save_file(tensors, path, metadata=change(tensors, metadata))


def without_optimizer(tensors, metadata):
    for name in [name for name in tensors if name.startswith("optimizer.")]:
        del tensors[name]
    return metadata


def of_another_shape(tensors, metadata):
    tensors["weights.user_bias"] = tensors["weights.user_bias"][1:].clone()
    return metadata


def forged(name=None, value=None, **about):
    """A change of a state: one tensor another, or some of what it says of itself."""

    def change(tensors, metadata):
        if name:
            tensors[name] = value
        said = json.loads(metadata["state"])
        if "history" in about and callable(about["history"]):
            about["history"](said["history"])
        else:
            said.update(about)
        return {"state": json.dumps(said)}

    return lambda path: rewritten(path, change)


DAMAGES = {
    "short moments": forged("optimizer.0.exp_avg", torch.zeros(1)),
    "moments in double": forged("optimizer.2.exp_avg_sq", torch.zeros(300, 1, dtype=torch.float64)),
    "a step for each": forged("optimizer.0.step", torch.zeros(3)),
    "an unknown moment": forged("optimizer.0.max_exp_avg_sq", torch.zeros(300, 3)),
    "a weight that is no number": forged("weights.item_bias", torch.full((200, 1), torch.nan)),
    "a history of nothing": forged(history=[{}]),
    "a history of words": forged(history=lambda rows: rows[0].update(loss="x")),
    "a history without a limit": forged(history=lambda rows: rows[0].pop("limit")),
    "a best epoch that is none": forged(best_epoch=99),
    "a best epoch in words": forged(best_epoch="x"),
    "a best epoch that is not kept": forged(best_epoch=1),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "cut to a few bytes": lambda path: path.write_bytes(path.read_bytes()[:6]),
    "random": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "no metadata": lambda path: rewritten(path, lambda tensors, metadata: None),
    "other metadata": lambda path: rewritten(path, lambda tensors, metadata: {"state": "[]"}),
    "no json": lambda path: rewritten(path, lambda tensors, metadata: {"state": "{"}),
    "another shape": lambda path: rewritten(path, of_another_shape),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused(parts, tmp_path, damage):
    Checkpoint(MF, tmp_path).fit(parts[0])
    path = tmp_path / "matrixfactorization" / STATE
    DAMAGES[damage](path)
    with pytest.raises(RunError, match=r"state\.safetensors"):
        Checkpoint(MF, tmp_path).fit(parts[0])


def test_a_state_without_its_optimizer_is_refused(parts, tmp_path, kill_at):
    again = Checkpoint(MF, tmp_path)
    kill_at(3)
    with pytest.raises(KilledError):
        again.fit(parts[0])
    kill_at(0)
    rewritten(tmp_path / "matrixfactorization" / STATE, without_optimizer)
    with pytest.raises(RunError):
        again.fit(parts[0])


def test_a_folder_with_something_else_is_refused(parts, tmp_path):
    place = tmp_path / "matrixfactorization"
    place.mkdir()
    (place / "mine").write_text("mine")
    with pytest.raises(RunError, match="no checkpoint"):
        Checkpoint(MF, tmp_path).fit(parts[0])
    assert (place / "mine").read_text() == "mine"


def test_a_kill_while_a_state_is_written_leaves_the_one_before(parts, tmp_path, monkeypatch):
    from matinee.models.neural import checkpoint as checkpoints

    writes = []

    def dying(*what, **how):
        writes.append(what)
        save_file(*what, **how)
        if len(writes) == 3:
            raise KilledError

    monkeypatch.setattr(checkpoints, "save_file", dying)
    with pytest.raises(KilledError):
        Checkpoint(MF, tmp_path).fit(parts[0])
    model = Checkpoint(MF, tmp_path).fit(parts[0])
    assert len(writes) == 6  # two good ones, the killed one, and epochs 3 to 5
    assert_same(MF.fit(parts[0]), model)
    assert [path.name for path in tmp_path.iterdir()] == ["matrixfactorization"]


def test_estimators_of_one_folder_do_not_disturb_each_other(parts, tmp_path):
    estimators = [
        MF,
        GMF(factors=2, epochs=1, negatives=1, device="cpu"),
        GMF(factors=2, epochs=1, feedback="explicit", device="cpu"),
        BPR(factors=2, epochs=1, negatives=1, device="cpu"),
    ]
    for _ in range(2):
        for estimator in estimators:
            model = Checkpoint(estimator, tmp_path).fit(parts[0])
            assert_same(estimator.fit(parts[0]), model)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"matrixfactorization", "gmf-implicit", "gmf-explicit", "bpr"}


def test_pretraining_does_not_disturb_a_estimator_of_its_half(parts, tmp_path):
    Checkpoint(GMF(factors=2, epochs=1, negatives=1, device="cpu"), tmp_path).fit(parts[0])
    Checkpoint(BUSY, tmp_path).fit(parts[0])
