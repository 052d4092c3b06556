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
        typer.Option(metavar="ID", help="A user to show; may be repeated. By default two."),
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Write all there is to see of a run into one HTML file, which needs no network.

    Data, training, accuracy and its limits, clusters, map, neighbours, dimensions, single users.
    """
    from matinee.experiments.provenance import load_run_data
    from matinee.models.loading import load
    from matinee.report.run_report import write_report

    folder = find_run(run)
    place = place_of(out, folder / "report.html", ".html")
    model = load(folder)
    parts, note = None, ""
    try:
        parts = load_run_data(model)
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

    summary = describe_dataset(open_dataset(dataset, columns, scale, duplicates))
    if json:
        print_json(summary.to_dict())
        return
    heading(summary.name)
    say(f"{summary.users:,} users, {summary.items:,} movies, {summary.ratings:,} ratings")
    if summary.rated_items < summary.items:
        say(f"{summary.items - summary.rated_items:,} of the movies have no rating")
    say(
        f"full matrix {summary.cells:,} cells: {summary.density:.3%} filled, "
        f"sparsity {summary.sparsity:.3%}"
    )
    say(f"stars from {summary.scale}, {summary.mean_rating:.4f} on average")
    if summary.first_rating and summary.last_rating:
        say(f"rated from {summary.first_rating:%d %B %Y} to {summary.last_rating:%d %B %Y}")
    say(f"terms: {summary.licence or 'not known'}")
    say()
    heading("First ratings")
    print_table(
        summary.sample_ratings,
        {name: name for name in summary.sample_ratings.columns},
        {"rating": "g"},
    )
    say()
    heading("First movies")
    print_table(summary.sample_items, {"item_id": "item_id", "title": "title", "genres": "genres"})
    say()
    heading("Stars")
    most = summary.rating_histogram["n_ratings"].max()
    bars = summary.rating_histogram.with_columns(
        share=pl.col("n_ratings") / summary.ratings,
        bar=pl.col("n_ratings").map_elements(
            lambda count: "█" * round(40 * count / most), return_dtype=pl.String
        ),
    )
    print_table(
        bars,
        {"rating": "rating", "n_ratings": "ratings", "share": "share", "bar": ""},
        {"rating": "g", "share": ".1%"},
    )
    say()
    heading("How unequal")
    tails = {"ratings per user": summary.ratings_per_user, "per movie": summary.ratings_per_item}
    table = pl.DataFrame([{"": what, **quantiles} for what, quantiles in tails.items()])
    print_table(
        table, {name: name for name in table.columns}, dict.fromkeys(table.columns[1:], ",.0f")
    )
    if summary.genres.height:
        say()
        heading("Genres (a movie counts for each of its genres)")
        headings = {"genre": "genre", "n_items": f"{summary.noun}s", "n_ratings": "ratings"}
        print_table(
            summary.genres, {**headings, "mean_rating": "mean stars"}, {"mean_rating": ".2f"}
        )


def _write_page(
    dataset: str,
    columns: str | None,
    scale: str | None,
    duplicates: str | None,
    out: str | None,
    json: bool,
) -> None:
    from matinee.report.sections import write_dataset_report

    if out:
        place_of(out, Path(out), ".html")
    data = open_dataset(dataset, columns, scale, duplicates)
    place = write_dataset_report(data, place_of(out, Path(f"{data.name}.html"), ".html"))
    if json:
        print_json({"html": str(place)})
    else:
        say(f"Description of {data.name} in {place}; open it in a browser.")


PICTURES = (".html", ".png", ".svg")


def draw_map(
    run: RunArgument = None,
    method: Annotated[
        str, typer.Option(metavar="tsne|pca|umap", help="How to lay the items out.")
    ] = "tsne",
    color: Annotated[
        str,
        typer.Option(
            metavar="genre|cluster|year|rating",
            help="What colours say; on the page one can change it.",
        ),
    ] = "genre",
    head: By = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Draw the movies in two dimensions, near where alike: a page to search, or a .png or .svg."""
    from matinee.analysis.projection import project
    from matinee.models.loading import load
    from matinee.plots.embeddings import MAP_COLORS, item_map
    from matinee.report.document import save_chart
    from matinee.report.run_report import write_map_report

    folder = find_run(run)
    place = place_of(out, folder / "map.html", *PICTURES)
    if color not in MAP_COLORS:
        raise SettingError(f"--color is one of {', '.join(MAP_COLORS)}, not {color!r}.")
    model = load(folder)
    layout = project(model, method, head=head, seed=seed)
    if place.suffix == ".html":
        write_map_report(model, layout, place, color)
    else:
        save_chart(item_map(layout, color), place)
    items, left_out = len(layout.embeddings), layout.embeddings.left_out
    if json:
        print_json({"map": str(place), "items": items, "left_out": left_out})
        return
    say(f"Map of {items:,} movies in {place}. {left_out}")


def cluster(
    run: RunArgument = None,
    k: Annotated[
        int | None,
        typer.Option(
            "-k", metavar="K", help="How many; head default what suits the item_factors best."
        ),
    ] = None,
    users: Annotated[bool, typer.Option("--users", help="Group users, not items.")] = False,
    head: By = None,
    seed: Seed = 0,
    html: Html = False,
    out: Out = None,
    json: Json = False,
) -> None:
    """Groups of movies, or of users, that are alike to the model, named by genres and years."""
    import polars as pl

    from matinee.analysis.clusters import find_clusters
    from matinee.models.loading import load

    folder = find_run(run)
    page = place_of(out, folder / "clusters.html", ".html") if html or out else None
    of = "users" if users else "items"
    found = find_clusters(load(folder), k, of=of, head=head, seed=seed)
    if page:
        from matinee.report.run_report import write_clusters_report

        write_clusters_report(found, page)
    if json:
        print_json({**found.to_dict(), "html": str(page) if page else None})
        return
    heading(f"{found.table.height} clusters of {len(found.embeddings):,} {of}")
    table = found.table.with_columns(pl.col("popular").list.head(2).list.join(", "))
    most = "most watched" if of == "items" else "watch more than others"
    print_table(table, {"cluster": "", "name": "more of", "size": of, "popular": most})
    say(
        f"Silhouette {found.silhouette:.2f}, agreement with genres {found.genre_agreement:.2f}, "
        f"stability over seeds {found.stability:.2f}. {found.embeddings.left_out}"
    )
    if page:
        say(f"More in {page}; open it in a browser.")
