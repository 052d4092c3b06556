"""matinee train"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from matinee.cli import options
from matinee.cli.hyperparameters import build_estimators
from matinee.cli.options import given_options, make_split, open_dataset, reads_data
from matinee.cli.output import heading, print_json, say
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.experiments.training import TrainingResult
    from matinee.models.base import Estimator
    from matinee.storage.checkpoint import Checkpoint

CURVES = "history.png"
PRESET_DECIDES = {"model", "ranker", "factors", "regularization", "iterations", "patience"}
PRESET_DECIDES |= {"settings", "split", "test_fraction"}
"""Parameters of `train` for which a preset has its own values."""

PresetName = Annotated[
    str | None, Option(metavar="NAME", help="A published configuration; see matinee presets.")
]
Factors = Annotated[
    int | None, Option(metavar="K", help="Factors of the rating model (als, mf: 64; bayes: 32).")
]
Regularization = Annotated[
    float | None,
    Option(metavar="X", help="Of the rating model (als: from the data; mf 1.2; bias 4)."),
]
Iterations = Annotated[
    int | None,
    Option(metavar="N", help="Of the rating model (als 15; bias 10; sweeps of bayes 512)."),
]
Patience = Annotated[
    int | None,
    Option(
        metavar="N",
        help="Early stopping: end after N iterations or epochs without improvement on a "
        "validation set of 10%.",
    ),
]


@reads_data
def train(
    context: typer.Context,
    dataset: options.DatasetArgument,
    preset: PresetName = None,
    model: options.Model = "als",
    ranker: options.Ranker = "ials",
    factors: Factors = None,
    regularization: Regularization = None,
    iterations: Iterations = None,
    patience: Patience = None,
    settings: options.Settings = None,
    split: options.SplitOption = None,
    test_fraction: options.TestFraction = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    checkpoint: options.CheckpointFolder = None,
    checkpoint_every: options.CheckpointEvery = None,
    resume: options.Resume = False,
    plot: options.Plot = False,
    run: options.NewRun = None,
    threads: options.Threads = None,
    reading: options.Reading = None,
    json: options.Json = False,
) -> None:
    """Train a model, evaluate it, and save it as a run.

    It has two heads: --model predicts ratings, --ranker makes rankings. --factors,
    --regularization and --iterations belong to the rating model; --set reaches every other
    hyperparameter, as in --set exponent=0.5 --set ranker.factors=64. mf, gmf, mlp, neumf and bpr
    are trained by gradients (--set epochs=N) and need PyTorch.
    """
    from matinee.experiments.presets import get_preset, run_preset
    from matinee.experiments.training import train_and_evaluate
    from matinee.models.loading import save_run

    chosen = get_preset(preset) if preset else None
    if chosen:
        for name, option in given_options(context).items():
            if name in PRESET_DECIDES:
                message = f"--preset {preset} decides what is trained; leave out {option}."
                raise SettingError(message)
        estimators = chosen.estimators()
    else:
        own = {"factors": factors, "regularization": regularization, "iterations": iterations}
        rating, ranking = build_estimators(
            model, ranker, seed, settings or (), patience=patience, device=device, **own
        )
        estimators = [estimator for estimator in (rating, ranking) if estimator]
    state = check_runtime(estimators, device, checkpoint, checkpoint_every, resume)
    check_outputs(run, plot)
    data = open_dataset(dataset, reading)
    runtime: dict[str, Any] = {"checkpoint": state, "threads": threads}
    if chosen:
        results = run_preset(data, chosen, seed=seed, device=device, **runtime)
        labels = [stage.description for stage in chosen.stages]
    else:
        validation = any(estimator.patience for estimator in estimators)
        how = make_split(split, test_fraction, seed)
        result = train_and_evaluate(
            data, rating, how, ranker=ranking, validation=validation, **runtime
        )
        results, labels = [result], [""]
    name = preset or (ranker if model == "none" else model)
    folder = save_run(results[-1].model, run, name)
    curves = draw_curves(results[-1], folder) if plot else None
    if json:
        names = {"preset": preset} if preset else {"model": model, "ranker": ranker}
        stages = [{"stage": l, **r.to_dict()} for l, r in zip(labels, results, strict=True)]
        more = {"stages": stages} if preset else {}
        print_json({"run": str(folder), "plot": curves, **names, **results[-1].to_dict(), **more})
        return
    print_sizes(data.name, results[-1])
    for label, result in zip(labels, results, strict=True):
        if label:
            heading(label)
        print_result(result, device)
    print_saved(folder, curves, plot)


def check_runtime(
    estimators: "Sequence[Estimator]",
    device: str | None,
    folder: str | None,
    every: int | None,
    resume: bool,
) -> "Checkpoint | None":
    """Refuse, before the work, what these estimators cannot use; the checkpoint to train with."""
    from matinee.storage.checkpoint import STATE, Checkpoint

    if any(estimator.supports_device for estimator in estimators):
        from matinee.models.neural.devices import choose_device

        choose_device(device or "auto")
    elif device is not None:
        raise SettingError("--device is for models trained by gradients; this has none.")
    if folder is None:
        for option in ("--checkpoint-every",) * bool(every) + ("--resume",) * resume:
            raise SettingError(f"{option} needs --checkpoint DIR.")
        return None
    if not any(estimator.supports_checkpoint for estimator in estimators):
        raise SettingError(
            "--checkpoint is for bayes and for models trained by gradients; this has none."
        )
    if Path(folder).is_file():
        raise SettingError(f"--checkpoint {folder}: this is a file; name a folder.")
    if resume and not any(Path(folder).glob(f"*/{STATE}")):
        raise SettingError(f"--resume: {folder} has no checkpoint; leave --resume out to start.")
    return Checkpoint(Path(folder), every)


def check_outputs(run: str | None, plot: bool) -> None:
    """Refuse, before the work, a folder that is taken or a picture that cannot be drawn."""
    from matinee.storage.runs import check_target

    if run:
        check_target(Path(run))
    if plot:
        from matinee.plots.training import training_curves  # noqa: F401
        from matinee.report.document import save_chart  # noqa: F401


def draw_curves(result: "TrainingResult", folder: Path) -> str | None:
    """Draw the training into the run; None where it has no iterations to draw."""
    from matinee.plots.training import training_curves
    from matinee.report.document import save_chart

    try:
        return str(save_chart(training_curves(result.model), folder / CURVES))
    except SettingError:
        return None


def print_sizes(name: str, result: "TrainingResult") -> None:
    """The sizes of the training and test set."""
    say(f"{name}: {result.train_ratings:,} training ratings, {result.test_ratings:,} test ratings")


def print_result(result: "TrainingResult", device: str | None) -> None:
    """The metrics of both heads on the test set."""
    trained_on = {head: _device(h.estimator, device) for head, h in result.model.heads.items()}
    rating, ranking = result.rating, result.ranking
    if rating:
        say(
            f"Rating prediction: RMSE {rating.rmse:.4f}, MAE {rating.mae:.4f} "
            f"(fit {result.fit_seconds:.1f} s{trained_on['rating']})"
        )
        if rating.cold_start_user_ratings or rating.cold_start_item_ratings:
            say(
                f"Cold start: {rating.cold_start_user_ratings:,} test ratings by new users, "
                f"{rating.cold_start_item_ratings:,} of new {result.model.catalog.noun}s."
            )
    if ranking and "ranking" in trained_on:
        protocol = "" if ranking.protocol == "holdout" else f", {ranking.protocol}"
        say(
            f"Top-10 ranking: NDCG@10 {ranking['ndcg@10']:.4f}, HR@10 "
            f"{ranking['hit_rate@10']:.4f} ({ranking.n_users:,} users{protocol}; "
            f"fit {result.ranker_fit_seconds:.1f} s{trained_on['ranking']})"
        )


def print_saved(folder: Path, curves: str | None, plot: bool) -> None:
    """Where the run is, and its picture if one was asked for."""
    if plot:
        say(f"Curves in {curves}" if curves else "No curves: this training has no iterations.")
    say(f"Saved in {folder}. Next: matinee recommend --user ID, matinee similar TITLE")


def _device(config: Any, device: str | None) -> str:
    """The words " on cpu" and so on for a head trained by gradients, else ""."""
    if "device" not in config:
        return ""
    from matinee.models.neural.devices import choose_device

    return f" on {choose_device(device or 'auto')}"
