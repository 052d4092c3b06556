"""matinee cluster"""

from typing import Annotated

import typer

from matinee.cli.options import By, Html, Json, Out, RunArgument, Seed, find_run, place_of
from matinee.cli.output import heading, print_json, print_table, say


def cluster(
    run: RunArgument = None,
    k: Annotated[
        int | None,
        typer.Option("-k", metavar="K", help="How many; by default what suits the vectors best."),
    ] = None,
    viewers: Annotated[bool, typer.Option("--viewers", help="Group viewers, not movies.")] = False,
    by: By = None,
    seed: Seed = 0,
    html: Html = False,
    out: Out = None,
    json: Json = False,
) -> None:
    """Groups of movies, or of viewers, that are alike to the model, named by genres and years."""
    import polars as pl

    from matinee.explore import find_clusters
    from matinee.models import load

    folder = find_run(run)
    page = place_of(out, folder / "clusters.html", ".html") if html or out else None
    of = "viewers" if viewers else "movies"
    found = find_clusters(load(folder), k, of=of, by=by, seed=seed)
    if page:
        from matinee.explore import write_clusters

        write_clusters(found, page)
    if json:
        print_json({**found.as_json(), "html": str(page) if page else None})
        return
    heading(f"{found.table.height} clusters of {len(found.space):,} {of}")
    table = found.table.with_columns(
        pl.col("cluster") + 1, pl.col("popular").list.head(2).list.join(", ")
    )
    most = "most watched" if of == "movies" else "watch more than others"
    print_table(table, {"cluster": "", "name": "more of", "size": of, "popular": most})
    say(
        f"Silhouette {found.silhouette:.2f}, agreement with genres {found.genre_agreement:.2f}, "
        f"stability over seeds {found.stability:.2f}. {found.space.left_out}"
    )
    if page:
        say(f"More in {page}; open it in a browser.")
