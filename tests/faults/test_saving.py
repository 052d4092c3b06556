"""Saving runs, checkpoints, pages, lists and exports: the old or the new, whatever fails."""

import shutil

import pytest
from faulty import check_every_step, contents

from matinee.models import ALS, Bias
from matinee.storage.atomic import recover_all
from matinee.storage.runs import write_run

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def old(parts):
    return Bias().fit(parts[0])


@pytest.fixture(scope="module")
def new(parts):
    return ALS(factors=2, iterations=1).fit(parts[0])


@pytest.fixture
def place(tmp_path):
    """A folder for what is written, which `prepare` of each test fills."""
    return tmp_path / "place"


def visible(folder):
    """What is there once readers have looked, but for what is hidden."""
    recover_all(folder)
    return {path: content for path, content in contents(folder).items() if not path.startswith(".")}


def emptied(place, fill=None):
    def prepare():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        if fill:
            fill()

    return prepare


@pytest.fixture(scope="module")
def saved(old, tmp_path_factory):
    """A run on disk, to be replaced."""
    return old.save(tmp_path_factory.mktemp("saved") / "run")


def test_a_new_run(place, new):
    parts = new.to_parts()
    steps = check_every_step(
        emptied(place), lambda: write_run(parts, place / "run"), place, visible, every=3
    )
    assert steps > 30


def test_a_run_that_replaces_another(place, saved, new):
    prepare, parts = emptied(place, lambda: shutil.copytree(saved, place / "run")), new.to_parts()
    steps = check_every_step(prepare, lambda: write_run(parts, place / "run"), place, visible)
    assert steps > 40


def test_checkpoints_of_a_chain(place, small_chain):
    """The second state, whose draws are links to those of the first."""
    first, second = small_chain
    prepare = emptied(place, lambda: first(place / "state"))
    steps = check_every_step(prepare, lambda: second(place / "state"), place, visible)
    assert steps > 20


@pytest.fixture
def small_chain(parts, monkeypatch, tmp_path):
    """Two functions that write the states of one chain into a folder, the earlier and the later."""
    from dataclasses import replace

    from matinee.models import BayesianMF
    from matinee.models.bayesian.checkpoint import ChainCheckpoint
    from matinee.storage.checkpoint import Checkpoint

    saves = []

    def keep(self, *state):
        if not saves:
            real(self, *state)
        saves.append((self, state))

    real = ChainCheckpoint.save
    monkeypatch.setattr(ChainCheckpoint, "save", keep)
    estimator = BayesianMF(factors=2, iterations=8)
    estimator.fit(parts[0], checkpoint=Checkpoint(tmp_path / "chain", every=4))
    checkpoint, state = saves[-1]

    def first(folder):
        shutil.copytree(tmp_path / "chain" / "bayesianmf", folder)

    def second(folder):
        real(replace(checkpoint, folder=folder), *state)

    return first, second


def test_checkpoints_of_gradient_models(place, parts):
    pytest.importorskip("torch")
    from dataclasses import replace

    from matinee.models.neural import MatrixFactorization
    from matinee.models.neural.checkpoint import TrainingCheckpoint
    from matinee.storage.checkpoint import Checkpoint

    states = []
    real = TrainingCheckpoint.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingCheckpoint, "save", lambda self, *state: states.append((self, state)))
        estimator = MatrixFactorization(factors=2, epochs=1, device="cpu")
        estimator.fit(parts[0], checkpoint=Checkpoint(place, every=1))
    checkpoint, state = states[0]
    checkpoint = replace(checkpoint, folder=place / "state", every=1)

    def fill():
        (place / "state").mkdir()
        (place / "state" / "state.safetensors").write_bytes(b"the state before")

    def write():
        real(checkpoint, *state)

    steps = check_every_step(emptied(place, fill), write, place, visible, every=4)
    assert steps > 10


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("there", [True, False])
def test_lists(place, new, ending, there, monkeypatch):
    from matinee.models import batches

    monkeypatch.setattr(batches, "ROWS", 500)
    path = place / f"top{ending}"
    prepare = emptied(place, (lambda: path.write_text("before")) if there else None)
    users = new.user_ids.values[:200].to_list()
    act = lambda: batches.write_lists(new, path, users, n=5)  # noqa: E731
    assert check_every_step(prepare, act, place, visible, every=2) > 10


def test_exports(place, new):
    from matinee.export import export

    prepare = emptied(place)
    act = lambda: export(new, place / "export")  # noqa: E731
    assert check_every_step(prepare, act, place, visible, every=4) > 50


@pytest.mark.parametrize("name", ["chart.svg", "chart.html"])
def test_pages_and_pictures(place, new, name):
    pytest.importorskip("altair")
    import altair as alt

    from matinee.report.document import save_chart

    chart = alt.Chart(alt.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q")

    def write():
        save_chart(chart, place / name)

    prepare = emptied(place, lambda: (place / name).write_text("before"))
    steps = check_every_step(prepare, write, place, visible, every=2)
    assert steps > 6
