"""Progress on the terminal or in a notebook, for anything that may last longer than two seconds.

Nothing is shown when stderr is neither, nor for work that ends sooner.
rich is imported only when there is something to show.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from matinee.errors import cut, printable

PATIENCE = 2.0  # seconds of silence before a bar appears
PAUSE = 0.25  # seconds between two lines of a notebook
WIDTH = 100  # characters of such a line

Tick = Callable[[float, str], None]
"""`tick(done, note)`: how much of the total is done, and a few words beside the bar."""

_bar: "_Bar | None" = None  # the one on the terminal, if there is one
_compilation_announced = False
_silent = False


def be_silent() -> None:
    """Show nothing from now on: for a process that answers many at a time, and keeps a log."""
    global _silent
    _silent = True


@contextmanager
def progress(description: str, total: float | None = None, unit: str = "") -> Iterator[Tick]:
    """Show a bar on stderr, or a line in a notebook, once the work here has lasted two seconds.

    Work inside of other work has no bar of its own: it is a few words beside the outer one. `tick`
    reports amounts up to `total`, which may be unknown (None), and are shown as a percentage, or
    as file sizes with a speed if the unit is ``"bytes"``.
    """
    global _bar
    if _silent or not (_notebook() or _is_terminal()):
        yield lambda done, note: None
    elif _bar is not None:
        yield _bar.inner_tick(description, total)
    else:
        _bar = _Bar(description, total, unit)
        try:
            yield _bar.tick
            _bar.complete()
        finally:
            _bar.stop()
            _bar = None


class _Bar:
    """A bar that appears after `PATIENCE` by a timer, since the first step may be long."""

    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self.description, self.total, self.unit = printable(description), total, unit
        self.done, self.note, self.inner_note = 0.0, "", ""
        self.display: Any = None
        # in the context of this thread, by which a notebook knows the cell
        self.timer = threading.Timer(PATIENCE, copy_context().run, [self.show])
        self.timer.daemon = True
        self.timer.start()

    def show(self) -> None:
        shell = _notebook()
        display = _Line(shell) if shell else _display(self.total is not None, self.unit)
        display.add_task(self.description, total=self.total, completed=self.done, note=self.words())
        display.start()
        self.display = display

    def tick(self, done: float, note: str) -> None:
        self.done, self.note, self.inner_note = done, note, ""
        self.update()

    def inner_tick(self, description: str, total: float | None) -> Tick:
        def tick(done: float, note: str) -> None:
            amount = f" {done / total:.0%}" if total else ""
            self.inner_note = f"{description}{amount}  {note}"
            self.update()

        return tick

    def update(self) -> None:
        if self.display is not None:
            self.display.update(self.display.task_ids[0], completed=self.done, note=self.words())

    def words(self) -> str:
        return printable("  ".join(filter(None, (self.note, self.inner_note))))

    def complete(self) -> None:
        """All is done, also where it took fewer steps than it might have."""
        if self.total is not None:
            self.done = self.total
            self.update()

    def stop(self) -> None:
        self.timer.cancel()
        self.timer.join()
        if self.display is not None:
            self.update()  # to the last step, which may have come while the bar was being made
            self.display.stop()


class _Line:
    """One line below a cell, written anew a few times a second; in the end it says how long."""

    task_ids = (0,)

    def __init__(self, shell: Any) -> None:
        self.shell, self.identity = shell, {"display_id": f"matinee-{time.monotonic_ns()}"}
        self.started = self.shown = time.monotonic()

    def add_task(self, description: str, total: float | None, completed: float, note: str) -> None:
        self.description, self.total = description, total
        self.text = self.line(completed, note)

    def line(self, completed: float, note: str) -> str:
        share = f" {completed / self.total:.0%}" if self.total else ""
        return cut(f"{self.description}{share}  {note}".rstrip(), WIDTH)

    def start(self) -> None:
        self.publish(self.text, update=False)

    def update(self, _: Any, completed: float, note: str) -> None:
        if time.monotonic() - self.shown > PAUSE:
            self.publish(self.line(completed, note), update=True)

    def stop(self) -> None:
        seconds = time.monotonic() - self.started + PATIENCE
        self.publish(f"{self.description}: {seconds:.0f} s", update=True)

    def publish(self, text: str, update: bool) -> None:
        self.shown = time.monotonic()
        data = {"text/plain": text}
        self.shell.display_pub.publish(data, {}, transient=self.identity, update=update)


def _notebook() -> Any:
    """The shell of a notebook in which this runs, or None."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return shell if hasattr(shell, "kernel") else None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _display(has_total: bool, unit: str) -> Any:
    """Columns for a terminal of 80 columns; the note is cut where it does not fit."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    amount: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()]
    if unit != "bytes":
        amount = [TextColumn("{task.percentage:>3.0f}%")] if has_total else []
    description = Column(max_width=28, no_wrap=True, overflow="ellipsis")
    note = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=description),
        BarColumn(bar_width=12),
        *amount,
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False, table_column=note),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )


def metrics_note(row: Mapping[str, Any]) -> str:
    """The metrics in a row of a training's history, short enough for the space beside a bar.

    >>> metrics_note({"iteration": 3, "loss": 0.61234, "train_rmse": 0.77123, "test_rmse": 0.87123})
    'loss 0.6123  RMSE 0.7712 train, 0.8712 test'
    """
    notes = [f"loss {row['loss']:.4g}"] if "loss" in row else []
    for suffix, label in (("_rmse", "RMSE"), ("_hit_rate", "HR")):
        values = {name: row.get(name + suffix) for name in ("train", "validation", "test")}
        shown = [f"{x:.4f} {name}" for name, x in values.items() if x is not None and x == x]
        notes += [f"{label} {', '.join(shown)}"] if shown else []
    return "  ".join(notes)


@contextmanager
def compiling(steps: int) -> Iterator[Tick]:
    """A bar for compiling ahead, after which nothing more is said of compiling in this process."""
    global _compilation_announced
    _compilation_announced = True
    with progress("Compiling (first run only)", steps) as tick:
        yield tick


@contextmanager
def compilation_announced() -> Iterator[None]:
    """Say on stderr, once a process, that kernels are being compiled, if they are not on disk."""
    if _compilation_announced or not _is_terminal():
        yield
        return
    from numba.core import event

    class Announcer(event.Listener):
        def on_start(self, event: Any) -> None:
            global _compilation_announced
            if not _compilation_announced:
                _compilation_announced = True
                print("Compiling for this machine (first run only) ...", file=sys.stderr)

        def on_end(self, event: Any) -> None:
            pass

    announcer = Announcer()
    event.register("numba:compile", announcer)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        event.unregister("numba:compile", announcer)  # type: ignore[no-untyped-call]
