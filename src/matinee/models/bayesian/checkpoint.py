"""The state of a chain on disk: one that was killed is resumed, a finished one extended. Kept draws
have files of their own: only new ones are written, the others are linked.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from matinee._types import Array
from matinee.errors import RunError
from matinee.models.bayesian.posterior import DrawBuffer, MonitoredSet, PosteriorDraw
from matinee.models.bayesian.sampler import GibbsSampler
from matinee.storage.atomic import new_folder
from matinee.storage.checkpoint import STATE, check_arrays, open_state, strip_prefix

EVERY = 16  # sweeps: what is lost at most when the process is killed


@dataclass(frozen=True)
class ChainCheckpoint:
    """A folder that holds the state of one chain, whole or not at all."""

    folder: Path
    every: int  # sweeps from one state to the next
    identity: str  # of the chain, its length aside: a state of another one is refused

    def save(
        self,
        sampler: GibbsSampler,
        buffer: DrawBuffer,
        monitored: dict[str, MonitoredSet],
        history: list[dict[str, Any]],
    ) -> None:
        """Write the state as it is now."""
        arrays = _arrays(sampler, buffer, monitored)
        metadata = {
            "identity": self.identity,
            "sweep": sampler.sweep,
            "history": history,
            "draws": sorted(buffer.draws),
            "spacing": buffer.spacing,
            "averaged": buffer.count,
        }
        with new_folder(self.folder) as fresh:
            whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            save_file(whole, fresh / STATE, metadata={"state": json.dumps(metadata)})
            for number, draw in buffer.draws.items():
                _link(self.folder / _draw_file(number), fresh / _draw_file(number), draw)

    def restore(
        self,
        sampler: GibbsSampler,
        buffer: DrawBuffer,
        monitored: dict[str, MonitoredSet],
        sweeps: int,
    ) -> list[dict[str, Any]]:
        """Restore everything and return the history; [] if there is no state."""
        with open_state(self.folder, self.identity) as state:
            if state is None:
                return []
            metadata, arrays = state
            _check_metadata(metadata)
            if metadata["sweep"] > sweeps:
                raise RunError(
                    f"{self.folder}: a checkpoint of {metadata['sweep']} iterations, more than "
                    f"{sweeps}. Ask for more, or name another folder."
                )
            if metadata["averaged"]:  # whose shapes are known from one draw
                buffer.begin(sampler)
            check_arrays(arrays, _arrays(sampler, buffer, monitored))
            expected = PosteriorDraw.of(sampler)._asdict()
            for number in metadata["draws"]:
                draw = load_file(self.folder / _draw_file(number))
                check_arrays(draw, expected)
                buffer.draws[number] = PosteriorDraw(**draw)
            averaged, average = metadata["averaged"], strip_prefix(arrays, "average.")
            sampler.restore(metadata["sweep"], strip_prefix(arrays, "chain."))
            buffer.restore(averaged, metadata["spacing"], average)
            for name, part in monitored.items():
                part.average.sums[:] = arrays[f"monitored.{name}"]
                part.average.draws = averaged
            history: list[dict[str, Any]] = metadata["history"]
            return history


def _arrays(
    sampler: GibbsSampler, buffer: DrawBuffer, monitored: dict[str, MonitoredSet]
) -> dict[str, Array]:
    arrays = {f"chain.{name}": array for name, array in sampler.state().items()}
    arrays |= {f"average.{name}": array for name, array in buffer.state().items()}
    return arrays | {f"monitored.{name}": part.average.sums for name, part in monitored.items()}


def _check_metadata(metadata: dict[str, Any]) -> None:
    """Raise ValueError unless these are the numbers of a chain."""
    rows, sweep, averaged = metadata["history"], metadata["sweep"], metadata["averaged"]
    numbers = [sweep, metadata["spacing"], averaged, *metadata["draws"]]
    if any(type(number) is not int or number < 0 for number in numbers) or metadata["spacing"] < 1:
        raise ValueError("a number is out of range")
    if len(rows) != sweep or not all(
        isinstance(row, dict)
        and all(type(value) in (int, float, type(None)) for value in row.values())
        and all(type(row[name]) is float for name in ("noise", "signal", "seconds"))
        for row in rows
    ):
        raise ValueError("the history is not that of a chain")
    if averaged > sweep or metadata["draws"] != list(range(0, averaged, metadata["spacing"])):
        raise ValueError("other draws are kept than expected")


def _draw_file(number: int) -> str:
    return f"draw-{number:06}.safetensors"


def _link(before: Path, now: Path, draw: PosteriorDraw) -> None:
    """The file of a draw: a link to that of the state before, if it is there."""
    if before.exists():
        try:
            os.link(before, now)
        except OSError:  # a file system without links
            shutil.copyfile(before, now)
    else:
        save_file({n: np.ascontiguousarray(a) for n, a in draw._asdict().items()}, now)
