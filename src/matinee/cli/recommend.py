"""matinee recommend, similar, audience, explain"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from matinee.cli import engines, options
from matinee.cli.options import (
    find_run,
    open_run,
    output_path,
    parse_ratings,
    run_and_title,
    user_or_profile,
)
from matinee.cli.output import answer, heading, print_json, print_table, say
from matinee.errors import SettingError, require_extra

if TYPE_CHECKING:
    import polars as pl

    from matinee.models.recommender import Recommender

COVERAGE = 0.8  # of the prediction interval that is shown
NAMED = 3  # rated titles that a heading names


def recommend(
    run: options.RunArgument = None,
    user: options.Users = None,
    ratings: options.Ratings = None,
    items: options.Items = None,
    known: options.Known = None,
    everybody: Annotated[
        bool, Option("--all", help="All users, into a file: --out lists.parquet.")
    ] = False,
    n: options.Count = 10,
    genre: Annotated[
        list[str] | None, Option(metavar="NAME", help="Only items of this genre; may be repeated.")
    ] = None,
    years: Annotated[
        str | None,
        Option(metavar="FIRST-LAST", help="Only these years: 1994, 1990-1999, 2000- or -1980."),
    ] = None,
    where: Annotated[
        list[str] | None,
        Option(
            metavar="NAME=VALUE",
            help="Only items with this attribute: language=fr,it or minutes=90:120; may be "
            "repeated.",
        ),
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
    measure: Annotated[
        str,
        Option(
            metavar="dot|cosine",
            help="Rank by scores, or by the cosine of the user's and the item's factors.",
        ),
    ] = "dot",
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
    out: Annotated[
        str | None,
        Option(
            metavar="FILE",
            help="Write the lists into a .parquet, .csv or .jsonl file; with --engine spark, into "
            "a folder of Parquet files, which the same command completes if it was interrupted.",
        ),
    ] = None,
    engine: engines.Engine = "local",
    master: engines.Master = None,
    storage: engines.Storage = None,
    json: options.Json = False,
) -> None:
    """Recommend items to users, or to a new user with ratings.

    With --all and --out, to all users at once, into a file.
    """
    from matinee.cli.attributes import parse_where

    engines.check_engine(engine, master, storage)
    path = _checked_target(out, everybody, user, bool(ratings or items or known), engine)
    on_spark = engine == "spark"
    model = open_run(run, None if everybody and not on_spark else user or [])
    asked: Any = user if path or len(user or []) > 1 else None
    if path is None and asked is None and not on_spark:
        asked = user_or_profile(model, user[0] if user else None, ratings, items, known)
    filters: dict[str, Any] = {
        "head": head,
        "measure": measure,
        "discover": discover,
        "diverse": diverse,
        "exclude_seen": not include_seen,
        "include": include,
        "exclude": exclude,
        "where": parse_where(model.catalog.attributes, where, genre, years),
        "min_ratings": min_ratings,
    }
    if on_spark:
        _write_on_spark(run, str(out), n, filters, master, storage, json)
        return
    if path is not None:
        from matinee.models.batches import write_lists

        users, rows = write_lists(model, path, asked, n, **filters)
        text = f"Lists of {users:,} user{'' if users == 1 else 's'} in {path}, {rows:,} rows."
        answer(json, {"out": str(path), "users": users, "rows": rows}, text)
        return
    frame = model.recommend(asked, n, **filters)
    if json:
        _print_items_as_json(frame)
        return
    if ratings or items:
        verb = "rated" if model.scale else "has"
        say(f"For a new user who {verb} {_listed(model, ratings, items)}:")
    elif known:
        say(f"For a new user, {', '.join(known)}:")
    _print_lists(model, frame, head, measure, include_seen)


def _checked_target(
    out: str | None, everybody: bool, user: list[str] | None, new: bool, engine: str
) -> Path | None:
    """The file to write lists into, if any; refused before the work if it makes no sense."""
    if engine == "spark" and not (everybody and out):
        raise SettingError("--engine spark lists for every user: --all --out FOLDER.")
    if everybody and (user or new):
        raise SettingError("Give --all, or name users, not both.")
    if everybody and out is None:
        raise SettingError("--all lists for every user: write it with --out lists.parquet.")
    if out is not None and new:
        raise SettingError("--out is for users of the data: --all, or --user ID (several).")
    if out is None:
        return None
    if not (everybody or user):
        raise SettingError("--out: name the users, --user ID (several), or --all.")
    if engine == "spark":
        return None
    return output_path(out, Path(out), ".parquet", ".csv", ".jsonl")


def _write_on_spark(
    run: str | None,
    out: str,
    n: int,
    filters: dict[str, Any],
    master: str | None,
    storage: str | None,
    as_json: bool,
) -> None:
    """Lists of all users into a folder, by Spark."""
    require_extra("spark", "pyspark", "pyarrow")
    from matinee.spark.recommending import recommend_all
    from matinee.spark.session import open_workspace

    with open_workspace(master, storage) as workspace:
        lists = recommend_all(workspace, find_run(run), out, n, **filters)
    found = f"; {lists.found} of {lists.parts} parts were there" if lists.found else ""
    text = f"Lists of {lists.users:,} users in {lists.out}, {lists.rows:,} rows{found}."
    answer(as_json, asdict(lists), text)


def _print_lists(
    model: "Recommender", frame: "pl.DataFrame", head: str | None, measure: str, with_seen: bool
) -> None:
    """The table of `Recommender.recommend` for one user or several."""
    noun = model.catalog.noun
    if frame.is_empty():
        verb = "rated" if model.scale else "interacted with"
        hint = f" ({noun}s the user has {verb} are left out; --include-seen lists them, too)"
        say(f"No {noun} passes these filters{'' if with_seen else hint}.")
        return
    headings = {"item_id": "id", "title": "title", "genres": "genres"}
    if "user_id" in frame.columns:
        headings = {"user_id": "user", **headings}
    if measure == "cosine" or model.head(head) is not model.rating_head:
        headings["score"] = "cosine" if measure == "cosine" else "score"  # which the order is by
    if model.rating_head:
        headings["predicted_rating"] = "predicted"
    print_table(frame, headings, {"predicted_rating": ".2f", "score": ".3f"})


def similar(
    words: Annotated[
        list[str] | None,
        Argument(metavar="[RUN] TITLE", help="A title (in quotes) or id, of the newest run."),
    ] = None,
    user: Annotated[
        str | None, Option("--user", metavar="ID", help="Users similar to this one, instead.")
    ] = None,
    measure: Annotated[
        str, Option(metavar="cosine|dot", help="How to compare factors.")
    ] = "cosine",
    head: options.FactorsHead = None,
    n: options.Count = 10,
    min_ratings: Annotated[
        int, Option(metavar="N", min=0, help="Those with fewer training ratings come last.")
    ] = 10,
    json: options.Json = False,
) -> None:
    """List the items most similar to one, or users to a user.

    Compared are their factors; those of users, as differences from the average user.
    """
    how: dict[str, Any] = {"measure": measure, "head": head, "min_ratings": min_ratings}
    if user is not None:
        if words and len(words) > 1:
            raise SettingError("Give a title or --user ID, not both.")
        model = open_run(words[0] if words else None)
        frame = model.similar_users(user, n, **how)
        whose, of, headings = f"user {user}", "users", {"user_id": "user"}
    else:
        if not words:
            raise SettingError("Name a title, or a user: --user ID.")
        run, title = run_and_title(words)
        model = open_run(run, [])
        frame = model.similar_items(title, n, **how)
        whose, of = _title(model, title), "items"
        headings = {"item_id": "id", "title": "title", "genres": "genres"}
    if json:
        _print_items_as_json(frame)
        return
    heading(f"Similar to {whose}, {model.head_with(of, head)} factors")
    noun = f"{model.index.unit}s"
    headings |= {"similarity": measure, "n_ratings": noun}
    print_table(frame, headings, {"similarity": ".3f"})


def audience(
    words: options.TitleArgument,
    head: options.Head = None,
    n: options.Count = 10,
    include_seen: Annotated[
        bool, Option("--include-seen", help="List users who have rated it, too.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List the users to whom an item would be recommended most."""
    run, title = run_and_title(words)
    model = open_run(run)
    frame = model.recommend_users(title, n, head=head, exclude_seen=not include_seen)
    if json:
        print_json(frame.to_dicts())
        return
    heading(f"Users for {_title(model, title)}")
    headings = {"user_id": "user"}
    if model.head(head) is not model.rating_head:
        headings["score"] = "score"
    if model.rating_head:
        headings["predicted_rating"] = "predicted"
    headings["n_ratings"] = f"{model.index.unit}s"
    print_table(frame, headings, {"predicted_rating": ".2f", "score": ".3f"})


def explain(
    words: options.TitleArgument,
    user: options.User = None,
    ratings: options.Ratings = None,
    items: options.Items = None,
    known: options.Known = None,
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
    model = open_run(run, [user] if user else [])
    profile = user_or_profile(model, user, ratings, items, known)
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
    name = model.index.value_name
    given = "rating given" if name == "rating" else name
    general = pl.col("component").replace_strict(COMPONENT_LABELS, default=None)
    shown = parts.filter(pl.col("component") != "rating").height + n
    print_table(
        parts.with_columns(title=pl.coalesce("title", general)).head(shown),
        {"title": "component", "rating": given, "contribution": "contribution"},
        {"rating": "g", "contribution": "+.3f"},
    )
    rest = parts.slice(shown)
    if rest.height:
        total = rest["contribution"].sum()
        say(f"and {rest.height:,} more {model.index.unit}s, together {total:+.3f}")


def _print_items_as_json(frame: "pl.DataFrame") -> None:
    """The rows, with genres as a list."""
    rows = frame.to_dicts()
    for row in rows:
        if "genres" in row:
            row["genres"] = row["genres"].split("|") if row["genres"] else []
    print_json(rows)


def _title(model: "Recommender", wanted: str) -> str:
    return model.catalog.titles[model.item_index(wanted)]


def _listed(model: "Recommender", ratings: list[str] | None, items: list[str] | None) -> str:
    """The titles of a new user; of many, the first few and how many more."""
    named = [title for title, _ in parse_ratings(ratings or [])] + (items or [])
    titles = [_title(model, title) for title in named]
    if len(titles) > NAMED + 1:
        titles = [*titles[:NAMED], f"{len(titles) - NAMED} more"]
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"
