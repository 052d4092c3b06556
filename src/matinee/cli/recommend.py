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
    find_profile,
    open_run,
    parse_rated,
    records,
    run_and_title,
)
from matinee.cli.output import heading, print_json, print_table, say
from matinee.errors import SettingError


def recommend(
    run: RunArgument = None,
    user: User = None,
    rated: Rated = None,
    n: Count = 10,
    genre: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only items of this genre; may be repeated."),
    ] = None,
    years: Annotated[
        str | None, typer.Option(metavar="FIRST-LAST", help="Only items from these years.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="ITEM", help="Only these items (id or title); may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="ITEM", help="Never this item (id or title); may be repeated."),
    ] = None,
    min_ratings: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only items with at least so many ratings.")
    ] = 0,
    head: By = None,
    seen: Annotated[bool, typer.Option("--seen", help="List items already rated, too.")] = False,
    json: Json = False,
) -> None:
    """What somebody should watch, with the stars they would give."""
    model = open_run(run)
    profile = find_profile(model, user, rated)
    found = model.recommend(
        profile,
        n,
        head=head,
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
        titles = [model.catalog.titles[model.item_index(title)] for title, _ in parse_rated(rated)]
        say(f"For somebody who rated {', '.join(titles)}:")
    if found.is_empty():
        hint = "" if seen else " (movies already rated are left out; --seen lists them, too)"
        say(f"No movie passes these filters{hint}.")
    else:
        headings = {"item": "id", "title": "title", "genres": "genres"}
        last = "rating" if "rating" in found.columns else "score"
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


def similar_items(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[RUN] TITLE", help="A item's title or id, in quotes."),
    ],
    measure: Annotated[
        str, typer.Option(metavar="cosine|dot", help="How to compare two item_factors.")
    ] = "cosine",
    head: By = None,
    n: Count = 10,
    min_ratings: Annotated[
        int, typer.Option(metavar="N", min=0, help="Movies with fewer ratings come last.")
    ] = 10,
    json: Json = False,
) -> None:
    """Which movies are most like one."""
    run, title = run_and_title(words)
    model = open_run(run)
    found = model.similar_items(title, n, measure=measure, head=head, min_ratings=min_ratings)
    if json:
        print_json(records(found))
        return
    heading(f"Most like {model.catalog.titles[model.item_index(title)]}")
    headings = {"item": "id", "title": "title", "genres": "genres", "similarity": measure}
    print_table(found, {**headings, "ratings": "ratings"}, {"similarity": ".3f"})


LIKELY = 0.8  # of the range that is told


def explain(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[RUN] TITLE", help="A item's title or id, in quotes."),
    ],
    user: User = None,
    rated: Rated = None,
    head: By = None,
    n: Annotated[
        int, typer.Option("-n", metavar="N", min=0, help="Ratings to show; with --json, all.")
    ] = 10,
    json: Json = False,
) -> None:
    """Why a movie is on somebody's list, or gets so many stars (--by stars), part by part."""
    import polars as pl

    from matinee.models.head import COMPONENT_LABELS, ProbabilisticHead

    run, title = run_and_title(words)
    model = open_run(run)
    profile = find_profile(model, user, rated)
    parts = model.explain(profile, title, head=head)
    score = float(parts["contribution"].sum())
    values = float(model.predict(profile, title)[0]) if model.rating_head else None
    likely = None
    if isinstance(model.rating_head, ProbabilisticHead):
        likely = [float(end) for end in model.predict(profile, title, interval=LIKELY)[1][0]]
    name = model.catalog.titles[model.item_index(title)]
    if json:
        told = {"title": name, "rating": values, "range": likely, "score": score}
        print_json({**told, "parts": parts.to_dicts()})
        return
    is_rating = model.head(head) is model.rating_head
    if is_rating and values is not None:
        on_scale = f" (score {score:.2f})" if abs(values - score) > 0.005 else ""
        heading(f"{name}: {values:.2f} stars{on_scale}")
    else:
        predicted = "" if values is None else f", {values:.2f} stars"
        heading(f"{name}: score {score:.3f} in lists{predicted}")
    if likely:
        say(f"With a probability of {LIKELY:.0%}: {likely[0]:.1f} to {likely[1]:.1f} stars.")
    general = pl.col("part").replace_strict(COMPONENT_LABELS, default=None)
    named = parts.with_columns(title=pl.coalesce("title", general))
    first = named.filter(pl.col("part") != "rating").height + n
    print_table(
        named.head(first),
        {"title": "because of", "rating": "your stars", "contribution": "adds"},
        {"rating": "g", "contribution": "+.3f"},
    )
    rest = parts.slice(first)
    if rest.height:
        say(f"and {rest.height:,} more ratings, together {rest['contribution'].sum():+.3f}")
