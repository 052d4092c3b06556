from .result import BestModel, TuningResult
from .search import tune
from .search_space import Choice, Range, SearchSpace
from .space_parsing import default_search_space, parse_space, read_space

__all__ = [
    "BestModel",
    "Choice",
    "Range",
    "SearchSpace",
    "TuningResult",
    "default_search_space",
    "parse_space",
    "read_space",
    "tune",
]
