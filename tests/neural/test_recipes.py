"""Recipes: what they refuse, what they need, and that a seed is all that chance depends on."""

import contextlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.models.neural import BPR, GMF, MLP, MatrixFactorization, NeuMF
from matinee.models.neural.devices import choose_device, device_report, torch_threads
from matinee.models.registry import estimator_from_config

EVERY = (MatrixFactorization, GMF, MLP, NeuMF, BPR)
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
LISTS = [{"negatives": 0}, {"min_rating": NAN}, {"min_rating": INF}]
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
    *((kind, wrong) for kind in (MLP, NeuMF) for wrong in TOWERS),
    *((kind, wrong) for kind in (GMF, MLP, NeuMF, BPR) for wrong in LISTS),
    *((kind, {"feedback": "both"}) for kind in (GMF, MLP, NeuMF)),
]


@pytest.mark.parametrize(
    ("kind", "wrong"), [*((kind, wrong) for kind in EVERY for wrong in COMMON), *OWN]
)
def test_senseless_settings_are_refused_by_name(kind, wrong):
    kind()
    with pytest.raises(SettingError, match=next(iter(wrong)).replace("_", ".")) as refused:
        kind(**wrong)
    assert "\n" not in str(refused.value)


def test_an_exponent_that_no_run_may_have_is_refused():
    with pytest.raises(SettingError, match="exponent"):
        MatrixFactorization(exponent=1.5)


SMALL = [
    MatrixFactorization(factors=2, epochs=2, device="cpu"),
    GMF(factors=2, epochs=2, negatives=1, device="cpu"),
    MLP(layers=(4, 2), epochs=2, feedback="explicit", device="cpu"),
    NeuMF(factors=2, layers=(4, 2), epochs=2, negatives=1, device="cpu"),
    NeuMF(factors=2, layers=(4, 2), epochs=1, pretrain_epochs=1, negatives=1, device="cpu"),
    BPR(factors=2, epochs=2, device="cpu"),
]


@pytest.mark.parametrize("estimator", SMALL)
def test_patience_needs_a_validation_part(parts, estimator):
    with pytest.raises(SettingError, match="validation"):
        replace(estimator, patience=2).fit(parts[0], test=parts[1])


@pytest.mark.parametrize("estimator", SMALL)
@pytest.mark.parametrize("part", ["validation", "test"])
def test_parts_of_other_data_are_refused(parts, estimator, part):
    other, _ = generate(users=50, items=40, ratings=1000, seed=1)
    with pytest.raises(SettingError, match=f"{part} part"):
        estimator.fit(parts[0], **{part: other})


@pytest.mark.parametrize("estimator", SMALL)
def test_an_unknown_device_is_refused_by_name(parts, estimator):
    with pytest.raises(SettingError, match="'quantum'"):
        replace(estimator, device="quantum").fit(parts[0])


@pytest.mark.parametrize("wanted", ["quantum", "", "cpu:x", "cuda:-2"])
def test_names_that_are_no_device_are_refused(wanted):
    with pytest.raises(SettingError, match="device"):
        choose_device(wanted)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "meta"])
def test_a_device_that_is_not_there_is_refused_with_a_reason(parts, wanted):
    with pytest.raises(SettingError, match=f"'{wanted}' cannot be used here .{{10,}}; ") as refused:
        replace(SMALL[0], device=wanted).fit(parts[0])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_is_the_best_there_is(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    ones = []
    monkeypatch.setattr(torch, "zeros", lambda n, device: ones.append(device) or torch.ones(n))
    assert choose_device("auto") == choose_device() == torch.device(chosen)
    assert [str(device) for device in ones] == [chosen, chosen]


def test_the_report_names_what_auto_picks():
    report = device_report()
    assert report["device"] == str(choose_device("auto"))
    assert report["torch"] == torch.__version__


def test_threads_are_given_back():
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


@pytest.mark.parametrize("estimator", SMALL)
def test_the_same_seed_gives_the_same_bits_and_another_seed_another_model(parts, estimator):
    torch.manual_seed(0)
    one = estimator.fit(parts[0], test=parts[1])
    torch.manual_seed(1)  # whatever else has drawn before
    torch.rand(5)
    same = estimator.fit(parts[0], test=parts[1])
    for key, value in arrays_of(one).items():
        assert np.array_equal(value, arrays_of(same)[key]), key
    assert one.history.drop("seconds").equals(same.history.drop("seconds"))
    other = replace(estimator, seed=1).fit(parts[0])
    for key in ("user_params", "item_params"):
        assert not np.array_equal(arrays_of(one)[key], arrays_of(other)[key]), key


@pytest.mark.parametrize("estimator", SMALL)
def test_judging_changes_nothing(parts, estimator):
    one, other = (
        estimator.fit(parts[0]),
        estimator.fit(parts[0], test=parts[1], validation=parts[1]),
    )
    for key, value in arrays_of(one).items():
        assert np.array_equal(value, arrays_of(other)[key]), key


@pytest.mark.parametrize("estimator", SMALL)
def test_the_data_and_the_state_of_chance_are_left_alone(parts, estimator):
    before = parts[0].ratings.fingerprint(), torch.random.get_rng_state()
    estimator.fit(parts[0])
    assert parts[0].ratings.fingerprint() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


@pytest.mark.parametrize("estimator", [*SMALL, replace(SMALL[0], weight_decay={"biases": 0.5})])
def test_a_estimator_comes_back_from_what_it_notes(estimator):
    import json

    recorded = json.loads(json.dumps(estimator.recorded()))
    assert recorded["name"] == type(estimator).__name__
    assert estimator_from_config(recorded) == replace(
        estimator, device="auto"
    )  # another machine, another one


def test_neumf_starts_from_both_halves(parts):
    """Its first scores are the mean of what GMF and MLP say."""
    estimator = replace(SMALL[4], pretrain_epochs=2, seed=3)
    shared = {"epochs": 2, "negatives": 1, "device": "cpu", "seed": 3}
    shared |= {"learning_rate": estimator.learning_rate, "weight_decay": estimator.weight_decay}
    halves = GMF(factors=2, **shared), MLP(layers=(4, 2), **shared)
    gmf, mlp = (half.fit(parts[0]).scores([1, 2, 3]) for half in halves)
    module = estimator.start(parts[0], {}, None)
    user, item = torch.arange(3).repeat_interleave(200), torch.arange(200).repeat(3)
    first = module(user, item)[0].detach().numpy().reshape(3, 200)
    watched = parts[0].ratings.item_counts > 0
    np.testing.assert_allclose(first[:, watched], ((gmf + mlp) / 2)[:, watched], atol=1e-5)


@pytest.mark.parametrize("kind", [GMF, BPR])
def test_nothing_liked_is_one_clear_line(parts, kind):
    with pytest.raises(SettingError, match="7 stars or more"):
        kind(min_rating=7.0, device="cpu").fit(parts[0])


@pytest.mark.parametrize("estimator", SMALL)
def test_nothing_to_learn_from_is_one_clear_line(parts, estimator):
    ratings = parts[0].ratings
    nothing = replace(parts[0], ratings=ratings.take(np.zeros(len(ratings), bool)))
    with pytest.raises(SettingError, match="no ratings"):
        estimator.fit(nothing)


@pytest.mark.parametrize("estimator", [SMALL[3], replace(SMALL[3], feedback="explicit")])
def test_half_precision_ends_near_full_precision(parts, estimator):
    estimator = replace(
        estimator, factors=8, layers=(16, 8), epochs=4, batch_size=1000, learning_rate=0.01
    )
    full, half = (replace(estimator, amp=amp).fit(parts[0]) for amp in (False, True))
    one, other = full.scores([1, 2, 3]), half.scores([1, 2, 3])
    assert np.isfinite(other).all()
    assert other.dtype == np.float32
    assert not np.array_equal(one, other)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98
    assert np.abs(one - other).mean() < 0.2 * one.std()


class NoFloat64(TorchDispatchMode):
    """As Apple's GPUs: no tensor there may be float64."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, tuple) else [found]:
            if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64:
                raise TypeError(f"{func}: this device has no float64")
        return found


@pytest.mark.parametrize("estimator", [SMALL[0], SMALL[1], SMALL[5]])
def test_training_needs_no_float64_on_the_device(parts, estimator):
    with NoFloat64():
        estimator.fit(parts[0], test=parts[1])


def test_without_torch_there_is_one_clear_line():
    code = """
import sys
sys.modules["torch"] = None
import matinee
from matinee.errors import ExtraError
from matinee.models.recipes import recipe_class
for ask in (lambda: __import__("matinee.models.neural"), lambda: recipe_class("NeuMF")):
    try:
        ask()
    except ExtraError as problem:
        print(problem)
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    lines = child.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "PyTorch" in line
        assert "matinee[torch]" in line


@pytest.mark.parametrize("kind", EVERY)
def test_parts_of_whole_numbers_are_refused(kind):
    with pytest.raises(SettingError, match=r"epochs is a whole number, not 2\.5"):
        kind(epochs=2.5)


def test_no_threads_are_refused(parts):
    with pytest.raises(SettingError, match="At least 1 thread"):
        SMALL[0].fit(parts[0], threads=0)


def test_patience_with_nothing_liked_to_watch_is_refused(parts):
    train, validation = parts
    disliked = replace(validation, ratings=validation.ratings.take(validation.ratings.values < 4))
    estimator = BPR(factors=2, min_rating=4.0, patience=2, device="cpu")
    with pytest.raises(SettingError, match="no validation rating has 4 stars"):
        estimator.fit(train, validation=disliked)


@pytest.mark.parametrize("seed", [2**32, 2**62])
def test_large_seeds_draw_numbers_of_their_own(parts, seed):
    small, large = (replace(SMALL[0], seed=s).fit(parts[0]) for s in (0, seed))
    assert not np.array_equal(small.scores(1), large.scores(1))
