"""On what to compute: the options of commands that can do their work on a cluster."""

from typing import Annotated

from typer import Option

from matinee.errors import SettingError, check_choice

Engine = Annotated[
    str, Option(metavar="local|spark", help="This machine, or Spark where one is not enough.")
]
Master = Annotated[
    str | None,
    Option(
        metavar="URL",
        help="Of Spark: local[4], spark://host:7077, yarn or sc://host; by default the session "
        "there is, else this machine.",
    ),
]
Storage = Annotated[
    str | None,
    Option(
        metavar="URL",
        help="A folder that all executors of Spark can read and write; by default a temporary "
        "one, which is enough on one machine.",
    ),
]


def check_engine(engine: str, master: str | None, storage: str | None) -> None:
    """Refuse an engine that is none, and a cluster for this machine."""
    check_choice("--engine", engine, ("local", "spark"))
    if engine == "local" and (master or storage):
        raise SettingError("--master and --storage are for --engine spark.")
