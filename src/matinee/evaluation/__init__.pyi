from .evaluator import (
    PerUserMetrics,
    RankingMetrics,
    RatingMetrics,
    evaluate,
    evaluate_ranking,
    evaluate_ranking_per_user,
    predict_all,
)
from .groups import Calibration, GroupMetrics, calibration, evaluate_groups
from .metrics import METRICS, REPORTED_METRICS, Metric, mae, rmse
from .protocols import (
    RankingTask,
    holdout,
    leave_one_out,
    read_negatives,
    sampled_negatives,
    strong_generalization,
    temporal,
)
from .uncertainty import MetricValue

__all__ = [
    "METRICS",
    "REPORTED_METRICS",
    "Calibration",
    "GroupMetrics",
    "Metric",
    "MetricValue",
    "PerUserMetrics",
    "RankingMetrics",
    "RankingTask",
    "RatingMetrics",
    "calibration",
    "evaluate",
    "evaluate_groups",
    "evaluate_ranking",
    "evaluate_ranking_per_user",
    "holdout",
    "leave_one_out",
    "mae",
    "predict_all",
    "read_negatives",
    "rmse",
    "sampled_negatives",
    "strong_generalization",
    "temporal",
]
