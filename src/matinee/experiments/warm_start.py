"""Starting a training from an earlier model, whose data have grown since."""

from dataclasses import replace
from typing import Any

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.models.base import Estimator
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender
from matinee.models.registry import estimator_from_config

SHARE = 5  # of the iterations of a full training, one in so many is enough,
FEWEST = 3  # but not fewer than these


def fit_from(
    earlier: Recommender | None, estimator: Estimator, train: Dataset, **arguments: Any
) -> Recommender:
    """Fit on `train` from an earlier model in fewer iterations, or whole where that cannot be.

    That is also where its factors say nothing, because its ratings were too few for any. The head
    keeps the hyperparameters of a full training: what they mean to one from nothing.
    """
    head = earlier.heads.get(estimator.predicts) if earlier is not None else None
    vanished = isinstance(head, FactorRatingHead) and head.vanished
    if earlier is None or vanished or not estimator.supports_warm_start:
        return estimator.fit(train, **arguments)
    whole: Any = estimator
    iterations = min(whole.iterations, max(FEWEST, -(-whole.iterations // SHARE)))
    short: Estimator = replace(whole, iterations=iterations)
    model = short.fit(train, warm_start=earlier, **arguments)
    heads: dict[str, Any] = {f"{name}_head": head for name, head in model.heads.items()}
    config = estimator.to_config()
    return replace(model, **{n: replace(head, estimator=config) for n, head in heads.items()})


def estimators_of(earlier: Recommender) -> tuple[Estimator | None, Estimator | None]:
    """The estimators of both heads; SettingError if neither can start from an earlier model."""
    estimators = {
        name: estimator_from_config(head.estimator) for name, head in earlier.heads.items()
    }
    if not any(estimator.supports_warm_start for estimator in estimators.values()):
        names = " and ".join(type(estimator).__name__ for estimator in estimators.values())
        raise SettingError(f"{names} cannot start from an earlier model; ALS and ImplicitALS can.")
    return estimators.get("rating"), estimators.get("ranking")
