"""matinee train"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli.hyperparameters import both_estimators, parse_layers
from matinee.cli.options import (
    Columns,
    Duplicates,
    Json,
    OptionalDataset,
    ScaleOption,
    Settings,
    Threads,
    open_dataset,
    typed_options,
)
from matinee.cli.output import heading, print_json, say
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.experiments.training import TrainingResult
    from matinee.models.base import Estimator
    from matinee.storage.checkpoint import Checkpoint


@dataclass(frozen=True)
class TrainingRuntime:
    """The options of a training that are no settings: what it runs on, and its states."""

    device: str | None = None
    checkpoint: str | None = None
    every: int | None = None
    resume: bool = False

    def check(self, estimators: "Iterable[Estimator | None]") -> None:
        """Refuse, before the work, what cannot be used or means nothing to these recipes."""
        estimators = list(estimators)
        if trained_by_gradients(estimators):
            from matinee.models.neural.devices import choose_device

            choose_device(self.device or "auto")
        elif self.device is not None:
            raise SettingError("--device is for models trained by gradients; none is here.")
        self._check_checkpoint(estimators)

    def _check_checkpoint(self, estimators: "Iterable[Estimator | None]") -> None:
        from matinee.storage.checkpoint import STATE

        if self.checkpoint is None:
            for option in ("checkpoint-every",) * bool(self.every) + ("resume",) * self.resume:
                raise SettingError(f"--{option} needs --checkpoint DIR.")
            return
        if not any(estimator.supports_checkpoint for estimator in estimators if estimator):
            raise SettingError(
                "--checkpoint is for bayes and for models trained by gradients; none is here."
            )
        if Path(self.checkpoint).is_file():
            raise SettingError(f"--checkpoint {self.checkpoint}: this is a file; name a folder.")
        if self.resume and not any(Path(self.checkpoint).glob(f"*/{STATE}")):
            raise SettingError(
                f"--resume: there is no state in {self.checkpoint}; leave it out to begin."
            )

    def on_device(self, estimator: "Estimator") -> "Estimator":
        """The estimator on this device, where it knows of such."""
        changed: Any = estimator
        if self.device is not None and estimator.supports_device:
            changed = replace(changed, device=self.device)
        result: Estimator = changed
        return result

    def to_checkpoint(self) -> "Checkpoint | None":
        """What `fit` is told of checkpoints."""
        from matinee.storage.checkpoint import Checkpoint

        return Checkpoint(self.checkpoint, self.every) if self.checkpoint else None

    def named(self, estimator: Mapping[str, Any]) -> str:
        """The words "on cpu" and so on, after a space, for a head trained by gradients; else ""."""
        if "device" not in estimator:
            return ""
        from matinee.models.neural.devices import choose_device

        return f" on {choose_device(self.device or 'auto')}"


def trained_by_gradients(estimators: "Iterable[Estimator | None]") -> bool:
    """Whether any of these estimators is; only then a device means something."""
    return any(estimator.supports_device for estimator in estimators if estimator)


CURVES = "history.png"


def check_place(run: str | None, plot: bool) -> None:
    """Refuse, before the work, a place that cannot be had or a picture that cannot be drawn."""
    from matinee.storage.runs import check_target

    if run:
        check_target(Path(run))
    if plot:
        from matinee.plots.training import training_curves  # noqa: F401
        from matinee.report.document import save_chart  # noqa: F401


def report(result: "TrainingResult", where: TrainingRuntime) -> None:
    """Say how both heads did on the test part."""
    places = {name: where.named(head.estimator) for name, head in result.model.heads.items()}
    if result.rating:
        say(
            f"Stars: RMSE {result.rating.rmse:.4f}, MAE {result.rating.mae:.4f}; "
            f"fitted in {result.fit_seconds:.1f} s{places['rating']}."
        )
        if result.rating.cold_start_user_ratings or result.rating.cold_start_item_ratings:
            say(
                f"Among them, {result.rating.cold_start_user_ratings:,} by users and "
                f"{result.rating.cold_start_item_ratings:,} of movies without a training rating."
            )
    if "ranking" in places and result.ranking:
        lists = result.ranking
        say(
            f"Lists: NDCG@10 {lists['ndcg@10']:.4f}, HR@10 "
            f"{lists['hit_rate@10']:.4f} over {lists.n_users:,} users"
            f"{' (' + lists.protocol + ')' if lists.protocol != 'holdout' else ''}; "
            f"fitted in {result.ranker_fit_seconds:.1f} s{places['ranking']}."
        )


def plotted(result: "TrainingResult", folder: Path) -> str | None:
    """Where the curves went; None where there is nothing to draw."""
    from matinee.plots.training import training_curves
    from matinee.report.document import save_chart

    try:
        return str(save_chart(training_curves(result.model), folder / CURVES))
    except SettingError:
        return None


def say_saved(folder: Path, curves: str | None, plot: bool) -> None:
    """Say where the run is, and its picture if one was asked for."""
    if plot:
        say(f"Curves in {curves}." if curves else "No curves: this training has no steps.")
    say(f"Saved in {folder}. Next: matinee recommend --user ID, matinee similar TITLE.")


OF_THE_DATA = {"dataset", "columns", "scale", "duplicates"}
OF_THE_WORK = {
    "device",
    "checkpoint",
    "checkpoint_every",
    "resume",
    "threads",
    "plot",
    "run",
    "json",
}


def train(
    context: typer.Context,
    dataset: OptionalDataset = None,
    remake: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Make this run again, from the same data, and say if all bits are the same.",
        ),
    ] = None,
    estimator: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A known set-up with its settings: matinee estimators."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="als|bayes|bias|mf|gmf|mlp|neumf|none",
            help="What predicts values; head default als. bayes is the most accurate, takes minutes, "
            "and knows a range around each prediction.",
        ),
    ] = None,
    factors: Annotated[
        int | None, typer.Option(metavar="K", help="Length of a vector (als, mf: 64; bayes: 32).")
    ] = None,
    regularization: Annotated[
        float | None,
        typer.Option(metavar="X", help="Default head the data for als, 1.2 for mf, 4 for bias."),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(metavar="N", help="Default 15 for als, 10 for bias; sweeps of bayes: 512."),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="genres|none|all|NAME,...",
            help="What items start from (als: genres or none). Of bayes: all, none, or some of "
            "genres, years, raters, traits, rated, date, drift; by default all.",
        ),
    ] = None,
    likelihood: Annotated[
        str | None,
        typer.Option(
            metavar="normal|ordinal",
            help="Stars are numbers, or levels (bayes; default ordinal for up to 20 of them).",
        ),
    ] = None,
    solver: Annotated[
        str | None,
        typer.Option(metavar="cg|cholesky", help="Iterative or exact (als; default cg)."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Stop when a tenth of the training part, held out, got no better for so many "
            "iterations or epochs.",
        ),
    ] = None,
    ranker: Annotated[
        str | None,
        typer.Option(
            metavar="ials|ease|popularity|bpr|gmf|mlp|neumf|none",
            help="What lists are made head; head default ials.",
        ),
    ] = None,
    ranker_factors: Annotated[
        int | None, typer.Option(metavar="K", help="Length of a vector (ials: 128).")
    ] = None,
    min_rating: Annotated[
        float | None,
        typer.Option(metavar="X", help="Lists learn from ratings of at least so many values."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="This and the next options are for models trained head gradients: passes over the "
            "ratings (default 20).",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Ratings of a step (default 1024); 0 is all of them."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="At the start (default 0.005; gmf 0.002, mlp, neumf 0.001)."
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(metavar="adam|sgd|adagrad|sparse-adam", help="By default adam."),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Pull of parameters to zero (default 0; for item_factors, gmf 0.06, mlp, neumf 0.1).",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="N,N,...", help="The tower (mlp, neumf; default 128,64,32)."),
    ] = None,
    settings: Settings = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda|mps", help="TrainingRuntime to train; head default a GPU if any."
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Leave the state here as it goes; the same command goes on from it (bayes, and "
            "models trained by gradients).",
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Epochs or sweeps from one state to the next (default 1 epoch, 16 sweeps).",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the state in --checkpoint, to more --iterations too; refuse if there "
            "is none.",
        ),
    ] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help=f"Draw the training into the run, as {CURVES}.")
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(metavar="random|last|time|u1...u5|ua|ub", help="What to test on."),
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option(metavar="F", help="For random and time; head default 0.1.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the split and of the training.")] = 0,
    threads: Threads = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="TrainingRuntime to save; head default a new one."),
    ] = None,
    columns: Columns = None,
    scale: ScaleOption = None,
    duplicates: Duplicates = None,
    json: Json = False,
) -> None:
    """Train a model, test it on unseen ratings, save it as a run.

    It has two heads: one predicts stars (--model), one knows what people watch (--ranker). Models
    other than als, bayes, bias, ials, ease and popularity are trained by gradients and need
    PyTorch: pip install 'matinee[torch]'. With --from RUN, all is as that run says.
    """
    from matinee.experiments.presets import Preset, PresetStage, get_preset, run_preset
    from matinee.experiments.training import Split, train_and_evaluate

    given = _given(
        factors=factors,
        regularization=regularization,
        iterations=iterations,
        features=features,
        likelihood=likelihood,
        solver=solver,
        patience=patience,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        weight_decay=weight_decay,
        layers=parse_layers(layers),
    )
    for_lists = _given(ranker_factors=ranker_factors, min_rating=min_rating)
    where = TrainingRuntime(device, checkpoint, checkpoint_every, resume)
    format_value = typed_options(context)
    if remake is not None:
        _refuse_others(
            format_value, {"remake"} | OF_THE_WORK, f"--from {remake} says what to train on and how"
        )
        from matinee.cli.reproduce import train_again

        train_again(remake, where, threads, run, plot, json)
        return
    if dataset is None:
        raise SettingError("Say what to train on: matinee train DATASET (see matinee data list).")
    preset: Preset | None = None
    if estimator is not None:
        known = {"estimator", "seed"} | OF_THE_DATA | OF_THE_WORK
        _refuse_others(format_value, known, f"--recipe {estimator} says what to train")
        preset = get_preset(estimator)
        estimators = preset.estimators()
    else:
        model, ranker = model or "als", ranker or "ials"
        rating, ranking = both_estimators(model, ranker, seed, settings or (), given, for_lists)
        estimators = [one for one in (rating, ranking) if one]
    where.check(estimators)
    check_place(run, plot)
    data = open_dataset(dataset, columns, scale, duplicates)
    if preset:
        steps = preset.stages
        results = run_preset(
            data,
            preset,
            seed=seed,
            threads=threads,
            device=where.device,
            checkpoint=where.to_checkpoint(),
        )
    else:
        steps = (PresetStage(""),)
        result = train_and_evaluate(
            data,
            rating and where.on_device(rating),
            Split(**_given(method=split, test_fraction=test_fraction), seed=seed),
            ranker=ranking and where.on_device(ranking),
            validation=any(estimator.patience for estimator in estimators),
            checkpoint=where.to_checkpoint(),
            threads=threads,
        )
        results = [result]
    last = results[-1]
    from matinee.models.loading import save_run

    folder = save_run(last.model, run, estimator or (ranker if model == "none" else model) or "")
    curves = plotted(last, folder) if plot else None
    if json:
        named = {"estimator": estimator} if preset else {"model": model, "ranker": ranker}
        shown = [
            {"step": step.description, **one.to_dict()}
            for step, one in zip(steps, results, strict=True)
        ]
        more = {"steps": shown} if preset else {}
        print_json({"run": str(folder), "plot": curves, **named, **last.to_dict(), **more})
        return
    say(f"{data.name}: {last.train_ratings:,} ratings to train, {last.test_ratings:,} to test.")
    for step, one in zip(steps, results, strict=True):
        if step.description:
            heading(step.description)
        report(one, where)
    say_saved(folder, curves, plot)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _refuse_others(format_value: Mapping[str, str], known: set[str], why: str) -> None:
    for name, option in format_value.items():
        if name not in known:
            raise SettingError(f"{why}; leave out {option}.")
