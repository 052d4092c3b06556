"""Saving a trained model under a name of its own, and loading a run. Files are hashed by threads
while numpy, polars and numba are imported, so nothing here may import one of them.
"""

import logging
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.data.forks import check_threads
from matinee.errors import RunError, WriteError, bounded
from matinee.storage.atomic import read_steadily, recover
from matinee.storage.runs import PARTS, RUNS, open_run, read_manifest, write_new_run

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from matinee.models.recommender import Recommender
    from matinee.models.users_in_parts import RunInParts


def load(run: str | Path, users: Any = None) -> "Recommender":
    """The recommender saved in the folder `run`.

    A run whose users are in parts, for they are more than one machine holds, is loaded for some
    `users`, by their ids: the model knows these alone, and reads only the files that they are in.
    ``users=[]`` is enough to fold in new ones. Any other run has all of its users anyway.

    Its arrays are the files, mapped: pages that nothing asks for again need no memory, and
    processes with the same run share theirs. Saving another run in its place leaves a loaded
    recommender as it is. Whoever writes into the very files, which nothing here does, changes it,
    and ends the process by cutting them short.

    Raises
    ------
    RunError
        If there is no run, a file is missing, corrupt or does not fit the others, or the run was
        written by another version's format; if its users are in parts, and none are named.

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
    recover(run)
    model = read_steadily(run, lambda: _load(run, users))
    log.info("loaded %s: %r", bounded(str(run)), model)
    return model


def open_in_parts(run: str | Path) -> "RunInParts":
    """A run whose users are in parts, to take one part after another; errors are those of `load`,
    and RunError if it is an ordinary run.
    """
    check_threads("Loading a run")
    run = Path(run)
    recover(run)
    return read_steadily(run, lambda: _open_in_parts(run))


def load_base(run: str | Path) -> "Recommender":
    """The base of a run whose users are in parts, or of none; see `write_base`."""
    return _model_of(Path(run))[0]


def _load(run: Path, users: Any) -> "Recommender":
    if not read_manifest(run)[PARTS]:
        return _model_of(run)[0]
    if users is None:
        raise RunError(
            f"{run}: its users are in parts; name those to ask about, load(run, users=[...]) or "
            "--user ID. Lists of all: matinee recommend --all --engine spark."
        )
    return _open_in_parts(run).with_users(users)


def _open_in_parts(run: Path) -> "RunInParts":
    base, manifest = _model_of(run)
    from matinee.models.users_in_parts import RunInParts

    return RunInParts.of(run, base, manifest[PARTS])


def _model_of(run: Path) -> tuple["Recommender", dict[str, Any]]:
    """The model in the files of a run beside parts of users, and its manifest."""
    with open_run(run) as (manifest, files):
        from matinee.models.recommender import Recommender
        from matinee.models.serialization import parse_run

        index, heads, metadata = parse_run(run, manifest, dict(files))
        named = {f"{name}_head": head for name, head in heads.items()}
        return Recommender(index, **named, metadata=metadata), manifest


def save_run(model: "Recommender", run: str | Path | None, name: str) -> Path:
    """Write a model to the folder `run`, or to a new one under `RUNS`; return where it is."""
    if run:
        try:
            return model.save(run)
        except WriteError as problem:
            if not isinstance(problem.__cause__, PermissionError):
                raise
            # Windows replaces no run that a program has open: beside it, the training is not lost
            return write_new_run(model.to_parts(), Path(run))
    return write_new_run(model.to_parts(), new_place(model.metadata["data"]["name"], name))


def new_place(data: str, name: str) -> Path:
    """Where a run of these data goes where none is named."""
    return RUNS / f"{sound_name(data)}-{name.lower()}-{datetime.now():%Y%m%d-%H%M%S}"


def sound_name(name: str) -> str:
    """A name of data as the start of a run's name: short, visible, and no option or path.

    Examples
    --------
    >>> sound_name(".hidden"), sound_name("-n/../x"), sound_name("...")
    ('hidden', 'n-..-x', 'data')
    """
    printed = "".join(c if c.isprintable() and c not in "/\\" else "-" for c in str(name))
    return printed.lstrip(".- ").encode()[:120].decode(errors="ignore") or "data"
