"""Loading the run, and again whenever another one has taken its place: requests that have begun are
answered from the one before.
"""

import threading
from pathlib import Path

import structlog

from matinee.errors import MatineeError
from matinee.service.served import Served
from matinee.service.state import ServiceState
from matinee.storage.runs import MANIFEST

SECONDS = 2.0  # between looks
log = structlog.get_logger("matinee.service")
Stamp = tuple[int, int, int]


class Reloader:
    """A thread that keeps the served run that of the folder."""

    def __init__(self, state: ServiceState, seconds: float = SECONDS) -> None:
        self.state, self.seconds = state, seconds
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="reloader", daemon=True)
        self.loaded: Stamp | None = None if state.served is None else stamp_of(state.served.run)

    def start(self) -> None:
        """Begin to watch."""
        self.thread.start()

    def close(self) -> None:
        """Stop watching; a run that is being loaded is not served any more."""
        self.stop.set()

    def _watch(self) -> None:
        while not self.stop.is_set():
            self.look()
            self.stop.wait(self.seconds)

    def look(self) -> None:
        """Load the run if it is another one than before; one that cannot be loaded is told once."""
        run = self.state.settings.run
        stamp = stamp_of(run)
        if stamp is None or stamp == self.loaded:
            return
        self.loaded = stamp
        try:
            served = Served.load(run)
        except MatineeError as problem:
            log.error("not loaded", run=run.name, problem=str(problem))
            return
        if not self.stop.is_set():
            self.state.serve(served)
            log.info("ready", run=run.name)


def stamp_of(run: Path) -> Stamp | None:
    """What tells one run in a folder from the next; None while there is none."""
    try:
        stat = (run / MANIFEST).stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
