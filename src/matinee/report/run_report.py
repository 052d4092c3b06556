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
from matinee.models.head import fitted_params
from matinee.models.recommender import Recommender
from matinee.models.registry import format_value
from matinee.report.document import Number, Section, Table, write_page
from matinee.report.sections import (
    axes_section,
    clusters_section,
    data_section,
    map_section,
    neighbours_section,
    quality_sections,
    training_section,
    user_section,
)

EXAMPLE_QUANTILES = (0.5, 0.9)  # of activity: the users shown by default
VERSIONS = ("matinee", "numpy", "numba", "polars", "scikit-learn", "altair")
NO_DATA = "The data this run was trained on were not found: data and accuracy are left out."


def write_report(
    model: Recommender,
    path: str | Path,
    datasets: tuple[Dataset, Dataset, Dataset] | None = None,
    *,
    users: Sequence[Any] | None = None,
) -> Path:
    """Write all findings about a run as one HTML file, which needs no network.

    `datasets` are the data set and its training and test set, from
    `matinee.experiments.load_run_data`; without them, the sections on data and accuracy are left
    out. `users` are the ids of those to show, by default a typical and an active one;
    UnknownIdError for an unknown user.
    """
    if users is None:
        users = [typical_user(model, quantile) for quantile in EXAMPLE_QUANTILES]
    for user in users:
        model.user_profile(user)  # an unknown one is refused before the work
    quality = [Section("Accuracy", [NO_DATA])]
    if datasets:
        quality = quality_sections(model, *datasets[1:])
    learned: list[Section] = []
    projection = None
    if any(head.item_factors is not None for head in model.heads.values()):
        learned, projection = _embedding_sections(model)
    shown, *others = [user_section(model, user, projection) for user in dict.fromkeys(users)]
    # what matters first, and the rest in order of interest
    sections = [*quality[:-2], shown, *learned[:1], *quality[-2:], *learned[1:]]
    sections += [other._replace(folded=True) for other in others]
    if training := training_section(model):
        sections.append(training._replace(folded=True))
    if datasets:
        sections.append(data_section(describe(datasets[0]))._replace(folded=True))
    sections.append(_provenance(model)._replace(folded=True))
    name = str(dict(model.metadata.get("data", {})).get("name", "a model"))
    estimators = " and ".join(str(head.estimator.get("name")) for head in model.heads.values())
    line = f"{estimators}, trained on {name}. {date.today():%d %B %Y}."
    return write_page(Path(path), f"Report on {name}", line, sections)


def write_map_report(
    model: Recommender, projection: Projection, path: str | Path, color: str = "genre"
) -> Path:
    """Write the page of a map: coloured in several ways, to search and to pick genres from.

    It opens coloured by `color`: ``"genre"``, ``"cluster"``, ``"year"`` or ``"rating"``.
    """
    embeddings = projection.embeddings
    title = f"Map of {len(embeddings):,} {embeddings.noun}s"
    section = map_section(model, projection, color)
    return write_page(Path(path), title, "", [section])


def write_clusters_report(clusters: Clusters, path: str | Path) -> Path:
    """Write the page of clusters."""
    title = f"{clusters.table.height} clusters of {clusters.embeddings.noun}s"
    section = clusters_section(clusters)
    return write_page(Path(path), title, clusters.embeddings.left_out, [section])


def _embedding_sections(model: Recommender) -> tuple[list[Section], Projection | None]:
    """The map and sections on the embeddings; what tiny data do not allow is said instead."""
    clusters = projection = None
    sections = []
    try:
        clusters = find_clusters(model)
        sections = [clusters_section(clusters)]
    except SettingError as problem:
        noun = model.catalog.noun
        sections = [Section(f"Clusters of {noun}s", [str(problem)])]
    try:
        projection = project(model, clusters=clusters)
        sections.insert(0, map_section(model, projection))
    except SettingError as problem:
        sections.insert(0, Section("Map", [str(problem)]))
    others: dict[str, Callable[[], Section]] = {
        "Clusters of users": lambda: clusters_section(find_clusters(model, of="users")),
        "Neighbours": lambda: neighbours_section(neighbours(model)),
        "Axes": lambda: axes_section(embedding_axes(model)),
    }
    if all(head.user_factors is None for head in model.heads.values()):
        del others["Clusters of users"]
    for title, section in others.items():
        try:
            sections.append(section()._replace(folded=True))
        except SettingError as problem:
            sections.append(Section(title, [str(problem)], folded=True))
    return sections, projection


def _provenance(model: Recommender) -> Section:
    """Hyperparameters, data, licence, versions."""
    tables = [
        _settings(f"{name.capitalize()} head", fitted_params(head))
        for name, head in model.heads.items()
    ]
    data = {str(name): value for name, value in dict(model.metadata.get("data", {})).items()}
    data.pop("reading", None)
    if data.get("source"):  # a page is passed on, and folders of this machine are private
        data["source"] = Path(data["source"]).name
    split = dict(model.metadata.get("split", {}))
    if data or split:
        split = {f"split: {name}": value for name, value in split.items()}
        tables.append(_settings("Data", {**data, **split}))
    versions = {name: version(name) for name in VERSIONS}
    tables.append(_settings("Versions", {**versions, "Python": platform.python_version()}))
    licence = data.get("licence") or "unknown; ask whoever gave them to you"
    return Section(
        "Provenance",
        [
            f"Terms of use of the data: {licence}. This page shows {model.index.unit}s of single "
            "users: make sure that the terms allow it before you pass it on.",
            *tables,
        ],
    )


def _settings(caption: str, settings: Mapping[str, Any]) -> Table:
    rows = [
        [name, Number(f"{value:,}" if isinstance(value, int) else value)]
        if isinstance(value, int | float) and not isinstance(value, bool)
        else [name, format_value(value)]
        for name, value in settings.items()
    ]
    return Table(["setting", "value"], rows, caption, wide=False)
