"""One experiment: split, train, test, and note all three beside the model."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from matinee.data.dataset import Dataset
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.evaluation.evaluator import HeldOut, ListFigures, evaluate, judge
from matinee.evaluation.protocols import Exam, held_out
from matinee.kernels.jit import processor
from matinee.models.als import ALS
from matinee.models.base import Trainer, can_be_watched, to_the_end
from matinee.models.baselines import EASE
from matinee.models.bayesian.estimator import BayesianMF
from matinee.models.implicit_als import ImplicitALS
from matinee.models.recommender import FactorModel
from matinee.progress import compilation_announced

VALIDATION_FRACTION = 0.1  # of the training part, where training stops early
SIZED = ("random", "time")  # splits that ask for a fraction
JUDGED = 5_000  # viewers whose lists are judged after training
MADE_WITH = ("matinee", "numpy", "numba")


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
class Result:
    """A trained model, and how it did on the test part.

    Parameters
    ----------
    model : FactorModel
        Its `about` holds the data, the split and the metrics, for its run's manifest.
    train_ratings, test_ratings : int
    test : HeldOut or None
        Predicted stars; None without a rating head.
    lists : ListFigures or None
        Lists of at most `JUDGED` viewers; None if nobody in the test part is known.
    fit_seconds, ranking_seconds : float
        Of fitting either head, which judges the test part after each iteration; neither of
        reading nor of compiling. 0 without that head.
    test_seconds : float
        Of predicting the test part, making the lists, and judging both.
    """

    model: FactorModel
    train_ratings: int
    test_ratings: int
    test: HeldOut | None
    lists: ListFigures | None
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
                for name in ("rmse", "mae", "by_unknown_viewers", "of_unknown_movies")
            },
            "fit_seconds": self.fit_seconds,
            "ranking_seconds": self.ranking_seconds,
            "lists": self.lists.as_json() if self.lists else None,
            "trainers": {name: dict(head.trainer) for name, head in self.model.heads.items()},
        }


def train_and_test(
    dataset: Dataset,
    recipe: Trainer | None,
    split: Split,
    *,
    ranking: Trainer | None = None,
    exam: Exam | None = None,
    hold_out_validation: bool = False,
    whole: bool = False,
    threads: int | None = None,
) -> Result:
    """Split, fit both heads on one part, judge on the other.

    Parameters
    ----------
    dataset : Dataset
    recipe : Trainer or None
        For the rating head.
    split : Split
    ranking : Trainer, optional
        For the ranking head.
    exam : Exam, optional
        What to judge lists by, on the same split; by default the test part.
    hold_out_validation : bool
        Keep a tenth of the training part aside for the recipes to watch (`ALS.patience`).
    whole : bool
        Ctrl-C ends it all; without it, a chain ends early with what it has so far.
    threads : int, optional

    Raises
    ------
    SettingError
        If there is neither recipe.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> result = train_and_test(data, matinee.BiasOnly(), Split("last"), ranking=matinee.EASE())
    >>> result.train_ratings, result.test.ratings, result.lists.viewers
    (1440, 60, 60)
    """
    recipes = some_recipes(recipe, ranking)
    train, test = split.apply(dataset)
    validation = None
    if hold_out_validation:
        train, validation = set_aside(train, split.seed)
    compile_kernels(recipes)
    result = fit_and_judge(
        train,
        test,
        recipe,
        ranking=ranking,
        validation=validation,
        exam=exam or some_viewers(train, test),
        whole=whole,
        threads=threads,
    )
    about = {
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
            "hold_out_validation": hold_out_validation,
        },
        "metrics": {
            **(asdict(result.test) if result.test else {}),
            "lists": result.lists.as_json() if result.lists else None,
        },
        "fit_seconds": result.fit_seconds + result.ranking_seconds,
        "made": _made(recipes, threads),
    }
    return replace(result, model=replace(result.model, about=about))


def fit_and_judge(
    train: Dataset,
    test: Dataset,
    recipe: Trainer | None,
    *,
    ranking: Trainer | None = None,
    validation: Dataset | None = None,
    exam: Exam | None = None,
    followed: bool = True,
    whole: bool = False,
    threads: int | None = None,
) -> Result:
    """Fit both heads on one part, judge stars on the other and lists by an exam.

    Parameters
    ----------
    train, test : Dataset
        The two parts of one split.
    recipe, ranking : Trainer or None
        For the rating head and for the ranking head; one of them at least.
    validation : Dataset, optional
        For the recipes to watch.
    exam : Exam, optional
        Without it, no lists are judged.
    followed : bool
        Judge the test part after each iteration, too, for the history.
    whole : bool
        As in `train_and_test`.
    threads : int, optional
    """
    trained, seconds = [], []
    for one in some_recipes(recipe, ranking):
        started = time.perf_counter()
        followed_part = test if followed else None
        more: Any = {"watch": to_the_end} if whole and can_be_watched(one) else {}
        trained.append(
            one.fit(train, validation=validation, test=followed_part, threads=threads, **more)
        )
        seconds.append(time.perf_counter() - started)
    model = trained[0] if len(trained) == 1 else trained[0].with_ranking(trained[1])
    started = time.perf_counter()
    judged = evaluate(model, train, test) if recipe else None
    found = judge(model, exam) if exam else None
    return Result(
        model,
        len(train),
        len(test),
        judged,
        found,
        fit_seconds=seconds[0] if recipe else 0.0,
        ranking_seconds=seconds[-1] if ranking else 0.0,
        test_seconds=time.perf_counter() - started,
    )


def some_recipes(*recipes: Trainer | None) -> list[Trainer]:
    """Those that there are; SettingError if there are none."""
    found = [one for one in recipes if one]
    if not found:
        raise SettingError("There is nothing to train: no model for stars, and none for lists.")
    return found


def set_aside(train: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """What is left of a training part, and a tenth of it for recipes to watch."""
    return train.split("random", test_fraction=VALIDATION_FRACTION, seed=seed)


def some_viewers(train: Dataset, test: Dataset) -> Exam | None:
    """The test part for at most `JUDGED` viewers' lists, which is quick whatever the size.

    None if nobody can be judged.
    """
    try:
        return held_out(train, test).sample(JUDGED)
    except SettingError:
        return None


def _made(recipes: Iterable[Trainer], threads: int | None) -> dict[str, Any]:
    """What the bits of these recipes' models depend on, beside settings, seed and data."""
    made = {"processor": processor(), **{name: version(name) for name in MADE_WITH}}
    for recipe in recipes:
        device = getattr(getattr(recipe, "recipe", recipe), "device", None)
        if device is not None:
            from matinee.models.neural.devices import made_on

            made |= made_on(device, threads)
    return made


def compile_kernels(recipes: Iterable[Trainer] = ()) -> None:
    """Have every kernel compiled, or loaded from the disk, saying so if it takes time.

    Those of `BayesianMF` alone wait until it is among the recipes.
    """
    with compilation_announced():
        tiny, _ = generate(viewers=8, movies=8, ratings=32)
        for solver in ("cholesky", "cg"):
            model = ALS(factors=2, iterations=1, solver=solver).fit(tiny, test=tiny, threads=1)
        for solver in ("blocks", "cg"):
            ranking = ImplicitALS(factors=2, iterations=1, solver=solver).fit(tiny, threads=1)
            model.with_ranking(ranking).recommend(1, n=1)
        weights = EASE().fit(tiny)
        for by_weights in (weights.recommend, model.recommend):
            by_weights([weights.viewer(1)], n=1)
        if any(isinstance(getattr(one, "recipe", one), BayesianMF) for one in recipes):
            for likelihood in ("normal", "ordinal"):
                draws = BayesianMF(factors=2, iterations=8, likelihood=likelihood)
                drawn = draws.fit(tiny, test=tiny, threads=1)
                drawn.predict(1, 1, 0)
                drawn.predict(drawn.viewer(1), 1)
