"""matinee retrain"""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from matinee.cli import options
from matinee.cli.options import find_run
from matinee.cli.output import print_json, print_table, say
from matinee.errors import StoreError, require_extra, shortened

if TYPE_CHECKING:
    import polars as pl

    from matinee.experiments.retraining import Retraining


def retrain(
    run: options.RunArgument = None,
    store: options.Store = options.STORE,
    tenant: options.Tenant = "default",
    margin: Annotated[
        float, Option(metavar="SHARE", help="How much worse the new model may be; 0.01: by 1%.")
    ] = 0.01,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Train a run on its data and on what users have told.

    The data are read as they are now; the store is that of `matinee serve`. The new model takes the
    run's place, from where a service loads it, unless it is worse on ratings that neither has
    learned from. The former model is kept beside it.
    """
    require_extra("service", "sqlalchemy", "alembic")
    from matinee.experiments.retraining import retrain as retrain_run

    folder = find_run(run)
    done = retrain_run(folder, told(store, tenant), margin=margin, threads=threads)
    if json:
        print_json({"run": str(folder), **(summary(done) if done else {"replaced": False})})
    elif done is None:
        say(f"{folder} is trained on all that its data and its users say; nothing was done.")
    else:
        print_retraining(done, folder, margin)


def told(store: str, tenant: str) -> "pl.DataFrame":
    """What users have told, but for what they only put off, as `merge_feedback` takes it."""
    import polars as pl

    from matinee.service.store.store import Store

    if "://" not in store and not Path(store).is_file():
        raise StoreError(f"There is no store {shortened(store)}: a service makes one. See --store.")
    with closing(Store.open(store)) as opened:
        rows = [
            (row.user_id, row.item_id, row.rating, int(row.updated_at.timestamp()))
            for row in opened.export(tenant)
            if row.kind != "later"
        ]
    types = {
        "user_id": pl.String, "item_id": pl.String, "rating": pl.Float64, "timestamp": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=types, orient="row")


def summary(done: "Retraining") -> dict[str, Any]:
    """As JSON."""
    merged = done.merged
    return {
        "replaced": done.before is not None,
        "before": done.before and str(done.before),
        "feedback": {
            "used": merged.used,
            "users": merged.users,
            "new_users": merged.new_users,
            "left_out": merged.left_out,
        },
        "source_changed": done.source_changed,
        "compared_on": done.n_ratings,
        "former": asdict(done.former),
        "new": asdict(done.new),
        **done.result.to_dict(),
    }


def print_retraining(done: "Retraining", folder: "Path", margin: float) -> None:
    """What went in, how both models do, and which of them is in the run's folder."""
    import polars as pl

    merged, unit = done.merged, done.merged.dataset.unit
    fresh = f" ({merged.new_users:,} of them new)" if merged.new_users else ""
    of_users = f"{merged.users:,} user{'s' * (merged.users != 1)}{fresh}"
    size = f"{len(merged.dataset):,} {unit}s"
    say(f"{merged.dataset.name}: {size}, {merged.used:,} of them told by {of_users}")
    if merged.left_out:
        say(f"{merged.left_out:,} were left out: of items that the data lack, or off the scale.")
    if done.source_changed:
        say("The data have changed since the run was trained.")
    rows = [
        {"metric": label, "former": getattr(done.former, name), "new": getattr(done.new, name)}
        for name, label in (("rmse", "RMSE"), ("ndcg", "NDCG@10"))
        if getattr(done.former, name) is not None and getattr(done.new, name) is not None
    ]
    say(f"On {done.n_ratings:,} {unit}s that neither model has learned from:")
    print_table(
        pl.DataFrame(rows),
        {"metric": "", "former": "former", "new": "new"},
        {"former": ".4f", "new": ".4f"},
    )
    if done.before is None:
        say(f"The new model is worse by more than {100 * margin:.3g}%; {folder} stays as it was.")
    else:
        say(f"The new model is now in {folder}, the former one in {done.before}.")
