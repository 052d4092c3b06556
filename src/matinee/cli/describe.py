"""matinee describe"""

from pathlib import Path

from matinee.cli.options import (
    Columns,
    DatasetArgument,
    Duplicates,
    Html,
    Json,
    Out,
    ScaleOption,
    open_dataset,
    place_of,
)
from matinee.cli.output import heading, print_json, print_table, say


def describe(
    dataset: DatasetArgument,
    columns: Columns = None,
    scale: ScaleOption = None,
    duplicates: Duplicates = None,
    html: Html = False,
    out: Out = None,
    json: Json = False,
) -> None:
    """What is in a data set: sizes, rows, stars, tails, genres; --html draws them as a page."""
    if html or out:
        _write_page(dataset, columns, scale, duplicates, out, json)
        return
    import polars as pl

    from matinee.explore import describe as describe_dataset

    about = describe_dataset(open_dataset(dataset, columns, scale, duplicates))
    if json:
        print_json(about.as_json())
        return
    heading(about.name)
    say(f"{about.viewers:,} viewers, {about.movies:,} movies, {about.ratings:,} ratings")
    if about.rated_movies < about.movies:
        say(f"{about.movies - about.rated_movies:,} of the movies have no rating")
    say(
        f"full matrix {about.cells:,} cells: {about.filled:.3%} filled, "
        f"sparsity {about.sparsity:.3%}"
    )
    say(f"stars from {about.scale}, {about.mean_stars:.4f} on average")
    if about.first_rating and about.last_rating:
        say(f"rated from {about.first_rating:%d %B %Y} to {about.last_rating:%d %B %Y}")
    say(f"terms: {about.licence or 'not known'}")
    say()
    heading("First ratings")
    print_table(
        about.first_ratings, {name: name for name in about.first_ratings.columns}, {"stars": "g"}
    )
    say()
    heading("First movies")
    print_table(about.first_movies, {"item": "item", "title": "title", "genres": "genres"})
    say()
    heading("Stars")
    most = about.stars["ratings"].max()
    bars = about.stars.with_columns(
        share=pl.col("ratings") / about.ratings,
        bar=pl.col("ratings").map_elements(
            lambda count: "█" * round(40 * count / most), return_dtype=pl.String
        ),
    )
    print_table(
        bars,
        {"stars": "stars", "ratings": "ratings", "share": "share", "bar": ""},
        {"stars": "g", "share": ".1%"},
    )
    say()
    heading("How unequal")
    tails = {"ratings per viewer": about.ratings_per_viewer, "per movie": about.ratings_per_movie}
    table = pl.DataFrame([{"": what, **quantiles} for what, quantiles in tails.items()])
    print_table(
        table, {name: name for name in table.columns}, dict.fromkeys(table.columns[1:], ",.0f")
    )
    if about.genres.height:
        say()
        heading("Genres (a movie counts for each of its genres)")
        headings = {"genre": "genre", "movies": "movies", "ratings": "ratings"}
        print_table(about.genres, {**headings, "mean_stars": "mean stars"}, {"mean_stars": ".2f"})


def _write_page(
    dataset: str,
    columns: str | None,
    scale: str | None,
    duplicates: str | None,
    out: str | None,
    json: bool,
) -> None:
    from matinee.explore import write_description

    if out:
        place_of(out, Path(out), ".html")
    data = open_dataset(dataset, columns, scale, duplicates)
    place = write_description(data, place_of(out, Path(f"{data.name}.html"), ".html"))
    if json:
        print_json({"html": str(place)})
    else:
        say(f"Description of {data.name} in {place}; open it in a browser.")
