"""Search spaces: what a file or a dict may hold, and what becomes of it."""

import shlex
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from matinee.cli.hyperparameters import train_command
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.models import ALS, ImplicitALS
from matinee.models.registry import (
    RANKING,
    RATING,
    estimator_class,
    nested_settings,
    parse_settings,
)
from matinee.tuning import (
    Choice,
    Range,
    SearchSpace,
    default_search_space,
    parse_space,
    read_space,
    tune,
)
from matinee.tuning.search import make_plan
from matinee.tuning.search_space import build_estimator

TUNED = sorted({*RATING.values(), *RANKING.values()} - {"Popularity"})


@pytest.mark.parametrize("estimator", TUNED)
def test_every_estimator_has_a_default_space_that_has_its_defaults(estimator):
    space = default_search_space(estimator)
    default = space.default_values()
    assert default is not None
    values = space.suggest(FixedTrial(default))
    for name, choices in space.searched.items():
        assert choices.contains(values[name]) or values[name] == 1.0
    settings = space.to_settings(
        values, generate(users=60, items=50, ratings=1500, seed=0)[0].ratings
    )
    assert settings.keys() == values.keys()
    build_estimator(estimator, settings)  # refuses what makes no sense


def test_there_is_nothing_to_tune_in_popularity():
    with pytest.raises(SettingError, match="Popularity has no hyperparameters to tune"):
        default_search_space("Popularity")


SPACE = """
factors = { low = 8, high = 32, log = true }
exponent = { low = 0.0, high = 1.0, steps = 3 }
features = ["genres", "none"]
iterations = 7
solver = ["cholesky"]
"""


def test_a_file_has_ranges_choices_and_fixed_values(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(SPACE)
    space = read_space("ALS", file)
    assert space.searched == {
        "factors": Range(8, 32, log=True, integer=True),
        "exponent": Range(0.0, 1.0, steps=3),
        "features": Choice(("genres", "none")),
    }
    assert space.fixed == {"iterations": 7, "solver": "cholesky"}
    grid = space.grid()
    assert len(grid) == 5 * 3 * 2
    assert sorted({point["factors"] for point in grid}) == [8, 11, 16, 23, 32]
    assert {point["exponent"] for point in grid} == {0.0, 0.5, 1.0}
    assert {point["features"] for point in grid} == {"genres", "none"}


def test_a_dict_has_what_a_file_has_and_python_values():
    space = {
        "factors": (8, 32),
        "regularization": Range(0.3, 3.0, log=True, relative=True),
        "exponent": {"low": 0.0, "high": 1.0, "steps": 3},
        "features": ["genres", "none"],
        "solver": Choice(("cg", "cholesky")),
        "iterations": 7,
    }
    assert parse_space("ALS", space) == SearchSpace(
        "ALS",
        {
            "factors": Range(8, 32, integer=True),
            "regularization": Range(0.3, 3.0, log=True, relative=True),
            "exponent": Range(0.0, 1.0, steps=3),
            "features": Choice(("genres", "none")),
            "solver": Choice(("cg", "cholesky")),
        },
        {"iterations": 7},
    )


def test_in_a_dict_layers_are_tuples_and_groups_may_be_nested():
    space = parse_space("NeuMF", {"layers": [(8, 4), (4, 2)], "weight_decay": {"factors": (0, 1)}})
    assert space.searched == {
        "layers": Choice(((8, 4), (4, 2))), "weight_decay.factors": Range(0.0, 1.0)
    }  # fmt: skip
    space = parse_space("NeuMF", {"factors": (4, 8), "layers": (8, 4)})
    assert space.fixed == {"layers": (8, 4)}


WRONG_DICTS = {
    "factors: a tuple must be": {"factors": (1, 2, 3)},
    "factors: low and high must be integers, got 8.0 and 9.5": {"factors": Range(8.0, 9.5)},
    "ALS has no hyperparameter 'rank'": {"rank": (1, 2)},
    "features: None is not a value of a hyperparameter": {"features": [None, "genres"]},
}


@pytest.mark.parametrize("message", WRONG_DICTS)
def test_a_wrong_dict_is_refused_by_name(message):
    with pytest.raises(SettingError, match=f"^space: {message}"):
        parse_space("ALS", WRONG_DICTS[message])


@pytest.mark.slow
def test_tune_takes_a_dict(tmp_path):
    data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    result = tune(
        data, "bias", space={"iterations": [2, 4]}, study=tmp_path / "study", run=tmp_path / "run"
    )
    assert sorted(trial["settings"]["iterations"] for trial in result.trials) == [2, 4]


def test_groups_of_a_hyperparameter_are_hyperparameters_too(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("weight_decay.factors = { low = 0.01, high = 1 }\nlayers = [[8, 4], [4, 2]]\n")
    space = read_space("NeuMF", file)
    assert list(space.searched) == ["weight_decay.factors", "layers"]
    stored = {"weight_decay.factors": 0.5, "layers": "[8, 4]"}
    estimator = build_estimator("NeuMF", space.suggest(FixedTrial(stored)))
    assert estimator.weight_decay == {"factors": 0.5}
    assert estimator.layers == (8, 4)
    assert space.from_study(stored) == {"weight_decay.factors": 0.5, "layers": (8, 4)}


def test_relative_values_multiply_the_default_for_the_ratings():
    few = generate(users=60, items=50, ratings=900, seed=0)[0].ratings
    many = generate(users=60, items=50, ratings=2400, seed=0)[0].ratings
    for estimator, cls in (("ALS", ALS), ("ImplicitALS", ImplicitALS)):
        space = SearchSpace(
            estimator, {"regularization": Range(0.1, 9, relative=True)}, {"exponent": 0.3}
        )
        for ratings in (few, many):
            default = cls(exponent=0.3).default_regularization(ratings)
            settings = space.to_settings({"regularization": 2.0}, ratings)
            assert settings == {"exponent": 0.3, "regularization": 2.0 * default}
    assert cls(exponent=0.3).default_regularization(few) != default


WRONG = {
    "factor = 3": "ALS has no hyperparameter 'factor' to tune; it has factors, regularization, ",
    "seed = [1, 2]": "ALS has no hyperparameter 'seed' to tune",
    "factors = { low = 8 }": "factors: low and high must be numbers, got None",
    "factors = { low = 8.5, high = 9 }": "factors: low and high must be integers, got 8.5 and 9",
    "factors = { low = 9, high = 8 }": "factors: low must be < high, got 9 and 8",
    "factors = { low = -1, high = 8 }": "factors must be >= 0, got -1",
    "factors = { low = 1, high = 8, step = 2 }": "a range has low, high, log, steps, relative, "
    "got 'step'",
    "factors = { low = 0, high = 8, log = true }": "low must be > 0 with log, got 0",
    "factors = { low = 1, high = 8, log = 1 }": "log must be true or false, got 1",
    "factors = { low = 1, high = 8, steps = 1 }": "steps must be an integer from 2 to 2,000, got 1",
    "factors = { low = 1, high = 8, relative = true }": "relative is for the regularization of als",
    f"factors = {{ low = 1, high = 1{'0' * 400} }}": "low and high must be numbers",
    "factors = { low = 1, high = 8, steps = 2000000000 }": "an integer from 2 to 2,000",
    "patience = [1, 2]": "ALS has no hyperparameter 'patience' to tune",
    "factors = { low = true, high = 8 }": "low and high must be numbers, got True",
    "exponent = { low = 0.5, high = inf }": "low and high must be numbers, got inf",
    'exponent = ["a", 0.5]': "mine.toml: exponent must be a number, got 'a'",
    "exponent = { low = 0.5, high = 1.5 }": r"exponent must be in \[0, 1\], got 1.5",
    'solver = ["cg", "guess"]': "solver must be 'cg' or 'cholesky', got 'guess'",
    'features = ["none", "none"]': "features: the list has a value twice",
    "features = []": "features: the list of values is empty",
    "features = [{}, 1]": "features: {} is not a value of a hyperparameter",
    "iterations = 1.5": "iterations must be an integer, got 1.5",
    "iterations = 5": "nothing to search; give a range or a list of values",
    "factors.x = { low = 1, high = 2 }": "factors: a range has low, high, log, steps, relative, "
    "got 'x'",
    "factors = [": "not a TOML file",
    "": "nothing to search",
    "x = " + "[" * 5000: "not a TOML file",
}


@pytest.mark.parametrize(("estimator", "text", "message"), [
    ("BayesianMF", "burn_in = [1.5, 2.5]", "burn_in must be an integer, got 1.5"),
    ("Bias", "regularization = { low = -40, high = 3 }", "regularization must be > 0, got -40"),
])  # fmt: skip
def test_wrong_values_of_other_estimators_are_refused_by_name(tmp_path, estimator, text, message):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=message):
        read_space(estimator, file)


WRONG_OF_GMF = {
    "feedback = ['explicit', 'implicit']": "GMF has no hyperparameter 'feedback' to tune",
    "device = ['cpu', 'cuda']": "GMF has no hyperparameter 'device' to tune",
    "weight_decay = 0.1\n'weight_decay.factors' = { low = 0.1, high = 1 }": "give weight_decay "
    "either whole or by group",
    "weight_decay.colours = { low = 0.1, high = 1 }": "weight_decay must name groups of",
}


@pytest.mark.parametrize("text", WRONG_OF_GMF)
def test_wrong_groups_are_refused_by_name(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=WRONG_OF_GMF[text]):
        read_space("GMF", file)


def test_a_group_without_a_default_can_be_searched(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("weight_decay.layers = { low = 0.1, high = 1 }")
    assert read_space("GMF", file).default_values() is None  # 0 is not in the range


def test_the_default_values_are_those_of_the_whole_estimator(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("factors = { low = 16, high = 128 }\niterations = 15\n")
    assert read_space("ALS", file).default_values() == {"factors": 64}
    file.write_text("factors = { low = 16, high = 128 }\niterations = 10\n")
    assert read_space("ALS", file).default_values() is None
    file.write_text("weight_decay.layers = { low = 0, high = 1 }")  # and no decay of factors
    assert read_space("MLP", file).default_values() is None


def test_a_grid_is_shuffled_with_the_defaults_first():
    some = Choice((1.0, 2.0, 4.0, 8.0))
    space = SearchSpace("Bias", {"regularization": some, "iterations": Choice((5, 10))})
    plans = [make_plan(space, "grid", None, seed) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]
    for plan in plans:
        assert plan.initial[0] == {"regularization": 4.0, "iterations": 10}
        assert sorted(map(str, plan.initial)) == sorted(map(str, space.grid()))
        assert (plan.n_trials, plan.exhaustive) == (8, True)
    assert make_plan(space, "grid", 3, 0).n_trials == 3
    assert make_plan(space, "grid", 30, 0).n_trials == 8


def test_few_combinations_are_never_repeated():
    space = SearchSpace("Bias", {"iterations": Choice((5, 10, 20))})
    assert make_plan(space, "tpe", 3, 0) == make_plan(space, "random", 9, 0)
    assert make_plan(space, "tpe", None, 0).n_trials == 3
    few = make_plan(space, "tpe", 2, 0)  # may be resumed with more
    assert (few.n_trials, few.exhaustive, len(few.initial)) == (2, True, 3)
    many = SearchSpace("Bias", {"iterations": Choice(tuple(range(1, 60)))})
    assert not make_plan(many, "tpe", 100, 0).exhaustive
    assert not make_plan(default_search_space("Bias"), "tpe", None, 0).exhaustive


def test_a_huge_grid_is_refused():
    wide = {name: Range(0.1, 0.9, steps=20) for name in ("exponent", "regularization")}
    with pytest.raises(SettingError, match="A grid must have at most 2,000 points, got 8,000"):
        SearchSpace("ALS", {**wide, "factors": Range(1, 99, integer=True, steps=20)}).grid()


@pytest.mark.parametrize("estimator", TUNED)
def test_settings_from_the_default_space_can_be_typed_as_a_command(estimator):
    space = default_search_space(estimator)
    settings = nested_settings(space.suggest(FixedTrial(space.default_values() | tweak(space))))
    ranks = estimator in RANKING.values()
    name = next(n for n, cls in (RANKING if ranks else RATING).items() if cls == estimator)
    head = {"ranking": settings} if ranks else {"rating": settings}
    command = train_command("x", "als" if ranks else name, name if ranks else "ials", **head)
    texts = [text for flag, text in pairwise(shlex.split(command)) if flag == "--set"]
    assert texts
    cls = estimator_class(estimator)
    parsed = parse_settings(cls, [text.removeprefix("ranker.") for text in texts])
    assert cls(**parsed) == cls(**settings)


def tweak(space):
    """Another value than the default's for one setting."""
    name = next(name for name, values in space.searched.items() if isinstance(values, Range))
    return {name: space.searched[name].high}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_space_is_refused_by_name(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=WRONG[text]) as refused:
        read_space("ALS", file)
    assert str(refused.value).startswith(str(file))


def test_a_space_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(SettingError, match="cannot read the file"):
        read_space("ALS", tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match="not a TOML file"):
        read_space("ALS", binary)


@given(
    low=st.floats(1e-6, 1e3), ratio=st.floats(1.01, 1e3), log=st.booleans(), steps=st.integers(2, 9)
)
def test_grid_points_are_even_and_within_the_range(low, ratio, log, steps):
    values = Range(low, low * ratio, log=log, steps=steps)
    points = np.array(values.grid())
    assert len(points) == steps
    assert (points[0], points[-1]) == (values.low, values.high)
    apart = np.diff(np.log(points) if log else points)
    assert np.allclose(apart, apart[0], rtol=1e-4)
