from .comparison import compare
from .comparison_result import (
    LESS_OR_MORE,
    Compared,
    Comparison,
    Difference,
    differing_settings,
    short_names,
)
from .cross_validation import CrossValidation, cross_validate
from .leaderboard import PROTOCOLS, Row, judge_heads, judge_runs
from .presets import SETUPS, Setup, Step, find_setup, run_setup
from .provenance import data_of
from .reproduction import Past, Sameness, same_bits
from .training import JUDGED, Result, Split, train_and_test

__all__ = [
    "JUDGED",
    "LESS_OR_MORE",
    "PROTOCOLS",
    "SETUPS",
    "Compared",
    "Comparison",
    "CrossValidation",
    "Difference",
    "Past",
    "Result",
    "Row",
    "Sameness",
    "Setup",
    "Split",
    "Step",
    "compare",
    "cross_validate",
    "data_of",
    "differing_settings",
    "find_setup",
    "judge_heads",
    "judge_runs",
    "run_setup",
    "same_bits",
    "short_names",
    "train_and_test",
]
