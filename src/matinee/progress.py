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

Tick = Callable[[float, str], None]
"""`tick(done, note)`: how much of the total is done, and a few words beside the bar."""


def _silent(done: float, note: str) -> None:
    """A tick that shows nothing."""


_beside: Callable[[str], None] | None = None  # puts words beside the bar that is there


@contextmanager
def progress(what: str, total: float | None = None, unit: str = "") -> Iterator[Tick]:
    """Show a bar for `what` on stderr once it has lasted two seconds.

    Work inside of other work has no bar of its own: it is a few words beside the outer one.

    Parameters
    ----------
    what : str
        What is being done, such as ``"Training"``.
    total : float
        The amount of work; `tick` reports amounts up to this. None if it is not known.
    unit : str
        ``"bytes"`` shows amounts as file sizes with a speed; otherwise plain numbers.
    """
    global _beside
    if not sys.stderr.isatty():
        yield _silent
        return
    if _beside is not None:
        yield _in_words(_beside, what, total)
        return
    bar: Any = None
    task: Any = None
    latest: tuple[float, str] = 0, ""  # its own
    inner = ""  # of work inside

    def show() -> None:
        nonlocal bar, task
        shown = _bar(unit)
        task = shown.add_task(what, total=total, completed=latest[0], note=words())
        shown.start()
        bar = shown

    def tick(done: float, note: str) -> None:
        nonlocal latest, inner
        latest, inner = (done, note), ""
        update()

    def beside(note: str) -> None:
        nonlocal inner
        inner = note
        update()

    def update() -> None:
        if bar is not None:
            bar.update(task, completed=latest[0], note=words())

    def words() -> str:
        return "  ".join(filter(None, (latest[1], inner)))

    # on its own clock: the first step alone may take longer than anybody's patience
    timer = threading.Timer(PATIENCE, show)
    timer.daemon = True
    timer.start()
    _beside = beside
    try:
        yield tick
    finally:
        _beside = None
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


def _in_words(say: Callable[[str], None], what: str, total: float | None) -> Tick:
    """A tick that says how far work inside of other work is."""

    def tick(done: float, note: str) -> None:
        say(f"{what} {done / total:.0%}  {note}" if total else f"{what}  {note}")

    return tick


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
