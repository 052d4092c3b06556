"""matinee train --from RUN"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from matinee.cli.options import find_run
from matinee.cli.output import print_json, say
from matinee.cli.train import TrainingRuntime, check_place, plotted, report, say_saved
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.experiments.reproduction import RunDiff


def train_again(
    name: str, where: TrainingRuntime, threads: int | None, run: str | None, plot: bool, json: bool
) -> None:
    """Train what a run was trained as, save it beside, and say if it is the same."""
    from matinee.experiments.reproduction import RunSpec, diff_runs, reproduce

    origin = find_run(name)
    if run and Path(run).resolve() == origin.resolve():
        raise SettingError(f"--run {run}: this is the run to compare with; name another folder.")
    past = RunSpec.read(origin)
    where = replace(where, device=where.device or past.device)
    where.check(past.estimators)
    check_place(run, plot)
    result = reproduce(past, threads=threads, device=where.device, checkpoint=where.to_checkpoint())
    from matinee.models.loading import save_run

    folder = save_run(result.model, run, "again")
    curves = plotted(result, folder) if plot else None
    same = diff_runs(origin, folder)
    if json:
        shown = {
            "from": str(origin),
            "same": not same.differing,
            "differing": list(same.differing),
            "damaged": list(same.corrupt),
            "made_otherwise": {name: list(pair) for name, pair in same.environment_changes.items()},
        }
        print_json({"run": str(folder), "plot": curves, **shown, **result.to_dict()})
        return
    say(f"{origin}: {result.train_ratings:,} ratings to train, {result.test_ratings:,} to test.")
    report(result, where)
    _say_if_same(same, origin)
    say_saved(folder, curves, plot)


def _say_if_same(same: "RunDiff", origin: Path) -> None:
    if not same.differing:
        say("The same to the last bit.")
        return
    say(f"Not the same as {origin}: {', '.join(same.differing)}.")
    if same.corrupt:
        say(f"{origin} itself was damaged or changed since: {', '.join(same.corrupt)}.")
    elif "items.parquet" in same.differing:
        say("Titles, years or genres have changed since.")
    if same.environment_changes:
        pairs = same.environment_changes.items()
        shown = "; ".join(f"{name} {then or 'not noted'}, now {now}" for name, (then, now) in pairs)
        say(f"It was made with other means: {shown}.")
    elif not same.corrupt and "items.parquet" not in same.differing:
        say("The runs do not tell why; one that was stopped, or went on, ends elsewhere.")
