"""Looking at data and at what was learned from them: findings, charts, pages.

Findings are arrays and frames; charts and pages show them. What draws or clusters needs the extra
``matinee[charts]``, and is imported only when asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matinee.errors import ExtraError
from matinee.explore.description import Description, describe
from matinee.explore.dimensions import Dimensions, find_dimensions
from matinee.explore.neighbours import familiar_movies, neighbours
from matinee.explore.space import Space, movie_space, vector_lengths, viewer_space
from matinee.explore.viewers import favourites, reasons, taste, typical_viewer

if TYPE_CHECKING:
    from matinee.explore.charts.accuracy import list_figures, lists_by_group, stars_by_group
    from matinee.explore.charts.clusters import cluster_lifts, silhouettes
    from matinee.explore.charts.comparison import difference_chart
    from matinee.explore.charts.data import charts_of_data
    from matinee.explore.charts.dimensions import genre_likeness, genre_positions
    from matinee.explore.charts.map import READINGS, movie_map, norms, viewer_on_map
    from matinee.explore.charts.search import search_course, setting_charts
    from matinee.explore.charts.training import panels_of_runs, training_curves
    from matinee.explore.charts.viewer import explanation_chart, taste_chart
    from matinee.explore.clusters import Clusters, find_clusters
    from matinee.explore.layout import Layout, lay_out
    from matinee.explore.pages.comparison import write_comparison
    from matinee.explore.pages.data import write_description
    from matinee.explore.pages.report import write_clusters, write_map, write_report
    from matinee.explore.pages.search import write_study
    from matinee.explore.saving import save_chart

# what needs the extra, and where it lives
_CHARTS = "matinee.explore.charts"
_EXTRA = {
    "Clusters": "matinee.explore.clusters",
    "Layout": "matinee.explore.layout",
    "READINGS": f"{_CHARTS}.map",
    "charts_of_data": f"{_CHARTS}.data",
    "cluster_lifts": f"{_CHARTS}.clusters",
    "difference_chart": f"{_CHARTS}.comparison",
    "explanation_chart": f"{_CHARTS}.viewer",
    "find_clusters": "matinee.explore.clusters",
    "genre_likeness": f"{_CHARTS}.dimensions",
    "genre_positions": f"{_CHARTS}.dimensions",
    "lay_out": "matinee.explore.layout",
    "list_figures": f"{_CHARTS}.accuracy",
    "lists_by_group": f"{_CHARTS}.accuracy",
    "movie_map": f"{_CHARTS}.map",
    "norms": f"{_CHARTS}.map",
    "panels_of_runs": f"{_CHARTS}.training",
    "save_chart": "matinee.explore.saving",
    "search_course": f"{_CHARTS}.search",
    "setting_charts": f"{_CHARTS}.search",
    "silhouettes": f"{_CHARTS}.clusters",
    "stars_by_group": f"{_CHARTS}.accuracy",
    "taste_chart": f"{_CHARTS}.viewer",
    "training_curves": f"{_CHARTS}.training",
    "viewer_on_map": f"{_CHARTS}.map",
    "write_clusters": "matinee.explore.pages.report",
    "write_comparison": "matinee.explore.pages.comparison",
    "write_description": "matinee.explore.pages.data",
    "write_map": "matinee.explore.pages.report",
    "write_report": "matinee.explore.pages.report",
    "write_study": "matinee.explore.pages.search",
}

__all__ = [
    "READINGS",
    "Clusters",
    "Description",
    "Dimensions",
    "Layout",
    "Space",
    "charts_of_data",
    "cluster_lifts",
    "describe",
    "difference_chart",
    "explanation_chart",
    "familiar_movies",
    "favourites",
    "find_clusters",
    "find_dimensions",
    "genre_likeness",
    "genre_positions",
    "lay_out",
    "list_figures",
    "lists_by_group",
    "movie_map",
    "movie_space",
    "neighbours",
    "norms",
    "panels_of_runs",
    "reasons",
    "save_chart",
    "search_course",
    "setting_charts",
    "silhouettes",
    "stars_by_group",
    "taste",
    "taste_chart",
    "training_curves",
    "typical_viewer",
    "vector_lengths",
    "viewer_on_map",
    "viewer_space",
    "write_clusters",
    "write_comparison",
    "write_description",
    "write_map",
    "write_report",
    "write_study",
]


def __getattr__(name: str) -> Any:
    if name not in _EXTRA:
        raise AttributeError(f"module 'matinee.explore' has no attribute {name!r}")
    try:
        value = getattr(import_module(_EXTRA[name]), name)
    except ImportError as problem:
        if (problem.name or "").startswith("matinee"):
            raise
        raise ExtraError(
            f"Charts and clusters need more packages ({problem}). "
            "Install them: pip install 'matinee[charts]'"
        ) from None
    globals()[name] = value
    return value
