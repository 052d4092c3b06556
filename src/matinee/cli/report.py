"""matinee describe, map, cluster, report"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from matinee.cli import engines, options
from matinee.cli.options import find_run, open_dataset, output_path, reads_data
from matinee.cli.output import answer, heading, print_json, print_table, say, section
from matinee.errors import MatineeError, SettingError, shortened

if TYPE_CHECKING:
    from matinee.analysis.dataset import DatasetSummary
    from matinee.spark.describing import SparkSummary

PICTURES = (".html", ".png", ".svg")
BAR = 40  # columns of the longest bar of a histogram
POPULAR = 2  # titles of each cluster
GENRES = 20  # that a screen has room for


@reads_data
def describe(
    dataset: options.DatasetArgument,
    reading: options.Reading = None,
    html: options.Html = False,
    out: options.Out = None,
    engine: engines.Engine = "local",
    master: engines.Master = None,
    storage: engines.Storage = None,
    json: options.Json = False,
) -> None:
    """Describe a data set, as text or as a page with charts."""
    engines.check_engine(engine, master, storage)
    if engine == "spark":
        if html or out:
            raise SettingError("Spark describes data as text; leave out --html and --out.")
        _describe_in_spark(dataset, reading, master, storage, json)
        return
    page = output_path(out, Path("dataset.html"), ".html") if out else None
    if html or out:
        from matinee.report.sections import write_dataset_report
    else:
        from matinee.analysis.dataset import describe as describe_dataset
    data = open_dataset(dataset, reading)
    if html or out:
        page = page or output_path(None, Path(f"{data.name}.html"), ".html")
        write_dataset_report(data, page)
        text = f"Description of {data.name} in {page}; open it in a browser."
        answer(json, {"html": str(page)}, text)
    elif json:
        print_json(describe_dataset(data).to_dict())
    else:
        _print_summary(describe_dataset(data))


def _describe_in_spark(
    dataset: str, reading: options.Reading, master: str | None, storage: str | None, as_json: bool
) -> None:
    with engines.data_in_spark(dataset, reading, master, storage) as (_, data, _):
        from matinee.spark.describing import describe as describe_there

        summary = describe_there(data)
    if as_json:
        print_json(summary.to_dict())
        return
    _print_sizes(summary)
    mean = summary.mean_weight if summary.scale is None else summary.mean_rating
    what = f"ratings from {summary.scale}" if summary.scale else "no ratings; weights"
    say(f"{what}, mean {mean:.4f}")
    _print_dates(summary)
    _print_tails(summary)


def _print_sizes(summary: "DatasetSummary | SparkSummary") -> None:
    """How many there are of all, and how much of the matrix is filled."""
    noun, unit = summary.noun, summary.unit
    heading(summary.name)
    say(f"{summary.users:,} users, {summary.items:,} {noun}s, {summary.ratings:,} {unit}s")
    if summary.rated_items < summary.items:
        say(f"{summary.items - summary.rated_items:,} {noun}s have no {unit}")
    say(
        f"matrix of {summary.cells:,} cells, {summary.density:.3%} filled "
        f"(sparsity {1 - summary.density:.3%})"
    )


def _print_dates(summary: "DatasetSummary | SparkSummary") -> None:
    if summary.first_rating and summary.last_rating:
        first, last = summary.first_rating, summary.last_rating
        what = "rated" if summary.mean_rating is not None else f"{summary.unit}s"
        say(f"{what} from {first:%d %B %Y} to {last:%d %B %Y}")


def _print_tails(summary: "DatasetSummary | SparkSummary") -> None:
    """How many ratings users and items have, few and many."""
    import polars as pl

    noun, unit = summary.noun, summary.unit
    section(f"{unit.capitalize()}s per user and {noun}")
    tails = {"per user": summary.ratings_per_user, f"per {noun}": summary.ratings_per_item}
    table = pl.DataFrame([{"": of, **quantiles} for of, quantiles in tails.items()])
    headings = {name: name for name in table.columns}
    print_table(table, headings, dict.fromkeys(table.columns[1:], ",.0f"))


def _print_summary(summary: "DatasetSummary") -> None:
    noun, unit = summary.noun, summary.unit
    _print_sizes(summary)
    say(_values(summary, noun))
    _print_dates(summary)
    say(f"terms of use: {summary.licence or 'unknown'}")
    samples = {f"{unit}s": summary.sample_ratings, f"{noun}s": summary.sample_items}
    for of, sample in samples.items():
        section(f"Sample of {of}")
        headings = {name: name for name in sample.columns}
        if "weight" in headings:
            headings["weight"] = summary.value_name
        print_table(sample, headings, {"rating": "g", "weight": "g"})
    if summary.mean_rating is not None or summary.weight_histogram.height > 1:
        _print_histogram(summary, noun)
    _print_tails(summary)
    if summary.genres.height:
        section(f"Genres (a {noun} counts for each of its genres)")
        headings = {"genre": "genre", "n_items": f"{noun}s", "n_ratings": f"{unit}s"}
        if summary.mean_rating is not None:
            headings["mean_rating"] = "mean rating"
        print_table(summary.genres.head(GENRES), headings, {"mean_rating": ".2f"})
    if summary.genres.height > GENRES:
        say(f"and {summary.genres.height - GENRES:,} more")


def _values(summary: "DatasetSummary", noun: str) -> str:
    """In a line, what the ratings are; of interactions, how often there are."""
    if summary.mean_rating is not None:
        levels = summary.rating_histogram["rating"]
        same = f"all ratings are {summary.mean_rating:g}" if len(levels) == 1 else ""
        return same or f"ratings from {summary.scale}, mean {summary.mean_rating:.4f}"
    pair = f"per user and {noun}"
    if summary.weight_histogram["weight"].to_list() == ["1"]:
        return f"no ratings; once {pair}"
    if summary.value_name == "times":
        return f"no ratings; {summary.mean_weight:.2f} times {pair} on average"
    return f"no ratings; a mean weight of {summary.mean_weight:.4f} {pair}"


def _print_histogram(summary: "DatasetSummary", noun: str) -> None:
    """How often each rating was given; of interactions, how many pairs have how many."""
    import polars as pl

    unit, what = summary.unit, summary.value_name
    histogram = summary.rating_histogram
    title = "Distribution of ratings"
    if summary.mean_rating is None:
        histogram = summary.weight_histogram.drop("low", "high")
        title = f"{what.capitalize()} per user and {noun}"
    section(title)
    count = pl.col("n_ratings")
    most = histogram["n_ratings"].max()
    bars = histogram.with_columns(
        share=count / summary.ratings,
        bar=pl.lit("█").repeat_by((BAR * count / most).round().cast(pl.UInt32)).list.join(""),
    )
    headings = {histogram.columns[0]: what, "n_ratings": f"{unit}s", "share": "share", "bar": ""}
    print_table(bars, headings, {"rating": "g", "share": ".1%"}, numbers={"weight"})


def draw_map(
    run: options.RunArgument = None,
    method: Annotated[
        str, Option(metavar="tsne|pca|umap", help="How to project the factors.")
    ] = "tsne",
    color: Annotated[
        str,
        Option(
            metavar="genre|cluster|year|rating",
            help="What colours show; the page can change them. Only cluster waits for clusters.",
        ),
    ] = "genre",
    head: options.FactorsHead = None,
    seed: options.Seed = 0,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Draw the items in two dimensions, similar ones together.

    By default as a page to search; --out names a .html, .png or .svg.
    """
    from matinee.analysis.clusters import find_clusters
    from matinee.analysis.projection import project
    from matinee.models.loading import load
    from matinee.plots.embeddings import item_map, map_colors
    from matinee.report.document import save_chart
    from matinee.report.run_report import write_map_report

    folder = find_run(run)
    path = output_path(out, folder / "map.html", *PICTURES)
    model = load(folder)
    colors = map_colors(model.index.unit)
    if color not in colors:
        raise SettingError(f"--color must be one of {', '.join(colors)}, got {shortened(color)}.")
    clusters = find_clusters(model, head=head, seed=seed) if color == "cluster" else None
    layout = project(model, method, head=head, clusters=clusters, seed=seed)
    if path.suffix == ".html":
        write_map_report(model, layout, path, color)
    else:
        save_chart(item_map(layout, color), path)
    items, left_out = len(layout.embeddings), layout.embeddings.left_out
    text = f"Map of {items:,} {model.catalog.noun}s in {path}. {left_out}".rstrip()
    answer(json, {"map": str(path), "items": items, "left_out": left_out}, text)


def cluster(
    run: options.RunArgument = None,
    k: Annotated[
        int | None,
        Option("-k", metavar="K", help="How many clusters; by default the best silhouette."),
    ] = None,
    users: Annotated[bool, Option("--users", help="Cluster users, not items.")] = False,
    head: options.FactorsHead = None,
    seed: options.Seed = 0,
    html: options.Html = False,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Cluster items or users, and name the clusters.

    Clustered are factors; names are of genres and years.
    """
    import polars as pl

    from matinee.analysis.clusters import find_clusters
    from matinee.models.loading import load

    folder = find_run(run)
    page = output_path(out, folder / "clusters.html", ".html") if html or out else None
    model = load(folder)
    clusters = find_clusters(model, k, of="users" if users else "items", head=head, seed=seed)
    if page:
        from matinee.report.run_report import write_clusters_report

        write_clusters_report(clusters, page)
    if json:
        print_json({**clusters.to_dict(), "html": str(page) if page else None})
        return
    of = "users" if users else f"{model.catalog.noun}s"
    heading(f"{clusters.table.height} clusters of {len(clusters.embeddings):,} {of}")
    table = clusters.table.with_columns(pl.col("popular").list.head(POPULAR).list.join(", "))
    popular = "watched more than by others" if users else "most popular"
    print_table(table, {"cluster": "", "name": "name", "size": of, "popular": popular})
    say(
        f"Silhouette {clusters.silhouette:.2f}, agreement with genres "
        f"{clusters.genre_agreement:.2f}, stability over seeds {clusters.stability:.2f}."
    )
    if clusters.embeddings.left_out:
        say(clusters.embeddings.left_out)
    if page:
        say(f"More in {page}; open it in a browser.")


def report(
    run: options.RunArgument = None,
    user: Annotated[
        list[str] | None,
        Option(metavar="ID", help="A user to show; may be repeated. By default two."),
    ] = None,
    out: options.Out = None,
    json: options.Json = False,
) -> None:
    """Write everything about a run into one HTML file.

    It needs no network, and shows data, training, accuracy, performance by group, clusters, map,
    neighbours, axes and users.
    """
    from matinee.experiments.provenance import load_run_data
    from matinee.models.loading import load
    from matinee.report.run_report import write_report

    folder = find_run(run)
    path = output_path(out, folder / "report.html", ".html")
    model = load(folder)
    try:
        sets, note = load_run_data(model), ""
    except MatineeError as problem:  # the run is worth a report without its data, too
        sets, note = None, str(problem)
    write_report(model, path, sets, users=user)
    if json:
        print_json({"report": str(path), "note": note})
        return
    if note:
        say(f"Without data and accuracy: {note}")
    say(f"Report in {path}; open it in a browser.")
