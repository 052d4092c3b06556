"""The command `matinee`, and what happens when a command fails."""

import atexit
import gc
import io
import os
import sys
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
from matinee.cli.runs import runs_app
from matinee.cli.train import train
from matinee.cli.tune import tune
from matinee.errors import DivergedWarning, MatineeError

INTERRUPTED = 130  # the status of a program that Ctrl-C ended

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
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True),
) -> None:
    """What stands before a command; without one, the help."""
    if version:
        from importlib.metadata import version as version_of

        print("matinee", version_of("matinee"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Run the command; a failure is one line on stderr and the exit status 2."""
    # importing makes many objects and no garbage: looking for some took a third of a second
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]  # wherever it stands
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a title may need more than the terminal knows
            stream.reconfigure(errors="replace")
    show_other = warnings.showwarning

    def show(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        if category is DivergedWarning:
            complain(str(message))
        else:
            show_other(message, category, *args, **kwargs)

    warnings.showwarning = show
    try:
        app(arguments, prog_name="matinee")
    except (KeyboardInterrupt, SystemExit) as end:  # typer makes the one into the other
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        print("\nmatinee: stopped.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as problem:
        if debug:
            raise
        complain(_explained(problem))
        sys.exit(2)
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # the `| head` that read it has ended
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explained(problem: Exception) -> str:
    """One line for a person about what went wrong."""
    if isinstance(problem, MatineeError):
        return str(problem)
    if isinstance(problem, OSError):  # no permission, no space, no such folder
        where = f"{problem.filename}: " if problem.filename else ""
        return f"{where}{problem.strerror or problem}."
    message = " ".join(str(problem).split())  # compilers write many lines
    internal = f"internal error ({type(problem).__name__}: {message})"
    return f"{internal}. Please report it; --debug shows the traceback."
