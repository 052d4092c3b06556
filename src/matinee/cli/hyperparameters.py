"""From the options of `matinee train` to recipes, and from recipes to options."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.models.base import Estimator

SHARED = (
    "patience",
    "layers",
    "epochs",
    "batch_size",
    "learning_rate",
    "optimizer",
    "weight_decay",
)
"""Settings whose options go to either head that has them."""
OF_RANKER = "ranker."  # what `--set` has before a setting of the recipe for lists


def both_estimators(
    model: str,
    ranker: str,
    seed: int,
    format_value: Sequence[str] = (),
    given: Mapping[str, Any] | None = None,
    for_lists: Mapping[str, Any] | None = None,
) -> "tuple[Estimator | None, Estimator | None]":
    """The recipes for stars and for lists that the options describe.

    Parameters
    ----------
    model, ranker : str
        As typed.
    seed : int
    format_value : sequence of str
        What stood after each `--set`.
    given : mapping, optional
        Settings of the model for stars that were given by their own options; those of `SHARED` go
        to the one for lists, too.
    for_lists : mapping, optional
        Settings of the one for lists alone, by the name of their option.
    """
    from matinee.models.registry import RANKING, RATING

    given, for_lists = given or {}, for_lists or {}
    rating, ranking = _kind("model", model, RATING), _kind("ranker", ranker, RANKING)
    shared = {name: value for name, value in given.items() if name in SHARED}
    own = {name: value for name, value in given.items() if name not in SHARED}
    _refuse_unknown(f"--model {model}", rating, own)
    _refuse_unknown(f"--ranker {ranker}", ranking, for_lists, {"ranker_factors": "factors"})
    for name in shared:
        if name not in _fields(rating) and name not in _fields(ranking):
            raise SettingError(
                f"Neither --model {model} nor --ranker {ranker} has {option_of(name)}."
            )
    options = {name: option_of(name) for name in given}
    lists_options = {
        name.removeprefix("ranker_"): option_of(name) for name in (*shared, *for_lists)
    }
    renamed = {name.removeprefix("ranker_"): value for name, value in for_lists.items()}
    values = [text for text in format_value if not text.startswith(OF_RANKER)]
    lists = [text.removeprefix(OF_RANKER) for text in format_value if text.startswith(OF_RANKER)]
    own |= _set(f"--model {model}", rating, "", values, options)
    renamed |= _set(f"--ranker {ranker}", ranking, OF_RANKER, lists, lists_options)
    return (
        _build(rating, {**shared, **own, "seed": seed, "feedback": "explicit"}),
        _build(ranking, {**shared, **renamed, "seed": seed, "feedback": "implicit"}),
    )


def train_command(
    dataset: str,
    model: str,
    ranker: str,
    rating: Mapping[str, Any] | None = None,
    ranking: Mapping[str, Any] | None = None,
    **options: Any,
) -> str:
    """What to type into a shell to train this: `matinee train`, with settings that are not default.

    Parameters
    ----------
    dataset : str
        A name or path.
    model, ranker : str
        As one types them.
    rating, ranking : mapping, optional
        Settings of either recipe, those at their defaults among them or not.
    **options
        Other options of `matinee train`, such as ``seed=1``; None is left out.

    Raises
    ------
    SettingError
        For a model or ranker that there is not, or a value that it cannot have.

    Examples
    --------
    >>> train_command("my data", "als", "none", {"factors": 64, "exponent": 0.25}, test_fraction=0.2)
    "matinee train 'my data' --model als --ranker none --set exponent=0.25 --test-fraction 0.2"
    """
    from matinee.models.registry import RANKING, RATING

    words = ["matinee", "train", dataset, "--model", model, "--ranker", ranker]
    for text in _not_default(_kind("model", model, RATING), rating or {}):
        words += ["--set", text]
    for text in _not_default(_kind("ranker", ranker, RANKING), ranking or {}):
        words += ["--set", OF_RANKER + text]
    for name, value in options.items():
        if value is not None:
            words += [option_of(name), str(value)]
    return shlex.join(words)


def parse_layers(format_value: str | None) -> tuple[int, ...] | None:
    """``"128,64,32"`` as numbers."""
    from matinee.models.registry import parse_as

    return None if format_value is None else parse_as(tuple[int, ...], "--layers", format_value)


def option_of(name: str) -> str:
    """How one types the option that the code calls so."""
    return f"--{name.replace('_', '-')}"


def _kind(option: str, format_value: str, known: Mapping[str, str]) -> Any:
    """The class behind a name; None for ``none``."""
    from matinee.models.registry import estimator_class

    if format_value == "none":
        return None
    if format_value not in known:
        raise SettingError(f"--{option} is {', '.join(known)} or none, not {format_value!r}.")
    return estimator_class(known[format_value])


def _fields(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)} if kind else set()


def _refuse_unknown(
    head: str, kind: Any, given: Mapping[str, Any], fields_of: Mapping[str, str] | None = None
) -> None:
    for name in given:
        if (fields_of or {}).get(name, name) not in _fields(kind):
            raise SettingError(f"{head} has no {option_of(name)}.")


def _set(
    head: str, kind: Any, before: str, texts: Sequence[str], options: Mapping[str, str]
) -> dict[str, Any]:
    """The settings of a head that stood after `--set`; `options` are those given otherwise."""
    from matinee.models.registry import parse_settings

    for text in texts:
        name = text.partition("=")[0].partition(".")[0]
        if kind is None:
            raise SettingError(f"--set {before}{text}: {head} has no settings.")
        if name in ("seed", "device"):
            raise SettingError(f"--set {before}{text}: this has an option of its own, --{name}.")
        if name in options:
            raise SettingError(
                f"--set {before}{name} and {options[name]} set the same thing; leave one out."
            )
    try:
        return parse_settings(kind, texts)
    except SettingError as problem:
        raise SettingError(f"--set {before}{problem}") from None


def _not_default(kind: Any, settings: Mapping[str, Any]) -> Iterator[str]:
    """What to type after `--set` for those of a recipe's settings that are not its defaults."""
    from matinee.models.registry import format_setting, settings_of

    if kind is None:
        return
    estimator, default = kind(**settings), kind()  # which refuses what makes no sense
    for name in settings_of(kind):
        if getattr(estimator, name) != getattr(default, name):
            yield from format_setting(name, getattr(estimator, name))


def _build(kind: Any, settings: Mapping[str, Any]) -> Any:
    known = _fields(kind)
    return kind and kind(**{name: value for name, value in settings.items() if name in known})
