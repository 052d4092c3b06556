"""Tuning: settings that suit the data, found within the training part.

`tune` searches, `usual_space` and `read_space` say where. Needs the extra ``matinee[tuning]``.
"""

from typing import TYPE_CHECKING

from matinee.lazy import lazy

if TYPE_CHECKING:
    from matinee.tuning.objective import Objective, objective_of
    from matinee.tuning.plan import TRIALS
    from matinee.tuning.search import tune
    from matinee.tuning.space import Choice, Range, Space
    from matinee.tuning.space_files import read_space, usual_space
    from matinee.tuning.study import STUDIES
    from matinee.tuning.tuned import Tuned
    from matinee.tuning.winner import Winner

__getattr__, __dir__ = lazy(
    "matinee.tuning",
    {
        "Choice": "matinee.tuning.space",
        "Objective": "matinee.tuning.objective",
        "Range": "matinee.tuning.space",
        "STUDIES": "matinee.tuning.study",
        "Space": "matinee.tuning.space",
        "TRIALS": "matinee.tuning.plan",
        "Tuned": "matinee.tuning.tuned",
        "Winner": "matinee.tuning.winner",
        "objective_of": "matinee.tuning.objective",
        "read_space": "matinee.tuning.space_files",
        "tune": "matinee.tuning.search",
        "usual_space": "matinee.tuning.space_files",
    },
)

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
