"""matinee export"""

from pathlib import Path
from typing import Annotated

from typer import Argument

from matinee.cli import options
from matinee.cli.options import find_run
from matinee.cli.output import answer
from matinee.errors import SettingError


def export(
    words: Annotated[
        list[str], Argument(metavar="[RUN] DIR", help="The folder to write, of the newest run.")
    ],
    head: options.Head = None,
    json: options.Json = False,
) -> None:
    """Write embeddings for other programs into a folder.

    A score is the plain dot product of a user's and an item's embedding. With them come ids, a
    model card, and examples for an index (hnswlib) and a database (PostgreSQL with pgvector).
    """
    if len(words) > 2:
        raise SettingError("Give a run, or none, and a folder.")
    folder = Path(words[-1])
    from matinee.export.embeddings import check_folder
    from matinee.export.embeddings import export as export_model
    from matinee.models.loading import load
    from matinee.storage.writing import check_place

    check_folder(folder)
    check_place(folder)
    model = load(find_run(words[0] if len(words) > 1 else None))
    export_model(model, folder, head)
    text = f"Embeddings, examples and a model card in {folder}; begin with MODEL_CARD.md there."
    answer(json, {"export": str(folder)}, text)
