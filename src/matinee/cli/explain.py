"""matinee explain"""

from typing import Annotated

import typer

from matinee.cli.options import By, Json, Rated, User, find_viewer, open_run, run_and_title
from matinee.cli.output import heading, print_json, print_table, say

LIKELY = 0.8  # of the range that is told


def explain(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[RUN] TITLE", help="A movie's title or id, in quotes."),
    ],
    user: User = None,
    rated: Rated = None,
    by: By = None,
    n: Annotated[
        int, typer.Option("-n", metavar="N", min=0, help="Ratings to show; with --json, all.")
    ] = 10,
    json: Json = False,
) -> None:
    """Why a movie is on somebody's list, or gets so many stars (--by stars), part by part."""
    import polars as pl

    from matinee.models.explanation import PART_NAMES
    from matinee.models.head import DistributionHead

    run, title = run_and_title(words)
    model = open_run(run)
    viewer = find_viewer(model, user, rated)
    parts = model.explain(viewer, title, by=by)
    score = float(parts["contribution"].sum())
    stars = float(model.predict(viewer, title)[0]) if model.rating else None
    likely = None
    if isinstance(model.rating, DistributionHead):
        likely = [float(end) for end in model.predict(viewer, title, interval=LIKELY)[1][0]]
    name = model.catalog.titles[model.movie(title)]
    if json:
        told = {"title": name, "stars": stars, "range": likely, "score": score}
        print_json({**told, "parts": parts.to_dicts()})
        return
    in_stars = model.head(by) is model.rating
    if in_stars and stars is not None:
        on_scale = f" (score {score:.2f})" if abs(stars - score) > 0.005 else ""
        heading(f"{name}: {stars:.2f} stars{on_scale}")
    else:
        predicted = "" if stars is None else f", {stars:.2f} stars"
        heading(f"{name}: score {score:.3f} in lists{predicted}")
    if likely:
        say(f"With a probability of {LIKELY:.0%}: {likely[0]:.1f} to {likely[1]:.1f} stars.")
    general = pl.col("part").replace_strict(
        PART_NAMES["stars" if in_stars else "ranking"], default=None
    )
    named = parts.with_columns(title=pl.coalesce("title", general))
    first = named.filter(pl.col("part") != "rating").height + n
    print_table(
        named.head(first),
        {"title": "because of", "stars": "your stars", "contribution": "adds"},
        {"stars": "g", "contribution": "+.3f"},
    )
    rest = parts.slice(first)
    if rest.height:
        say(f"and {rest.height:,} more ratings, together {rest['contribution'].sum():+.3f}")
