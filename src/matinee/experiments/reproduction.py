"""Reproduce a run from its manifest, and compare two runs bit by bit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.errors import RunError, shortened
from matinee.evaluation.ncf import sampled_negatives
from matinee.experiments.provenance import read_provenance
from matinee.experiments.training import TrainingResult, on_device, train_and_evaluate
from matinee.models.base import Estimator
from matinee.models.registry import estimator_from_config
from matinee.storage.checkpoint import Checkpoint
from matinee.storage.regular import read_regular
from matinee.storage.runs import (
    HISTORY,
    MANIFEST,
    MAX_HISTORY,
    corrupt_files,
    files_of,
    read_manifest,
)


@dataclass(frozen=True)
class RunSpec:
    """How a run was trained, as its manifest says."""

    manifest: Mapping[str, Any]
    estimator: Estimator | None  # of the rating head
    ranker: Estimator | None  # of the ranking head
    device: str | None  # of gradient models, if there are any
    threads: int | None  # of gradient models on a CPU

    @classmethod
    def read(cls, run: Path) -> "RunSpec":
        """From the manifest of a run; RunError if there is no run, or it lacks its estimators."""
        manifest = read_manifest(run)
        estimators: dict[str, Estimator] = {}
        for head, section in manifest["heads"].items():
            try:
                estimators[head] = estimator_from_config(section["estimator"])
            except (KeyError, TypeError, ValueError, RunError) as error:
                raise RunError(f"{run}: its {head} head cannot be reproduced. {error}") from None
        if not estimators or not set(estimators) <= {"rating", "ranking"}:
            raise RunError(f"{run}: the manifest has no estimators.")
        device, threads = (manifest["environment"].get(name) for name in ("device", "threads"))
        return cls(
            manifest,
            estimators.get("rating"),
            estimators.get("ranking"),
            device if isinstance(device, str) else None,
            threads if type(threads) is int and threads > 0 else None,
        )

    @property
    def estimators(self) -> list[Estimator]:
        """Those of both heads."""
        return [estimator for estimator in (self.estimator, self.ranker) if estimator]


def reproduce(
    run: RunSpec | str | Path,
    *,
    threads: int | None = None,
    device: str | None = None,
    checkpoint: Checkpoint | None = None,
) -> TrainingResult:
    """Train and evaluate a run again: the same data, split, estimators and seeds.

    By default with as many threads as the run had, where bits depend on it, and on its device. The
    checkpoint is for the estimators that support it. Raises RunError if the manifest lacks
    something, or the data have changed.

    Examples
    --------
    >>> import tempfile
    >>> from matinee.experiments import Split
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = train_and_evaluate(data, matinee.Bias(), Split("leave-last-out"))
    ...     run = result.model.save(f"{folder}/run")
    ...     copy = reproduce(run).model.save(f"{folder}/copy")
    ...     diff_runs(run, copy)
    RunDiff(differing=(), corrupt=(), environment_changes={})
    """
    spec = run if isinstance(run, RunSpec) else RunSpec.read(Path(run))
    ranking = spec.manifest["metrics"].get("ranking")
    protocol = ranking.get("protocol") if isinstance(ranking, Mapping) else None
    if protocol not in ("holdout", "sampled-negatives", None):
        raise RunError(
            f"Its ranking was evaluated by {shortened(protocol)}, which cannot be reproduced."
        )
    provenance = read_provenance(spec.manifest)
    device = device or spec.device
    dataset, seed = provenance.read(), provenance.split.seed
    sampled = protocol == "sampled-negatives"
    return train_and_evaluate(
        dataset,
        spec.estimator and on_device(spec.estimator, device),
        provenance.split,
        ranker=spec.ranker and on_device(spec.ranker, device),
        task=sampled_negatives(dataset, seed=seed) if sampled else None,
        validation=provenance.validation_fraction > 0,
        checkpoint=checkpoint,
        threads=threads or spec.threads,
    )


@dataclass(frozen=True)
class RunDiff:
    """Whether two runs are the same bit for bit.

    `differing` names files that differ (the history without its times), and sections of the
    manifests that do: heads, model or metrics. `corrupt` are files of the first run that do not
    match their checksums. `environment_changes` has, of versions, processor, device and threads
    that differ, the value of the first run and that of the other.
    """

    differing: tuple[str, ...]
    corrupt: tuple[str, ...]
    environment_changes: Mapping[str, tuple[Any, Any]]

    def describe_environment(self) -> str:
        """In words: ``numpy 2.1 -> 2.2; processor unknown -> ...``."""
        changes = self.environment_changes.items()
        return "; ".join(f"{key} {a or 'unknown'} -> {b or 'unknown'}" for key, (a, b) in changes)


def diff_runs(run: Path, other: Path) -> RunDiff:
    """Compare two runs: files by their checksums, histories and manifests by their content."""
    manifests = read_manifest(run), read_manifest(other)
    corrupt = corrupt_files(run, manifests[0])
    unreliable = {*corrupt, *corrupt_files(other, manifests[1])}  # their checksums say nothing
    checksums = [manifest["files"] for manifest in manifests]
    names = {name for manifest in manifests for name in files_of(manifest)} - {HISTORY}
    differing = [
        name
        for name in sorted(names)
        if name in unreliable or checksums[0].get(name) != checksums[1].get(name)
    ]
    if HISTORY in unreliable or _untimed(run / HISTORY) != _untimed(other / HISTORY):
        differing.append(HISTORY)
    sections = [_result_sections(manifest) for manifest in manifests]
    differing += [
        f"{name} in {MANIFEST}" for name in sections[0] if sections[0][name] != sections[1][name]
    ]
    before, after = (manifest["environment"] for manifest in manifests)
    changes = {
        name: (before.get(name), after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }
    return RunDiff(tuple(differing), tuple(sorted(corrupt, key=differing.index)), changes)


def _untimed(history: Path) -> list[str]:
    """The lines of a history without their times."""
    try:
        rows = [json.loads(line) for line in read_regular(history, MAX_HISTORY).splitlines()]
        return [json.dumps({k: v for k, v in row.items() if k != "seconds"}) for row in rows]
    except (OSError, ValueError, AttributeError, RecursionError):
        raise RunError(f"{history}: not a training history.") from None


def _result_sections(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What training left in the manifest alone; as text, for nan does not equal nan."""
    heads = {
        name: {key: section.get(key) for key in ("kind", "settings")}
        for name, section in manifest["heads"].items()
        if isinstance(section, Mapping)
    }
    sections = {"heads": heads, "model": manifest["model"], "metrics": manifest["metrics"]}
    return {name: json.dumps(section, sort_keys=True) for name, section in sections.items()}
