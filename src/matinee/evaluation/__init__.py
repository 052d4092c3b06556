"""How good a model is, by figures whose definitions are written down."""

from matinee.evaluation.experiment import Result, Split, evaluate_again, train_and_test
from matinee.evaluation.heldout import HeldOut, evaluate
from matinee.evaluation.metrics import mae, rmse

__all__ = [
    "HeldOut",
    "Result",
    "Split",
    "evaluate",
    "evaluate_again",
    "mae",
    "rmse",
    "train_and_test",
]
