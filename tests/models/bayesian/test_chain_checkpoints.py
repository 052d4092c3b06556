"""A chain that is killed, interrupted or too short is resumed as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from forward import SHORT, KilledError, assert_same
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from matinee.data.synthetic import generate
from matinee.errors import RunError, SettingError
from matinee.models.bayesian import BayesianMF
from matinee.models.bayesian import checkpoint as checkpoints
from matinee.models.loading import load
from matinee.storage.checkpoint import STATE, Checkpoint

ESTIMATOR = BayesianMF(**SHORT)
PLACE = "bayesianmf"


def data_of_the_killed():
    return generate(users=20, items=15, ratings=200, seed=0)[0]


@pytest.fixture(scope="module")
def small():
    return data_of_the_killed()


@pytest.fixture(scope="module")
def whole(small):
    """The model of a chain that nothing happens to."""
    return ESTIMATOR.fit(small, test=small)


@pytest.mark.parametrize(
    ("every", "sweep", "rest"),
    [(1, 1, 24), (1, 6, 19), (1, 24, 1), (5, 6, 19), (5, 20, 9), (50, 24, 24)],
)
def test_a_killed_chain_ends_with_the_same_model(
    small, tmp_path, end_at, whole, every, sweep, rest
):
    checkpoint = Checkpoint(tmp_path, every=every)
    end_at(sweep)
    with pytest.raises(KilledError):
        ESTIMATOR.fit(small, test=small, checkpoint=checkpoint)
    seen = end_at(0)
    model = ESTIMATOR.fit(small, test=small, checkpoint=checkpoint)
    assert len(seen) == rest
    assert_same(whole, model)
    assert model.history["seconds"].is_sorted()


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"likelihood": "normal"},
        {"memory": 0.03},
        {"features": "none"},
        {"features": "drift,date"},
        {"iterations": 90, "burn_in": 65},  # so far that all steps have settled
    ],
    ids=str,
)
def test_chains_of_all_kinds_are_resumed(small, tmp_path, end_at, change):
    estimator = replace(ESTIMATOR, **change)
    whole = estimator.fit(small)
    checkpoint = Checkpoint(tmp_path, every=3)
    end_at(estimator.iterations - 3)
    with pytest.raises(KilledError):
        estimator.fit(small, checkpoint=checkpoint)
    end_at(0)
    assert_same(whole, estimator.fit(small, threads=1, checkpoint=checkpoint))


def test_a_finished_chain_gives_its_model_at_once(small, tmp_path, end_at, whole):
    first = ESTIMATOR.fit(small, test=small, checkpoint=Checkpoint(tmp_path))
    seen = end_at(1)
    second = ESTIMATOR.fit(small, test=small, checkpoint=Checkpoint(tmp_path))
    assert seen == []
    assert_same(whole, second)
    assert first.history["seconds"].equals(second.history["seconds"])


def test_a_finished_chain_goes_on_to_more_iterations(small, tmp_path, end_at, whole):
    replace(ESTIMATOR, iterations=12).fit(small, test=small, checkpoint=Checkpoint(tmp_path))
    seen = end_at(0)
    model = ESTIMATOR.fit(small, test=small, checkpoint=Checkpoint(tmp_path))
    assert seen == list(range(12, 24))
    assert_same(whole, model)


def test_a_chain_that_has_gone_further_is_refused(small, tmp_path):
    ESTIMATOR.fit(small, checkpoint=Checkpoint(tmp_path))
    with pytest.raises(RunError, match="of 24 iterations, more than 12") as refused:
        replace(ESTIMATOR, iterations=12).fit(small, checkpoint=Checkpoint(tmp_path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        {"factors": 4},
        {"seed": 1},
        {"burn_in": 9},
        {"likelihood": "normal"},
        {"features": "none"},
        {"memory": 1},
    ],
    ids=str,
)
def test_a_state_of_another_estimator_is_refused(small, tmp_path, change):
    replace(ESTIMATOR, iterations=10).fit(small, checkpoint=Checkpoint(tmp_path))
    before = (tmp_path / PLACE / STATE).read_bytes()
    with pytest.raises(RunError, match="other hyperparameters"):
        replace(ESTIMATOR, **change).fit(small, checkpoint=Checkpoint(tmp_path))
    assert (tmp_path / PLACE / STATE).read_bytes() == before


def test_a_state_of_other_data_is_refused(small, tmp_path):
    less = replace(small, ratings=small.ratings.take(np.arange(150)))
    ESTIMATOR.fit(small, test=small, checkpoint=Checkpoint(tmp_path))
    values = replace(small, ratings=replace(small.ratings, values=5.5 - small.ratings.values))
    times = replace(small, ratings=replace(small.ratings, timestamp=small.ratings.timestamp + 1))
    for data, evaluated in (
        (less, {"test": small}),
        (values, {"test": small}),
        (times, {"test": small}),
        (small, {}),
        (small, {"validation": small}),
        (small, {"test": less}),
    ):
        with pytest.raises(RunError, match="other data"):
            ESTIMATOR.fit(data, **evaluated, checkpoint=Checkpoint(tmp_path))


def test_states_hold_every_draw_once(small, tmp_path, monkeypatch):
    """A state is written with the new draws alone."""
    format_setting, save = [], checkpoints.save_file
    monkeypatch.setattr(
        checkpoints,
        "save_file",
        lambda what, path, **how: format_setting.append(path.name) or save(what, path, **how),
    )
    ESTIMATOR.fit(small, checkpoint=Checkpoint(tmp_path, every=1))
    names = [f"draw-{number:06}.safetensors" for number in range(16)]
    assert sorted(name for name in format_setting if name != STATE) == names
    assert {path.name for path in (tmp_path / PLACE).iterdir()} == {STATE, *names}
    assert [path.name for path in tmp_path.iterdir()] == [PLACE]


def test_a_file_system_without_links_will_do(small, tmp_path, end_at, monkeypatch, whole):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    end_at(20)
    with pytest.raises(KilledError):
        ESTIMATOR.fit(small, test=small, checkpoint=Checkpoint(tmp_path, every=2))
    end_at(0)
    assert_same(whole, ESTIMATOR.fit(small, test=small, checkpoint=Checkpoint(tmp_path, every=2)))


@pytest.fixture(scope="module")
def half(small, tmp_path_factory):
    """The folder of a chain with twelve of its sweeps."""
    folder = tmp_path_factory.mktemp("half")
    replace(ESTIMATOR, iterations=12).fit(small, checkpoint=Checkpoint(folder))
    return folder


@pytest.fixture
def state(half, tmp_path):
    """A copy of it to be damaged."""
    place = tmp_path / PLACE
    place.mkdir()
    for path in (half / PLACE).iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    return place


def forged(name=None, value=None, **said):
    """A change of a state: one array another, or some of what it says of itself."""

    def change(place):
        path = place / STATE
        with safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()["state"])
        arrays = load_file(path)
        if name:
            arrays[name] = value(arrays[name]) if callable(value) else value
        about.update({key: new(about[key]) if callable(new) else new for key, new in said.items()})
        save_file(arrays, path, metadata={"state": json.dumps(about)})

    return change


def draw_of(change):
    def damage(place):
        path = place / "draw-000002.safetensors"
        arrays = load_file(path)
        change(arrays)
        save_file(arrays, path)

    return damage


def one_row_less(array):
    return array[1:].copy()


def in_doubles(array):
    return array.astype(np.float64)


def no_numbers(array):
    return np.full_like(array, np.nan)


DAMAGES = {
    "short factors": forged("chain.table", one_row_less),
    "factors in doubles": forged("chain.table", in_doubles),
    "factors that are no numbers": forged("chain.table", no_numbers),
    "residuals that are no numbers": forged("chain.residual", no_numbers),
    "links of another shape": forged("chain.link0", one_row_less),
    "cuts that are no numbers": forged("chain.cuts", no_numbers),
    "short sums": forged("average.total", one_row_less),
    "sums that are no numbers": forged("average.probed", no_numbers),
    "an unknown array": forged("chain.more", np.zeros(3)),
    "a sweep too many": forged(sweep=13),
    "a sweep in words": forged(sweep="x"),
    "a negative sweep": forged(sweep=-1),
    "more averaged than drawn": forged(averaged=13),
    "nothing averaged": forged(averaged=0),
    "averaged by half": forged(averaged=1.5),
    "all apart": forged(spacing=0),
    "further apart": forged(spacing=2),
    "a draw of nowhere": forged(draws=lambda numbers: [*numbers, 9]),
    "no draws": forged(draws=[]),
    "draws in words": forged(draws=["../x"]),
    "draws that are none": forged(draws=None),
    "a history of words": forged(history=lambda rows: [{"noise": "x"}] * len(rows)),
    "a short history": forged(history=lambda rows: rows[1:]),
    "a history of nothing": forged(history=lambda rows: [None] * len(rows)),
    "no history": forged(history=None),
    "empty": lambda place: (place / STATE).write_bytes(b""),
    "cut": lambda place: (place / STATE).write_bytes((place / STATE).read_bytes()[:-100]),
    "cut to a few bytes": lambda place: (place / STATE).write_bytes(b"\x10\0\0\0\0\0\0"),
    "random": lambda place: (place / STATE).write_bytes(np.random.default_rng(0).bytes(5000)),
    "no metadata": lambda place: save_file(load_file(place / STATE), place / STATE),
    "other metadata": lambda place: save_file(
        load_file(place / STATE), place / STATE, metadata={"state": "[]"}
    ),
    "no json": lambda place: save_file(
        load_file(place / STATE), place / STATE, metadata={"state": "{"}
    ),
    "no object": lambda place: save_file(
        load_file(place / STATE), place / STATE, metadata={"state": "true"}
    ),
    "a folder": lambda place: ((place / STATE).unlink(), (place / STATE).mkdir()),
    "a lost draw": lambda place: (place / "draw-000001.safetensors").unlink(),
    "an empty draw": lambda place: (place / "draw-000001.safetensors").write_bytes(b""),
    "a draw without factors": draw_of(lambda arrays: arrays.pop("table")),
    "a draw of another shape": draw_of(lambda a: a.update(mean_drift=a["mean_drift"][1:].copy())),
    "a draw that is no number": draw_of(lambda a: a["noise"].__setitem__(0, np.nan)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused(small, tmp_path, state, damage):
    DAMAGES[damage](state)
    with pytest.raises(RunError, match=r"state\.safetensors") as refused:
        ESTIMATOR.fit(small, checkpoint=Checkpoint(tmp_path))
    assert "\n" not in str(refused.value)


def scaled(factor):
    return lambda array: (array * factor).astype(array.dtype)


@pytest.mark.parametrize("factor", [0, 1e-30, -1, 1e30])
@pytest.mark.parametrize(
    "name", ["chain.table", "chain.residual", "average.total", "average.prior_weights"]
)
def test_a_state_of_extreme_numbers_ends_in_a_model_or_one_line(
    small, tmp_path, state, name, factor
):
    """Without a warning of how numbers are computed; the run of such a model can be loaded."""
    forged(name, scaled(factor))(state)
    model = None
    with suppress(SettingError, RunError):
        model = ESTIMATOR.fit(small, checkpoint=Checkpoint(tmp_path))
    if model is not None:
        load(model.save(tmp_path / "run")).recommend(1, n=3)


def test_an_undamaged_copy_of_a_state_is_resumed(small, tmp_path, state, end_at):
    forged()(state)
    seen = end_at(0)
    assert_same(ESTIMATOR.fit(small), ESTIMATOR.fit(small, checkpoint=Checkpoint(tmp_path)))
    assert seen[24:] == list(range(12, 24))


def test_a_folder_with_something_else_is_refused(small, tmp_path):
    (tmp_path / PLACE).mkdir()
    (tmp_path / PLACE / "mine").write_text("mine")
    with pytest.raises(RunError, match="not a checkpoint"):
        ESTIMATOR.fit(small, checkpoint=Checkpoint(tmp_path))
    assert (tmp_path / PLACE / "mine").read_text() == "mine"


def test_every_is_at_least_one(tmp_path):
    with pytest.raises(SettingError, match="every"):
        Checkpoint(tmp_path, every=0)


KILLED = """
    import pathlib, sys
    from dataclasses import replace
    from deadly import Deadly
    from test_chain_checkpoints import data_of_the_killed, ESTIMATOR
    from matinee.models.bayesian import checkpoint as checkpoints
    from matinee.storage.checkpoint import Checkpoint

    deadly = Deadly(int(sys.argv[2]))
    checkpoints.save_file = deadly(checkpoints.save_file)
    checkpoint = Checkpoint(sys.argv[1], every=1)
    replace(ESTIMATOR, iterations=11).fit(data_of_the_killed(), checkpoint=checkpoint)
    print("saved in", deadly.calls, "steps")
"""


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("step", [0, 9, 40, 47, 52, 57])
def test_killed_at_any_step_of_saving_it_ends_with_the_same_model(tmp_path, step):
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), tmp_path, str(step)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    data = data_of_the_killed()
    estimator = replace(ESTIMATOR, iterations=11)
    assert_same(estimator.fit(data), estimator.fit(data, checkpoint=Checkpoint(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == [PLACE]


def test_a_chain_of_which_nothing_counts_is_refused(small, tmp_path, end_at):
    estimator = replace(ESTIMATOR, iterations=64, burn_in=None)  # sixteen sweeps do not count
    end_at(9)
    with pytest.raises(KilledError):
        estimator.fit(small, checkpoint=Checkpoint(tmp_path, every=8))
    end_at(0)
    with pytest.raises(SettingError, match="None of these 8 iterations counts yet"):
        replace(estimator, iterations=8).fit(small, checkpoint=Checkpoint(tmp_path))
