"""The command `matinee`, and what happens when a command fails."""

import atexit
import gc
import io
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer

from matinee.cli.data import data_app
from matinee.cli.demo import demo
from matinee.cli.evaluate import compare, cross_validate, evaluate
from matinee.cli.info import doctor, estimators
from matinee.cli.output import complain
from matinee.cli.recommend import explain, recommend, similar_items
from matinee.cli.report import cluster, describe, draw_map, report
from matinee.cli.runs import runs_app
from matinee.cli.train import train
from matinee.cli.tune import tune
from matinee.errors import DivergedWarning, MatineeError

app = typer.Typer(
    name="matinee",
    help="What to watch, how many stars, what is similar, and why.",
    invoke_without_command=True,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
STOPPED = 130  # what a shell calls the end by Ctrl-C
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "describe": describe,
    "recipes": estimators,
    "train": train,
    "tune": tune,
    "cross-validate": cross_validate,
    "evaluate": evaluate,
    "compare": compare,
    "recommend": recommend,
    "similar": similar_items,
    "explain": explain,
    "cluster": cluster,
    "map": draw_map,
    "report": report,
    "doctor": doctor,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(data_app, name="data")
app.add_typer(runs_app, name="runs")


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails."),
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True),
) -> None:
    """What to watch, how many stars, what is similar, and why."""
    if version:
        from importlib.metadata import version as version_of

        print(version_of("matinee"))
        raise typer.Exit


def main() -> None:
    """Run the command; say in one line what went wrong and exit with 2."""
    # importing makes many objects and no garbage: looking for some took a third of a second
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    if debug:  # wherever it stands
        arguments = [argument for argument in arguments if argument != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a title may need more than the terminal knows
            stream.reconfigure(errors="replace")
    default = warnings.showwarning

    def show(message: Any, category: type[Warning], *rest: Any, **more: Any) -> None:
        if category is DivergedWarning:
            complain(str(message))
        else:
            default(message, category, *rest, **more)

    warnings.showwarning = show
    try:
        app(arguments)
    except MatineeError as problem:
        if debug:
            raise
        complain(str(problem))
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as ended:  # typer makes the one into the other
        if isinstance(ended, SystemExit) and ended.code != STOPPED:
            raise
        print("\nmatinee: stopped.", file=sys.stderr)
        sys.exit(STOPPED)
    except BrokenPipeError:  # somebody's `| head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as problem:  # no permission, no space, no such folder
        if debug:
            raise
        where = f"{problem.filename}: " if problem.filename else ""
        complain(f"{where}{problem.strerror or problem}.")
        sys.exit(2)
    except Exception as problem:
        if debug:
            raise
        what = " ".join(str(problem).split())  # compilers take many lines to say something
        complain(
            f"this should not have happened ({type(problem).__name__}: {what}). "
            "Run it again with --debug to see where."
        )
        sys.exit(2)
