"""Saving a trained model under a name of its own, and loading a run. Files are hashed by threads
while numpy, polars and numba are imported, so nothing here may import one of them.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from matinee.data.forks import check_threads
from matinee.errors import RunError
from matinee.storage.atomic import recover
from matinee.storage.runs import RUNS, open_run, run_version, write_new_run

if TYPE_CHECKING:
    from matinee.models.recommender import Recommender


def load(run: str | Path) -> "Recommender":
    """The recommender saved in the folder `run`.

    Its arrays are the files, mapped: pages that nothing asks for again need no memory, and
    processes with the same run share theirs. Saving another run in its place leaves a loaded
    recommender as it is. Whoever writes into the very files, which nothing here does, changes it,
    and ends the process by cutting them short.

    Raises
    ------
    RunError
        If there is no run, a file is missing, corrupt or does not fit the others, or the run was
        written by another version's format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = matinee.Bias().fit(data).save(f"{folder}/run")
    ...     print(matinee.load(run))
    Recommender(Bias, 60 users, 50 items)
    """
    check_threads("Loading a run")
    run = Path(run)
    while True:
        recover(run)
        before = run_version(run)
        try:
            return _load(run)
        except RunError:
            if run_version(run) == before:
                raise
            # a new run was saved here while this one was being read


def _load(run: Path) -> "Recommender":
    with open_run(run) as (manifest, files):
        from matinee.models.recommender import Recommender
        from matinee.models.serialization import parse_run

        index, heads, metadata = parse_run(run, manifest, dict(files))
        return Recommender(
            index, **{f"{name}_head": head for name, head in heads.items()}, metadata=metadata
        )


def save_run(model: "Recommender", run: str | Path | None, name: str) -> Path:
    """Write a model to the folder `run`, or to a new one under `RUNS`; return where it is."""
    if run:
        return model.save(run)
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    return write_new_run(
        model.to_parts(), RUNS / f"{model.metadata['data']['name']}-{name.lower()}-{stamp}"
    )
