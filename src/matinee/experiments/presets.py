"""The set-ups of well-known notebooks, courses and papers, by name.

Each is what its source trains, step by step, on whatever data one has; where a setting is not its
source's, the set-up says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.protocols import sampled_negatives
from matinee.experiments.training import Split, TrainingResult, train_and_evaluate
from matinee.models.base import Estimator
from matinee.models.registry import estimator_from_config
from matinee.storage.checkpoint import Checkpoint

DataProvenance = Mapping[str, Any]  # a recipe as a run notes it: its name and settings


@dataclass(frozen=True)
class PresetStage:
    """One model of a set-up: what it adds, and the recipes of its heads."""

    what: str
    rating: DataProvenance | None = None
    ranking: DataProvenance | None = None


@dataclass(frozen=True)
class Preset:
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
    differs : str
        What is not as in the source, or not known from it.
    steps : tuple of PresetStage
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
    differs: str
    steps: tuple[PresetStage, ...]
    split: Split = field(default_factory=Split)
    ncf: bool = False

    def estimators(self) -> list[Estimator]:
        """All that it trains."""
        recorded = [part for step in self.steps for part in (step.rating, step.ranking) if part]
        return [estimator_from_config(one) for one in recorded]


_DOT = {"name": "MatrixFactorization", "biases": False, "regularization": 0.0}
_COURSE = {**_DOT, "optimizer": "sgd", "batch_size": 0, "schedule": "constant"}
_FIVE_EPOCHS = {"factors": 64, "epochs": 5, "batch_size": 4096, "learning_rate": 0.005}
_NCF = {
    "name": "NeuMF",
    "factors": 64,
    "layers": (32, 16, 8),
    "negatives": 4,
    "init_stddev": 0.01,
    "learning_rate": 0.001,
    "batch_size": 1024,
    "weight_decay": {"factors": 0.15},
    "epochs": 14,
}

PRESETS = (
    Preset(
        name="embedding-dot",
        what="two embeddings, dot product, MSE, Adam",
        source="PyTorch notebooks on ml-latest-small",
        made_for="ml-latest-small",
        reaches="RMSE 0.969, MAE 0.733 on ml-latest-small",
        differs="first entries are normal around 0, where notebooks differ; a tenth is kept for "
        "testing, where they train on everything",
        steps=(
            PresetStage(
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
    Preset(
        name="google-course",
        what="dot product by gradient descent over the whole sparse matrix",
        source="Google's recommendation systems course, first model",
        made_for="ml-100k",
        reaches="RMSE 1.111, MAE 0.857 on ml-100k",
        differs="nothing but the random numbers",
        steps=(
            PresetStage(
                "plain",
                {
                    **_COURSE,
                    "factors": 30,
                    "init_stddev": 0.5,
                    "learning_rate": 10.0,
                    "epochs": 1000,
                },
            ),
        ),
    ),
    Preset(
        name="google-course-regularized",
        what="the same with L2 and gravity",
        source="Google's recommendation systems course, regularized model",
        made_for="ml-100k",
        reaches="RMSE 1.493, MAE 1.199 on ml-100k",
        differs="L2 leaves out movies without training ratings",
        steps=(
            PresetStage(
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
    Preset(
        name="bias-genres-als",
        what="biases, then factors, then genre features, by ALS",
        source="course projects on ml-32m",
        made_for="ml-32m",
        reaches="RMSE 0.906, 0.843, 0.839 on ml-1m, step by step",
        differs="genres are the prior mean of a movie's vector; the last step makes lists, too",
        steps=(
            PresetStage("biases", {"name": "Bias"}),
            PresetStage("and factors", {"name": "ALS", "features": "none"}),
            PresetStage("and genres", {"name": "ALS"}, {"name": "ImplicitALS"}),
        ),
    ),
    Preset(
        name="embedding-adam",
        what="two embeddings, dot product, MSE, 5 epochs of Adam",
        source="Kaggle notebook on movies.csv and ratings.csv",
        made_for="millions of ratings",
        reaches="its author reports RMSE 0.96, MAE 0.71; on ml-1m RMSE 0.867, MAE 0.678",
        differs="length and first entries of the vectors, which its author's figures do not tell",
        steps=(
            PresetStage(
                "dot product of two embeddings", {**_DOT, **_FIVE_EPOCHS, "schedule": "constant"}
            ),
        ),
    ),
    Preset(
        name="embedding-adam-tuned",
        what="the same with biases, weight decay and a falling learning rate",
        source="embedding-adam, and what we would change in it",
        made_for="millions of ratings",
        reaches="RMSE 0.848, MAE 0.665 on ml-1m",
        differs="biases, weight decay of the vectors, cosine schedule, lists by ImplicitALS",
        steps=(
            PresetStage(
                "with biases and weight decay",
                {
                    "name": "MatrixFactorization",
                    **_FIVE_EPOCHS,
                    "regularization": 0.0,
                    "weight_decay": {"factors": 0.3},
                },
                {"name": "ImplicitALS"},
            ),
        ),
    ),
    Preset(
        name="neumf",
        what="neural matrix factorization for lists",
        source="He et al. 2017, Neural collaborative filtering",
        made_for="ml-1m",
        reaches="HR@10 0.715, NDCG@10 0.437 on the paper's test lists of ml-1m; its authors, "
        "pre-trained, 0.730 and 0.447",
        differs="weight decay and a falling learning rate, without which it learns by heart; "
        "64 factors beside the smallest tower; batches of 1024; no pre-training",
        steps=(PresetStage("NeuMF", None, _NCF),),
        split=Split("leave-last-out"),
        ncf=True,
    ),
)


def get_preset(name: str) -> Preset:
    """The set-up of that name.

    Examples
    --------
    >>> get_preset("google-course").made_for
    'ml-100k'

    Raises
    ------
    SettingError
        If there is none.
    """
    for preset in PRESETS:
        if preset.name == name:
            return preset
    known = ", ".join(preset.name for preset in PRESETS)
    raise SettingError(f"There is no recipe {name!r}; there are {known}.")


def run_preset(
    dataset: Dataset,
    preset: Preset,
    *,
    seed: int = 0,
    threads: int | None = None,
    adapt: Callable[[Estimator], Estimator] = lambda estimator: estimator,
    checkpoint: Checkpoint | None = None,
) -> list[TrainingResult]:
    """Train and test every step of a set-up.

    Parameters
    ----------
    dataset : Dataset
    preset : Preset
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
    split = replace(preset.split, seed=seed)
    task = sampled_negatives(dataset, seed=seed) if preset.ncf else None
    results = []
    for step in preset.steps:
        rating, ranking = (
            adapt(_seeded(recorded, seed)) if recorded else None
            for recorded in (step.rating, step.ranking)
        )
        results.append(
            train_and_evaluate(
                dataset,
                rating,
                split,
                ranker=ranking,
                task=task,
                checkpoint=checkpoint,
                threads=threads,
            )
        )
    return results


def _seeded(recorded: DataProvenance, seed: int) -> Any:
    """The recipe, with this seed if it has one."""
    estimator: Any = estimator_from_config(recorded)
    return replace(estimator, seed=seed) if hasattr(estimator, "seed") else estimator
