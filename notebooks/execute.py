"""Run the notebooks of this folder from top to bottom, and keep their output."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from matinee.storage.atomic import new_file

HERE = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LONGEST = 1800  # seconds that one cell may take


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook at `path` with fresh output, and nothing that changes from run to run."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=LONGEST,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({})
    return notebook


def main() -> None:
    for path in sorted(HERE.glob("*.ipynb")):
        print(f"{path.name} ...", flush=True)
        text = nbformat.writes(executed(path))
        with new_file(path) as fresh:
            fresh.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
