"""Arguments and options that several commands share, and what they stand for."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.errors import RunError, SettingError

if TYPE_CHECKING:
    from matinee.data.dataset import Dataset
    from matinee.models.queries import UserProfile
    from matinee.models.recommender import Recommender

DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="A name (see matinee data list) or a path.")
]
OptionalDataset = Annotated[
    str | None,
    typer.Argument(metavar="DATASET", help="A name (see matinee data list) or a path."),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A run's folder or name; by default the newest one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Threads = Annotated[int | None, typer.Option(metavar="N", min=1, help="By default all processors.")]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="user_id=NAME,item_id=NAME,...",
        help="Which columns of a table of your own hold user, item, stars, timestamp, title, "
        "genres, year, where the names do not tell.",
    ),
]
ScaleOption = Annotated[
    str | None,
    typer.Option("--scale", metavar="LOW:HIGH[:STEP]", help="The stars one may give."),
]
Duplicates = Annotated[
    str | None,
    typer.Option(metavar="error|last|mean", help="What to do when a user rated a movie twice."),
]
User = Annotated[str | None, typer.Option("--user", metavar="ID", help="A user's id.")]
Rated = Annotated[
    list[str] | None,
    typer.Option(metavar='"TITLE=STARS"', help="A rating of somebody new; give several of these."),
]
By = Annotated[
    str | None,
    typer.Option(
        metavar="ranking|stars",
        help="Which head to ask; by default the ranking head if the run has one.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Of what is drawn at random.")]
Html = Annotated[
    bool, typer.Option("--html", help="Write a page with charts, which needs no network.")
]
Out = Annotated[
    str | None, typer.Option(metavar="FILE", help="Where to write it; its ending says as what.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any setting of the model for stars, or ranker.NAME=VALUE of what lists are made by; "
        "give several of these.",
    ),
]
Count = Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many to list.")]


def open_dataset(
    source: str, columns: str | None = None, scale: str | None = None, duplicates: str | None = None
) -> "Dataset":
    """Read the data that the options describe."""
    from matinee.data.reading import read

    named = {}
    for pair in columns.split(",") if columns else []:
        ours, equals, theirs = pair.partition("=")
        if not equals:
            raise SettingError(f"--columns takes user_id=NAME,item_id=NAME,..., not {pair!r}.")
        named[ours.strip()] = theirs.strip()
    try:
        limits = tuple(float(part) for part in scale.split(":")) if scale else None
    except ValueError:
        limits = ()
    if limits is not None and len(limits) not in (2, 3):
        raise SettingError(f"--scale takes LOW:HIGH or LOW:HIGH:STEP, not {scale!r}.")
    return read(source, columns=named, scale=limits, duplicates=duplicates)


def typed_options(context: typer.Context) -> dict[str, str]:
    """The parameters that were given: as the code calls them, and as one types them."""
    return {
        str(parameter.name): parameter.opts[0]
        if parameter.opts[0].startswith("-")
        else str(parameter.metavar)
        for parameter in context.command.params
        if getattr(context.get_parameter_source(str(parameter.name)), "name", "") == "COMMANDLINE"
    }


def find_run(run: str | None) -> Path:
    """The folder that a person means by a run's name or path, or by nothing."""
    from matinee.storage.atomic import recover
    from matinee.storage.runs import MANIFEST, RUNS, list_runs

    if run is None:
        newest = list_runs()
        if not newest:
            raise RunError("There is no run under runs/ yet. Make one: matinee train DATASET.")
        return newest[0][0]
    for path in (Path(run), RUNS / run):
        recover(path)
        if (path / MANIFEST).exists():
            return path
    known = ", ".join(folder.name for folder, _ in list_runs()[:5]) or "none"
    raise RunError(f"{run}: there is no run of this name (there are: {known}).")


def open_run(run: str | None) -> "Recommender":
    """The model of a run."""
    from matinee.models.loading import load

    return load(find_run(run))


def place_of(out: str | None, default: Path, *endings: str) -> Path:
    """Where to write a picture or a page; refused before the work if it cannot be written there."""
    place = Path(out) if out else default
    if place.suffix not in endings:
        raise SettingError(f"--out {place}: the name ends in {' or '.join(endings)}.")
    if place.is_dir():
        raise SettingError(f"--out {place}: this is a folder; name a file.")
    there = next(parent for parent in place.absolute().parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise SettingError(f"--out {place}: nothing can be written into {there}.")
    return place


def run_and_title(words: list[str]) -> tuple[str | None, str]:
    """``[RUN] TITLE`` as click sees it: one word is the title, of two the first is the run."""
    if len(words) == 1:
        return None, words[0]
    try:
        find_run(words[0])
    except RunError as problem:
        quoted = '"' + " ".join(words) + '"'
        raise RunError(f"{problem} A title of several words goes in quotes: {quoted}.") from None
    if len(words) > 2:
        quoted = '"' + " ".join(words[1:]) + '"'
        raise SettingError(f"Put the title in quotes: {quoted}.")
    return words[0], words[1]


def find_profile(
    model: "Recommender", user: str | None, rated: list[str] | None
) -> "str | UserProfile":
    """A user's id, whose trained vector the model has, or somebody new with these ratings."""
    if user is not None and rated:
        raise SettingError("Give --user ID or --rated ratings of somebody new, not both.")
    if user is None and not rated:
        raise SettingError('Say who it is for: --user ID, or --rated "TITLE=STARS" (several).')
    if user is not None:
        return user
    return model.fold_in(parse_rated(rated or []))


def parse_rated(rated: list[str]) -> list[tuple[str, float]]:
    """Pairs of title and stars from ``TITLE=RATING``."""
    pairs: list[tuple[str, float]] = []
    for text in rated:
        title, equals, values = text.rpartition("=")
        try:
            pairs.append((title.strip(), float(values)))
        except ValueError:
            equals = ""
        if not equals or not title.strip():
            raise SettingError(f"--rated takes TITLE=STARS, not {text!r}.")
    return pairs


def records(frame: Any) -> list[dict[str, Any]]:
    """Rows of a frame for JSON: genres as a list."""
    return [
        {**row, "genres": row["genres"].split("|") if row["genres"] else []}
        if "genres" in row
        else row
        for row in frame.to_dicts()
    ]
