"""The state of a chain on disk, so that one that was killed goes on, and a finished one further.

A folder holds a state, all that the next sweep and the averages so far depend on, and a
file for each draw that is kept: a state is written with the new draws alone, the others are linked.
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
from matinee.storage.checkpoint import STATE, open_state, strip_prefix

EVERY = 16  # sweeps: what is lost at most when the process is killed


@dataclass(frozen=True)
class ChainCheckpoint:
    """A folder that holds the state of one chain, whole or not at all.

    Parameters
    ----------
    folder : Path
    every : int
        Sweeps from one state to the next.
    identity : str
        What the chain is, its length aside: a state of another one is refused.
    """

    folder: Path
    every: int
    identity: str

    def keep(
        self,
        sampler: GibbsSampler,
        keeper: DrawBuffer,
        evaluated: dict[str, MonitoredSet],
        history: list[dict[str, Any]],
    ) -> None:
        """Write the state as it is now."""
        arrays = _arrays(sampler, keeper, evaluated)
        metadata = {
            "identity": self.identity,
            "sweep": sampler.sweep,
            "history": history,
            "draws": sorted(keeper.draws),
            "apart": keeper.apart,
            "averaged": keeper.count,
        }
        with new_folder(self.folder) as fresh:
            whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            save_file(whole, fresh / STATE, metadata={"state": json.dumps(metadata)})
            for number, draw in keeper.draws.items():
                _link(self.folder / _draw_file(number), fresh / _draw_file(number), draw)

    def restore(
        self,
        sampler: GibbsSampler,
        keeper: DrawBuffer,
        evaluated: dict[str, MonitoredSet],
        sweeps: int,
    ) -> list[dict[str, Any]]:
        """Put everything where the state left it, and return the history; [] if there is none.

        Raises
        ------
        RunError
            If the state cannot be read, is of another chain, or of more sweeps than these.
        """
        with open_state(self.folder, self.identity) as found:
            if found is None:
                return []
            metadata, arrays = found
            _check_about(metadata)
            if metadata["sweep"] > sweeps:
                raise RunError(
                    f"{self.folder}: a checkpoint of {metadata['sweep']} iterations, {sweeps} are "
                    "asked for. Ask for more, or name another folder."
                )
            if metadata["averaged"]:  # what the averages are like is known from one draw
                keeper.begin(sampler)
            _check(arrays, _arrays(sampler, keeper, evaluated))
            pattern = PosteriorDraw.of(sampler).arrays()
            for number in metadata["draws"]:
                draw = load_file(self.folder / _draw_file(number))
                _check(draw, pattern)
                keeper.draws[number] = PosteriorDraw(**draw)
            _put_back(sampler, keeper, evaluated, arrays, metadata)
            history: list[dict[str, Any]] = metadata["history"]
            return history


def _arrays(
    sampler: GibbsSampler, keeper: DrawBuffer, evaluated: dict[str, MonitoredSet]
) -> dict[str, Array]:
    arrays = {f"chain.{name}": array for name, array in sampler.state().items()}
    arrays |= {f"average.{name}": array for name, array in keeper.state().items()}
    return arrays | {f"judged.{name}": part.average.sums for name, part in evaluated.items()}


def _put_back(
    sampler: GibbsSampler,
    keeper: DrawBuffer,
    evaluated: dict[str, MonitoredSet],
    arrays: dict[str, Array],
    metadata: dict[str, Any],
) -> None:
    sampler.restore(metadata["sweep"], strip_prefix(arrays, "chain."))
    keeper.restore(metadata["averaged"], metadata["apart"], strip_prefix(arrays, "average."))
    for name, part in evaluated.items():
        part.average.sums[:] = arrays[f"judged.{name}"]
        part.average.draws = metadata["averaged"]


def _check_about(metadata: dict[str, Any]) -> None:
    """Raise ValueError unless these are the numbers of a chain."""
    rows, sweep, averaged = metadata["history"], metadata["sweep"], metadata["averaged"]
    plain = [sweep, metadata["apart"], averaged, *metadata["draws"]]
    if any(type(number) is not int or number < 0 for number in plain) or metadata["apart"] < 1:
        raise ValueError("a number of it makes no sense")
    if len(rows) != sweep or not all(
        isinstance(row, dict)
        and all(type(value) in (int, float, type(None)) for value in row.values())
        and all(type(row[name]) is float for name in ("noise", "signal", "seconds"))
        for row in rows
    ):
        raise ValueError("the history is none of a chain")
    if averaged > sweep or metadata["draws"] != list(range(0, averaged, metadata["apart"])):
        raise ValueError("other draws are kept than it says")


def _check(found: dict[str, Array], wanted: dict[str, Array]) -> None:
    """Raise ValueError unless these are finite arrays of the names, types and shapes wanted."""
    if found.keys() != wanted.keys():
        raise ValueError("a part is missing or unknown")
    for name, array in found.items():
        like = wanted[name]
        if array.dtype != like.dtype or array.shape != like.shape or not np.isfinite(array).all():
            raise ValueError(f"{name} has another type or shape than it should")


def _draw_file(number: int) -> str:
    return f"draw-{number:06}.safetensors"


def _link(before: Path, now: Path, draw: PosteriorDraw) -> None:
    """A file of a draw: the one of the state before, if it is there."""
    if before.exists():
        try:
            os.link(before, now)
        except OSError:  # a file system without links
            shutil.copyfile(before, now)
    else:
        save_file({n: np.ascontiguousarray(a) for n, a in draw.arrays().items()}, now)
