"""matinee similar"""

from typing import Annotated

import typer

from matinee.cli.options import By, Count, Json, open_run, records, run_and_title
from matinee.cli.output import heading, print_json, print_table


def similar(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[RUN] TITLE", help="A movie's title or id, in quotes."),
    ],
    measure: Annotated[
        str, typer.Option(metavar="cosine|dot", help="How to compare two vectors.")
    ] = "cosine",
    by: By = None,
    n: Count = 10,
    min_ratings: Annotated[
        int, typer.Option(metavar="N", min=0, help="Movies with fewer ratings come last.")
    ] = 10,
    json: Json = False,
) -> None:
    """Which movies are most like one."""
    run, title = run_and_title(words)
    model = open_run(run)
    found = model.similar(title, n, measure=measure, by=by, min_ratings=min_ratings)
    if json:
        print_json(records(found))
        return
    heading(f"Most like {model.catalog.titles[model.movie(title)]}")
    headings = {"item": "id", "title": "title", "genres": "genres", "similarity": measure}
    print_table(found, {**headings, "ratings": "ratings"}, {"similarity": ".3f"})
