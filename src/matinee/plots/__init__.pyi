from .dataset import charts_of_data
from .embeddings import (
    READINGS,
    cluster_lifts,
    genre_likeness,
    genre_positions,
    movie_map,
    norms,
    silhouettes,
    viewer_on_map,
)
from .evaluation import difference_chart, list_figures, lists_by_group, stars_by_group
from .explanation import explanation_chart, taste_chart
from .training import panels_of_runs, training_curves
from .tuning import search_course, setting_charts

__all__ = [
    "READINGS",
    "charts_of_data",
    "cluster_lifts",
    "difference_chart",
    "explanation_chart",
    "genre_likeness",
    "genre_positions",
    "list_figures",
    "lists_by_group",
    "movie_map",
    "norms",
    "panels_of_runs",
    "search_course",
    "setting_charts",
    "silhouettes",
    "stars_by_group",
    "taste_chart",
    "training_curves",
    "viewer_on_map",
]
