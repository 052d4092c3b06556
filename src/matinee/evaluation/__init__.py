"""How good a model is, by figures whose definitions are written down.

`metrics` and `lists` define the figures, `protocols` say what is held out, `judge` puts a model to
the test, `compare` several.
"""

from matinee.evaluation.comparison import PROTOCOLS, Row, compare
from matinee.evaluation.experiment import Result, Split, train_and_test
from matinee.evaluation.heldout import HeldOut, evaluate
from matinee.evaluation.judge import Figure, ListFigures, judge
from matinee.evaluation.metrics import mae, rmse
from matinee.evaluation.protocols import (
    Exam,
    by_time,
    given_lists,
    held_out,
    leave_last_out,
    sampled,
    strong,
)
from matinee.evaluation.setups import SETUPS, Setup, Step, find_setup, run_setup

__all__ = [
    "PROTOCOLS",
    "SETUPS",
    "Exam",
    "Figure",
    "HeldOut",
    "ListFigures",
    "Result",
    "Row",
    "Setup",
    "Split",
    "Step",
    "by_time",
    "compare",
    "evaluate",
    "find_setup",
    "given_lists",
    "held_out",
    "judge",
    "leave_last_out",
    "mae",
    "rmse",
    "run_setup",
    "sampled",
    "strong",
    "train_and_test",
]
