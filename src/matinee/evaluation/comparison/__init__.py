"""Runs against each other: which is better on the same test ratings, and how sure that is."""

from matinee.evaluation.comparison.compare import compare
from matinee.evaluation.comparison.result import (
    LESS_OR_MORE,
    Compared,
    Comparison,
    Difference,
    short_names,
)
from matinee.evaluation.comparison.settings import differing_settings

__all__ = [
    "LESS_OR_MORE",
    "Compared",
    "Comparison",
    "Difference",
    "compare",
    "differing_settings",
    "short_names",
]
