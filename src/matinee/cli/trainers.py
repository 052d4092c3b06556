"""From the options of `matinee train` to recipes."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.models import Trainer

GRADIENT = ("epochs", "batch_size", "learning_rate", "optimizer", "weight_decay", "device")
"""Settings that both heads take, where they are trained by gradients."""


def both_recipes(
    model: str,
    ranker: str,
    seed: int,
    given: Mapping[str, Any],
    for_lists: Mapping[str, Any],
) -> "tuple[Trainer | None, Trainer | None]":
    """The recipes for stars and for lists that the options describe.

    Parameters
    ----------
    model, ranker : str
        As typed.
    seed : int
    given : mapping
        Settings of the model for stars; those of `GRADIENT` also of the one for lists.
    for_lists : mapping
        Settings of the one for lists alone, by the name of their option.
    """
    from matinee.models.recipes import RANKING, RATING

    rating, ranking = _kind("model", model, RATING), _kind("ranker", ranker, RANKING)
    shared = {name: value for name, value in given.items() if name in GRADIENT}
    own = {name: value for name, value in given.items() if name not in GRADIENT}
    _refuse_unknown(f"--model {model}", rating, own)
    _refuse_unknown(f"--ranker {ranker}", ranking, for_lists, {"ranker_factors": "factors"})
    for name in shared:
        if name not in _settings(rating) and name not in _settings(ranking):
            option = name.replace("_", "-")
            raise SettingError(f"Neither --model {model} nor --ranker {ranker} has --{option}.")
    renamed = {name.removeprefix("ranker_"): value for name, value in for_lists.items()}
    return (
        _build(rating, {**own, **shared, "seed": seed, "feedback": "explicit"}),
        _build(ranking, {**renamed, **shared, "seed": seed, "feedback": "implicit"}),
    )


def adapted(recipe: "Trainer", device: str | None, checkpoint: str | None, every: int) -> "Trainer":
    """The recipe on a device and with checkpoints, where it is trained by gradients."""
    if "device" not in _settings(type(recipe)):
        return recipe
    from matinee.neural import Checkpointed

    changed: Any = recipe
    if device is not None:
        changed = replace(changed, device=device)
    if checkpoint is not None:
        changed = Checkpointed(changed, Path(checkpoint), every)
    result: Trainer = changed
    return result


def device_of(trainer: Mapping[str, Any]) -> str | None:
    """The device that a head was trained on; None for one that needs no torch."""
    if "device" not in trainer:
        return None
    from matinee.neural.devices import choose_device

    return str(choose_device(trainer["device"]))


def _kind(option: str, typed: str, known: Mapping[str, str]) -> Any:
    """The class behind a name; None for ``none``."""
    from matinee.models.recipes import recipe_class

    if typed == "none":
        return None
    if typed not in known:
        raise SettingError(f"--{option} is {', '.join(known)} or none, not {typed!r}.")
    return recipe_class(known[typed])


def _settings(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)} if kind else set()


def _refuse_unknown(
    head: str, kind: Any, given: Mapping[str, Any], fields_of: Mapping[str, str] | None = None
) -> None:
    for name in given:
        if (fields_of or {}).get(name, name) not in _settings(kind):
            raise SettingError(f"{head} has no --{name.replace('_', '-')}.")


def _build(kind: Any, settings: Mapping[str, Any]) -> Any:
    known = _settings(kind)
    return kind and kind(**{name: value for name, value in settings.items() if name in known})
