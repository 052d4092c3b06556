"""Runs against each other: which is better on the same test ratings, and how sure that is."""

from matinee.evaluation.comparison.compare import compare
from matinee.evaluation.comparison.result import (
    ERRORS,
    FIGURES,
    LESS_OR_MORE,
    LISTS,
    MAIN,
    Compared,
    Comparison,
    Difference,
    short_names,
)
from matinee.evaluation.comparison.settings import differing_settings

__all__ = [
    "ERRORS",
    "FIGURES",
    "LESS_OR_MORE",
    "LISTS",
    "MAIN",
    "Compared",
    "Comparison",
    "Difference",
    "compare",
    "differing_settings",
    "short_names",
]
