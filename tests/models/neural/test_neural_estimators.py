"""What estimators refuse and need, devices, and that a seed fixes all that is random."""

import contextlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.models.base import FitContext
from matinee.models.neural import BPR, GMF, MLP, MatrixFactorization, NeuMF
from matinee.models.neural.devices import choose_device, device_report, torch_threads
from matinee.models.registry import estimator_from_config

CLASSES = (MatrixFactorization, GMF, MLP, NeuMF, BPR)
NAN, INF = float("nan"), float("inf")
COMMON = [
    {"epochs": 0},
    {"batch_size": -1},
    {"patience": -1},
    {"seed": -1},
    {"learning_rate": 0.0},
    {"learning_rate": -1.0},
    {"learning_rate": NAN},
    {"learning_rate": INF},
    {"optimizer": "lbfgs"},
    {"schedule": "step"},
    {"weight_decay": -0.1},
    {"weight_decay": NAN},
    {"weight_decay": INF},
    {"weight_decay": {"factors": -0.1}},
    {"weight_decay": {"factors": NAN}},
    {"weight_decay": {"heads": 0.1}},
    {"weight_decay": 0.1, "optimizer": "sparse-adam"},
    {"weight_decay": {"factors": 0.1}, "optimizer": "sparse-adam"},
    {"init_stddev": 0.0},
    {"init_stddev": NAN},
]
IMPLICIT = [{"negatives": 0}, {"min_rating": NAN}, {"min_rating": INF}]
TOWERS = [
    {"layers": ()},
    {"layers": (8,)},
    {"layers": (7, 4)},
    {"layers": (8, 0)},
    {"layers": (0, 4)},
    {"layers": (8, -4, 2)},
]
OWN = [
    *((MatrixFactorization, {name: -0.1}) for name in ("regularization", "exponent", "gravity")),
    *((MatrixFactorization, {name: NAN}) for name in ("regularization", "exponent", "gravity")),
    (MatrixFactorization, {"exponent": 1.5}),
    (MatrixFactorization, {"regularization": INF}),
    (MatrixFactorization, {"l2": -0.1}),
    (MatrixFactorization, {"l2": NAN}),
    (MatrixFactorization, {"factors": 0}),
    (MatrixFactorization, {"weight_decay": {"layers": 0.1}}),
    (BPR, {"factors": 0}),
    (BPR, {"regularization": -0.1}),
    (BPR, {"regularization": NAN}),
    (BPR, {"weight_decay": {"layers": 0.1}}),
    (GMF, {"factors": 0}),
    (GMF, {"weight_decay": {"biases": 0.1}}),
    (NeuMF, {"factors": 0}),
    (NeuMF, {"pretrain_epochs": -1}),
    *((cls, wrong) for cls in (MLP, NeuMF) for wrong in TOWERS),
    *((cls, wrong) for cls in (GMF, MLP, NeuMF, BPR) for wrong in IMPLICIT),
    *((cls, {"feedback": "both"}) for cls in (GMF, MLP, NeuMF)),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cls", "wrong"), [*((cls, wrong) for cls in CLASSES for wrong in COMMON), *OWN]
)
def test_senseless_hyperparameters_are_refused_by_name(cls, wrong):
    cls()
    with pytest.raises(SettingError, match=next(iter(wrong)).replace("_", ".")) as raised:
        cls(**wrong)
    assert "\n" not in str(raised.value)


SMALL = [
    MatrixFactorization(factors=2, epochs=2, device="cpu"),
    GMF(factors=2, epochs=2, negatives=1, device="cpu"),
    MLP(layers=(4, 2), epochs=2, feedback="explicit", device="cpu"),
    NeuMF(factors=2, layers=(4, 2), epochs=2, negatives=1, device="cpu"),
    NeuMF(factors=2, layers=(4, 2), epochs=1, pretrain_epochs=1, negatives=1, device="cpu"),
    BPR(factors=2, epochs=2, device="cpu"),
]


@pytest.mark.parametrize("estimator", SMALL)
def test_patience_needs_a_validation_set(parts, estimator):
    with pytest.raises(SettingError, match="validation"):
        replace(estimator, patience=2).fit(parts[0], test=parts[1])


@pytest.mark.parametrize("estimator", SMALL)
@pytest.mark.parametrize("name", ["validation", "test"])
def test_sets_of_other_data_are_refused(parts, estimator, name):
    other, _ = generate(users=50, items=40, ratings=1000, seed=1)
    with pytest.raises(SettingError, match=f"{name} set"):
        estimator.fit(parts[0], **{name: other})


@pytest.mark.parametrize("estimator", SMALL)
def test_an_unknown_device_is_refused_by_name(parts, estimator):
    with pytest.raises(SettingError, match="'quantum'"):
        replace(estimator, device="quantum").fit(parts[0])


@pytest.mark.parametrize("name", ["quantum", "", "cpu:x", "cuda:-2"])
def test_names_that_are_no_device_are_refused(name):
    with pytest.raises(SettingError, match="device"):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "meta"])
def test_a_device_that_is_not_there_is_refused_with_a_reason(parts, name):
    with pytest.raises(SettingError, match=f"'{name}' cannot be used here .{{10,}}; ") as raised:
        replace(SMALL[0], device=name).fit(parts[0])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_is_the_best_there_is(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    tried = []
    monkeypatch.setattr(torch, "zeros", lambda n, device: tried.append(device) or torch.ones(n))
    assert choose_device("auto") == choose_device() == torch.device(chosen)
    assert [str(device) for device in tried] == [chosen, chosen]


def test_the_report_names_what_auto_picks():
    report = device_report()
    assert report["device"] == str(choose_device("auto"))
    assert report["torch"] == torch.__version__


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    with contextlib.suppress(KeyError), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before
    with torch_threads(None):
        assert torch.get_num_threads() == before


def arrays_of(model):
    head = next(iter(model.heads.values()))
    return {key: value for key, value in vars(head).items() if isinstance(value, np.ndarray)}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", SMALL)
def test_the_same_seed_gives_the_same_bits_and_another_seed_another_model(parts, estimator):
    torch.manual_seed(0)
    model = estimator.fit(parts[0], test=parts[1])
    torch.manual_seed(1)  # whatever else has drawn before
    torch.rand(5)
    same = estimator.fit(parts[0], test=parts[1])
    for key, value in arrays_of(model).items():
        assert np.array_equal(value, arrays_of(same)[key]), key
    assert model.history.drop("seconds").equals(same.history.drop("seconds"))
    other = replace(estimator, seed=1).fit(parts[0])
    for key in ("user_params", "item_params"):
        assert not np.array_equal(arrays_of(model)[key], arrays_of(other)[key]), key


@pytest.mark.slow
@pytest.mark.parametrize("estimator", SMALL)
def test_evaluating_changes_nothing(parts, trained, estimator):
    model = trained(estimator)
    other = estimator.fit(parts[0], test=parts[1], validation=parts[1])
    for key, value in arrays_of(model).items():
        assert np.array_equal(value, arrays_of(other)[key]), key


@pytest.mark.parametrize("estimator", SMALL)
def test_the_data_and_the_global_generator_are_left_alone(parts, estimator):
    before = parts[0].ratings.fingerprint(), torch.random.get_rng_state()
    estimator.fit(parts[0])
    assert parts[0].ratings.fingerprint() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


@pytest.mark.parametrize("estimator", [*SMALL, replace(SMALL[0], weight_decay={"biases": 0.5})])
def test_an_estimator_comes_back_from_its_config(estimator):
    config = json.loads(json.dumps(estimator.to_config()))
    assert config["name"] == type(estimator).__name__
    # but for the device: another machine may have another one
    assert estimator_from_config(config) == replace(estimator, device="auto")


def test_neumf_starts_from_both_halves(parts):
    """Its initial scores are the mean of those of GMF and MLP."""
    estimator = replace(SMALL[4], pretrain_epochs=2, seed=3)
    shared = {"epochs": 2, "negatives": 1, "device": "cpu", "seed": 3}
    shared |= {"learning_rate": estimator.learning_rate, "weight_decay": estimator.weight_decay}
    halves = GMF(factors=2, **shared), MLP(layers=(4, 2), **shared)
    gmf, mlp = (half.fit(parts[0]).scores([1, 2, 3]) for half in halves)
    module = estimator.build_module(parts[0])
    estimator.pretrain(module, parts[0], FitContext({}, None, None, None, None, "keep"))
    user, item = torch.arange(3).repeat_interleave(200), torch.arange(200).repeat(3)
    initial = module(user, item)[0].detach().numpy().reshape(3, 200)
    is_trained = parts[0].ratings.item_counts > 0
    expected = (gmf + mlp) / 2
    np.testing.assert_allclose(initial[:, is_trained], expected[:, is_trained], atol=1e-5)


@pytest.mark.parametrize("cls", [GMF, BPR])
def test_a_training_set_without_positives_is_one_clear_line(parts, cls):
    with pytest.raises(SettingError, match="no rating is >= 7"):
        cls(min_rating=7.0, device="cpu").fit(parts[0])


@pytest.mark.parametrize("estimator", SMALL)
def test_an_empty_training_set_is_one_clear_line(parts, estimator):
    ratings = parts[0].ratings
    empty = replace(parts[0], ratings=ratings.take(np.zeros(len(ratings), bool)))
    with pytest.raises(SettingError, match="no ratings"):
        estimator.fit(empty)


@pytest.mark.parametrize("estimator", [SMALL[3], replace(SMALL[3], feedback="explicit")])
def test_half_precision_ends_near_full_precision(parts, estimator):
    estimator = replace(
        estimator, factors=8, layers=(16, 8), epochs=4, batch_size=1000, learning_rate=0.01
    )
    full, half = (replace(estimator, amp=amp).fit(parts[0]) for amp in (False, True))
    exact, rounded = full.scores([1, 2, 3]), half.scores([1, 2, 3])
    assert np.isfinite(rounded).all()
    assert rounded.dtype == np.float32
    assert not np.array_equal(exact, rounded)
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.98
    assert np.abs(exact - rounded).mean() < 0.2 * exact.std()


class NoFloat64(TorchDispatchMode):
    """As on Apple's GPUs, no tensor may be float64."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple) else [result]:
            if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64:
                raise TypeError(f"{func}: this device has no float64")
        return result


@pytest.mark.parametrize("estimator", [SMALL[0], SMALL[1], SMALL[5]])
def test_training_needs_no_float64_on_the_device(parts, estimator):
    with NoFloat64():
        estimator.fit(parts[0], test=parts[1])


@pytest.mark.slow
def test_without_torch_there_is_one_clear_line():
    code = """
import sys
sys.modules["torch"] = None
import matinee
from matinee.errors import ExtraError
from matinee.models.registry import estimator_class
for touch in (lambda: __import__("matinee.models.neural"), lambda: estimator_class("NeuMF")):
    try:
        touch()
    except ExtraError as problem:
        print(problem)
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    lines = child.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "PyTorch" in line
        assert "matinee[torch]" in line


@pytest.mark.parametrize("cls", CLASSES)
def test_fractions_of_epochs_are_refused(cls):
    with pytest.raises(SettingError, match=r"epochs must be a whole number, got 2\.5"):
        cls(epochs=2.5)


def test_no_threads_are_refused(parts):
    with pytest.raises(SettingError, match="threads must be >= 1, got 0"):
        SMALL[0].fit(parts[0], threads=0)


def test_patience_without_validation_positives_is_refused(parts):
    train, validation = parts
    disliked = replace(validation, ratings=validation.ratings.take(validation.ratings.values < 4))
    estimator = BPR(factors=2, min_rating=4.0, patience=2, device="cpu")
    with pytest.raises(SettingError, match="no validation rating is >= 4"):
        estimator.fit(train, validation=disliked)


@pytest.mark.parametrize("seed", [2**32, 2**62])
def test_large_seeds_draw_numbers_of_their_own(parts, trained, seed):
    small, large = trained(SMALL[0]), replace(SMALL[0], seed=seed).fit(parts[0])
    assert not np.array_equal(small.scores(1), large.scores(1))
