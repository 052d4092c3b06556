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
        shown = [name for name in frame.columns if name not in ("created", "data")]  # the name says
        headings = {name: name.replace("_", " ") for name in shown}
        print_table(frame, headings, {"rmse": ".4f", "ndcg@10": ".4f"})
    else:
        say("There is no run under runs/ yet. Make one: matinee train DATASET.")


def _recipe(manifest: dict[str, Any], head: str) -> str | None:
    try:
        return str(manifest["heads"][head]["trainer"]["name"])
    except (KeyError, TypeError):
        return None


def _ndcg(manifest: dict[str, Any]) -> float | None:
    """Of lists that were ranked among all movies: other protocols give other figures."""
    try:
        lists = manifest["metrics"]["lists"]
        held_out = lists["protocol"] == "held-out"
        return float(lists["figures"]["ndcg@10"]["value"]) if held_out else None
    except (KeyError, TypeError, ValueError):
        return None
