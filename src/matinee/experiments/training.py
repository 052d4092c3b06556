"""Train and evaluate: split, fit both heads, evaluate on the test set, and record all three."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, cast

from matinee.data.dataset import Dataset
from matinee.data.ratings import NOT_RATED, Ratings
from matinee.errors import SettingError
from matinee.evaluation.evaluator import evaluate_ranking, evaluate_ratings, holdout_or_none
from matinee.evaluation.protocols import RankingTask
from matinee.evaluation.results import RankingMetrics, RatingMetrics
from matinee.experiments.compiling import compile_kernels
from matinee.experiments.split import Split
from matinee.experiments.warm_start import fit_from
from matinee.kernels.jit import processor
from matinee.models.als import ALS
from matinee.models.base import Callback, Estimator
from matinee.models.implicit_als import ImplicitALS
from matinee.models.recommender import Recommender
from matinee.storage.checkpoint import Checkpoint

VALIDATION_FRACTION = 0.1  # of the training set, for early stopping
MAX_EVAL_USERS = 5_000  # test users of rankings after training
ENVIRONMENT_PACKAGES = ("matinee", "numpy", "numba")


@dataclass(frozen=True)
class TrainingResult:
    """A trained model, and how it does on the test set.

    The model's `metadata` holds data, split, metrics and environment, for the manifest of its run.
    `rating` is None without a rating head or a test set; `ranking` is for at most `MAX_EVAL_USERS`
    test users, None if no test user has training ratings. `fit_seconds` and `ranker_fit_seconds`
    are for the rating and the ranking head, with the test metrics after each iteration but without
    reading and compiling, 0 without that head; `test_seconds` to predict, rank and compute the
    metrics.
    """

    model: Recommender
    train_ratings: int
    test_ratings: int
    rating: RatingMetrics | None
    ranking: RankingMetrics | None
    fit_seconds: float
    ranker_fit_seconds: float = 0.0
    test_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON; the same keys whatever was trained."""
        rating_metrics = ("rmse", "mae", "cold_start_user_ratings", "cold_start_item_ratings")
        return {
            "train_ratings": self.train_ratings,
            "test_ratings": self.test_ratings,
            **{name: getattr(self.rating, name, None) for name in rating_metrics},
            "fit_seconds": self.fit_seconds,
            "ranker_fit_seconds": self.ranker_fit_seconds,
            "ranking": self.ranking and self.ranking.to_dict(),
            "estimators": {name: dict(head.estimator) for name, head in self.model.heads.items()},
        }


def fit(
    train: Dataset,
    estimator: Estimator | None = None,
    ranker: Estimator | None = None,
    *,
    threads: int | None = None,
) -> Recommender:
    """Train a recommender with both heads, as `matinee train` does.

    Parameters
    ----------
    train : Dataset
    estimator, ranker : Estimator, optional
        Of the rating head and the ranking head; by default ``ALS()`` and ``ImplicitALS()``.
        Interactions without ratings, and ratings that are all the same, get no rating head: there
        is nothing to predict.
    threads : int, optional
        By default all processors.

    Examples
    --------
    >>> fit(data)
    Recommender(ALS and ImplicitALS, 60 users, 50 items)
    """
    if estimator is None and train.ratings.differ:
        estimator = ALS()
    estimators = given_estimators(estimator, ranker or ImplicitALS())
    check_rated(train, estimators)
    models = [each.fit(train, threads=threads) for each in estimators]
    return models[0] if len(models) == 1 else models[0].with_ranking(models[1])


def train_and_evaluate(
    dataset: Dataset,
    estimator: Estimator | None,
    split: Split,
    *,
    ranker: Estimator | None = None,
    task: RankingTask | None = None,
    validation: bool = False,
    checkpoint: Checkpoint | None = None,
    callback: Callback | None = None,
    on_interrupt: str = "keep",
    threads: int | None = None,
) -> TrainingResult:
    """Split, fit both heads on the training set, evaluate on the test set.

    `estimator` is for the rating head, `ranker` for the ranking head; SettingError without either.
    Rankings are evaluated on `task`, of the same split, by default `holdout`. With `validation`, a
    tenth of the training set is the validation set, for early stopping (`ALS.patience`). For the
    rest see `Estimator.fit`; estimators that support no checkpoint or callback do without. Those
    that can start from the split's earlier run do.

    Examples
    --------
    >>> result = train_and_evaluate(data, matinee.Bias(), Split(), ranker=matinee.EASE())
    >>> result.train_ratings, result.rating.n_ratings, result.ranking.n_users
    (1350, 150, 50)
    """
    estimators = given_estimators(estimator, ranker)
    check_rated(dataset, estimators)
    compile_kernels(estimators)
    result = fit_and_evaluate(
        *split.apply(dataset),
        estimator,
        ranker=ranker,
        validation_seed=split.seed if validation else None,
        task=task,
        warm_start=split.earlier,
        checkpoint=checkpoint,
        callback=callback,
        on_interrupt=on_interrupt,
        threads=threads,
    )
    metadata = _metadata(dataset, split, validation, result)
    metadata["environment"] = environment(estimators, threads)
    return replace(result, model=replace(result.model, metadata=metadata))


def _metadata(
    dataset: Dataset, split: Split, validation: bool, result: TrainingResult
) -> dict[str, Any]:
    """Data, split and metrics, as a manifest has them."""
    data = {
        "name": dataset.name,
        "source": dataset.source,
        "licence": dataset.licence,
        "reading": dict(dataset.reading),
        "fingerprint": dataset.ratings.fingerprint(),
    }
    return metadata_of(data, split, VALIDATION_FRACTION if validation else 0.0, result)


def metadata_of(
    data: Mapping[str, Any], split: Split, validation_fraction: float, result: TrainingResult
) -> dict[str, Any]:
    """The same, given what is said of the data."""
    return {
        "data": dict(data),
        "split": {
            **asdict(split),
            "train_ratings": result.train_ratings,
            "validation_fraction": validation_fraction,
        },
        "metrics": {
            **(result.rating.to_dict() if result.rating else {}),
            "ranking": result.ranking and result.ranking.to_dict(),
        },
        "fit_seconds": result.fit_seconds + result.ranker_fit_seconds,
    }


def fit_and_evaluate(
    train: Dataset,
    test: Dataset,
    estimator: Estimator | None,
    *,
    ranker: Estimator | None = None,
    validation_seed: int | None = None,
    task: RankingTask | None = None,
    with_ranking: bool = True,
    track_test: bool = True,
    warm_start: Recommender | None = None,
    checkpoint: Checkpoint | None = None,
    callback: Callback | None = None,
    on_interrupt: str = "keep",
    threads: int | None = None,
) -> TrainingResult:
    """Fit both heads on `train`; evaluate ratings on `test`, rankings on `task` or by `holdout`.

    With a `validation_seed`, a tenth of `train` becomes the validation set. With `track_test`, the
    histories have test metrics after each iteration.
    """
    validation = None
    if validation_seed is not None:
        train, validation = split_validation(train, validation_seed)
    models, seconds = [], []
    for each in given_estimators(estimator, ranker):
        started = time.perf_counter()
        models.append(
            fit_from(
                warm_start,
                each,
                train,
                validation=validation,
                test=test if track_test and len(test) else None,
                threads=threads,
                checkpoint=checkpoint if each.supports_checkpoint else None,
                callback=callback if each.supports_callback else None,
                on_interrupt=on_interrupt,
            )
        )
        seconds.append(time.perf_counter() - started)
    model = models[0] if len(models) == 1 else models[0].with_ranking(models[1])
    if with_ranking and task is None:
        task = holdout_or_none(train, test)
        task = task and task.sample(MAX_EVAL_USERS)
    started = time.perf_counter()
    rating = evaluate_ratings(model, train, test) if estimator and len(test) else None
    ranking = evaluate_ranking(model, task) if task else None
    return TrainingResult(
        model,
        len(train),
        len(test),
        rating,
        ranking,
        fit_seconds=seconds[0] if estimator else 0.0,
        ranker_fit_seconds=seconds[-1] if ranker else 0.0,
        test_seconds=time.perf_counter() - started,
    )


def given_estimators(*estimators: Estimator | None) -> list[Estimator]:
    """Those that are not None; SettingError if all are."""
    given = [estimator for estimator in estimators if estimator]
    if not given:
        raise SettingError("Nothing to train: give an estimator, a ranker, or both.")
    return given


def nothing_to_predict(ratings: Ratings) -> str:
    """Why there is no rating to predict, as the beginning of a sentence; empty where there is."""
    if ratings.differ:
        return ""
    if ratings.scale is None:
        return "These are interactions without ratings"
    return f"All ratings are {ratings.values[0]:g}" if len(ratings) else "There are no ratings"


def check_rated(dataset: Dataset, estimators: Iterable[Estimator]) -> None:
    """Refuse, before the work, to learn ratings from interactions without them."""
    if dataset.ratings.scale is None and any(each.predicts == "rating" for each in estimators):
        raise SettingError(f"{dataset.name}: {NOT_RATED}")


def on_device(estimator: Estimator, device: str | None) -> Estimator:
    """The estimator with this device, if it supports one and `device` is given."""
    if device is None or not estimator.supports_device:
        return estimator
    changed: Any = estimator
    return cast(Estimator, replace(changed, device=device))


def split_validation(train: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Training set and validation set out of a training set."""
    return train.split("random", test_fraction=VALIDATION_FRACTION, seed=seed)


def environment(estimators: Iterable[Estimator], threads: int | None) -> dict[str, Any]:
    """What the bits of a model depend on besides hyperparameters, seed and data."""
    result = {"processor": processor(), **{name: version(name) for name in ENVIRONMENT_PACKAGES}}
    for estimator in estimators:
        if estimator.supports_device:
            from matinee.models.neural.devices import torch_environment

            result |= torch_environment(estimator.get_params()["device"], threads)
    return result
