"""From the options of a command to estimators, and from hyperparameters to a command."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from matinee.errors import SettingError, shortened

if TYPE_CHECKING:
    from matinee.models.base import Estimator

DEFAULT_MODEL = "als"  # what predicts ratings, where there are any to predict
RANKER = "ranker."  # before a hyperparameter of the ranker in `--set`
OWN_OPTIONS = ("seed", "device")  # not to be reached by `--set`
ALTERNATIVES = {"iterations": "epochs", "regularization": "weight_decay"}
"""What gradient models have in place of an option's hyperparameter."""


def build_estimators(
    model: str,
    ranker: str,
    seed: int,
    settings: Sequence[str] = (),
    *,
    patience: int | None = None,
    device: str | None = None,
    **options: Any,
) -> "tuple[Estimator | None, Estimator | None]":
    """The estimators of both heads, from what was typed; `options` are the rating model's own."""
    from matinee.models.registry import RANKING, RATING

    rating, ranking = _class("model", model, RATING), _class("ranker", ranker, RANKING)
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        _check_option(name, f"--model {model}", rating, ranking)
    shared: dict[str, Any] = {"seed": seed}
    if patience is not None:
        if not any("patience" in _names(cls) for cls in (rating, ranking)):
            raise SettingError(f"Neither --model {model} nor --ranker {ranker} has --patience.")
        shared["patience"] = patience
    if device is not None:
        shared["device"] = device
    own = [text for text in settings if not text.startswith(RANKER)]
    rankers = [text.removeprefix(RANKER) for text in settings if text.startswith(RANKER)]
    given |= _parse(f"--model {model}", rating, "", own, {*given, *shared})
    ranked = _parse(f"--ranker {ranker}", ranking, RANKER, rankers, set(shared))
    return (
        _build(rating, {**shared, "feedback": "explicit"}, given),
        _build(ranking, {**shared, "feedback": "implicit"}, ranked),
    )


def train_command(
    dataset: str,
    model: str,
    ranker: str,
    rating: Mapping[str, Any] | None = None,
    ranking: Mapping[str, Any] | None = None,
    **options: Any,
) -> str:
    """The `matinee train` command that trains this, without what is at its default."""
    from matinee.models.registry import RANKING, RATING

    words = ["matinee", "train", dataset, "--model", model, "--ranker", ranker]
    for text in _not_default(_class("model", model, RATING), rating or {}):
        words += ["--set", text]
    for text in _not_default(_class("ranker", ranker, RANKING), ranking or {}):
        words += ["--set", RANKER + text]
    for name, value in options.items():
        if value is not None:
            words += [_option(name), str(value)]
    return shlex.join(words)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _class(option: str, name: str, known: Mapping[str, str]) -> Any:
    """The class that a name stands for; None for ``none``."""
    from matinee.models.registry import estimator_class

    if name == "none":
        return None
    if name not in known:
        raise SettingError(
            f"--{option} must be one of {', '.join(known)}, none, got {shortened(name)}."
        )
    return estimator_class(known[name])


def _names(cls: Any) -> set[str]:
    return {field.name for field in fields(cls)} if cls else set()


def _check_option(name: str, head: str, rating: Any, ranking: Any) -> None:
    """Refuse an option that the rating model has no use for, and say what to write instead."""
    if name in _names(rating):
        return
    advice = "use --set " if rating else f"for the ranker use --set {RANKER}"
    names = _names(rating or ranking)
    known = [other for other in (name, ALTERNATIVES.get(name)) if other in names]
    instead = f"; {advice}{known[0]}=VALUE" if known else ""
    raise SettingError(f"{head} has no {_option(name)}{instead}.")


def _parse(
    head: str, cls: Any, prefix: str, texts: Sequence[str], taken: set[str]
) -> dict[str, Any]:
    """The hyperparameters of a head from its `--set` texts; `taken` are those given by options."""
    from matinee.models.registry import parse_settings

    for text in texts:
        name = text.partition("=")[0].partition(".")[0]
        if cls is None:
            raise SettingError(f"--set {prefix}{text}: {head} has no hyperparameters.")
        if name in OWN_OPTIONS:
            raise SettingError(f"--set {prefix}{text}: use the option --{name}.")
        if name in taken:
            both = f"--set {prefix}{name} and {_option(name)}"
            raise SettingError(f"{both} set the same thing; leave one out.")
    try:
        return parse_settings(cls, texts)
    except SettingError as problem:
        raise SettingError(f"--set {prefix}{problem}") from None


def _build(cls: Any, shared: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    """The estimator, with those of the shared hyperparameters that it has."""
    names = _names(cls)
    return cls and cls(**{name: shared[name] for name in shared if name in names}, **own)


def _not_default(cls: Any, settings: Mapping[str, Any]) -> Iterator[str]:
    """What to type after `--set` for the hyperparameters that are not at their defaults."""
    from matinee.models.registry import format_setting, settings_of

    if cls is None:
        return
    estimator, default = cls(**settings), cls()  # which refuses what makes no sense
    for name in settings_of(cls):
        if getattr(estimator, name) != getattr(default, name):
            yield from format_setting(name, getattr(estimator, name))
