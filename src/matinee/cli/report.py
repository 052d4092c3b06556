"""matinee report"""

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli.options import (
    By,
    Columns,
    DatasetArgument,
    Duplicates,
    Html,
    Json,
    Out,
    RunArgument,
    ScaleOption,
    Seed,
    find_run,
    open_dataset,
    place_of,
)
from matinee.cli.output import heading, print_json, print_table, say
from matinee.errors import MatineeError, SettingError


def report(
    run: RunArgument = None,
    user: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A viewer to show; may be repeated. By default two."),
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Write all there is to see of a run into one HTML file, which needs no network.

    Data, training, accuracy and its limits, clusters, map, neighbours, dimensions, single viewers.
    """
    from matinee.experiments.provenance import data_of
    from matinee.report.run_report import write_report
    from matinee.storage.runs import load

    folder = find_run(run)
    place = place_of(out, folder / "report.html", ".html")
    model = load(folder)
    parts, note = None, ""
    try:
        parts = data_of(model)
    except MatineeError as problem:  # the run is worth a report without its data, too
        note = str(problem)
    write_report(model, place, parts, users=user)
    if json:
        print_json({"report": str(place), "note": note})
        return
    if note:
        say(f"Without data and accuracy: {note}")
    say(f"Report in {place}; open it in a browser.")


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

    from matinee.analysis.dataset import describe as describe_dataset

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
    from matinee.report.sections import write_description

    if out:
        place_of(out, Path(out), ".html")
    data = open_dataset(dataset, columns, scale, duplicates)
    place = write_description(data, place_of(out, Path(f"{data.name}.html"), ".html"))
    if json:
        print_json({"html": str(place)})
    else:
        say(f"Description of {data.name} in {place}; open it in a browser.")


PICTURES = (".html", ".png", ".svg")


def draw_map(
    run: RunArgument = None,
    method: Annotated[
        str, typer.Option(metavar="tsne|pca|umap", help="How to lay the movies out.")
    ] = "tsne",
    color: Annotated[
        str,
        typer.Option(
            metavar="genre|cluster|year|stars",
            help="What colours say; on the page one can change it.",
        ),
    ] = "genre",
    by: By = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Draw the movies in two dimensions, near where alike: a page to search, or a .png or .svg."""
    from matinee.analysis.projection import lay_out
    from matinee.plots.embeddings import READINGS, movie_map
    from matinee.report.document import save_chart
    from matinee.report.run_report import write_map
    from matinee.storage.runs import load

    folder = find_run(run)
    place = place_of(out, folder / "map.html", *PICTURES)
    if color not in READINGS:
        raise SettingError(f"--color is one of {', '.join(READINGS)}, not {color!r}.")
    model = load(folder)
    layout = lay_out(model, method, by=by, seed=seed)
    if place.suffix == ".html":
        write_map(model, layout, place, color)
    else:
        save_chart(movie_map(layout, color), place)
    movies, left_out = len(layout.space), layout.space.left_out
    if json:
        print_json({"map": str(place), "movies": movies, "left_out": left_out})
        return
    say(f"Map of {movies:,} movies in {place}. {left_out}")


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

    from matinee.analysis.clusters import find_clusters
    from matinee.storage.runs import load

    folder = find_run(run)
    page = place_of(out, folder / "clusters.html", ".html") if html or out else None
    of = "viewers" if viewers else "movies"
    found = find_clusters(load(folder), k, of=of, by=by, seed=seed)
    if page:
        from matinee.report.run_report import write_clusters

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
