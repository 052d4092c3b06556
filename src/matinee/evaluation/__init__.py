"""How good a model is, by figures whose definitions are written down.

`metrics` and `lists` define the figures, `protocols` say what is held out, `judge` puts a model to
the test, `compare` several.
"""

from matinee.evaluation.calibration import Calibration, calibration
from matinee.evaluation.comparison import FIGURE_NAMES, PROTOCOLS, Row, compare, compare_on
from matinee.evaluation.cross_validation import CrossValidation, cross_validate
from matinee.evaluation.exam import Exam
from matinee.evaluation.experiment import JUDGED, Result, Split, data_of, train_and_test
from matinee.evaluation.heldout import HeldOut, evaluate
from matinee.evaluation.judge import Figure, ListFigures, judge
from matinee.evaluation.metrics import mae, rmse
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

__all__ = [
    "FIGURE_NAMES",
    "JUDGED",
    "PROTOCOLS",
    "SETUPS",
    "Calibration",
    "CrossValidation",
    "Exam",
    "Figure",
    "HeldOut",
    "ListFigures",
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
    "compare_on",
    "cross_validate",
    "data_of",
    "evaluate",
    "find_setup",
    "given_lists",
    "held_out",
    "judge",
    "leave_last_out",
    "mae",
    "rmse",
    "run_setup",
    "same_bits",
    "sampled",
    "served",
    "strong",
    "train_and_test",
]
