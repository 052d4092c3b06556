"""matinee train"""

from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from matinee.cli import engines, options
from matinee.cli.hyperparameters import DEFAULT_MODEL, build_estimators
from matinee.cli.options import (
    find_run,
    given_options,
    make_split,
    open_dataset,
    reads_data,
    say_unrated,
)
from matinee.cli.output import heading, print_json, say
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.experiments.split import Split
    from matinee.experiments.training import TrainingResult
    from matinee.models.base import Estimator
    from matinee.storage.checkpoint import Checkpoint

CURVES = "history.png"
PRESET_DECIDES = {"model", "ranker", "factors", "regularization", "iterations", "patience"}
RUN_DECIDES = frozenset(PRESET_DECIDES | {"settings", "preset"})
"""Parameters of `train` for which an earlier run has its own values."""
PRESET_DECIDES |= {"settings", "split", "test_fraction", "warm_start"}
"""Those for which a preset has."""
LOCAL_ONLY = frozenset({
    "preset", "warm_start", "patience", "device", "checkpoint", "checkpoint_every", "resume",
    "plot", "threads", "users",
})  # fmt: skip
"""Those that Spark has no use for."""

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
WarmStart = Annotated[
    str | None,
    Option(
        "--warm-start",
        metavar="RUN",
        help="Start from an earlier run, whose data have grown since: its hyperparameters, a fifth "
        "of the iterations, and a test set that it has not seen.",
    ),
]


@reads_data
def train(
    context: typer.Context,
    dataset: options.DatasetArgument,
    preset: PresetName = None,
    model: options.Model = None,
    ranker: options.Ranker = "ials",
    factors: Factors = None,
    regularization: Regularization = None,
    iterations: Iterations = None,
    patience: Patience = None,
    settings: options.Settings = None,
    warm_start: WarmStart = None,
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
    engine: engines.Engine = "local",
    master: engines.Master = None,
    storage: engines.Storage = None,
    reading: options.Reading = None,
    json: options.Json = False,
) -> None:
    """Train a model, evaluate it, and save it as a run.

    It has two heads: --model predicts ratings, where there are any that differ; --ranker makes
    rankings. --factors, --regularization and --iterations belong to the rating model; --set reaches
    every other hyperparameter, as in --set exponent=0.5 --set ranker.factors=64. mf, gmf, mlp,
    neumf and bpr are trained by gradients (--set epochs=N) and need PyTorch. --engine spark trains
    als and ials on a cluster.
    """
    from matinee.experiments.presets import get_preset, run_preset
    from matinee.experiments.training import given_estimators, train_and_evaluate
    from matinee.experiments.warm_start import estimators_of
    from matinee.models.loading import save_run

    engines.check_engine(engine, master, storage)
    if engine == "spark":
        refuse_given(context, LOCAL_ONLY, "--engine spark", "how it trains")
    chosen = get_preset(preset) if preset else None
    earlier = find_run(warm_start) if warm_start else None
    how = make_split(split, test_fraction, seed, earlier)
    if chosen:
        refuse_given(context, PRESET_DECIDES, f"--preset {preset}")
        estimators = chosen.estimators()
    elif how.earlier:
        refuse_given(context, RUN_DECIDES, f"--warm-start {warm_start}")
        rating, ranking = estimators_of(how.earlier)
        estimators = [estimator for estimator in (rating, ranking) if estimator]
    else:
        build = partial(
            build_estimators, ranker=ranker, seed=seed, settings=settings or (), patience=patience,
            device=device, factors=factors, regularization=regularization, iterations=iterations,
        )  # fmt: skip
        rating, ranking = build(model or DEFAULT_MODEL)
        estimators = [estimator for estimator in (rating, ranking) if estimator]
    state = check_runtime(estimators, device, checkpoint, checkpoint_every, resume)
    check_outputs(run, plot)
    if engine == "spark":
        train_in_spark(dataset, reading, build, model, ranker, how, run, (master, storage), json)
        return
    data = open_dataset(dataset, reading)
    if not chosen and not earlier and model is None:
        model = DEFAULT_MODEL if data.ratings.differ else "none"
        rating, ranking = build(model)
        given_estimators(rating, ranking)  # refuses none at all
        say_unrated(data, "training a ranking model only", json)
    runtime: dict[str, Any] = {"checkpoint": state, "threads": threads}
    if chosen:
        results = run_preset(data, chosen, seed=seed, device=device, **runtime)
        labels = [stage.description for stage in chosen.stages]
    else:
        validation = any(estimator.patience for estimator in estimators)
        result = train_and_evaluate(
            data, rating, how, ranker=ranking, validation=validation, **runtime
        )
        results, labels = [result], [""]
    name = preset or (earlier and "warm-start") or (model if model and model != "none" else ranker)
    folder = save_run(results[-1].model, run, name)
    curves = draw_curves(results[-1], folder) if plot else None
    if json:
        names = {"preset": preset} if preset else {"model": model, "ranker": ranker}
        names = {"warm_start": str(earlier)} if earlier else names
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


def train_in_spark(
    dataset: str,
    reading: options.Reading,
    build: "Callable[[str], tuple[Estimator | None, Estimator | None]]",
    model: str | None,
    ranker: str | None,
    how: "Split",
    run: str | None,
    where: tuple[str | None, str | None],
    json: bool,
) -> None:
    """The same on a cluster: `where` are its master and the storage that its executors share."""
    with engines.data_in_spark(dataset, reading, *where) as (workspace, data, given):
        from matinee.spark.experiment import train_and_evaluate

        if model is None:
            model = DEFAULT_MODEL if data.differ else "none"
            if not data.differ and not json:
                say(f"{data.name} has no ratings that differ: training a ranking model only.")
        found = train_and_evaluate(workspace, data, how, *build(model), given.to_dict())
        folder = found.save(workspace, run, model if model != "none" else str(ranker))
    result = found.result
    if json:
        print_json({"run": str(folder), "plot": None, "model": model, "ranker": ranker,
                    **result.to_dict()})  # fmt: skip
        return
    print_sizes(data.name, result)
    print_result(result, None)
    print_saved(folder, None, False)


def refuse_given(
    context: typer.Context, decided: Container[str], by: str, what: str = "what is trained"
) -> None:
    """Refuse options that something else has values for."""
    for name, option in given_options(context).items():
        if name in decided:
            raise SettingError(f"{by} decides {what}; leave out {option}.")


def check_runtime(
    estimators: "Sequence[Estimator]",
    device: str | None,
    folder: str | None,
    every: int | None,
    resume: bool,
) -> "Checkpoint | None":
    """Refuse, before the work, what these estimators cannot use; the checkpoint to train with."""
    from matinee.storage.checkpoint import STATE, Checkpoint
    from matinee.storage.writing import check_place

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
    check_place(Path(folder, "state"))
    if resume and not any(Path(folder).glob(f"*/{STATE}")):
        raise SettingError(f"--resume: {folder} has no checkpoint; leave --resume out to start.")
    return Checkpoint(Path(folder), every)


def check_outputs(run: str | None, plot: bool) -> None:
    """Refuse, before the work, a place that is taken or not writable, a picture not to be drawn."""
    from matinee.storage.runs import RUNS, check_target
    from matinee.storage.writing import check_place

    if run:
        check_target(Path(run))
    check_place(Path(run) if run else RUNS / "new")
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
    units = f"{result.model.index.unit}s"
    tested = f"{result.test_ratings:,} test {units}" if result.test_ratings else "no test set"
    say(f"{name}: {result.train_ratings:,} training {units}, {tested}")


def print_result(result: "TrainingResult", device: str | None) -> None:
    """The metrics of both heads on the test set; without one, how long they took."""
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
        if "next" in result.model.orders and result.model.metadata["split"]["method"] == "random":
            say(
                "A random split has no before and after; --split temporal tells how good these are."
            )
    if not result.test_ratings:
        seconds = result.fit_seconds + result.ranker_fit_seconds
        say(f"Trained on everything in {seconds:.1f} s; without a test set there are no metrics.")


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
