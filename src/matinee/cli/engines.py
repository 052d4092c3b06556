"""On what to compute: the options of commands that can do their work on a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from typer import Option

from matinee.cli.options import Reading, reading_arguments
from matinee.cli.output import complain
from matinee.errors import SettingError, check_choice, require_extra

if TYPE_CHECKING:
    from matinee.data.reading_options import ReadingOptions
    from matinee.spark.dataset import SparkDataset
    from matinee.spark.session import Workspace

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


@contextmanager
def data_in_spark(
    source: str, reading: Reading, master: str | None, storage: str | None
) -> "Iterator[tuple[Workspace, SparkDataset, ReadingOptions]]":
    """A session of Spark, the data read there, and the options they were read with."""
    require_extra("spark", "pyspark", "pyarrow", "pandas")
    from matinee.data.reading_options import ReadingOptions
    from matinee.spark.reading import read
    from matinee.spark.session import open_workspace

    given = ReadingOptions.of(reading_arguments(reading))
    with open_workspace(master, storage) as workspace:
        data = read(workspace, source, given)
        for note in data.notes:
            complain(f"{data.name}: {note}.")
        yield workspace, data, given
