"""Tuning: settings that suit the data, found within the training part.

`tune` searches, `usual_space` and `read_space` say where. Needs the extra ``matinee[tuning]``.
"""

from typing import TYPE_CHECKING

from matinee.lazy import lazy

if TYPE_CHECKING:
    from matinee.tuning.objective import Objective, objective_of
    from matinee.tuning.search import TRIALS, Tuned, tune
    from matinee.tuning.space import Choice, Range, Space
    from matinee.tuning.space_files import read_space, usual_space
    from matinee.tuning.winner import Winner

__getattr__, __dir__ = lazy(
    "matinee.tuning",
    {
        "Choice": "matinee.tuning.space",
        "Objective": "matinee.tuning.objective",
        "Range": "matinee.tuning.space",
        "Space": "matinee.tuning.space",
        "TRIALS": "matinee.tuning.search",
        "Tuned": "matinee.tuning.search",
        "Winner": "matinee.tuning.winner",
        "objective_of": "matinee.tuning.objective",
        "read_space": "matinee.tuning.space_files",
        "tune": "matinee.tuning.search",
        "usual_space": "matinee.tuning.space_files",
    },
)

__all__ = [
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
