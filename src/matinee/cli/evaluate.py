"""matinee evaluate"""

from typing import Annotated

import typer

from matinee.cli.options import Json, find_run
from matinee.cli.output import heading, print_json, print_table, say


def evaluate(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Folders or names; by default the newest run."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(metavar="held-out|leave-last-out|strong|time|ncf", help="What to ask.")
    ] = "held-out",
    liked: Annotated[
        float | None,
        typer.Option(metavar="X", help="Only held-out ratings of at least so many stars count."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of what is drawn.")] = 0,
    json: Json = False,
) -> None:
    """Judge stars and lists of one run or several on what they have not seen, side by side.

    held-out judges a run as it is, on the ratings kept aside in its training. The others train
    its recipes again on what they allow: leave-last-out (what will each viewer watch next?),
    strong (viewers unknown in training), time (train before a day, judge after), and ncf (99
    sampled movies against one: only to compare with papers).
    """
    import polars as pl

    from matinee.evaluation import TABLED, judge_runs
    from matinee.evaluation.comparison import short_names
    from matinee.models import load

    folders = [find_run(run) for run in runs] if runs else [find_run(None)]
    models = {str(folder): load(folder) for folder in folders}
    rows = judge_runs(models, protocol, liked=liked, seed=seed)
    if json:
        print_json([{**row.as_json(), "liked": liked, "seed": seed} for row in rows])
        return
    lists = rows[0].lists
    heading(f"{lists.protocol}: lists of {lists.viewers:,} viewers")
    if lists.note:
        say(lists.note)
    shown = [name for name in TABLED if name in lists.figures]
    several = len(models) > 1
    letters = short_names(list(models))
    for name, letter in letters.items():
        if several:  # names may be long, and figures must not give way to them
            say(f"{letter}  {name}")
    table = pl.DataFrame(
        [
            {
                "run": letters.get(row.model, ""),
                "recipe": row.recipe,
                **{name: row.lists[name] for name in shown},
                "rmse": row.stars.rmse if row.stars else None,
            }
            for row in rows
        ],
        schema_overrides={"rmse": pl.Float64},
    )
    columns = {"run": "run"} if several else {}
    columns |= {"recipe": "lists by", **{name: TABLED[name].title for name in shown}}
    if any(row.stars for row in rows):
        columns |= {"rmse": TABLED["rmse"].title}
    print_table(table, columns, {name: kind.form for name, kind in TABLED.items()})
    best = max(rows, key=lambda row: row.lists["ndcg@10"])
    figure = best.lists.figures["ndcg@10"]
    say(
        f"NDCG@10 of {best.recipe}: {figure.value:.4f}, with other viewers "
        f"{figure.low:.4f} to {figure.high:.4f} (95 % bootstrap)."
    )
    for row in rows:
        if row.stars:
            say(
                f"Stars of {row.recipe}: RMSE {row.stars.rmse:.4f}, MAE {row.stars.mae:.4f} on "
                f"{row.stars.ratings:,} ratings, {row.stars.by_unknown_viewers:,} by viewers and "
                f"{row.stars.of_unknown_movies:,} of movies without a training rating."
            )
