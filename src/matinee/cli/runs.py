"""matinee runs"""

from typing import Any

from matinee.cli.options import Json
from matinee.cli.output import print_json, print_table, say


def runs(json: Json = False) -> None:
    """The runs under runs/, the newest first."""
    import polars as pl

    from matinee.models.runs import list_runs

    found = [
        {
            "run": str(folder),
            "created": str(manifest.get("created", ""))[:19],
            "stars_by": _recipe(manifest, "rating"),
            "lists_by": _recipe(manifest, "ranking"),
            "data": manifest["data"].get("name"),
            "split": manifest["split"].get("method"),
            "rmse": manifest["metrics"].get("rmse"),
            "ndcg@10": _ndcg(manifest),
        }
        for folder, manifest in list_runs()
    ]
    if json:
        print_json(found)
    elif found:
        frame = pl.DataFrame(found, schema_overrides={"rmse": pl.Float64, "ndcg@10": pl.Float64})
        headings = {name: name.replace("_", " ") for name in frame.columns}
        print_table(frame, headings, {"rmse": ".4f", "ndcg@10": ".4f"})
    else:
        say("There is no run under runs/ yet. Make one: matinee train DATASET.")


def _recipe(manifest: dict[str, Any], head: str) -> str | None:
    try:
        return str(manifest["heads"][head]["trainer"]["name"])
    except (KeyError, TypeError):
        return None


def _ndcg(manifest: dict[str, Any]) -> float | None:
    try:
        return float(manifest["metrics"]["lists"]["figures"]["ndcg@10"]["value"])
    except (KeyError, TypeError, ValueError):
        return None
