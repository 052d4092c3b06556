"""matinee recommend"""

from typing import Annotated

import typer

from matinee.cli.options import (
    By,
    Count,
    Json,
    Rated,
    RunArgument,
    User,
    find_viewer,
    open_run,
    parse_rated,
    records,
)
from matinee.cli.output import print_json, print_table, say
from matinee.errors import SettingError


def recommend(
    run: RunArgument = None,
    user: User = None,
    rated: Rated = None,
    n: Count = 10,
    genre: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only movies of this genre; may be repeated."),
    ] = None,
    years: Annotated[
        str | None, typer.Option(metavar="FIRST-LAST", help="Only movies from these years.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="MOVIE", help="Only these movies (id or title); may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="MOVIE", help="Never this movie (id or title); may be repeated."),
    ] = None,
    min_ratings: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only movies with at least so many ratings.")
    ] = 0,
    by: By = None,
    seen: Annotated[bool, typer.Option("--seen", help="List movies already rated, too.")] = False,
    json: Json = False,
) -> None:
    """What somebody should watch, with the stars they would give."""
    model = open_run(run)
    viewer = find_viewer(model, user, rated)
    found = model.recommend(
        viewer,
        n,
        by=by,
        exclude_seen=not seen,
        include=include,
        exclude=exclude,
        genres=genre,
        years=_years(years),
        min_ratings=min_ratings,
    )
    if json:
        print_json(records(found))
        return
    if rated:
        titles = [model.catalog.titles[model.movie(title)] for title, _ in parse_rated(rated)]
        say(f"For somebody who rated {', '.join(titles)}:")
    if found.is_empty():
        hint = "" if seen else " (movies already rated are left out; --seen lists them, too)"
        say(f"No movie passes these filters{hint}.")
    else:
        headings = {"item": "id", "title": "title", "genres": "genres"}
        last = "stars" if "stars" in found.columns else "score"
        print_table(found, {**headings, last: last}, {last: ".2f"})


def _years(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, last = text.partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()):
        raise SettingError(f"--years takes FIRST-LAST, such as 1990-1999, not {text!r}.")
    years = int(first), int(last or first)
    if years[0] > years[1]:
        raise SettingError(f"--years takes the earlier year first, not {text!r}.")
    return years
