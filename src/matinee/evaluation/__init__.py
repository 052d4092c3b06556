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

__all__ = [
    "PROTOCOLS",
    "Exam",
    "Figure",
    "HeldOut",
    "ListFigures",
    "Result",
    "Row",
    "Split",
    "by_time",
    "compare",
    "evaluate",
    "given_lists",
    "held_out",
    "judge",
    "leave_last_out",
    "mae",
    "rmse",
    "sampled",
    "strong",
    "train_and_test",
]
