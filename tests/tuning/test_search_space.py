"""What a search may try: what a file may say, and what comes of it."""

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
from matinee.tuning import Choice, Range, SearchSpace, default_search_space, read_space
from matinee.tuning.search import plan_of
from matinee.tuning.search_space import estimator_with

TUNED = sorted({*RATING.values(), *RANKING.values()} - {"Popularity"})


@pytest.mark.parametrize("estimator", TUNED)
def test_a_space_ships_with_every_estimator_and_its_defaults_are_in_it(estimator):
    space = default_search_space(estimator)
    default = space.default()
    assert default is not None
    values = space.suggest(FixedTrial(default))
    for name, part in space.searched.items():
        assert part.holds(values[name]) or values[name] == 1.0
    settings = space.settings(values, generate(users=60, items=50, ratings=1500, seed=0)[0].ratings)
    assert settings.keys() == values.keys()
    estimator_with(estimator, settings)  # which would refuse what makes no sense


def test_there_is_nothing_to_tune_in_popularity():
    with pytest.raises(SettingError, match="Popularity has no settings that are worth tuning"):
        default_search_space("Popularity")


WHOLE = """
factors = { low = 8, high = 32, log = true }
exponent = { low = 0.0, high = 1.0, steps = 3 }
features = ["genres", "none"]
iterations = 7
solver = ["cholesky"]
"""


def test_a_file_says_ranges_choices_and_what_is_fixed(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(WHOLE)
    space = read_space("ALS", file)
    assert space.searched == {
        "factors": Range(8, 32, log=True, whole=True),
        "exponent": Range(0.0, 1.0, steps=3),
        "features": Choice(("genres", "none")),
    }
    assert space.fixed == {"iterations": 7, "solver": "cholesky"}
    grid = space.grid()
    assert len(grid) == 5 * 3 * 2
    assert sorted({point["factors"] for point in grid}) == [8, 11, 16, 23, 32]
    assert {point["exponent"] for point in grid} == {0.0, 0.5, 1.0}
    assert {point["features"] for point in grid} == {"genres", "none"}


def test_entries_of_a_mapping_are_settings_too(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("weight_decay.factors = { low = 0.01, high = 1 }\nlayers = [[8, 4], [4, 2]]\n")
    space = read_space("NeuMF", file)
    assert list(space.searched) == ["weight_decay.factors", "layers"]
    kept = {"weight_decay.factors": 0.5, "layers": "[8, 4]"}
    estimator = estimator_with("NeuMF", space.suggest(FixedTrial(kept)))
    assert estimator.weight_decay == {"factors": 0.5}
    assert estimator.layers == (8, 4)
    assert space.of(kept) == {"weight_decay.factors": 0.5, "layers": (8, 4)}


def test_what_is_relative_follows_the_ratings():
    few = generate(users=60, items=50, ratings=900, seed=0)[0].ratings
    many = generate(users=60, items=50, ratings=2400, seed=0)[0].ratings
    for estimator, kind in (("ALS", ALS), ("ImplicitALS", ImplicitALS)):
        space = SearchSpace(
            estimator, {"regularization": Range(0.1, 9, relative=True)}, {"exponent": 0.3}
        )
        for ratings in (few, many):
            default = kind(exponent=0.3).default_regularization(ratings)
            settings = space.settings({"regularization": 2.0}, ratings)
            assert settings == {"exponent": 0.3, "regularization": 2.0 * default}
    assert kind(exponent=0.3).default_regularization(few) != default


WRONG = {
    "factor = 3": "ALS has no setting 'factor' to tune; it has factors, regularization, ",
    "seed = [1, 2]": "ALS has no setting 'seed' to tune",
    "factors = { low = 8 }": "factors: a range has numbers low and high, not None",
    "factors = { low = 8.5, high = 9 }": "factors: whole numbers are wanted, not 8.5 to 9",
    "factors = { low = 9, high = 8 }": r"factors: low \(9\) is not below high \(8\)",
    "factors = { low = -1, high = 8 }": "factors is at least 0, not -1",
    "factors = { low = 1, high = 8, step = 2 }": "a range has low, high, log, steps, relative, "
    "not 'step'",
    "factors = { low = 0, high = 8, log = true }": "with log, low is above 0, not 0",
    "factors = { low = 1, high = 8, log = 1 }": "log is true or false, not 1",
    "factors = { low = 1, high = 8, steps = 1 }": "steps are a whole number from 2 to 2,000, not 1",
    "factors = { low = 1, high = 8, relative = true }": "relative is for the regularization of als",
    f"factors = {{ low = 1, high = 1{'0' * 400} }}": "a range has numbers low and high",
    "factors = { low = 1, high = 8, steps = 2000000000 }": "a whole number from 2 to 2,000",
    "patience = [1, 2]": "ALS has no setting 'patience' to tune",
    "factors = { low = true, high = 8 }": "a range has numbers low and high, not True",
    "exponent = { low = 0.5, high = inf }": "numbers low and high, not inf",
    'exponent = ["a", 0.5]': "mine.toml: exponent cannot be 'a'",
    "exponent = { low = 0.5, high = 1.5 }": "exponent lies between 0 and 1, not at 1.5",
    'features = ["genres", "actors"]': "features are 'genres' or 'none', not 'actors'",
    'features = ["none", "none"]': "features: a value stands there twice",
    "features = []": "features: an empty list leaves nothing to choose",
    "features = [{}, 1]": "features: {} is no value of a setting",
    "iterations = 1.5": "iterations is a whole number, not 1.5",
    "iterations = 5": "nothing to search; give a range or a list of values",
    "factors.x = { low = 1, high = 2 }": "factors: a range has low, high, log, steps, relative, "
    "not 'x'",
    "factors = [": "this is no TOML",
    "": "nothing to search",
    "x = " + "[" * 5000: "this is no TOML",
}


@pytest.mark.parametrize(("estimator", "text", "said"), [
    ("BayesianMF", "burn_in = [1.5, 2.5]", "burn_in is a whole number, not 1.5"),
    ("Bias", "regularization = { low = -40, high = 3 }", "regularization is above 0, not -40"),
])  # fmt: skip
def test_wrong_values_of_other_estimators_are_refused_by_name(tmp_path, estimator, text, said):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=said):
        read_space(estimator, file)


WRONG_OF_GMF = {
    "feedback = ['explicit', 'implicit']": "GMF has no setting 'feedback' to tune",
    "device = ['cpu', 'cuda']": "GMF has no setting 'device' to tune",
    "weight_decay = 0.1\n'weight_decay.factors' = { low = 0.1, high = 1 }": "weight_decay is given "
    "both whole and in parts",
    "weight_decay.colours = { low = 0.1, high = 1 }": "weight_decay has groups",
}


@pytest.mark.parametrize("text", WRONG_OF_GMF)
def test_wrong_entries_of_mappings_are_refused_by_name(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=WRONG_OF_GMF[text]):
        read_space("GMF", file)


def test_a_group_without_a_default_can_be_searched(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("weight_decay.layers = { low = 0.1, high = 1 }")
    assert read_space("GMF", file).default() is None  # 0 is not in the range


def test_the_defaults_are_what_a_estimator_has_where_nothing_else_is_said(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("factors = { low = 16, high = 128 }\niterations = 15\n")
    assert read_space("ALS", file).default() == {"factors": 64}
    file.write_text("factors = { low = 16, high = 128 }\niterations = 10\n")
    assert read_space("ALS", file).default() is None
    file.write_text("weight_decay.layers = { low = 0, high = 1 }")  # and no decay of factors
    assert read_space("MLP", file).default() is None


def test_a_grid_is_tried_in_no_order_with_the_defaults_first():
    some = Choice((1.0, 2.0, 4.0, 8.0))
    space = SearchSpace("Bias", {"regularization": some, "iterations": Choice((5, 10))})
    plans = [plan_of(space, "grid", None, seed) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]
    for plan in plans:
        assert plan.first[0] == {"regularization": 4.0, "iterations": 10}
        assert sorted(map(str, plan.first)) == sorted(map(str, space.grid()))
        assert (plan.wanted, plan.whole) == (8, True)
    assert plan_of(space, "grid", 3, 0).wanted == 3
    assert plan_of(space, "grid", 30, 0).wanted == 8


def test_of_a_few_values_none_is_tried_twice():
    space = SearchSpace("Bias", {"iterations": Choice((5, 10, 20))})
    assert plan_of(space, "tpe", 3, 0) == plan_of(space, "random", 9, 0)
    assert plan_of(space, "tpe", None, 0).wanted == 3
    few = plan_of(space, "tpe", 2, 0)  # which may go on later
    assert (few.wanted, few.whole, len(few.first)) == (2, True, 3)
    many = SearchSpace("Bias", {"iterations": Choice(tuple(range(1, 60)))})
    assert not plan_of(many, "tpe", 100, 0).whole
    assert not plan_of(default_search_space("Bias"), "tpe", None, 0).whole


def test_a_grid_that_nobody_waits_for_is_refused():
    wide = {name: Range(0.1, 0.9, steps=20) for name in ("exponent", "regularization")}
    with pytest.raises(SettingError, match="A grid of 8,000 points is too large"):
        SearchSpace("ALS", {**wide, "factors": Range(1, 99, whole=True, steps=20)}).grid()


@pytest.mark.parametrize("estimator", TUNED)
def test_a_winner_of_the_shipped_space_can_be_typed(estimator):
    space = default_search_space(estimator)
    settings = nested_settings(space.suggest(FixedTrial(space.default() | tweak(space))))
    lists = estimator in RANKING.values()
    name = next(n for n, kind in (RANKING if lists else RATING).items() if kind == estimator)
    head = {"ranking": settings} if lists else {"rating": settings}
    command = train_command("x", "als" if lists else name, name if lists else "ials", **head)
    texts = [text for flag, text in pairwise(shlex.split(command)) if flag == "--set"]
    assert texts
    kind = estimator_class(estimator)
    format_value = parse_settings(kind, [text.removeprefix("ranker.") for text in texts])
    assert kind(**format_value) == kind(**settings)


def tweak(space):
    """Another value than the default's for one setting."""
    name = next(name for name, part in space.searched.items() if isinstance(part, Range))
    return {name: space.searched[name].high}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_space_is_refused_by_name(tmp_path, text):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(SettingError, match=WRONG[text]) as refused:
        read_space("ALS", file)
    assert str(refused.value).startswith(str(file))


def test_a_space_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(SettingError, match="the file cannot be read"):
        read_space("ALS", tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingError, match="this is no TOML"):
        read_space("ALS", binary)


@given(
    low=st.floats(1e-6, 1e3),
    ratio=st.floats(1.01, 1e3),
    log=st.booleans(),
    steps=st.integers(2, 9),
)
def test_points_of_a_grid_are_even_and_within_the_range(low, ratio, log, steps):
    part = Range(low, low * ratio, log=log, steps=steps)
    points = np.array(part.points())
    assert len(points) == steps
    assert (points[0], points[-1]) == (part.low, part.high)
    apart = np.diff(np.log(points) if log else points)
    assert np.allclose(apart, apart[0], rtol=1e-4)
