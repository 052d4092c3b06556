"""Models of draws on disk: the same answers back, nothing believed unchecked."""

import hashlib
import json

import numpy as np
import pytest
from forward import SHORT
from safetensors.numpy import load_file, save_file

import matinee
from matinee.errors import RunError
from matinee.models import ImplicitALS
from matinee.models.bayesian import BayesianMF

FILE = "rating_head.safetensors"


@pytest.fixture(params=["ordinal", "normal", "bare"])
def fitted(small, request):
    """Models with all there is, and with as little as there can be."""
    if request.param == "bare":
        estimator = BayesianMF(**{**SHORT, "iterations": 9}, features="none", likelihood="normal")
        return estimator.fit(small)
    return BayesianMF(**SHORT, likelihood=request.param).fit(small)


@pytest.mark.slow
def test_a_loaded_model_answers_with_the_same_bits(fitted, tmp_path):
    loaded = matinee.load(fitted.save(tmp_path / "run"))
    for name, value in vars(fitted.rating_head).items():
        if isinstance(value, np.ndarray):
            other = getattr(loaded.rating_head, name)
            assert (value.dtype, value.shape) == (other.dtype, other.shape)
            assert value.tobytes() == other.tobytes(), name
    items = fitted.items[:50]
    for times in (None, 10**9):
        one, other = (model.predict(1, items, times, interval=0.8) for model in (fitted, loaded))
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
    new = {1: 5, 8: 2}
    for model in (fitted, loaded):
        assert model.predict_proba(model.fold_in(new), [3, 4]).width == 10
    assert np.array_equal(
        fitted.predict(fitted.fold_in(new), items), loaded.predict(loaded.fold_in(new), items)
    )
    assert loaded.recommend(1).equals(fitted.recommend(1))
    assert loaded.explain(1, 5).equals(fitted.explain(1, 5))
    ratings = of_ratings(fitted)
    both = fitted.with_ranking(ImplicitALS(factors=3, iterations=2).fit(ratings))
    loaded = matinee.load(both.save(tmp_path / "both"))
    assert loaded.recommend(1).equals(both.recommend(1))
    assert loaded.history["head"].unique().sort().to_list() == ["ranking", "rating"]


def of_ratings(model):
    """The training ratings of a model as a data set."""
    from matinee.data import Dataset, Ratings
    from matinee.kernels.csr import row_of_entries

    interactions = model.interactions
    user = row_of_entries(interactions).astype(np.int32)
    ratings = Ratings(
        user,
        interactions.indices,
        interactions.values,
        None,
        model.user_ids,
        model.catalog.ids,
        model.scale,
    )
    return Dataset(ratings, model.catalog, model.index.user_attributes)


@pytest.fixture(scope="module")
def saved(small, tmp_path_factory):
    model = BayesianMF(**SHORT).fit(small)
    return model.save(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def forge(saved):
    """Change the arrays with right checksums, and put everything back afterwards."""
    before = {name: (saved / name).read_bytes() for name in (FILE, "manifest.json")}

    def change_arrays(change):
        arrays = {name: array.copy() for name, array in load_file(saved / FILE).items()}
        change(arrays)
        save_file(arrays, saved / FILE)
        manifest = json.loads(before["manifest.json"])
        digest = hashlib.sha256((saved / FILE).read_bytes()).hexdigest()
        manifest["files"][FILE].update(sha256=digest)
        (saved / "manifest.json").write_text(json.dumps(manifest))

    yield change_arrays
    for name, content in before.items():
        (saved / name).write_bytes(content)


def to(name, at, value):
    return lambda arrays: arrays[name].__setitem__(at, value)


def cut(name):
    """One row less, in the last place where there is one."""
    return lambda arrays: arrays.update({name: arrays[name][..., :-1].copy()})


def swapped(name, one, other):
    def change(arrays):
        array = arrays[name]
        array[[one, other]] = array[[other, one]]

    return change


def no_draws(arrays):
    for name in [name for name in arrays if name.startswith("draw_")]:
        arrays[name] = arrays[name][:0].copy()


NAMES = [
    "draw_table",
    "draw_biases",
    "draw_paths",
    "draw_steps",
    "draw_drifts",
    "draw_mean_drift",
    "draw_drift_variance",
    "draw_cuts",
    "draw_noise",
    "draw_precision",
    "draw_rated",
    "levels",
    "moment_starts",
    "moment_times",
    "date_cuts",
    "user_params",
]
EDITS = {
    **{f"a shorter {name}": cut(name) for name in NAMES if name != "draw_drift_variance"},
    **{f"no {name}": lambda arrays, name=name: arrays.pop(name) for name in NAMES},
    **{
        f"{name} in doubles": lambda arrays, name=name: arrays.update(
            {name: arrays[name].astype(np.float64)}
        )
        for name in NAMES
        if name not in ("draw_drifts", "draw_drift_variance", "draw_cuts", "draw_noise")
    },
    **{
        f"{name} flat": lambda arrays, name=name: arrays.update({name: arrays[name].reshape(-1)})
        for name in NAMES
        if name.startswith("draw_")
    },
    **{
        f"{name} that is no number": to(name, (0, 0), np.nan)
        for name in NAMES
        if name.startswith("draw_") and name != "draw_paths"
    },
    "an infinite factor": to("draw_table", (0, 0, 0), np.inf),
    "a moment of nobody": to("moment_starts", -1, 10**9),
    "moments from nowhere": to("moment_starts", 0, -1),
    "moments backwards": to("moment_starts", 1, 10**6),
    "moments that wrap around": to("moment_starts", slice(1, 3), [2**63 - 1, -2]),
    "moments out of order": swapped("moment_times", 0, 1),
    "a moment twice": lambda a: a["moment_times"].__setitem__(1, a["moment_times"][0]),
    "dates out of order": swapped("date_cuts", 0, 1),
    "dates that wrap around": to("date_cuts", slice(0, 2), [2**63 - 1, -2]),
    "levels out of order": swapped("levels", 0, 1),
    "one level": lambda a: a.update(levels=a["levels"][:1].copy()),
    "cuts out of order": to("draw_cuts", (0, 1), 99.0),
    "no draws": no_draws,
    "no noise": to("draw_noise", (0, 0), 0.0),
    "negative noise": to("draw_noise", (0, 0), -1.0),
    "a negative spread": to("draw_drift_variance", (0, 0), -9.0),
    "no memory": to("draw_drifts", (0, 0, 0), 0.0),
    "a negative variance": to("draw_drifts", (0, 0, 1), -1.0),
    "no precision": to("draw_precision", 0, 0.0),
    "a precision that is none": to("draw_precision", (0, 0, 0), -5.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
def test_forged_draws_are_refused_even_with_right_checksums(saved, forge, edit):
    forge(EDITS[edit])
    with pytest.raises(RunError, match="fit together") as refused:
        matinee.load(saved)
    assert "\n" not in str(refused.value)


def test_what_was_forged_loads_unforged(saved, forge):
    forge(lambda arrays: None)
    assert matinee.load(saved).predict(1, [1]).shape == (1,)


def test_a_head_of_another_kind_is_refused(saved, forge):
    forge(lambda arrays: None)
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["heads"]["rating"]["kind"] = "FactorRatingHead"
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="fit together"):
        matinee.load(saved)
