"""matinee runs"""

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
            "model": manifest["trainer"].get("name"),
            "data": manifest["data"].get("name"),
            "split": manifest["split"].get("method"),
            "rmse": manifest["metrics"].get("rmse"),
        }
        for folder, manifest in list_runs()
    ]
    if json:
        print_json(found)
    elif found:
        frame = pl.DataFrame(found, schema_overrides={"rmse": pl.Float64})
        print_table(frame, {name: name for name in frame.columns}, {"rmse": ".4f"})
    else:
        say("There is no run under runs/ yet. Make one: matinee train DATASET.")
