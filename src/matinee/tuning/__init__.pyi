from .objective import Objective, objective_of
from .result import Tuned
from .search import TRIALS, Winner, tune
from .search_space import Choice, Range, Space, read_space, usual_space
from .study import STUDIES

__all__ = [
    "STUDIES",
    "TRIALS",
    "Choice",
    "Objective",
    "Range",
    "Space",
    "Tuned",
    "Winner",
    "objective_of",
    "read_space",
    "tune",
    "usual_space",
]
