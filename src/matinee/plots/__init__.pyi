from .dataset import charts_of_data
from .embeddings import (
    MAP_COLORS,
    cluster_lifts,
    genre_positions,
    genre_similarity,
    item_map,
    norms,
    silhouettes,
    user_on_map,
)
from .evaluation import difference_chart, ranking_by_group, ranking_metrics_chart, rating_by_group
from .explanation import explanation_chart, taste_chart
from .training import training_curves, training_curves_by_run
from .tuning import optimization_history, parameter_plots

__all__ = [
    "MAP_COLORS",
    "charts_of_data",
    "cluster_lifts",
    "difference_chart",
    "explanation_chart",
    "genre_positions",
    "genre_similarity",
    "item_map",
    "norms",
    "optimization_history",
    "parameter_plots",
    "ranking_by_group",
    "ranking_metrics_chart",
    "rating_by_group",
    "silhouettes",
    "taste_chart",
    "training_curves",
    "training_curves_by_run",
    "user_on_map",
]
