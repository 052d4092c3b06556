"""A training that is killed and resumed ends as if nothing had happened."""

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
NEUMF = NeuMF(
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
    """Stands for the end of the process."""


@pytest.fixture
def kill_at(monkeypatch):
    """`kill_at(k)`: the k-th epoch from now on does not end; `kill_at(0)`: all do.

    Returns the list of the epochs that were run since.
    """
    original = {cls: cls.metrics for cls in (RatingLoss, ImplicitLoss)}
    epochs = []

    def arm(epoch):
        epochs.clear()
        for cls, metrics in original.items():

            def dying(loss, error, metrics=metrics):
                epochs.append(loss)
                if len(epochs) == epoch:
                    raise KilledError
                return metrics(loss, error)

            monkeypatch.setattr(cls, "metrics", dying)
        return epochs

    return arm


@pytest.fixture(scope="module")
def with_validation(parts):
    """(train, validation)."""
    return parts[0].split("random", test_fraction=0.2, seed=1)


def assert_same(model, other):
    """The same model bit for bit, and the same history but for its seconds."""
    assert list(model.heads) == list(other.heads)
    for name, head in model.heads.items():
        for key, value in vars(head).items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, getattr(other.heads[name], key)), key
            elif key in ("mean", "noise", "regularization"):
                assert value == getattr(other.heads[name], key)
    assert model.history.drop("seconds").equals(other.history.drop("seconds"))
    assert other.history["seconds"].is_sorted()


def kill_and_resume(estimator, folder, data, kill_at, epoch, every=1, **kwargs):
    """The model of a training killed in this epoch, and how many epochs it ran once resumed."""
    checkpoint = Checkpoint(folder, every)
    kill_at(epoch)
    with pytest.raises(KilledError):
        estimator.fit(data, checkpoint=checkpoint, **kwargs)
    epochs = kill_at(0)
    return estimator.fit(data, checkpoint=checkpoint, **kwargs), len(epochs)


EXPLICIT = {"layers": (4, 3), "feedback": "explicit", "batch_size": 2000, "epochs": 5}


@pytest.mark.thorough
@pytest.mark.slow
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
def test_a_killed_training_ends_with_the_same_model(parts, tmp_path, kill_at, estimator):
    train, test = parts
    whole = estimator.fit(train, test=test)
    for epoch in (1, 4):
        model, n_epochs = kill_and_resume(
            estimator, tmp_path / str(epoch), train, kill_at, epoch, test=test
        )
        assert n_epochs == 5 - (epoch - 1)
        assert_same(whole, model)


def test_patience_counts_on_after_a_kill(with_validation, tmp_path, kill_at):
    train, validation = with_validation
    estimator = replace(
        MF, factors=16, learning_rate=0.05, epochs=30, patience=2, regularization=0.0
    )
    estimator = replace(estimator, schedule="constant")
    whole = estimator.fit(train, validation=validation)
    best = int(whole.history["validation_rmse"].arg_min())
    assert whole.history.height == best + 3 < 30
    assert whole.history.height >= 4
    for epoch in {2, min(5, whole.history.height), min(7, whole.history.height)}:
        folder = tmp_path / str(epoch)
        model, _ = kill_and_resume(estimator, folder, train, kill_at, epoch, validation=validation)
        assert_same(whole, model)


@pytest.mark.slow
@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_pretraining_resumes_in_every_stage(parts, tmp_path, kill_at, feedback):
    estimator = replace(NEUMF, feedback=feedback)
    whole = estimator.fit(parts[0])
    for epoch in (2, 5, 9):  # of 3 of GMF, 3 of MLP, and 4 of both
        folder = tmp_path / str(epoch)
        model, n_epochs = kill_and_resume(estimator, folder, parts[0], kill_at, epoch)
        assert n_epochs == 10 - (epoch - 1)
        assert_same(whole, model)
        folders = {str(path.parent.relative_to(folder)) for path in folder.rglob(STATE)}
        halves = {f"neumf-halves/{name}-{feedback}" for name in ("gmf", "mlp")}
        assert folders == {*halves, f"neumf-{feedback}"}


def test_a_finished_training_gives_its_model_at_once(parts, tmp_path, kill_at):
    for estimator in (MF, NEUMF):
        first = estimator.fit(parts[0], checkpoint=Checkpoint(tmp_path))
        epochs = kill_at(1)
        second = estimator.fit(parts[0], checkpoint=Checkpoint(tmp_path))
        assert epochs == []
        kill_at(0)
        assert_same(first, second)
        assert first.history["seconds"].equals(second.history["seconds"])


@pytest.mark.parametrize(("every", "epoch", "left"), [(2, 4, 3), (2, 5, 1), (3, 3, 5), (9, 5, 5)])
def test_a_state_is_saved_every_few_epochs(parts, tmp_path, kill_at, every, epoch, left):
    model, n_epochs = kill_and_resume(MF, tmp_path, parts[0], kill_at, epoch, every)
    assert n_epochs == left
    assert_same(MF.fit(parts[0]), model)


@pytest.fixture(scope="module")
def state_bytes(parts, tmp_path_factory):
    """The state of a finished training of `MF`."""
    folder = tmp_path_factory.mktemp("finished")
    MF.fit(parts[0], checkpoint=Checkpoint(folder))
    return (folder / "matrixfactorization" / STATE).read_bytes()


@pytest.fixture
def state(state_bytes, tmp_path):
    """The path of a copy of it, where a checkpoint in `tmp_path` looks for one."""
    path = tmp_path / "matrixfactorization" / STATE
    path.parent.mkdir()
    path.write_bytes(state_bytes)
    return path


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
def test_a_state_of_another_estimator_is_refused(parts, tmp_path, state, state_bytes, change):
    with pytest.raises(RunError, match="other hyperparameters"):
        replace(MF, **change).fit(parts[0], checkpoint=Checkpoint(tmp_path))
    assert state.read_bytes() == state_bytes


def test_a_state_of_other_data_is_refused(parts, with_validation, tmp_path):
    train, test = parts
    checkpoint = Checkpoint(tmp_path)
    MF.fit(train, test=test, checkpoint=checkpoint)
    changed = replace(train, ratings=replace(train.ratings, values=5.5 - train.ratings.values))
    for data, eval_sets in (
        (with_validation[0], {"test": test}),
        (changed, {"test": test}),
        (train, {}),
        (train, {"validation": test}),
        (train, {"test": with_validation[1]}),
    ):
        with pytest.raises(RunError, match="other data"):
            MF.fit(data, **eval_sets, checkpoint=checkpoint)


def rewrite(path, change):
    """Write a state with other tensors or metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    save_file(tensors, path, metadata=change(tensors, metadata))


def remove_optimizer(tensors, metadata):
    for name in [name for name in tensors if name.startswith("optimizer.")]:
        del tensors[name]
    return metadata


def shorten_bias(tensors, metadata):
    tensors["weights.user_bias"] = tensors["weights.user_bias"][1:].clone()
    return metadata


def forge(name=None, value=None, **entries):
    """A change of a state: another tensor, or other entries of its metadata."""

    def change(tensors, metadata):
        if name:
            tensors[name] = value
        content = json.loads(metadata["state"])
        if "history" in entries and callable(entries["history"]):
            entries["history"](content["history"])
        else:
            content.update(entries)
        return {"state": json.dumps(content)}

    return lambda path: rewrite(path, change)


DAMAGES = {
    "short moments": forge("optimizer.0.exp_avg", torch.zeros(1)),
    "moments in double": forge("optimizer.2.exp_avg_sq", torch.zeros(300, 1, dtype=torch.float64)),
    "a step for each": forge("optimizer.0.step", torch.zeros(3)),
    "an unknown moment": forge("optimizer.0.max_exp_avg_sq", torch.zeros(300, 3)),
    "a weight that is no number": forge("weights.item_bias", torch.full((200, 1), torch.nan)),
    "a history of nothing": forge(history=[{}]),
    "a history of numbers": forge(history=[3, 0.5]),
    "numbers that are none": forge(numbers=[1]),
    "a history of words": forge(history=lambda rows: rows[0].update(loss="x")),
    "a history without a limit": forge(history=lambda rows: rows[0].pop("limit")),
    "a best epoch out of range": forge(best_epoch=99),
    "a best epoch in words": forge(best_epoch="x"),
    "a best epoch without weights": forge(best_epoch=1),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "cut to a few bytes": lambda path: path.write_bytes(path.read_bytes()[:6]),
    "random": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "no metadata": lambda path: rewrite(path, lambda tensors, metadata: None),
    "other metadata": lambda path: rewrite(path, lambda tensors, metadata: {"state": "[]"}),
    "no json": lambda path: rewrite(path, lambda tensors, metadata: {"state": "{"}),
    "another shape": lambda path: rewrite(path, shorten_bias),
    "no optimizer": lambda path: rewrite(path, remove_optimizer),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused(parts, tmp_path, state, damage):
    DAMAGES[damage](state)
    with pytest.raises(RunError, match=r"state\.safetensors"):
        MF.fit(parts[0], checkpoint=Checkpoint(tmp_path))


def test_a_folder_with_something_else_is_refused(parts, tmp_path):
    folder = tmp_path / "matrixfactorization"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(RunError, match="not a checkpoint"):
        MF.fit(parts[0], checkpoint=Checkpoint(tmp_path))
    assert (folder / "mine").read_text() == "mine"


def test_a_kill_while_a_state_is_written_leaves_the_one_before(parts, tmp_path, monkeypatch):
    from matinee.models.neural import checkpoint as checkpoint_module

    writes = []

    def dying(*args, **kwargs):
        writes.append(args)
        save_file(*args, **kwargs)
        if len(writes) == 3:
            raise KilledError

    monkeypatch.setattr(checkpoint_module, "save_file", dying)
    with pytest.raises(KilledError):
        MF.fit(parts[0], checkpoint=Checkpoint(tmp_path))
    model = MF.fit(parts[0], checkpoint=Checkpoint(tmp_path))
    assert len(writes) == 6  # two good ones, the killed one, and epochs 3 to 5
    assert_same(MF.fit(parts[0]), model)
    assert [path.name for path in tmp_path.iterdir()] == ["matrixfactorization"]


@pytest.mark.slow
def test_estimators_of_one_folder_do_not_disturb_each_other(parts, tmp_path):
    estimators = [
        MF,
        GMF(factors=2, epochs=1, negatives=1, device="cpu"),
        GMF(factors=2, epochs=1, feedback="explicit", device="cpu"),
        BPR(factors=2, epochs=1, negatives=1, device="cpu"),
    ]
    for _ in range(2):
        for estimator in estimators:
            model = estimator.fit(parts[0], checkpoint=Checkpoint(tmp_path))
            assert_same(estimator.fit(parts[0]), model)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"matrixfactorization", "gmf-implicit", "gmf-explicit", "bpr"}
    NEUMF.fit(parts[0], checkpoint=Checkpoint(tmp_path))  # its GMF half has a state of its own
