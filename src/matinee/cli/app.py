"""The command `matinee`, and what happens when a command fails."""

import atexit
import gc
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import typer

from matinee.cli.data import data_app
from matinee.cli.demo import demo
from matinee.cli.evaluate import compare, cross_validate, evaluate
from matinee.cli.export import export
from matinee.cli.info import doctor, presets, warm_up
from matinee.cli.output import complain
from matinee.cli.recommend import audience, explain, recommend, similar
from matinee.cli.report import cluster, describe, draw_map, report
from matinee.cli.reproduce import reproduce
from matinee.cli.retrain import retrain
from matinee.cli.runs import runs_app
from matinee.cli.serve import serve
from matinee.cli.streams import (
    NOT_WRITTEN,
    PIPE_CLOSED,
    Stream,
    in_utf8,
    lost_output,
    open_streams,
    status_of,
)
from matinee.cli.train import train
from matinee.cli.tune import tune
from matinee.errors import DivergedWarning, MatineeError, bounded, cut, printable

FAILED = 2
INTERRUPTED = 130  # the status of a program that Ctrl-C ended

ENDED_BY = {  # status: by which signal; a system may lack one
    128 + number: number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, 0))
}

app = typer.Typer(
    name="matinee",
    help="Recommend movies: what to watch, how it would be rated, what is similar, and why.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "describe": describe,
    "train": train,
    "presets": presets,
    "reproduce": reproduce,
    "tune": tune,
    "cross-validate": cross_validate,
    "evaluate": evaluate,
    "compare": compare,
    "recommend": recommend,
    "similar": similar,
    "audience": audience,
    "explain": explain,
    "cluster": cluster,
    "map": draw_map,
    "report": report,
    "export": export,
    "serve": serve,
    "retrain": retrain,
    "doctor": doctor,
    "warm-up": warm_up,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")


@app.callback()
def options(
    context: typer.Context,
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails."),
    verbose: bool = typer.Option(False, "-v", "--verbose", help="Show what is done, on stderr."),
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True),
) -> None:
    """What stands before a command; without one, the help."""
    if verbose:
        show_log()
    if version:
        from importlib.metadata import version as version_of

        print("matinee", version_of("matinee"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def show_log() -> None:
    """Show the log of the package on stderr."""
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("matinee")
    logger.addHandler(shown)
    logger.setLevel(logging.INFO)


def main() -> None:
    """Run the command; a failure is one line on stderr and the exit status 2."""
    in_utf8()
    stdout = open_streams()
    # importing makes many objects and no garbage: looking for some took a third of a second
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    if "--verbose" in arguments:
        show_log()
    anywhere = ("--debug", "--verbose")
    arguments = [argument for argument in arguments if argument not in anywhere]
    show_other = warnings.showwarning

    def show(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        if category is DivergedWarning:
            complain(str(message))
        elif debug or sys.warnoptions:
            show_other(message, category, *args, **kwargs)

    warnings.showwarning = show
    _end_on_signals()
    status = _run(arguments, stdout, debug)
    if problem := lost_output(stdout):
        status = status_of(problem)
        if status != PIPE_CLOSED:  # the `| head` that read it has had enough
            complain(f"The output could not be written: {problem.strerror}.")
    elif status in (INTERRUPTED, *ENDED_BY):
        print("\nmatinee: stopped.", file=sys.stderr)
    sys.exit(status)


def _run(arguments: list[str], stdout: Stream | None, debug: bool) -> int:
    """The exit status of a command; a failure is told on stderr."""
    try:
        return app(arguments, prog_name="matinee", standalone_mode=False) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except (KeyboardInterrupt, typer.Abort) as end:
        if end.__cause__ is None:
            return INTERRUPTED
        problem: BaseException = end.__cause__  # typer takes any end of a file for Ctrl-D
    except BaseException as failure:
        problem = failure
    if stdout and problem is stdout.problem:
        return NOT_WRITTEN
    if debug:
        raise problem
    if hasattr(problem, "format_message"):
        _show_usage(problem)
    else:
        complain(_explained(problem))
    return FAILED


def _end_on_signals() -> None:
    """End by SystemExit where a signal would kill the process, so that nothing half done stays."""

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)  # the tidying up is not to be disturbed
        raise SystemExit(128 + number)

    for number in ENDED_BY.values():
        if threading.current_thread() is not threading.main_thread():
            return  # which alone may say what a signal does
        if signal.getsignal(number) == signal.SIG_DFL:  # and not under nohup
            signal.signal(number, end)


def _show_usage(problem: Any) -> None:
    """What is wrong with the arguments, and how the command is used."""
    if context := getattr(problem, "ctx", None):
        print(context.get_usage(), file=sys.stderr)
        print(f"Try '{context.command_path} -h' for help.\n", file=sys.stderr)
    print(f"Error: {bounded(printable(problem.format_message()))}", file=sys.stderr)


def _explained(problem: BaseException) -> str:
    """One line for a person about what went wrong."""
    if isinstance(problem, MatineeError):
        return str(problem)
    message = bounded(" ".join(str(problem).split()))  # compilers write many lines
    if isinstance(problem, OSError) and (problem.strerror or message):  # no space, no such folder
        where = f"{cut(str(problem.filename))}: " if problem.filename else ""
        return f"{where}{problem.strerror or message}."
    if isinstance(problem, MemoryError):
        why = f" ({message})" if message else ""
        return f"This needs more memory than there is{why}. Fewer factors or data need less."
    internal = f"internal error ({type(problem).__name__}: {message})"
    return f"{internal}. Please report it; --debug shows the traceback."
