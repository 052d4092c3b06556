from .calibration import Calibration, evaluate_calibration
from .cold_start import cold_items, cold_users
from .evaluator import (
    evaluate,
    evaluate_ranking,
    evaluate_ranking_per_user,
    evaluate_ratings,
    predict_all,
)
from .groups import GroupMetrics, evaluate_groups
from .metrics import METRICS, REPORTED_METRICS, Metric, mae, rmse
from .ncf import read_negatives, sampled_negatives
from .protocols import RankingTask, holdout, leave_one_out, strong_generalization, temporal
from .results import EvaluationResult, PerUserMetrics, RankingMetrics, RatingMetrics
from .uncertainty import MetricValue

__all__ = [
    "METRICS",
    "REPORTED_METRICS",
    "Calibration",
    "EvaluationResult",
    "GroupMetrics",
    "Metric",
    "MetricValue",
    "PerUserMetrics",
    "RankingMetrics",
    "RankingTask",
    "RatingMetrics",
    "cold_items",
    "cold_users",
    "evaluate",
    "evaluate_calibration",
    "evaluate_groups",
    "evaluate_ranking",
    "evaluate_ranking_per_user",
    "evaluate_ratings",
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
