"""How good a model is, by figures whose definitions are written down.

`metrics` and `lists` define the figures, `figures` is the list of them, `protocols` say what is
held out, `judge` puts a model to the test, `judge_runs` several on any protocol, and `compare` says
which of several is better, and how sure that is.
"""

from matinee.evaluation.calibration import Calibration, calibration
from matinee.evaluation.comparison import Comparison, Difference, compare
from matinee.evaluation.cross_validation import CrossValidation, cross_validate
from matinee.evaluation.exam import Exam
from matinee.evaluation.experiment import JUDGED, Result, Split, train_and_test
from matinee.evaluation.figures import FIGURES, TABLED, FigureKind
from matinee.evaluation.heldout import HeldOut, evaluate, predict_all
from matinee.evaluation.judge import Figure, ListFigures, ListsOfViewers, judge, judge_each
from matinee.evaluation.metrics import mae, rmse
from matinee.evaluation.noted import data_of
from matinee.evaluation.protocols import (
    by_time,
    given_lists,
    held_out,
    leave_last_out,
    sampled,
    strong,
)
from matinee.evaluation.remade import Past, Sameness, same_bits
from matinee.evaluation.served import Served, served
from matinee.evaluation.setups import SETUPS, Setup, Step, find_setup, run_setup
from matinee.evaluation.side_by_side import PROTOCOLS, Row, judge_heads, judge_runs

__all__ = [
    "FIGURES",
    "JUDGED",
    "PROTOCOLS",
    "SETUPS",
    "TABLED",
    "Calibration",
    "Comparison",
    "CrossValidation",
    "Difference",
    "Exam",
    "Figure",
    "FigureKind",
    "HeldOut",
    "ListFigures",
    "ListsOfViewers",
    "Past",
    "Result",
    "Row",
    "Sameness",
    "Served",
    "Setup",
    "Split",
    "Step",
    "by_time",
    "calibration",
    "compare",
    "cross_validate",
    "data_of",
    "evaluate",
    "find_setup",
    "given_lists",
    "held_out",
    "judge",
    "judge_each",
    "judge_heads",
    "judge_runs",
    "leave_last_out",
    "mae",
    "predict_all",
    "rmse",
    "run_setup",
    "same_bits",
    "sampled",
    "served",
    "strong",
    "train_and_test",
]
