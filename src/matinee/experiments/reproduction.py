"""Making a run again from what it says of itself, and comparing the bits."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.errors import RunError
from matinee.evaluation.protocols import sampled_negatives
from matinee.experiments.provenance import recorded
from matinee.experiments.training import TrainingResult, train_and_evaluate
from matinee.models.base import Estimator
from matinee.models.registry import estimator_from_config
from matinee.storage.checkpoint import Checkpoint
from matinee.storage.runs import MANIFEST, corrupt_files, files_of, read_manifest

HISTORY = "history.jsonl"


@dataclass(frozen=True)
class RunSpec:
    """How a run was made, as far as it says.

    Parameters
    ----------
    metadata : mapping
        The run's manifest.
    rating, ranking : Estimator or None
        The recipes of its heads.
    device : str or None
        Where those trained by gradients were, if there are any.
    threads : int or None
        How many they had on a CPU.
    """

    metadata: Mapping[str, Any]
    rating: Estimator | None
    ranking: Estimator | None
    device: str | None
    threads: int | None

    @classmethod
    def of(cls, run: Path) -> "RunSpec":
        """What the manifest of a run says.

        Raises
        ------
        RunError
            If there is no run, or it does not say what its heads were trained by.
        """
        metadata = read_manifest(run)
        estimators: dict[str, Estimator] = {}
        for head, said in metadata["heads"].items():
            try:
                estimators[head] = estimator_from_config(said["estimator"])
            except (KeyError, TypeError, ValueError, RunError) as problem:
                raise RunError(
                    f"{run}: its {head} head cannot be trained again. {problem}"
                ) from None
        if not estimators or not set(estimators) <= {"rating", "ranking"}:
            raise RunError(f"{run}: it does not say what it was trained by.")
        device, threads = (metadata["environment"].get(name) for name in ("device", "threads"))
        return cls(
            metadata,
            estimators.get("rating"),
            estimators.get("ranking"),
            device if isinstance(device, str) else None,
            threads if type(threads) is int and threads > 0 else None,
        )

    @property
    def estimators(self) -> list[Estimator]:
        """Those of both heads."""
        return [one for one in (self.rating, self.ranking) if one]

    def again(
        self,
        *,
        threads: int | None = None,
        adapt: Callable[[Estimator], Estimator] = lambda estimator: estimator,
        checkpoint: Checkpoint | None = None,
    ) -> TrainingResult:
        """Read the same data, split them the same way, train and judge as then.

        Parameters
        ----------
        threads : int, optional
            By default as many as then, where bits depend on it.
        adapt : callable
            What becomes of each recipe before it is fitted: on another device, with checkpoints.

        Raises
        ------
        RunError
            If the run does not say enough, or the data are others now.

        Examples
        --------
        >>> import tempfile
        >>> import matinee
        >>> from matinee.data.synthetic import write_generated
        >>> from matinee.experiments import Split
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_generated(Path(folder) / "data", users=60, items=50, ratings=1500)
        ...     data = matinee.read(f"{folder}/data")
        ...     done = train_and_evaluate(data, matinee.Bias(), Split("leave-last-out"))
        ...     run = done.model.save(f"{folder}/run")
        ...     again = RunSpec.of(run).again().model.save(f"{folder}/again")
        ...     diff_runs(run, again)
        Sameness(differing=(), damaged=(), otherwise={})
        """
        protocol = _protocol(self.metadata["metrics"])
        if protocol not in ("holdout", "ncf", None):
            raise RunError(
                f"Its lists were judged by {protocol!r}, which no run of matinee train is."
            )
        said = recorded(self.metadata)
        dataset = said.read()
        return train_and_evaluate(
            dataset,
            self.rating and adapt(self.rating),
            said.split,
            ranker=self.ranking and adapt(self.ranking),
            task=sampled_negatives(dataset, seed=said.split.seed) if protocol == "ncf" else None,
            checkpoint=checkpoint,
            validation=said.holdout_validation,
            threads=threads or self.threads,
        )


@dataclass(frozen=True)
class RunDiff:
    """Whether two runs are the same to the last bit.

    Parameters
    ----------
    differing : tuple of str
        The files that are not the same, history without its seconds; and what of the manifests is
        not: what they say of heads, model or metrics.
    corrupt : tuple of str
        Files of the first run that are not what its manifest says; the same as nothing.
    otherwise : mapping of str to pair
        What they were made with where that is not the same: of one, of the other.
    """

    differing: tuple[str, ...]
    corrupt: tuple[str, ...]
    otherwise: Mapping[str, tuple[Any, Any]]


def diff_runs(run: Path, other: Path) -> RunDiff:
    """Compare two runs: files by their checksums, histories and manifests by what they say.

    Parameters
    ----------
    run, other : Path
        Folders of runs.
    """
    manifests = read_manifest(run), read_manifest(other)
    corrupt = corrupt_files(run, manifests[0])
    broken = {*corrupt, *corrupt_files(other, manifests[1])}  # whose checksums say nothing
    files = [metadata["files"] for metadata in manifests]
    names = sorted(
        {name for metadata in manifests for name in files_of(metadata["heads"])} - {HISTORY}
    )
    differing = [
        name for name in names if name in broken or files[0].get(name) != files[1].get(name)
    ]
    if HISTORY in broken or _untimed(run / HISTORY) != _untimed(other / HISTORY):
        differing.append(HISTORY)
    results = [_results(metadata) for metadata in manifests]
    differing += [
        f"{name} in {MANIFEST}" for name in results[0] if results[0][name] != results[1][name]
    ]
    made = [metadata["environment"] for metadata in manifests]
    otherwise = {
        name: (made[0].get(name), made[1].get(name))
        for name in {**made[0], **made[1]}
        if made[0].get(name) != made[1].get(name)
    }
    return RunDiff(tuple(differing), tuple(sorted(corrupt, key=differing.index)), otherwise)


def _untimed(history: Path) -> list[str]:
    """The lines of a history without what no training has twice."""
    try:
        rows = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
        return [json.dumps({k: v for k, v in row.items() if k != "seconds"}) for row in rows]
    except (OSError, ValueError, AttributeError, RecursionError):
        raise RunError(f"{history}: this is no history of a training.") from None


def _results(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What a training left in the manifest alone, to the last bit; as text, for nan is not nan."""
    heads = {
        name: {key: said.get(key) for key in ("kind", "settings")}
        for name, said in metadata["heads"].items()
        if isinstance(said, Mapping)
    }
    found = {"heads": heads, "model": metadata["model"], "metrics": metadata["metrics"]}
    return {name: json.dumps(said, sort_keys=True) for name, said in found.items()}


def _protocol(metrics: Mapping[str, Any]) -> Any:
    """What lists were judged by; None if they were not."""
    lists = metrics.get("ranking")
    return lists.get("protocol") if isinstance(lists, Mapping) else None
