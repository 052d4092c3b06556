from .evaluator import (
    Figure,
    HeldOut,
    ListFigures,
    ListsOfViewers,
    evaluate,
    judge,
    judge_each,
    predict_all,
)
from .groups import Calibration, Served, calibration, served
from .metrics import FIGURES, TABLED, FigureKind, mae, rmse
from .protocols import Exam, by_time, given_lists, held_out, leave_last_out, sampled, strong

__all__ = [
    "FIGURES",
    "TABLED",
    "Calibration",
    "Exam",
    "Figure",
    "FigureKind",
    "HeldOut",
    "ListFigures",
    "ListsOfViewers",
    "Served",
    "by_time",
    "calibration",
    "evaluate",
    "given_lists",
    "held_out",
    "judge",
    "judge_each",
    "leave_last_out",
    "mae",
    "predict_all",
    "rmse",
    "sampled",
    "served",
    "strong",
]
