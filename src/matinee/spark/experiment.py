"""Train and evaluate in Spark, and the run that it leaves: what `matinee train` does there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matinee.errors import SettingError
from matinee.evaluation.results import RankingMetrics, RatingMetrics
from matinee.experiments.split import Split
from matinee.experiments.training import (
    MAX_EVAL_USERS,
    TrainingResult,
    environment,
    given_estimators,
    metadata_of,
)
from matinee.models.base import Estimator
from matinee.models.loading import new_place, save_run
from matinee.models.recommender import Recommender
from matinee.models.users_in_parts import base_of, write_with_parts
from matinee.spark.assembling import SparkModel
from matinee.spark.dataset import SparkDataset
from matinee.spark.evaluating import evaluate_ranking, evaluate_ratings
from matinee.spark.session import Workspace
from matinee.spark.splitting import split
from matinee.spark.training import check_estimators, train
from matinee.storage.runs import check_target

ENGINE = "spark"


@dataclass(frozen=True, eq=False)
class SparkResult:
    """A training in Spark whose run is still to be saved."""

    result: TrainingResult  # its model is the base alone, where the users are too many
    trained: SparkModel

    def save(self, workspace: Workspace, run: str | Path | None, name: str) -> Path:
        """Write the run, with its users in parts where they are too many for one file."""
        if not self.trained.is_large:
            return save_run(self.result.model, run, name)
        run = new_place(self.trained.data.name, name) if run is None else Path(run)
        check_target(run)
        with self.trained.write_users(workspace) as files:
            return write_with_parts(self.result.model, files, run)


def train_and_evaluate(
    workspace: Workspace,
    data: SparkDataset,
    how: Split,
    estimator: Estimator | None,
    ranker: Estimator | None,
    reading: Mapping[str, Any],
) -> SparkResult:
    """Split, train both heads, and evaluate them on the test set.

    `reading` has the options that the data were read with. SettingError for estimators that Spark
    does not train, or without any.
    """
    estimators = given_estimators(estimator, ranker)
    check_estimators(data, estimators)
    training, test = split(workspace, data, how)
    trained = train(workspace, data, training, estimators)
    n_test = test.count()
    rating: RatingMetrics | None = None
    ranking: RankingMetrics | None = None
    whole = None if trained.is_large else trained.in_memory()
    base = trained.base() if whole is None else base_of(whole)
    if n_test and estimator:
        rating = evaluate_ratings(workspace, base, trained.users, test)
    if n_test:
        step = max(1, data.n_users // MAX_EVAL_USERS)
        some = test.filter(f"pmod(xxhash64(user), {step}) = 0")
        try:
            ranking = evaluate_ranking(workspace, base, trained.users, some)
        except SettingError:  # no test user has training ratings
            ranking = None
    result = TrainingResult(
        base if whole is None else whole,
        int(trained.item_counts.sum()),
        n_test,
        rating,
        ranking,
        trained.seconds.get("rating", 0.0),
        trained.seconds.get("ranking", 0.0),
    )
    about = {"name": data.name, "source": data.source, "licence": "", "reading": dict(reading)}
    about["fingerprint"] = ""  # which depends on the order of rows, and here they have none
    metadata = metadata_of(about, how, 0.0, result)
    engine = {"engine": ENGINE, "pyspark": version("pyspark")}
    metadata["environment"] = environment(estimators, None) | engine
    model: Recommender = replace(result.model, metadata=metadata)
    return SparkResult(replace(result, model=model), trained)
