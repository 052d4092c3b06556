"""Estimators by name, and their hyperparameters as text and back."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from matinee.errors import RunError, SettingError, shortened
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
"""Estimators with a rating head, by the name that `--model` takes."""
RANKING = {
    "ials": "ImplicitALS",
    "next": "NextItem",
    "ease": "EASE",
    "popularity": "Popularity",
    "itemknn": "ItemKNN",
    "userknn": "UserKNN",
    "bpr": "BPR",
    "gmf": "GMF",
    "mlp": "MLP",
    "neumf": "NeuMF",
}
"""Estimators with a ranking head, by the name that `--ranker` takes."""
NEURAL = ("BPR", "GMF", "MLP", "MatrixFactorization", "NeuMF")
"""Estimators that need PyTorch."""
NON_HYPERPARAMETERS = ("seed", "device", "feedback")
"""Fields of estimators that are not hyperparameters: random numbers, hardware and head."""
BOOLEANS = {"true": True, "false": False}
TYPE_LABELS = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    tuple: "integers such as 128,64,32",
    NoneType: "none",
}


def estimator_class(name: str) -> Any:
    """The estimator class of this name, imported only now since PyTorch is optional."""
    if name not in {*RATING.values(), *RANKING.values()}:
        raise KeyError(name)
    package = "matinee.models.neural" if name in NEURAL else "matinee.models"
    return getattr(import_module(package), name)


def estimator_from_config(config: Mapping[str, Any]) -> Estimator:
    """The estimator that `Estimator.to_config` describes."""
    settings = dict(config)
    name = settings.pop("name", None)
    try:
        estimator: Estimator = estimator_class(str(name))(**settings)
    except (KeyError, TypeError):
        raise RunError(
            f"This version has no estimator {shortened(name)} with these hyperparameters."
        ) from None
    return estimator


def settings_of(cls: type) -> tuple[str, ...]:
    """The names of an estimator's hyperparameters."""
    return tuple(field.name for field in fields(cls) if field.name not in NON_HYPERPARAMETERS)


def nested_settings(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, those by group (``"weight_decay.factors"``) as one mapping."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        setting, dot, group = name.partition(".")
        nested[setting] = {**nested.get(setting, {}), group: value} if dot else value
    return nested


def parse_settings(cls: type, texts: Iterable[str]) -> dict[str, Any]:
    """Settings by name from texts such as ``"factors=8"``; groups that are not named are absent."""
    settings: dict[str, Any] = {}
    for text in texts:
        name, equals, value_text = text.partition("=")
        if not equals or not name:
            raise SettingError(f"{text}: must be NAME=VALUE.")
        value = parse_setting(cls, name, value_text)
        setting, dot, group = name.partition(".")
        earlier = settings.get(setting)
        if setting in settings and not (dot and isinstance(earlier, dict) and group not in earlier):
            raise SettingError(f"{name} is given twice.")
        settings[setting] = {**(earlier or {}), group: value} if dot else value
    return settings


def parse_setting(cls: type, name: str, text: str) -> Any:
    """The value of a hyperparameter, or of one of its groups, from text, by the type it has."""
    setting, dot, _ = name.partition(".")
    names = settings_of(cls)
    if setting not in names:
        raise SettingError(
            f"{name}: {cls.__name__} has no such setting; it has {', '.join(names)}."
        )
    hint = get_type_hints(cls)[setting]
    if not dot:
        return parse_as(hint, name, text)
    of_groups = [get_args(t)[1] for t in type_alternatives(hint) if get_origin(t) is Mapping]
    if not of_groups:
        raise SettingError(f"{name}: {setting} has no groups.")
    return parse_as(of_groups[0], name, text)


def parse_as(hint: Any, name: str, text: str) -> Any:
    """The value of a type from text; `name` is for the error."""
    types = [get_origin(t) or t for t in type_alternatives(hint)]
    plain = text.strip().lower()
    if plain == "none":
        if NoneType in types:
            return None
        if Mapping in types:
            return {}
    for cls in types:
        try:
            if cls is str:
                return text
            if cls is bool and plain in BOOLEANS:
                return BOOLEANS[plain]
            if cls is tuple:
                return tuple(int(number) for number in text.split(","))
            if cls in (int, float):
                return cls(text)
        except ValueError:
            continue
    labels = [TYPE_LABELS[cls] for cls in types if cls in TYPE_LABELS]
    raise SettingError(f"{name} must be {' or '.join(labels)}, got {shortened(text)}.")


def type_alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union; any other type alone."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def format_setting(name: str, value: Any) -> list[str]:
    """The texts that `parse_settings` parses to this value, to the last bit: one per group."""
    if isinstance(value, Mapping) and value:
        groups = (format_setting(f"{name}.{group}", part) for group, part in value.items())
        return [text for texts in groups for text in texts]
    return [f"{name}={format_value(value)}"]


def format_value(value: Any) -> str:
    """The text of a single value."""
    if value is None or isinstance(value, Mapping):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
