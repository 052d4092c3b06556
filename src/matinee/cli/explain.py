"""matinee explain"""

from typing import Annotated

import typer

from matinee.cli.options import Json, Rated, User, find_viewer, open_run, run_and_title
from matinee.cli.output import heading, print_json, print_table, say

PARTS = {
    "mean": "stars of an average movie",
    "movie": "how this movie is liked",
    "prior": "how viewers like its kind",
}


def explain(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[RUN] TITLE", help="A movie's title or id, in quotes."),
    ],
    user: User = None,
    rated: Rated = None,
    n: Annotated[
        int, typer.Option("-n", metavar="N", min=0, help="Ratings to show; with --json, all.")
    ] = 10,
    json: Json = False,
) -> None:
    """Why somebody would give a movie so many stars, part by part."""
    import polars as pl

    run, title = run_and_title(words)
    model = open_run(run)
    viewer = find_viewer(model, user, rated)
    parts = model.explain(viewer, title)
    stars = float(model.predict(viewer, title)[0])
    score = float(parts["contribution"].sum())
    name = model.catalog.titles[model.movie(title)]
    if json:
        print_json({"title": name, "stars": stars, "score": score, "parts": parts.to_dicts()})
        return
    on_scale = f" (score {score:.2f})" if abs(stars - score) > 0.005 else ""
    heading(f"{name}: {stars:.2f} stars{on_scale}")
    general = pl.col("part").replace_strict(PARTS, default=None)
    shown = parts.with_columns(title=pl.coalesce("title", general)).head(len(PARTS) + n)
    print_table(
        shown,
        {"title": "because of", "stars": "your stars", "contribution": "adds"},
        {"stars": "g", "contribution": "+.3f"},
    )
    rest = parts.slice(len(PARTS) + n)
    if rest.height:
        say(f"and {rest.height:,} more ratings, together {rest['contribution'].sum():+.3f}")
