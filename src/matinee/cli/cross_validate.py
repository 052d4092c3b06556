"""matinee cross-validate"""

from typing import TYPE_CHECKING, Annotated

import typer

from matinee.cli.options import (
    Columns,
    DatasetArgument,
    Duplicates,
    Json,
    ScaleOption,
    Seed,
    Settings,
    Threads,
    open_dataset,
)
from matinee.cli.output import heading, print_json, print_table, say
from matinee.cli.trainers import both_recipes
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.evaluation import CrossValidation

WIDE = 5  # folds beside one another
DIGITS = 18  # of a number that may be meant


def cross_validate(
    dataset: DatasetArgument,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="What predicts stars, or none; as for train.")
    ] = "als",
    ranker: Annotated[
        str, typer.Option(metavar="NAME", help="What lists are made by, or none; as for train.")
    ] = "none",
    settings: Settings = None,
    folds: Annotated[
        str, typer.Option(metavar="K|official", help="How many, or those of the edition (ml-100k).")
    ] = "5",
    seed: Seed = 0,
    threads: Threads = None,
    columns: Columns = None,
    scale: ScaleOption = None,
    duplicates: Duplicates = None,
    json: Json = False,
) -> None:
    """Train and test on k folds: each metric on each fold, with mean and spread, and the times.

    Every rating is tested once, by a model trained on the other folds. Nothing is saved.
    """
    from matinee.evaluation import cross_validate

    if folds != "official" and not folds.isdecimal():
        raise SettingError(f"--folds is a number or official, not {folds!r}.")
    if len(folds) > DIGITS:
        raise SettingError(f"--folds is a number or official, not one of {len(folds):,} digits.")
    rating, ranking = both_recipes(model, ranker, seed, settings or ())
    data = open_dataset(dataset, columns, scale, duplicates)
    found = cross_validate(
        data,
        rating,
        ranking,
        folds=int(folds) if folds.isdecimal() else folds,
        seed=seed,
        threads=threads,
    )
    if json:
        print_json({"data": data.name, "seed": seed, **found.as_json()})
        return
    names = " and ".join(str(trainer["name"]) for trainer in found.trainers.values())
    heading(f"{data.name}: {names}, {len(data):,} ratings in {len(found.folds)} folds")
    for first in range(0, len(found.folds), WIDE):
        _show(found, found.folds[first : first + WIDE])
    say("std is the sample standard deviation over folds (divided by folds - 1).")


def _show(found: "CrossValidation", folds: tuple[str, ...]) -> None:
    """A table of some folds; mean and spread of all stand beside the last ones."""
    import polars as pl

    from matinee.evaluation import TABLED

    rows = []
    for name, values in found.figures.items():
        per_fold = dict(zip(found.folds, values, strict=True))
        cells = {fold: per_fold[fold] for fold in folds}
        if folds[-1] == found.folds[-1]:
            cells |= {"mean": found.mean(name), "std": found.std(name)}
        kind = TABLED[name]
        shown = {head: format(value, kind.form) for head, value in cells.items()}
        rows.append({"": kind.title, **shown})
    heads = {fold: f"fold {fold}" if fold.isdecimal() else fold for fold in folds}
    headings = {name: heads.get(name, name) for name in rows[0]}
    print_table(pl.DataFrame(rows), headings, numbers=set(headings) - {""})
