"""Recipes by name: as one types them, and as a run notes them."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from matinee.errors import RunError, SettingError
from matinee.models.base import Estimator

RATING = {
    "als": "ALS",
    "bayes": "BayesianMF",
    "bias": "Bias",
    "mf": "MatrixFactorization",
    "gmf": "GMF",
    "mlp": "MLP",
    "neumf": "NeuMF",
}
"""What `--model` may name."""
RANKING = {
    "ials": "ImplicitALS",
    "ease": "EASE",
    "popularity": "Popularity",
    "bpr": "BPR",
    "gmf": "GMF",
    "mlp": "MLP",
    "neumf": "NeuMF",
}
"""What `--ranker` may name."""
NEURAL = ("BPR", "GMF", "MLP", "MatrixFactorization", "NeuMF")
"""Those that need PyTorch."""


def estimator_class(name: str) -> Any:
    """The class of recipes with this name, imported only now: PyTorch is an extra.

    Examples
    --------
    >>> estimator_class("EASE")(regularization=200.0)
    EASE(regularization=200.0, liked=None)

    Raises
    ------
    KeyError
        If there is none.
    ExtraError
        If it needs PyTorch and that is not installed.
    """
    if name not in {*RATING.values(), *RANKING.values()}:
        raise KeyError(name)
    home = "matinee.models.neural" if name in NEURAL else "matinee.models"
    return getattr(import_module(home), name)


def estimator_from_config(params: Mapping[str, Any]) -> Estimator:
    """The recipe that a head was trained by, from the name and hyperparameters it notes.

    Examples
    --------
    >>> estimator_from_config({"name": "EASE", "regularization": 200.0, "min_rating": None})
    EASE(regularization=200.0, liked=None)

    Raises
    ------
    RunError
        If there is no such recipe.
    """
    settings = dict(params)
    name = settings.pop("name", None)
    try:
        estimator: Estimator = estimator_class(str(name))(**settings)
    except (KeyError, TypeError):
        raise RunError(f"This version knows no recipe {name!r} with these settings.") from None
    return estimator


NON_HYPERPARAMETERS = ("seed", "device", "feedback")
"""Fields of recipes that are no settings: which random numbers, where, and for which head."""
BOOLEANS = {"true": True, "false": False}
TYPE_LABELS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "whole numbers such as 128,64,32",
    NoneType: "none",
}


def settings_of(kind: type) -> tuple[str, ...]:
    """The names of a recipe's settings.

    Examples
    --------
    >>> from matinee.models import EASE
    >>> settings_of(EASE)
    ('regularization', 'min_rating')
    """
    return tuple(field.name for field in fields(kind) if field.name not in NON_HYPERPARAMETERS)


def nested_settings(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the entries of those that are mappings put together.

    Examples
    --------
    >>> nested_settings({"factors": 8, "weight_decay.factors": 0.1, "weight_decay.layers": 0.0})
    {'factors': 8, 'weight_decay': {'factors': 0.1, 'layers': 0.0}}
    """
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        setting, dot, part = name.partition(".")
        nested[setting] = {**nested.get(setting, {}), part: value} if dot else value
    return nested


def parse_settings(kind: type, texts: Iterable[str]) -> dict[str, Any]:
    """Settings from texts such as ``"factors=8"``, by name.

    Of a setting that is a mapping, the texts name all that is in it: ``"weight_decay.factors=0.3"``
    alone is a weight decay of nothing else.

    Raises
    ------
    SettingError
        For a text without ``=``, a setting that the recipe does not have, a value that it cannot
        have, and a setting that is given twice.

    Examples
    --------
    >>> from matinee.models import ALS
    >>> parse_settings(ALS, ["factors=8", "regularization=none"])
    {'factors': 8, 'regularization': None}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SettingError(f"{text} should be NAME=VALUE.")
        parsed = parse_setting(kind, name, value)
        setting, dot, part = name.partition(".")
        before = found.get(setting)
        if setting in found and not (dot and isinstance(before, dict) and part not in before):
            raise SettingError(f"{name} is given twice.")
        found[setting] = {**(before or {}), part: parsed} if dot else parsed
    return found


def parse_setting(kind: type, name: str, text: str) -> Any:
    """The value that a text gives a setting, of the type that the recipe has for it.

    Parameters
    ----------
    kind : type
        A recipe's class.
    name : str
        ``"weight_decay.factors"`` is one entry of a setting that is a mapping.
    text : str
        ``none`` is None, or an empty mapping, where the recipe knows such.

    Raises
    ------
    SettingError
        If the recipe has no such setting, or it cannot have such a value.

    Examples
    --------
    >>> from matinee.models import ImplicitALS
    >>> parse_setting(ImplicitALS, "regularization", "0.003")
    0.003
    """
    setting, dot, _ = name.partition(".")
    known = settings_of(kind)
    if setting not in known:
        raise SettingError(
            f"{name}: {kind.__name__} has no such setting; it has {', '.join(known)}."
        )
    hint = get_type_hints(kind)[setting]
    if not dot:
        return parse_as(hint, name, text)
    inside = [get_args(one)[1] for one in type_alternatives(hint) if get_origin(one) is Mapping]
    if not inside:
        raise SettingError(f"{name}: {setting} is a single value.")
    return parse_as(inside[0], name, text)


def parse_as(hint: Any, name: str, text: str) -> Any:
    """The value of a type that a text stands for; `name` is for the error.

    Examples
    --------
    >>> parse_as(tuple[int, ...], "layers", "128,64")
    (128, 64)
    """
    kinds = [get_origin(one) or one for one in type_alternatives(hint)]
    plain = text.strip().lower()
    if plain == "none":
        if NoneType in kinds:
            return None
        if Mapping in kinds:
            return {}
    for kind in kinds:
        try:
            if kind is str:
                return text
            if kind is bool and plain in BOOLEANS:
                return BOOLEANS[plain]
            if kind is tuple:
                return tuple(int(part) for part in text.split(","))
            if kind in (int, float):
                return kind(text)
        except ValueError:
            continue
    wanted = [TYPE_LABELS[kind] for kind in kinds if kind in TYPE_LABELS]
    raise SettingError(f"{name} is {' or '.join(wanted)}, not {text!r}.")


def format_setting(name: str, value: Any) -> list[str]:
    """The texts that give a setting this value: one, or one for each entry of a mapping.

    `parse_settings` makes of them the value again, numbers to the last bit.

    Examples
    --------
    >>> format_setting("regularization", 0.1 + 0.2)
    ['regularization=0.30000000000000004']
    >>> format_setting("weight_decay", {"factors": 0.1, "layers": 0.0})
    ['weight_decay.factors=0.1', 'weight_decay.layers=0.0']
    """
    if isinstance(value, Mapping) and value:
        return [
            text for part, one in value.items() for text in format_setting(f"{name}.{part}", one)
        ]
    return [f"{name}={format_value(value)}"]


def format_value(value: Any) -> str:
    """The text of a single value.

    Examples
    --------
    >>> format_value(True), format_value((128, 64)), format_value(None)
    ('true', '128,64', 'none')
    """
    if value is None or isinstance(value, Mapping):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def type_alternatives(hint: Any) -> tuple[Any, ...]:
    """The types of a union; any other type alone."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
