from .objective import Objective, objective_of
from .result import BestModel, TuningResult
from .search import TRIALS, tune
from .search_space import Choice, Range, SearchSpace, default_search_space, read_space
from .study import STUDIES

__all__ = [
    "STUDIES",
    "TRIALS",
    "BestModel",
    "Choice",
    "Objective",
    "Range",
    "SearchSpace",
    "TuningResult",
    "default_search_space",
    "objective_of",
    "read_space",
    "tune",
]
