"""What a forked process cannot do: polars' threads stay with the parent, and whatever needs them
would wait for ever. Answers need none of them (see `TrainedModel`); the rest refuses in a line.
"""

import os
import re
from pathlib import Path

from matinee.errors import SettingError

_POOL = re.compile(r"polars-\d+")
_state = {"threads": False, "lost": False}


def check_threads(what: str) -> None:
    """Refuse what needs polars' threads, if they were lost in a fork; `what` starts a sentence."""
    if _state["lost"]:
        raise SettingError(
            f"{what} in a forked process may hang, for its parent has used polars, whose threads "
            "do not survive a fork. Do it before the fork, or start processes by 'spawn' or "
            "'forkserver' (multiprocessing.set_start_method)."
        )


def _look_for_threads() -> None:
    tasks = Path("/proc/self/task")  # of Linux, the only system that forks by default
    try:
        names = [(task / "comm").read_text() for task in tasks.iterdir()]
    except OSError:
        names = []
    _state["threads"] = any(_POOL.match(name) for name in names)


def _note_loss() -> None:
    _state["lost"] = _state["lost"] or _state["threads"]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_look_for_threads, after_in_child=_note_loss)
