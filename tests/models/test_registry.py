"""Hyperparameters as text: the same value back, and what is wrong refused by name."""

from collections.abc import Mapping
from dataclasses import fields
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.errors import SettingError
from matinee.models import ALS, EASE, ImplicitALS
from matinee.models.bayesian import BayesianMF
from matinee.models.registry import (
    NEURAL,
    NON_HYPERPARAMETERS,
    RANKING,
    RATING,
    estimator_class,
    format_setting,
    parse_setting,
    parse_settings,
    settings_of,
)

NUMBERS = st.floats(allow_nan=False)
VALUES = {
    int: st.integers(),
    float: NUMBERS,
    bool: st.booleans(),
    str: st.text(),
    float | None: NUMBERS | st.none(),
    int | None: st.integers() | st.none(),
    str | None: st.none() | st.text().filter(lambda text: text.strip().lower() != "none"),
    tuple[int, ...]: st.lists(st.integers(), min_size=1).map(tuple),
    float | Mapping[str, float]: NUMBERS
    | st.dictionaries(st.text().filter(lambda name: "=" not in name), NUMBERS),
}


@pytest.fixture(params=sorted({*RATING.values(), *RANKING.values()}))
def cls(request):
    """Each estimator class."""
    if request.param in NEURAL:
        pytest.importorskip("torch")
    return estimator_class(request.param)


@pytest.mark.thorough
@pytest.mark.slow
def test_every_setting_of_every_estimator_comes_back_the_same_from_its_text(cls):
    hints = get_type_hints(cls)
    names = settings_of(cls)

    @given(st.fixed_dictionaries({name: VALUES[hints[name]] for name in names}))
    def there_and_back(settings):
        texts = [text for name, value in settings.items() for text in format_setting(name, value)]
        parsed = parse_settings(cls, texts)
        assert parsed == settings
        assert list(map(repr, parsed.values())) == list(map(repr, settings.values()))  # -0.0, types

    there_and_back()


def test_defaults_come_back_the_same_and_make_the_same_estimator(cls):
    estimator = cls()
    texts = [
        text for name in settings_of(cls) for text in format_setting(name, getattr(estimator, name))
    ]
    assert cls(**parse_settings(cls, texts)) == estimator


def test_hyperparameters_are_all_fields_but_a_few(cls):
    assert set(settings_of(cls)) == {field.name for field in fields(cls)} - set(NON_HYPERPARAMETERS)


def test_values_have_the_types_of_the_estimator():
    assert repr(parse_setting(ALS, "regularization", "2")) == "2.0"
    assert parse_setting(ALS, "regularization", "None") is None
    assert parse_setting(ALS, "features", "none") == "none"
    assert parse_setting(BayesianMF, "likelihood", "none") is None
    assert parse_setting(ImplicitALS, "features", "genres+years") == "genres+years"
    assert parse_settings(EASE, ["min_rating=none", "regularization=1e2"]) == {
        "min_rating": None,
        "regularization": 100.0,
    }


def test_a_mapping_is_given_group_by_group():
    mlp = pytest.importorskip("matinee.models.neural").MLP
    texts = ["weight_decay.factors=0.3", "epochs=3", "weight_decay.layers=0.1"]
    expected = {"weight_decay": {"factors": 0.3, "layers": 0.1}, "epochs": 3}
    assert parse_settings(mlp, texts) == expected
    assert parse_settings(mlp, ["weight_decay=0.3"]) == {"weight_decay": 0.3}
    assert parse_settings(mlp, ["weight_decay=none"]) == {"weight_decay": {}}
    with pytest.raises(SettingError, match="groups of 'factors', 'layers', got 'cats'"):
        mlp(**parse_settings(mlp, ["weight_decay.cats=1"]))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["factors"], "factors: must be NAME=VALUE."),
        (["=3"], "=3: must be NAME=VALUE."),
        (["nonsense=3"], "nonsense: ALS has no such setting; it has factors, regularization, "),
        (["seed=3"], "seed: ALS has no such setting"),
        (["factors=2.5"], "factors must be an integer, got '2.5'."),
        (["factors="], "factors must be an integer, got ''."),
        (["factors=none"], "factors must be an integer, got 'none'."),
        (["regularization=much"], "regularization must be a number or none, got 'much'."),
        (["factors.a=3"], "factors.a: factors has no groups."),
        (["factors=3", "factors=3"], "factors is given twice."),
    ],
)
def test_what_is_wrong_is_refused_by_name(texts, message):
    with pytest.raises(SettingError) as refused:
        parse_settings(ALS, texts)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["weight_decay=1", "weight_decay.factors=1"], "weight_decay.factors is given twice."),
        (["weight_decay.factors=1", "weight_decay=1"], "weight_decay is given twice."),
        (["weight_decay.a=1", "weight_decay.a=1"], "weight_decay.a is given twice."),
        (["weight_decay.a=x"], "weight_decay.a must be a number, got 'x'."),
        (["amp=1"], "amp must be true or false, got '1'."),
        (["layers=8,x"], "layers must be integers such as 128,64,32, got '8,x'."),
    ],
)
def test_what_is_wrong_with_a_network_is_refused_by_name(texts, message):
    mlp = pytest.importorskip("matinee.models.neural").MLP
    with pytest.raises(SettingError) as refused:
        parse_settings(mlp, texts)
    assert str(refused.value) == message
