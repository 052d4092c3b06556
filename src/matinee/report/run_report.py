"""The report of a run, and the pages of its map and of its clusters."""

import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matinee.analysis.axes import embedding_axes
from matinee.analysis.clusters import Clusters, find_clusters
from matinee.analysis.dataset import describe
from matinee.analysis.embeddings import neighbours
from matinee.analysis.projection import Projection, project
from matinee.analysis.users import typical_user
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.models.recommender import Recommender
from matinee.report.document import Number, Section, Table, write_page
from matinee.report.sections import (
    clusters_section,
    data_section,
    dimensions_section,
    map_section,
    neighbours_section,
    quality_sections,
    training_section,
    user_section,
)

EXAMPLES = (0.5, 0.9)  # how active the example users are, among all
VERSIONS = ("matinee", "numpy", "numba", "polars", "scikit-learn", "altair")
WITHOUT = "The ratings it was trained on were not at hand: data and accuracy are left out."
ParsedTable = tuple[Dataset, Dataset, Dataset]


def write_report(
    model: Recommender,
    path: str | Path,
    parts: ParsedTable | None = None,
    *,
    users: Sequence[Any] | None = None,
) -> Path:
    """Write everything there is to see of a run as one HTML file, which needs no network.

    Parameters
    ----------
    model : Recommender
    path : str or Path
        Of the HTML file.
    parts : (dataset, train, test), optional
        What it was trained on, from `matinee.evaluation.load_run_data`; without it, the sections on data
        and accuracy are left out.
    users : sequence of ids, optional
        Users to show; by default a typical and an active one.

    Returns
    -------
    Path

    Raises
    ------
    UnknownIdError
        For an unknown user.
    """
    name = str(dict(model.metadata.get("data", {})).get("name", "A model"))
    estimators = " and ".join(str(head.estimator.get("name")) for head in model.heads.values())
    users = [typical_user(model, at) for at in EXAMPLES] if users is None else users
    for user in users:
        model.user_profile(user)  # somebody unknown is told of before the work
    sections = []
    if parts:
        dataset, train, test = parts
        sections += [data_section(describe(dataset))]
    sections += [one for one in [training_section(model)] if one]
    if parts:
        sections += quality_sections(model, train, test)
    else:
        sections.append(Section("Accuracy", [WITHOUT]))
    layout = None
    if any(head.item_factors is not None for head in model.heads.values()):
        learned, layout = _learned(model)
        sections += learned
    sections += [user_section(model, user, layout) for user in dict.fromkeys(users)]
    sections.append(_origin(model))
    line = f"{estimators}, on {name}. Report of {date.today():%d %B %Y}."
    return write_page(Path(path), f"What was learned from {name}", line, sections)


def write_map_report(
    model: Recommender, layout: Projection, path: str | Path, color: str = "genre"
) -> Path:
    """Write the page of a map: coloured in several ways, to search and to pick genres from.

    Parameters
    ----------
    model : Recommender
    layout : Projection
    path : str or Path
        Of the HTML file.
    color : {"genre", "cluster", "year", "rating"}
        The colouring it opens with.
    """
    title = f"{len(layout.space):,} movies on a map"
    return write_page(Path(path), title, layout.space.left_out, [map_section(model, layout, color)])


def write_clusters_report(clusters: Clusters, path: str | Path) -> Path:
    """Write the page of clusters."""
    title = f"{clusters.table.height} clusters of {clusters.space.of}"
    return write_page(Path(path), title, clusters.space.left_out, [clusters_section(clusters)])


def _learned(model: Recommender) -> tuple[list[Section], Projection | None]:
    """What vectors show, and the map; of tiny data, what they do not allow is said instead."""
    layout = None
    try:
        clusters = find_clusters(model)
        layout = project(model, clusters=clusters)
        sections = [map_section(model, layout), clusters_section(clusters)]
    except SettingError as problem:
        sections = [Section("The map", [str(problem)])]
    makers: dict[str, Callable[[], Section]] = {
        "Clusters of users": lambda: clusters_section(find_clusters(model, of="users")),
        "Neighbours": lambda: neighbours_section(neighbours(model)),
        "Dimensions": lambda: dimensions_section(embedding_axes(model)),
    }
    if all(head.user_factors is None for head in model.heads.values()):
        del makers["Clusters of users"]
    for title, make in makers.items():
        try:
            sections.append(make())
        except SettingError as problem:
            sections.append(Section(title, [str(problem)]))
    return sections, layout


def _origin(model: Recommender) -> Section:
    """Hyperparameters, data, licence, versions."""
    tables = [
        _settings(f"{name.capitalize()} head", head.estimator) for name, head in model.heads.items()
    ]
    summary = {str(name): value for name, value in dict(model.metadata.get("data", {})).items()}
    summary.pop("reading", None)
    if summary.get("source"):  # a page is passed on: where things lie here is nobody's business
        summary["source"] = Path(summary["source"]).name
    split = {
        f"split: {name}": value for name, value in dict(model.metadata.get("split", {})).items()
    }
    if summary or split:
        tables.append(_settings("Data", {**summary, **split}))
    versions = {name: version(name) for name in VERSIONS}
    tables.append(_settings("Versions", {**versions, "Python": platform.python_version()}))
    licence = summary.get("licence") or "not known; ask whoever gave them to you"
    return Section(
        "Where this comes from",
        [
            f"Terms of the data: {licence}. This page shows ratings of single users: see that "
            "the terms allow it before you pass it on.",
            *tables,
        ],
    )


def _settings(caption: str, settings: Mapping[str, Any]) -> Table:
    rows = [
        [name, Number(f"{value:,}" if isinstance(value, int) else value)]
        if isinstance(value, int | float) and not isinstance(value, bool)
        else [name, str(value)]
        for name, value in settings.items()
    ]
    return Table(["setting", "value"], rows, caption, wide=False)
