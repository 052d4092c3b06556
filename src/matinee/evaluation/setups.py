"""The set-ups of well-known notebooks, courses and papers, by name.

Each is what its source trains, step by step and setting by setting, on whatever data one has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from matinee.data import Dataset
from matinee.errors import SettingError
from matinee.evaluation.experiment import Result, Split, train_and_test
from matinee.evaluation.protocols import sampled
from matinee.models import Trainer
from matinee.models.recipes import recipe_again

Noted = Mapping[str, Any]  # a recipe as a run notes it: its name and settings


@dataclass(frozen=True)
class Step:
    """One model of a set-up: what it adds, and the recipes of its heads."""

    what: str
    rating: Noted | None = None
    ranking: Noted | None = None


@dataclass(frozen=True)
class Setup:
    """A set-up that people come with.

    Parameters
    ----------
    name : str
    what : str
        In one line.
    source : str
        Where people meet it.
    made_for : str
        The data set it was published with.
    reaches : str
        What its author reports, and what was measured here.
    steps : tuple of Step
        Trained one after the other, each on its own; the last is kept.
    split : Split
    ncf : bool
        Whether lists are judged by the protocol of the NCF paper, against 99 drawn movies.
    """

    name: str
    what: str
    source: str
    made_for: str
    reaches: str
    steps: tuple[Step, ...]
    split: Split = field(default_factory=Split)
    ncf: bool = False

    def recipes(self) -> list[Trainer]:
        """All that it trains."""
        noted = [part for step in self.steps for part in (step.rating, step.ranking) if part]
        return [recipe_again(one) for one in noted]


_DOT = {"name": "MatrixFactorization", "biases": False, "regularization": 0.0}
_COURSE = {
    **_DOT,
    "factors": 30,
    "init_stddev": 0.5,
    "optimizer": "sgd",
    "batch_size": 0,
    "epochs": 1000,
    "schedule": "constant",
}
_NCF = {"learning_rate": 0.001, "batch_size": 1024, "negatives": 4, "init_stddev": 0.01}

SETUPS = (
    Setup(
        "embedding-dot",
        "two embeddings, dot product, MSE, Adam",
        "PyTorch notebooks on ml-latest-small",
        "ml-latest-small",
        "",
        (
            Step(
                "dot product of two embeddings",
                {
                    **_DOT,
                    "factors": 8,
                    "init_stddev": 0.0144,
                    "epochs": 128,
                    "batch_size": 128,
                    "learning_rate": 0.001,
                    "schedule": "constant",
                },
            ),
        ),
    ),
    Setup(
        "google-course",
        "dot product by gradient descent over the whole sparse matrix",
        "Google's recommendation systems course, first model",
        "ml-100k",
        "",
        (Step("plain", {**_COURSE, "learning_rate": 10.0}),),
    ),
    Setup(
        "google-course-regularized",
        "the same with L2 and gravity",
        "Google's recommendation systems course, regularized model",
        "ml-100k",
        "",
        (
            Step(
                "regularized",
                {
                    **_COURSE,
                    "factors": 35,
                    "init_stddev": 0.05,
                    "learning_rate": 20.0,
                    "epochs": 2000,
                    "l2": 0.1,
                    "gravity": 1.0,
                },
            ),
        ),
    ),
    Setup(
        "bias-genres-als",
        "biases, then factors, then genre features, by ALS",
        "course projects on ml-32m",
        "ml-32m",
        "",
        (
            Step("biases", {"name": "BiasOnly"}),
            Step("and factors", {"name": "ALS", "features": "none"}),
            Step("and genres", {"name": "ALS"}, {"name": "ImplicitALS"}),
        ),
    ),
    Setup(
        "embedding-adam",
        "two embeddings, dot product, MSE, 5 epochs of Adam",
        "Kaggle notebooks on movies.csv and ratings.csv",
        "ml-latest-small",
        "",
        (
            Step(
                "dot product of two embeddings",
                {
                    **_DOT,
                    "factors": 64,
                    "epochs": 5,
                    "batch_size": 4096,
                    "learning_rate": 0.005,
                    "schedule": "constant",
                },
            ),
        ),
    ),
    Setup(
        "embedding-adam-tuned",
        "the same with biases, weight decay and a falling learning rate",
        "embedding-adam, and what we would change in it",
        "ml-latest-small",
        "",
        (
            Step(
                "with biases and weight decay",
                {
                    "name": "MatrixFactorization",
                    "factors": 64,
                    "epochs": 5,
                    "batch_size": 4096,
                    "learning_rate": 0.005,
                    "regularization": 0.0,
                    "weight_decay": {"factors": 0.3},
                },
                {"name": "ImplicitALS"},
            ),
        ),
    ),
    Setup(
        "neumf",
        "neural matrix factorization for lists, pre-trained",
        "He et al. 2017, Neural collaborative filtering",
        "ml-1m",
        "",
        (Step("NeuMF", None, {"name": "NeuMF", **_NCF}),),
        Split("last"),
        ncf=True,
    ),
)


def find_setup(name: str) -> Setup:
    """The set-up of that name.

    Examples
    --------
    >>> find_setup("google-course").made_for
    'ml-100k'

    Raises
    ------
    SettingError
        If there is none.
    """
    for setup in SETUPS:
        if setup.name == name:
            return setup
    known = ", ".join(setup.name for setup in SETUPS)
    raise SettingError(f"There is no recipe {name!r}; there are {known}.")


def run_setup(
    dataset: Dataset,
    setup: Setup,
    *,
    seed: int = 0,
    threads: int | None = None,
    adapt: Callable[[Trainer], Trainer] = lambda recipe: recipe,
) -> list[Result]:
    """Train and test every step of a set-up.

    Parameters
    ----------
    dataset : Dataset
    setup : Setup
    seed : int
        Of the split and of the training.
    threads : int, optional
    adapt : callable
        What becomes of each recipe before it is fitted: on another device, with checkpoints.

    Returns
    -------
    list of Result
        In the order of the steps.
    """
    split = replace(setup.split, seed=seed)
    exam = sampled(dataset, seed=seed) if setup.ncf else None
    results = []
    for step in setup.steps:
        rating, ranking = (
            adapt(_seeded(noted, seed)) if noted else None for noted in (step.rating, step.ranking)
        )
        results.append(
            train_and_test(dataset, rating, split, ranking=ranking, exam=exam, threads=threads)
        )
    return results


def _seeded(noted: Noted, seed: int) -> Any:
    """The recipe, with this seed if it has one."""
    recipe: Any = recipe_again(noted)
    return replace(recipe, seed=seed) if hasattr(recipe, "seed") else recipe
