"""The list of figures against what is judged: it names them all, and says which way is better."""

import numpy as np
import pytest

from matinee.evaluation import METRICS, evaluate_ranking, holdout, mae, rmse
from matinee.experiments import METRIC_DIRECTIONS
from matinee.kernels.csr import row_of_entries


class Oracle:
    """Knows what users went on to watch; puts it first, or last."""

    def __init__(self, task, likes_it):
        self.ids = task.train.ratings.user_ids
        self.wanted = np.zeros((len(self.ids), len(task.train.catalog)), np.float32)
        of = task.users[row_of_entries(task.relevant)]
        self.wanted[of, task.relevant.indices] = 1 if likes_it else -1

    def scores(self, users, *, head=None):
        return self.wanted[self.ids.codes(users)]


@pytest.fixture(scope="module")
def evaluated(generated):
    """All figures of one who knows everything, and of one who has it all wrong."""
    task = holdout(*generated[0].split("random", test_fraction=0.3, seed=0))
    actual = np.array([1.0, 5.0, 2.0])
    return [
        {
            **{
                name: one.value
                for name, one in evaluate_ranking(Oracle(task, right), task).metrics.items()
            },
            "rmse": rmse(actual if right else 6 - actual, actual),
            "mae": mae(actual if right else 6 - actual, actual),
        }
        for right in (True, False)
    ]


def test_the_list_is_of_all_metrics_that_are_evaluated(evaluated):
    of_models = {name for name, kind in METRICS.items() if kind.task in ("rating", "ranking")}
    assert of_models == evaluated[0].keys()
    assert {kind.name for kind in METRICS.values() if kind.task == "rating"} == {"rmse", "mae"}


@pytest.mark.parametrize(
    "kind", [kind for kind in METRICS.values() if kind.direction], ids=lambda kind: kind.name
)
def test_who_knows_everything_is_better_by_every_metric_that_compares(evaluated, kind):
    right, wrong = (found[kind.name] for found in evaluated)
    assert (right < wrong) if kind.direction == "lower" else (right > wrong)


def test_the_sentence_on_less_and_more_names_the_errors():
    lower = [kind.label for kind in METRICS.values() if kind.direction == "lower"]
    assert METRIC_DIRECTIONS.startswith(f"Lower is better: {', '.join(lower)};")
