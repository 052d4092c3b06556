"""One experiment: split, train, test, and note all three beside the model."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from matinee.data.dataset import Dataset
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.evaluation.evaluator import RankingMetrics, RatingMetrics, evaluate, evaluate_ranking
from matinee.evaluation.protocols import RankingTask, holdout
from matinee.kernels.jit import processor
from matinee.models.als import ALS
from matinee.models.base import Estimator
from matinee.models.baselines import EASE
from matinee.models.bayesian.estimator import BayesianMF
from matinee.models.implicit_als import ImplicitALS
from matinee.models.recommender import Recommender
from matinee.progress import compilation_announced
from matinee.storage.checkpoint import Checkpoint

VALIDATION_FRACTION = 0.1  # of the training part, where training stops early
SIZED = ("random", "temporal")  # splits that ask for a fraction
MAX_EVAL_USERS = 5_000  # users whose lists are judged after training
ENVIRONMENT_PACKAGES = ("matinee", "numpy", "numba")


@dataclass(frozen=True)
class Split:
    """How to make the two parts; the same as the arguments of `Dataset.split`."""

    method: str = "random"
    test_fraction: float = 0.1
    seed: int = 0

    def __str__(self) -> str:
        """As one would say it: ``random, a fraction of 0.1, seed 3``."""
        fraction = f", a fraction of {self.test_fraction:g}"
        return f"{self.method}{fraction if self.method in SIZED else ''}, seed {self.seed}"

    def apply(self, dataset: Dataset) -> tuple[Dataset, Dataset]:
        """Training and test part."""
        return dataset.split(self.method, test_fraction=self.test_fraction, seed=self.seed)


@dataclass(frozen=True)
class TrainingResult:
    """A trained model, and how it did on the test part.

    Parameters
    ----------
    model : Recommender
        Its `metadata` holds the data, the split and the metrics, for its run's manifest.
    train_ratings, test_ratings : int
    test : RatingMetrics or None
        Predicted stars; None without a rating head.
    lists : RankingMetrics or None
        Lists of at most `MAX_EVAL_USERS` users; None if nobody in the test part is known.
    fit_seconds, ranking_seconds : float
        Of fitting either head, which judges the test part after each iteration; neither of
        reading nor of compiling. 0 without that head.
    test_seconds : float
        Of predicting the test part, making the lists, and judging both.
    """

    model: Recommender
    train_ratings: int
    test_ratings: int
    test: RatingMetrics | None
    lists: RankingMetrics | None
    fit_seconds: float
    ranking_seconds: float = 0.0
    test_seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            "train_ratings": self.train_ratings,
            "test_ratings": self.test_ratings,
            **{
                name: getattr(self.test, name, None)
                for name in ("rmse", "mae", "cold_start_user_ratings", "cold_start_item_ratings")
            },
            "fit_seconds": self.fit_seconds,
            "ranking_seconds": self.ranking_seconds,
            "ranking": self.lists.as_json() if self.lists else None,
            "estimators": {name: dict(head.estimator) for name, head in self.model.heads.items()},
        }


def train_and_evaluate(
    dataset: Dataset,
    estimator: Estimator | None,
    split: Split,
    *,
    ranker: Estimator | None = None,
    task: RankingTask | None = None,
    validation: bool = False,
    checkpoint: Checkpoint | None = None,
    on_interrupt: str = "keep",
    threads: int | None = None,
) -> TrainingResult:
    """Split, fit both heads on one part, judge on the other.

    Parameters
    ----------
    dataset : Dataset
    estimator : Estimator or None
        For the rating head.
    split : Split
    ranker : Estimator, optional
        For the ranking head.
    task : RankingTask, optional
        What to judge lists by, on the same split; by default the test part.
    validation : bool
        Hold a tenth of the training set out for the estimators (`ALS.patience`).
    checkpoint : Checkpoint, optional
        For the estimators that support it.
    on_interrupt : {"keep", "raise"}
        See `Estimator.fit`.
    threads : int, optional

    Raises
    ------
    SettingError
        If there is neither recipe.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> result = train_and_evaluate(data, matinee.Bias(), Split("leave-last-out"), ranker=matinee.EASE())
    >>> result.train_ratings, result.test.ratings, result.lists.users
    (1440, 60, 60)
    """
    estimators = some_estimators(estimator, ranker)
    train, test = split.apply(dataset)
    validation_set = None
    if validation:
        train, validation_set = split_validation(train, split.seed)
    compile_kernels(estimators)
    result = fit_and_evaluate(
        train,
        test,
        estimator,
        ranker=ranker,
        validation_set=validation_set,
        task=task or sample_users(train, test),
        checkpoint=checkpoint,
        on_interrupt=on_interrupt,
        threads=threads,
    )
    metadata = {
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "licence": dataset.licence,
            "reading": dict(dataset.reading),
            "fingerprint": dataset.ratings.fingerprint(),
        },
        "split": {
            **asdict(split),
            "train_ratings": result.train_ratings,
            "validation_fraction": VALIDATION_FRACTION if validation else 0.0,
        },
        "metrics": {
            **(asdict(result.test) if result.test else {}),
            "ranking": result.lists.as_json() if result.lists else None,
        },
        "fit_seconds": result.fit_seconds + result.ranking_seconds,
        "environment": environment(estimators, threads),
    }
    return replace(result, model=replace(result.model, metadata=metadata))


def fit_and_evaluate(
    train: Dataset,
    test: Dataset,
    estimator: Estimator | None,
    *,
    ranker: Estimator | None = None,
    validation_set: Dataset | None = None,
    task: RankingTask | None = None,
    monitor_test: bool = True,
    checkpoint: Checkpoint | None = None,
    on_interrupt: str = "keep",
    threads: int | None = None,
) -> TrainingResult:
    """Fit both heads on one part, judge stars on the other and lists by an exam.

    Parameters
    ----------
    train, test : Dataset
        The two parts of one split.
    estimator, ranker : Estimator or None
        For the rating head and for the ranking head; one of them at least.
    validation_set : Dataset, optional
        For the recipes to watch.
    task : RankingTask, optional
        Without it, no lists are judged.
    monitor_test : bool
        Judge the test part after each iteration, too, for the history.
    checkpoint, on_interrupt
        As in `train_and_evaluate`.
    threads : int, optional
    """
    trained, seconds = [], []
    for fitted in some_estimators(estimator, ranker):
        started = time.perf_counter()
        trained.append(
            fitted.fit(
                train,
                validation=validation_set,
                test=test if monitor_test else None,
                threads=threads,
                checkpoint=checkpoint if fitted.supports_checkpoint else None,
                on_interrupt=on_interrupt,
            )
        )
        seconds.append(time.perf_counter() - started)
    model = trained[0] if len(trained) == 1 else trained[0].with_ranking(trained[1])
    started = time.perf_counter()
    evaluated = evaluate(model, train, test) if estimator else None
    found = evaluate_ranking(model, task) if task else None
    return TrainingResult(
        model,
        len(train),
        len(test),
        evaluated,
        found,
        fit_seconds=seconds[0] if estimator else 0.0,
        ranking_seconds=seconds[-1] if ranker else 0.0,
        test_seconds=time.perf_counter() - started,
    )


def some_estimators(*estimators: Estimator | None) -> list[Estimator]:
    """Those that there are; SettingError if there are none."""
    found = [one for one in estimators if one]
    if not found:
        raise SettingError("There is nothing to train: no model for stars, and none for lists.")
    return found


def split_validation(train: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """What is left of a training part, and a tenth of it for recipes to watch."""
    return train.split("random", test_fraction=VALIDATION_FRACTION, seed=seed)


def sample_users(train: Dataset, test: Dataset) -> RankingTask | None:
    """The test part for at most `MAX_EVAL_USERS` users' lists, which is quick whatever the size.

    None if nobody can be judged.
    """
    try:
        return holdout(train, test).sample(MAX_EVAL_USERS)
    except SettingError:
        return None


def environment(estimators: Iterable[Estimator], threads: int | None) -> dict[str, Any]:
    """What the bits of these recipes' models depend on, beside settings, seed and data."""
    made = {"processor": processor(), **{name: version(name) for name in ENVIRONMENT_PACKAGES}}
    for estimator in estimators:
        if estimator.supports_device:
            from matinee.models.neural.devices import torch_environment

            made |= torch_environment(estimator.get_params()["device"], threads)
    return made


def compile_kernels(estimators: Iterable[Estimator] = ()) -> None:
    """Have every kernel compiled, or loaded from the disk, saying so if it takes time.

    Those of `BayesianMF` alone wait until it is among the recipes.
    """
    with compilation_announced():
        tiny, _ = generate(users=8, items=8, ratings=32)
        for solver in ("cholesky", "cg"):
            model = ALS(factors=2, iterations=1, solver=solver).fit(tiny, test=tiny, threads=1)
        for solver in ("blocks", "cg"):
            ranking = ImplicitALS(factors=2, iterations=1, solver=solver).fit(tiny, threads=1)
            model.with_ranking(ranking).recommend(1, n=1)
        weights = EASE().fit(tiny)
        for by_weights in (weights.recommend, model.recommend):
            by_weights([weights.user_profile(1)], n=1)
        if any(isinstance(estimator, BayesianMF) for estimator in estimators):
            for likelihood in ("normal", "ordinal"):
                draws = BayesianMF(factors=2, iterations=8, likelihood=likelihood)
                drawn = draws.fit(tiny, test=tiny, threads=1)
                drawn.predict(1, 1, 0)
                drawn.predict(drawn.user_profile(1), 1)
