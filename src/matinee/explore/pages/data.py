"""The page of a data set, and its part of a report."""

from pathlib import Path

import polars as pl

from matinee.data import Dataset
from matinee.explore.charts.data import charts_of_data
from matinee.explore.description import Description, describe
from matinee.explore.pages.page import Facts, Section, figure, table, write_page


def data_section(about: Description) -> Section:
    """What is in the data, as figures and charts."""
    facts = [
        (f"{about.viewers:,}", "viewers"),
        (f"{about.movies:,}", "movies"),
        (f"{about.ratings:,}", "ratings"),
        (f"{about.mean_stars:.2f}", f"stars on average, from {about.scale}"),
        (f"{about.sparsity:.2%}", "of the full matrix is empty"),
    ]
    if about.first_rating and about.last_rating:
        first, last = about.first_rating, about.last_rating
        facts.append((f"{first:%b %Y} to {last:%b %Y}", "rated"))
    unrated = about.movies - about.rated_movies
    charts = [figure(chart) for chart in charts_of_data(about).values()]
    note = [f"{unrated:,} of the movies have no rating."] if unrated else []
    return Section("The data", [Facts(facts), *note, *charts])


def write_description(dataset: Dataset, path: str | Path) -> Path:
    """Write the page of a data set.

    Parameters
    ----------
    dataset : Dataset
    path : str or Path
        Of the HTML file.
    """
    about = describe(dataset)
    movies = {"item": "id", "title": "title", "genres": "genres"}
    ratings = {name: name for name in about.first_ratings.columns}
    rows = Section(
        "First rows",
        [
            table(
                about.first_ratings.with_columns(pl.selectors.datetime().dt.to_string("%Y-%m-%d")),
                ratings,
                {"user": "", "item": "", "stars": "g"},
                "Ratings",
            ),
            table(about.first_movies, movies, {"item": ""}, "Movies"),
        ],
    )
    terms = f"Terms: {about.licence}." if about.licence else "Terms of use are not known."
    return write_page(Path(path), about.name, terms, [data_section(about), rows])
