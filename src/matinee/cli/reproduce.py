"""matinee reproduce"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument

from matinee.cli import options
from matinee.cli.options import find_run
from matinee.cli.output import print_json, say
from matinee.cli.train import (
    check_outputs,
    check_runtime,
    draw_curves,
    print_result,
    print_saved,
    print_sizes,
)
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.experiments.reproduction import RunDiff


def reproduce(
    run: Annotated[str, Argument(metavar="RUN", help="A run's folder or name.")],
    new_run: options.NewRun = None,
    device: options.Device = None,
    checkpoint: options.CheckpointFolder = None,
    checkpoint_every: options.CheckpointEvery = None,
    resume: options.Resume = False,
    plot: options.Plot = False,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Train a run once more and compare the two bit for bit.

    Data, split, hyperparameters and seed are taken from the run; the new one is saved beside it.
    """
    from matinee.experiments.reproduction import RunSpec, diff_runs
    from matinee.experiments.reproduction import reproduce as reproduce_run
    from matinee.models.loading import save_run

    origin = find_run(run)
    if new_run and Path(new_run).resolve() == origin.resolve():
        raise SettingError(f"--run {new_run}: this is the run to reproduce; name another folder.")
    spec = RunSpec.read(origin)
    device = device or spec.device
    state = check_runtime(spec.estimators, device, checkpoint, checkpoint_every, resume)
    check_outputs(new_run, plot)
    result = reproduce_run(spec, threads=threads, device=device, checkpoint=state)
    folder = save_run(result.model, new_run, "reproduced")
    curves = draw_curves(result, folder) if plot else None
    diff = diff_runs(origin, folder)
    if json:
        summary = {
            "reproduced": str(origin),
            "identical": not diff.differing,
            "differing": list(diff.differing),
            "corrupt": list(diff.corrupt),
            "environment_changes": {
                name: list(pair) for name, pair in diff.environment_changes.items()
            },
        }
        print_json({"run": str(folder), "plot": curves, **summary, **result.to_dict()})
        return
    print_sizes(str(origin), result)
    print_result(result, device)
    _print_diff(diff, origin)
    print_saved(folder, curves, plot)


def _print_diff(diff: "RunDiff", origin: Path) -> None:
    if not diff.differing:
        say("Reproduced bit for bit.")
        return
    say(f"Differs from {origin} in: {', '.join(diff.differing)}.")
    if diff.corrupt:
        say(f"{origin} itself is corrupt or was changed: {', '.join(diff.corrupt)}.")
    elif "items.safetensors" in diff.differing:
        say("Titles, years or genres in the data have changed.")
    if diff.environment_changes:
        say(f"Environment changed: {diff.describe_environment()}.")
    elif not diff.corrupt and "items.safetensors" not in diff.differing:
        say("Cause unknown. A run that was interrupted or resumed can differ.")
