"""Presets: the configurations of well-known notebooks, courses and papers, from `presets.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

from matinee.data.dataset import Dataset
from matinee.errors import SettingError, shortened
from matinee.evaluation.ncf import sampled_negatives
from matinee.experiments.split import Split
from matinee.experiments.training import (
    TrainingResult,
    check_rated,
    on_device,
    train_and_evaluate,
)
from matinee.models.base import Estimator
from matinee.models.registry import estimator_from_config
from matinee.storage.checkpoint import Checkpoint


@dataclass(frozen=True)
class PresetStage:
    """One model of a preset: what it adds, and the estimators of its heads as in a manifest."""

    description: str
    rating: Mapping[str, Any] | None = None
    ranking: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Preset:
    """A published configuration; `presets.toml` is where to add one."""

    name: str
    description: str  # in one line
    source: str  # where people meet it
    dataset: str  # what it was published with
    results: str  # what its author reports, and what was measured here
    deviations: str  # what differs from the source, or is not known from it
    stages: tuple[PresetStage, ...]  # trained one after the other, each on its own
    split: Split = field(default_factory=Split)
    protocol: str = "holdout"  # of the ranking metrics; or "sampled-negatives"

    def estimators(self) -> list[Estimator]:
        """All that it trains."""
        configs = [head for stage in self.stages for head in (stage.rating, stage.ranking) if head]
        return [estimator_from_config(config) for config in configs]


def _read_presets() -> tuple[Preset, ...]:
    text = files("matinee.experiments").joinpath("presets.toml").read_text(encoding="utf-8")
    presets = []
    for name, fields in tomllib.loads(text).items():
        stages = tuple(PresetStage(**stage) for stage in fields.pop("stages"))
        split = Split(fields.pop("split", "random"))
        presets.append(Preset(name, **fields, stages=stages, split=split))
    return tuple(presets)


PRESETS = _read_presets()
"""All presets, in the order in which they are listed."""


def get_preset(name: str) -> Preset:
    """The preset of that name; SettingError if there is none.

    Examples
    --------
    >>> get_preset("google-course").dataset
    'ml-100k'
    """
    presets = {preset.name: preset for preset in PRESETS}
    if name not in presets:
        names = ", ".join(map(repr, presets))
        raise SettingError(f"preset must be one of {names}, got {shortened(name)}.")
    return presets[name]


def run_preset(
    dataset: Dataset,
    preset: Preset,
    *,
    seed: int = 0,
    threads: int | None = None,
    device: str | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[TrainingResult]:
    """Train and evaluate every stage of a preset, in order.

    `seed` is that of the split and of the training; `device` is for gradient models, `checkpoint`
    for the estimators that support it. SettingError if it predicts ratings, and there are none.
    """
    check_rated(dataset, preset.estimators())
    split = replace(preset.split, seed=seed)
    sampled = preset.protocol == "sampled-negatives"
    task = sampled_negatives(dataset, seed=seed) if sampled else None
    common: dict[str, Any] = {"task": task, "checkpoint": checkpoint, "threads": threads}
    results = []
    for stage in preset.stages:
        estimator, ranker = (
            on_device(_seeded(config, seed), device) if config else None
            for config in (stage.rating, stage.ranking)
        )
        results.append(train_and_evaluate(dataset, estimator, split, ranker=ranker, **common))
    return results


def _seeded(config: Mapping[str, Any], seed: int) -> Any:
    """The estimator, with this seed if it has one."""
    estimator: Any = estimator_from_config(config)
    return replace(estimator, seed=seed) if hasattr(estimator, "seed") else estimator
