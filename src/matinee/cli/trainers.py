"""From the options of `matinee train` to recipes."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.models import Trainer

SHARED = (
    "patience",
    "layers",
    "epochs",
    "batch_size",
    "learning_rate",
    "optimizer",
    "weight_decay",
)
"""Settings that go to either head that has them."""


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
        Settings of the model for stars; those of `SHARED` also of the one for lists.
    for_lists : mapping
        Settings of the one for lists alone, by the name of their option.
    """
    from matinee.models.recipes import RANKING, RATING

    rating, ranking = _kind("model", model, RATING), _kind("ranker", ranker, RANKING)
    shared = {name: value for name, value in given.items() if name in SHARED}
    own = {name: value for name, value in given.items() if name not in SHARED}
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


def trained_by_gradients(recipes: "Iterable[Trainer | None]") -> bool:
    """Whether any of these recipes is; only then a device means something."""
    return any("device" in _settings(type(recipe)) for recipe in recipes if recipe)


def leaves_states(recipe: "Trainer | None") -> bool:
    """Whether this recipe can leave its state on disk, and go on from it."""
    return recipe is not None and "checkpoint" in signature(recipe.fit).parameters


def check_checkpoint(
    recipes: "Iterable[Trainer | None]", folder: str | None, every: int | None, resume: bool
) -> None:
    """Refuse options about states that mean nothing, before the work."""
    if folder is None:
        for option in ("checkpoint-every",) * bool(every) + ("resume",) * resume:
            raise SettingError(f"--{option} needs --checkpoint DIR.")
        return
    if not any(leaves_states(recipe) for recipe in recipes):
        raise SettingError(
            "--checkpoint is for bayes and for models trained by gradients; none is here."
        )
    if Path(folder).is_file():
        raise SettingError(f"--checkpoint {folder}: this is a file; name a folder.")
    if resume and not any(Path(folder).glob("*/state.safetensors")):
        raise SettingError(f"--resume: there is no state in {folder}; leave it out to begin.")


def adapted(
    recipe: "Trainer", device: str | None, checkpoint: str | None, every: int | None
) -> "Trainer":
    """The recipe on a device and with checkpoints, where it knows of such."""
    from matinee.models import Checkpointed

    changed: Any = recipe
    if device is not None and trained_by_gradients([recipe]):
        changed = replace(changed, device=device)
    if checkpoint is not None and leaves_states(recipe):
        changed = Checkpointed(changed, Path(checkpoint), every)
    result: Trainer = changed
    return result


def check_device(device: str | None) -> None:
    """Refuse a device that cannot be used, before the work."""
    from matinee.neural.devices import choose_device

    choose_device(device or "auto")


def where_trained(trainer: Mapping[str, Any], device: str | None) -> str:
    """The words "on cpu" and so on, after a space, for a head trained by gradients; else none."""
    if "device" not in trainer:
        return ""
    from matinee.neural.devices import choose_device

    return f" on {choose_device(device or 'auto')}"


def parse_layers(typed: str | None) -> tuple[int, ...] | None:
    """``"128,64,32"`` as numbers."""
    if typed is None:
        return None
    try:
        return tuple(int(part) for part in typed.split(","))
    except ValueError:
        raise SettingError(f"--layers takes numbers such as 128,64,32, not {typed!r}.") from None


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
