"""matinee recommend, similar, explain"""

import re
from typing import TYPE_CHECKING, Annotated

from typer import Option

from matinee.cli import options
from matinee.cli.options import open_run, parse_ratings, run_and_title, user_or_profile
from matinee.cli.output import heading, print_json, print_table, say
from matinee.errors import SettingError

if TYPE_CHECKING:
    import polars as pl

    from matinee.models.recommender import Recommender

YEARS = re.compile(r"(\d{4})|(\d{4})?\s*[-\u2013\u2014]\s*(\d{4})?")
COVERAGE = 0.8  # of the prediction interval that is shown
NAMED = 3  # rated titles that a heading names


def recommend(
    run: options.RunArgument = None,
    user: options.User = None,
    ratings: options.Ratings = None,
    n: options.Count = 10,
    genre: Annotated[
        list[str] | None, Option(metavar="NAME", help="Only items of this genre; may be repeated.")
    ] = None,
    years: Annotated[
        str | None,
        Option(metavar="FIRST-LAST", help="Only these years: 1994, 1990-1999, 2000- or -1980."),
    ] = None,
    include: Annotated[
        list[str] | None,
        Option(metavar="ITEM", help="Only these items (id or title); may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        Option(metavar="ITEM", help="Never this item (id or title); may be repeated."),
    ] = None,
    min_ratings: Annotated[
        int, Option(metavar="N", min=0, help="Only items with so many training ratings.")
    ] = 0,
    head: options.Head = None,
    discover: Annotated[
        float,
        Option(metavar="0..1", min=0, max=1, help="How far to go towards what few people know."),
    ] = 0.0,
    diverse: Annotated[
        float,
        Option(metavar="0..1", min=0, max=1, help="How far to match the genres one rates well."),
    ] = 0.0,
    include_seen: Annotated[
        bool, Option("--include-seen", help="List items that the user has rated, too.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Recommend items to a user, or to a new user with ratings."""
    model = open_run(run)
    frame = model.recommend(
        user_or_profile(model, user, ratings),
        n,
        head=head,
        discover=discover,
        diverse=diverse,
        exclude_seen=not include_seen,
        include=include,
        exclude=exclude,
        genres=genre,
        years=parse_years(years),
        min_ratings=min_ratings,
    )
    if json:
        _print_items_as_json(frame)
        return
    noun = model.catalog.noun
    if ratings:
        say(f"For a new user who rated {_listed(model, ratings)}:")
    if frame.is_empty():
        hint = f" ({noun}s the user has rated are left out; --include-seen lists them, too)"
        say(f"No {noun} passes these filters{'' if include_seen else hint}.")
        return
    headings = {"item_id": "id", "title": "title", "genres": "genres"}
    if model.head(head) is not model.rating_head:
        headings["score"] = "score"  # which the order is by
    if model.rating_head:
        headings["predicted_rating"] = "predicted"
    print_table(frame, headings, {"predicted_rating": ".2f", "score": ".3f"})


def parse_years(text: str | None) -> tuple[int, int] | None:
    """The first and the last year of ``1994``, ``1990-1999``, ``2000-`` or ``-1980``."""
    if text is None:
        return None
    match = YEARS.fullmatch(text.strip())
    year, first, last = match.groups() if match else (None, None, None)
    if not (year or first or last):
        raise SettingError(f"--years must be 1994, 1990-1999, 2000- or -1980, got {text!r}.")
    years = int(year or first or 0), int(year or last or 9999)
    if years[0] > years[1]:
        raise SettingError(f"--years must have the earlier year first, got {text!r}.")
    return years


def similar_items(
    words: options.TitleArgument,
    measure: Annotated[
        str, Option(metavar="cosine|dot", help="How to compare the factors of two items.")
    ] = "cosine",
    head: options.FactorsHead = None,
    n: options.Count = 10,
    min_ratings: Annotated[
        int, Option(metavar="N", min=0, help="Items with fewer training ratings come last.")
    ] = 10,
    json: options.Json = False,
) -> None:
    """List the items whose factors are most similar to one."""
    run, title = run_and_title(words)
    model = open_run(run)
    frame = model.similar_items(title, n, measure=measure, head=head, min_ratings=min_ratings)
    if json:
        _print_items_as_json(frame)
        return
    whose = head or next(name for name, h in model.heads.items() if h.item_factors is not None)
    heading(f"Similar to {_title(model, title)}, {whose} factors")
    headings = {"item_id": "id", "title": "title", "genres": "genres", "similarity": measure}
    print_table(frame, {**headings, "n_ratings": "ratings"}, {"similarity": ".3f"})


def explain(
    words: options.TitleArgument,
    user: options.User = None,
    ratings: options.Ratings = None,
    head: options.Head = None,
    n: Annotated[
        int, Option("-n", metavar="N", min=0, help="Ratings to show; with --json, all.")
    ] = 10,
    json: options.Json = False,
) -> None:
    """Explain a score or predicted rating, part by part.

    By default why an item is recommended; with --head rating, why it is predicted its rating.
    """
    import polars as pl

    from matinee.models.head import COMPONENT_LABELS, ProbabilisticHead

    run, wanted = run_and_title(words)
    model = open_run(run)
    profile = user_or_profile(model, user, ratings)
    parts = model.explain(profile, wanted, head=head)
    score = float(parts["contribution"].sum())
    predicted = float(model.predict(profile, wanted)[0]) if model.rating_head else None
    interval = None
    if isinstance(model.rating_head, ProbabilisticHead):
        _, bounds = model.predict(profile, wanted, interval=COVERAGE)
        interval = [float(bound) for bound in bounds[0]]
    title = _title(model, wanted)
    if json:
        summary = {"title": title, "predicted_rating": predicted, "interval": interval}
        print_json({**summary, "score": score, "components": parts.to_dicts()})
        return
    of_rating = "" if predicted is None else f"predicted rating {predicted:.2f}"
    if predicted is not None and model.head(head) is model.rating_head:
        clipped = f" (before clipping {score:.2f})" if abs(predicted - score) > 0.005 else ""
        heading(f"{title}: {of_rating}{clipped}")
    else:
        heading(f"{title}: ranking score {score:.3f}{of_rating and f', {of_rating}'}")
    if interval:
        say(f"{COVERAGE:.0%} prediction interval: {interval[0]:.1f} to {interval[1]:.1f}")
    general = pl.col("component").replace_strict(COMPONENT_LABELS, default=None)
    shown = parts.filter(pl.col("component") != "rating").height + n
    print_table(
        parts.with_columns(title=pl.coalesce("title", general)).head(shown),
        {"title": "component", "rating": "rating given", "contribution": "contribution"},
        {"rating": "g", "contribution": "+.3f"},
    )
    rest = parts.slice(shown)
    if rest.height:
        say(f"and {rest.height:,} more ratings, together {rest['contribution'].sum():+.3f}")


def _print_items_as_json(frame: "pl.DataFrame") -> None:
    """The rows, with genres as a list."""
    genres = [text.split("|") if text else [] for text in frame["genres"]]
    rows = frame.to_dicts()
    print_json([{**row, "genres": names} for row, names in zip(rows, genres, strict=True)])


def _title(model: "Recommender", wanted: str) -> str:
    return model.catalog.titles[model.item_index(wanted)]


def _listed(model: "Recommender", ratings: list[str]) -> str:
    """The rated titles; of many, the first few and how many more."""
    titles = [_title(model, title) for title, _ in parse_ratings(ratings)]
    if len(titles) > NAMED + 1:
        titles = [*titles[:NAMED], f"{len(titles) - NAMED} more"]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"
