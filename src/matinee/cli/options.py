"""Arguments and options that several commands share, and what they stand for."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from matinee.cli.output import complain
from matinee.errors import RunError, SettingError, cut, shortened

if TYPE_CHECKING:
    from matinee.data.dataset import Dataset
    from matinee.experiments.split import Split
    from matinee.models.profiles import UserProfile
    from matinee.models.recommender import Recommender

# the data

DatasetArgument = Annotated[
    str, Argument(metavar="DATASET", help="A name (see matinee data list) or a path.")
]
READING = {
    "columns": Annotated[
        str | None,
        Option(
            metavar="user_id=NAME,...",
            help="Which columns of your own tables hold user_id, item_id, rating, timestamp, "
            "weight, event, title, genres, year, where their names do not tell; NAME is a position "
            "(1, 2, ...) where there is no header, and none leaves a column out.",
        ),
    ],
    "scale": Annotated[
        str | None, Option(metavar="LOW:HIGH[:STEP]", help="The ratings that can be given.")
    ],
    "duplicates": Annotated[
        str | None,
        Option(
            metavar="error|sum|last|mean",
            help="What to do with repeated pairs of user and item; by default an error, or sum of "
            "interactions without ratings.",
        ),
    ],
    "event_weights": Annotated[
        str | None,
        Option(metavar="EVENT=WEIGHT,...", help="How much each event of an interaction counts."),
    ],
    "missing": Annotated[
        str | None,
        Option(
            metavar="VALUE,...",
            help='Ratings that mean "not rated", as -1; "" is an empty cell.',
        ),
    ],
    "time_format": Annotated[
        str | None,
        Option(metavar="FORMAT", help="The form of times: %d/%m/%Y, or the unit s, ms, us, ns."),
    ],
    "items": Annotated[
        str | None,
        Option(metavar="FILE", help="A table of items; by default movies.* beside the ratings."),
    ],
    "users": Annotated[
        str | None,
        Option(metavar="FILE", help="A table of users; by default users.* beside the ratings."),
    ],
}
"""The options of commands that read data; `reads_data` gives them to one."""
Reading = Mapping[str, str | None] | None
"""What was typed for them, by their names."""


def reads_data(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `READING` in place of its argument `reading`."""

    @wraps(command)
    def with_options(*args: Any, **given: Any) -> None:
        reading = {name: given.pop(name, None) for name in READING}
        command(*args, reading=reading, **given)

    parameters: list[Parameter] = []
    for parameter in signature(command, eval_str=True).parameters.values():
        if parameter.name != "reading":
            parameters.append(parameter)
            continue
        parameters += [
            Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)
            for name, annotation in READING.items()
        ]
    vars(with_options)["__signature__"] = Signature(parameters)
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options


# runs, and what to ask of them

RunArgument = Annotated[
    str | None, Argument(metavar="RUN", help="A run's folder or name; by default the newest run.")
]
STORE = "feedback.sqlite"
Store = Annotated[
    str,
    Option(
        envvar="MATINEE_STORE",
        metavar="FILE|URL",
        help="What users tell: an SQLite file, or postgresql://...",
    ),
]
Tenant = Annotated[str, Option(help="Whose feedback this is, where services share a store.")]
TitleArgument = Annotated[
    list[str], Argument(metavar="[RUN] TITLE", help="A title (in quotes) or id, of the newest run.")
]
User = Annotated[str | None, Option("--user", metavar="ID", help="A user's id.")]
Users = Annotated[
    list[str] | None, Option("--user", metavar="ID", help="A user's id; may be repeated.")
]
Ratings = Annotated[
    list[str] | None,
    Option("--rating", metavar='"TITLE=VALUE"', help="A rating by a new user; may be repeated."),
]
Known = Annotated[
    list[str] | None,
    Option(
        "--known",
        metavar="NAME=VALUE",
        help="What is known of a new user beside ratings: age=30; may be repeated.",
    ),
]
Items = Annotated[
    list[str] | None,
    Option(
        "--item",
        metavar="TITLE",
        help="An item of a new user, where the data have no ratings; may be repeated.",
    ),
]
HEADS = "timely|both|next|ranking|rating"
Head = Annotated[
    str | None,
    Option(
        "--head",
        "--by",
        metavar=HEADS,
        help="What lists are in the order of; by default timely, where the model knows the order "
        "of what was watched, or else both heads: what one would watch and like.",
    ),
]
FactorsHead = Annotated[
    str | None,
    Option(
        "--head",
        metavar="rating|ranking",
        help="Whose factors to compare; by default the rating head's if it has any.",
    ),
]
Count = Annotated[int, Option("-n", metavar="N", min=1, help="How many to list.")]

# training

Model = Annotated[
    str | None,
    Option(
        metavar="als|bayes|bias|mf|gmf|mlp|neumf|none",
        help="What predicts ratings: by default als, or none where there are none to predict. "
        "bayes is the most accurate, takes minutes, and gives a prediction interval.",
    ),
]
RANKERS = "ials|next|ease|itemknn|userknn|popularity|bpr|gmf|mlp|neumf|none"
Ranker = Annotated[str, Option(metavar=RANKERS, help="What makes rankings.")]
Settings = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any hyperparameter of the rating model, or ranker.NAME=VALUE of the ranker; may be "
        "repeated.",
    ),
]
SplitOption = Annotated[
    str | None,
    Option(
        "--split",
        metavar="random|leave-last-out|temporal|hashed|u1...u5|ua|ub",
        help="How the test set is made; by default random. Hashed: it stays when data grow.",
    ),
]
TestFraction = Annotated[
    float | None,
    Option(
        metavar="F",
        help="Size of the test set, of random, temporal and hashed ones; by default 0.1. 0: train "
        "on everything.",
    ),
]
Seed = Annotated[int, Option(metavar="N", min=0, help="Seed of the random numbers.")]
Threads = Annotated[int | None, Option(metavar="N", min=1, help="By default all processors.")]
Device = Annotated[
    str | None,
    Option(metavar="auto|cpu|cuda|mps", help="Where PyTorch trains; by default a GPU if any."),
]
CheckpointFolder = Annotated[
    str | None,
    Option(
        "--checkpoint",
        metavar="DIR",
        help="Save the state of training here; the same command resumes from it (bayes, and "
        "models that need PyTorch).",
    ),
]
CheckpointEvery = Annotated[
    int | None,
    Option(
        metavar="N",
        min=1,
        help="Epochs or sweeps between checkpoints; by default 1 epoch, 16 sweeps.",
    ),
]
Resume = Annotated[
    bool, Option("--resume", help="Fail if there is nothing to resume in --checkpoint.")
]
Plot = Annotated[
    bool, Option("--plot", help="Draw the training curves into the run, as history.png.")
]
NewRun = Annotated[
    str | None,
    Option("--run", metavar="DIR", help="Where to save the run; by default a new folder."),
]

# output

Json = Annotated[bool, Option("--json", help="Print the result as JSON.")]
Html = Annotated[bool, Option("--html", help="Write a page with charts, which needs no network.")]
Out = Annotated[
    str | None, Option(metavar="FILE", help="Where to write it; the ending is its format.")
]


def open_dataset(source: str, reading: Reading) -> "Dataset":
    """Read the data that the options describe, and say what was left out or added up."""
    from matinee.data.reading import read

    dataset = read(source, **reading_arguments(reading))
    for note in dataset.notes:
        complain(f"{dataset.name}: {note}.")
    return dataset


def reading_arguments(reading: Reading) -> dict[str, Any]:
    """The arguments of `matinee.read` that the options stand for."""
    reading = reading or {}
    options: dict[str, Any] = dict(reading)
    options["columns"] = _pairs(reading, "columns", "user_id=NAME,item_id=NAME,...")
    if weights := _pairs(reading, "event_weights", "EVENT=WEIGHT,..."):
        try:
            options["event_weights"] = {event: float(w) for event, w in weights.items()}
        except ValueError:
            problem = f"got {shortened(reading['event_weights'])}"
            raise SettingError(f"--event-weights must be EVENT=WEIGHT,..., {problem}.") from None
    else:
        options["event_weights"] = None
    scale, missing = reading.get("scale"), reading.get("missing")
    options["missing"] = (
        None if missing is None else [_number_or_text(v) for v in missing.split(",")]
    )
    try:
        limits = tuple(float(limit) for limit in scale.split(":")) if scale else None
    except ValueError:
        limits = ()
    if limits is not None and len(limits) not in (2, 3):
        raise SettingError(f"--scale must be LOW:HIGH or LOW:HIGH:STEP, got {shortened(scale)}.")
    options["scale"] = limits
    return options


def _pairs(reading: Mapping[str, str | None], option: str, form: str) -> dict[str, str]:
    """NAME=VALUE,... as a dict."""
    named: dict[str, str] = {}
    text = reading.get(option)
    for pair in text.split(",") if text else []:
        ours, equals, theirs = pair.rpartition("=") if option != "columns" else pair.partition("=")
        if not equals:
            flag = option.replace("_", "-")
            raise SettingError(f"--{flag} must be {form}, got {shortened(pair)}.")
        named[ours.strip()] = theirs.strip()
    return named


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def say_unrated(data: "Dataset", what: str, as_json: bool) -> None:
    """Say why there is a ranking model only, where there is no rating to predict."""
    from matinee.cli.output import say
    from matinee.experiments.training import nothing_to_predict

    if (why := nothing_to_predict(data.ratings)) and not as_json:
        say(f"{why}: {what}.")


def make_split(
    method: str | None, test_fraction: float | None, seed: int, earlier: Path | None = None
) -> "Split":
    """The split that the options describe, defaults where they are silent."""
    from matinee.experiments.split import Split

    given: dict[str, Any] = {"method": method, "test_fraction": test_fraction}
    given["warm_start"] = earlier and str(earlier.resolve())
    return Split(**{name: value for name, value in given.items() if value is not None}, seed=seed)


def runs_here() -> list[tuple[Path, dict[str, Any]]]:
    """Folder and manifest of each run in runs/, the newest first; what is left out is said."""
    from matinee.storage.runs import runs_and_others

    runs, others = runs_and_others()
    if others:
        more = f" And {len(others) - 1} more." if others[1:] else ""
        complain(f"Left out: {others[0]}{more}")
    return runs


def find_run(run: str | None) -> Path:
    """The folder of a run that is given by name, by path, or not at all (the newest)."""
    from matinee.storage.atomic import recover
    from matinee.storage.runs import MANIFEST, RUNS, list_runs

    if run is None:
        newest = runs_here()
        if not newest:
            raise RunError("There is no run in runs/. Make one: matinee train DATASET.")
        return newest[0][0]
    for path in (Path(run), RUNS / run):
        with suppress(OSError):  # a name that is too long for any file
            recover(path)
            if (path / MANIFEST).exists():
                return path
    names = ", ".join(folder.name for folder, _ in list_runs()[:5]) or "none"
    raise RunError(f"{cut(run) or repr(run)}: no run has this name (the newest: {names}).")


def open_run(run: str | None, users: list[str] | None = None) -> "Recommender":
    """The model of a run; of one whose users are in parts, with these users, or for new ones."""
    from matinee.models.loading import load

    return load(find_run(run), users=users)


def output_path(out: str | None, default: Path, *endings: str) -> Path:
    """Where to write a picture or a page; refused before the work if it cannot be written there."""
    from matinee.storage.writing import check_place

    path = Path(out) if out else default
    if path.suffix not in endings:
        raise SettingError(f"--out must end in {' or '.join(endings)}, got {path}.")
    if path.is_dir():
        raise SettingError(f"--out {path}: this is a folder; name a file.")
    check_place(path)
    return path


def run_and_title(words: list[str]) -> tuple[str | None, str]:
    """``[RUN] TITLE`` as click sees it: one word is the title, of two the first is the run."""
    first, *rest = words
    if not rest:
        return None, first
    try:
        find_run(first)
    except RunError as problem:
        message = f'{problem} A title of several words goes in quotes: "{" ".join(words)}".'
        raise RunError(message) from None
    if len(rest) > 1:
        raise SettingError(f'Put the title in quotes: "{" ".join(rest)}".')
    return first, rest[0]


def user_or_profile(
    model: "Recommender",
    user: str | None,
    ratings: list[str] | None,
    items: list[str] | None,
    known: list[str] | None,
) -> "str | UserProfile":
    """A user's id, whose trained factors the model has, or the profile of a new user."""
    if user is not None and (ratings or items or known):
        raise SettingError("Give --user ID, or what a new user rated or has, not both.")
    if user is not None:
        return user
    if not (ratings or items or known):
        raise SettingError(
            'Name a user: --user ID, or of a new user --rating "TITLE=VALUE" (several), or --item '
            "TITLE where the data have no ratings."
        )
    attributes = None
    if known:
        from matinee.cli.attributes import parse_known

        attributes = parse_known(model.index.known_attributes, known)
    named = [*parse_ratings(ratings or []), *((title, None) for title in items or [])]
    return model.fold_in(named, attributes)


def parse_ratings(texts: list[str]) -> list[tuple[str, float]]:
    """Pairs of title and value from ``TITLE=VALUE``."""
    pairs: list[tuple[str, float]] = []
    for text in texts:
        title, _, value = text.rpartition("=")
        if not title.strip():
            raise SettingError(f"--rating must be TITLE=VALUE, got {shortened(text)}.")
        try:
            pairs.append((title.strip(), float(value)))
        except ValueError:
            raise SettingError(
                f"--rating {shortened(text)}: {shortened(value)} is not a number."
            ) from None
    return pairs


def given_options(context: typer.Context) -> dict[str, str]:
    """The options on the command line: parameter names, and how one types them."""
    return {
        str(parameter.name): parameter.opts[0]
        for parameter in context.command.params
        if getattr(context.get_parameter_source(str(parameter.name)), "name", "") == "COMMANDLINE"
    }
