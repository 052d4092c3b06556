"""matinee train"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.options import (
    Columns,
    DatasetArgument,
    Duplicates,
    Json,
    ScaleOption,
    Threads,
    open_dataset,
)
from matinee.cli.output import print_json, say
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.models import RankingTrainer


def train(
    dataset: DatasetArgument,
    model: Annotated[str, typer.Option(metavar="bias|als", help="What to train.")] = "als",
    factors: Annotated[
        int | None, typer.Option(metavar="K", help="Length of a vector (als; default 64).")
    ] = None,
    regularization: Annotated[
        float | None, typer.Option(metavar="X", help="Default 1.4 for als, 4 for bias.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(metavar="N", help="Default 15 for als, 10 for bias.")
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(metavar="genres|none", help="What movies start from (als; default genres)."),
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
            "iterations (als).",
        ),
    ] = None,
    ranker: Annotated[
        str,
        typer.Option(metavar="ials|ease|popularity|none", help="What lists are made by."),
    ] = "ials",
    ranker_factors: Annotated[
        int | None, typer.Option(metavar="K", help="Length of a vector (ials; default 128).")
    ] = None,
    liked: Annotated[
        float | None,
        typer.Option(metavar="X", help="Lists learn from ratings of at least so many stars."),
    ] = None,
    split: Annotated[
        str, typer.Option(metavar="random|last|time|u1...u5|ua|ub", help="What to test on.")
    ] = "random",
    test_fraction: Annotated[float, typer.Option(metavar="F", help="For random and time.")] = 0.1,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the split and of the training.")] = 0,
    threads: Threads = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where to save; by default a new one."),
    ] = None,
    columns: Columns = None,
    scale: ScaleOption = None,
    duplicates: Duplicates = None,
    json: Json = False,
) -> None:
    """Train a model, test it on unseen ratings, save it as a run.

    It has two heads: one predicts stars (--model), one knows what people watch (--ranker).
    """
    from matinee.evaluation import Split, train_and_test
    from matinee.models import ALS, BiasOnly, Trainer
    from matinee.models.runs import new_run, refuse_occupied

    given = {
        "factors": factors,
        "regularization": regularization,
        "iterations": iterations,
        "features": features,
        "solver": solver,
        "patience": patience,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    recipe: Trainer
    if model == "als":
        recipe = ALS(seed=seed, **settings)  # type: ignore[arg-type]
    elif model == "bias":
        for name in settings.keys() - {"regularization", "iterations"}:
            raise SettingError(f"--model bias has no --{name}.")
        recipe = BiasOnly(**settings)  # type: ignore[arg-type]
    else:
        raise SettingError(f"--model is bias or als, not {model!r}.")
    ranking = _ranking(ranker, seed, ranker_factors, liked)
    if run:
        refuse_occupied(Path(run))  # before the work, not after it
    data = open_dataset(dataset, columns, scale, duplicates)
    result = train_and_test(
        data,
        recipe,
        Split(split, test_fraction, seed),
        ranking=ranking,
        hold_out_validation=bool(patience),
        threads=threads,
    )
    folder = result.model.save(run or new_run(data.name, model))
    if json:
        print_json({"run": str(folder), "model": model, "ranker": ranker, **result.as_json()})
        return
    say(f"{data.name}: {result.train_ratings:,} ratings to train, {result.test.ratings:,} to test.")
    say(
        f"Stars: RMSE {result.test.rmse:.4f}, MAE {result.test.mae:.4f}; "
        f"fitted in {result.fit_seconds:.1f} s."
    )
    if result.test.by_unknown_viewers or result.test.of_unknown_movies:
        say(
            f"Among them, {result.test.by_unknown_viewers:,} by viewers and "
            f"{result.test.of_unknown_movies:,} of movies without a training rating."
        )
    if ranking and result.lists:
        say(
            f"Lists: NDCG@10 {result.lists['ndcg@10']:.4f}, hit rate@10 "
            f"{result.lists['hit_rate@10']:.4f} over {result.lists.viewers:,} viewers; "
            f"fitted in {result.ranking_seconds:.1f} s."
        )
    say(f"Saved in {folder}. Next: matinee recommend --user ID, matinee similar TITLE.")


def _ranking(
    ranker: str, seed: int, factors: int | None, liked: float | None
) -> "RankingTrainer | None":
    """The recipe for lists that the options describe."""
    from matinee.models.recipes import RANKING

    given = {"factors": factors, "liked": liked}
    settings = {name: value for name, value in given.items() if value is not None}
    if factors is not None and ranker != "ials":
        raise SettingError(f"--ranker {ranker} has no --ranker-factors.")
    if ranker == "none":
        if liked is not None:
            raise SettingError("--ranker none has no --liked.")
        return None
    if ranker not in RANKING:
        raise SettingError(f"--ranker is {', '.join(RANKING)} or none, not {ranker!r}.")
    if ranker == "ials":
        settings["seed"] = seed
    return RANKING[ranker](**settings)  # type: ignore[arg-type]
