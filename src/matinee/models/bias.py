"""The baseline that every other model has to beat."""

from dataclasses import dataclass, replace
from typing import cast

from matinee.data import Dataset
from matinee.models.als import ALS
from matinee.models.factor_model import FactorModel
from matinee.models.rating_head import RatingHead
from matinee.models.recipes import note_of


@dataclass(frozen=True)
class BiasOnly:
    """Recipe for ``stars = mean + b_u + b_i``: who is generous, and what is liked.

    The same least squares as `ALS` without factors and features, with plain ridge
    regularization (Koren, Bell & Volinsky 2009, equation 3).

    Parameters
    ----------
    regularization : float
        As if so many ratings of a viewer or movie were average.
    iterations : int

    Examples
    --------
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> BiasOnly().fit(data).rating.item_rows.shape
    (50, 1)
    """

    regularization: float = 4.0
    iterations: int = 10

    def __post_init__(self) -> None:
        self._als()  # which refuses what makes no sense

    def _als(self) -> ALS:
        return ALS(
            factors=0,
            regularization=self.regularization,
            exponent=0.0,
            iterations=self.iterations,
            features="none",
        )

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
    ) -> FactorModel:
        """Train on `train` and return the model; arguments as in `ALS.fit`."""
        model = self._als().fit(train, validation=validation, test=test, threads=threads)
        rating = cast(RatingHead, model.rating)
        head = replace(rating, trainer=note_of(self))
        return replace(model, rating=head)
