"""Progress on the terminal, for anything that may last longer than two seconds.

Nothing is shown when stderr is not a terminal, nor for work that ends sooner.
rich is imported only when there is something to show.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 2.0  # seconds of silence before a bar appears

_shown: list[str] = []  # one bar at a time: what happens within something longer shows none

Tick = Callable[[float, str], None]
"""`tick(done, note)`: how much of the total is done, and a few words beside the bar."""


def _silent(done: float, note: str) -> None:
    """A tick that shows nothing."""


@contextmanager
def progress(what: str, total: float | None = None, unit: str = "") -> Iterator[Tick]:
    """Show a bar for `what` on stderr once it has lasted two seconds.

    Parameters
    ----------
    what : str
        What is being done, such as ``"Training"``.
    total : float
        The amount of work; `tick` reports amounts up to this. None if it is not known.
    unit : str
        ``"bytes"`` shows amounts as file sizes with a speed; otherwise plain numbers.

    Within a block that shows progress already, nothing more is shown.
    """
    if not sys.stderr.isatty() or _shown:
        yield _silent
        return
    bar: Any = None
    task: Any = None
    latest: tuple[float, str] = 0, ""

    def show() -> None:
        nonlocal bar, task
        shown = _bar(unit)
        task = shown.add_task(what, total=total, completed=latest[0], note=latest[1])
        shown.start()
        bar = shown

    def tick(done: float, note: str) -> None:
        nonlocal latest
        latest = done, note
        if bar is not None:
            bar.update(task, completed=done, note=note)

    # on its own clock: the first step alone may take longer than anybody's patience
    timer = threading.Timer(PATIENCE, show)
    timer.daemon = True
    timer.start()
    _shown.append(what)
    try:
        yield tick
    finally:
        _shown.remove(what)
        timer.cancel()
        timer.join()
        if bar is not None:
            bar.stop()


@contextmanager
def compilation_announced() -> Iterator[None]:
    """Say on stderr that kernels are being compiled, if they are.

    numba compiles a kernel at its first call and keeps the result on disk, so
    this shows at the very first run only.
    """
    if not sys.stderr.isatty():
        yield
        return
    from numba.core import event

    class Announcer(event.Listener):
        announced = False

        def on_start(self, event: Any) -> None:
            if not self.announced:
                self.announced = True
                print("Compiling for this machine (first run only) ...", file=sys.stderr)

        def on_end(self, event: Any) -> None:
            pass

    announcer = Announcer()
    event.register("numba:compile", announcer)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        event.unregister("numba:compile", announcer)  # type: ignore[no-untyped-call]


def _bar(unit: str) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    amount = (
        [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    )
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *amount,
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
