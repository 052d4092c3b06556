"""Every head of several models on one exam, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.evaluator import HeldOut, ListFigures, evaluate, judge
from matinee.evaluation.protocols import Exam, by_time, held_out, leave_last_out, sampled, strong
from matinee.experiments.provenance import Noted, noted
from matinee.models.als import ALS
from matinee.models.base import Trainer, kept_epoch
from matinee.models.baselines import Popularity
from matinee.models.head import Head
from matinee.models.recommender import BY, FactorModel
from matinee.models.registry import recipe_again

MOST_WATCHED = "(most watched)"  # stands for a run that has no name
PROTOCOLS = ("held-out", "leave-last-out", "strong", "time", "ncf")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    model : str
        The run, or the baseline.
    recipe : str
    by : {"ranking", "stars"}
        Which head made the lists.
    lists : ListFigures
    stars : HeldOut or None
        Errors of predicted stars, where this head predicts them and the protocol holds ratings
        out.
    """

    model: str
    recipe: str
    by: str
    lists: ListFigures
    stars: HeldOut | None = None

    @property
    def who(self) -> str:
        """What made the lists, for people."""
        if self.model == MOST_WATCHED:
            return "most watched, the same for all"
        return f"{self.recipe}, sorted by stars" if self.by == "stars" else self.recipe

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        stars = None
        if self.stars:
            stars = {"rmse": self.stars.rmse, "mae": self.stars.mae, "ratings": self.stars.ratings}
        return {
            "model": self.model,
            "recipe": self.recipe,
            "by": self.by,
            "stars": stars,
            **self.lists.as_json(),
        }


def judge_runs(
    runs: Mapping[str, FactorModel],
    protocol: str = "held-out",
    *,
    liked: float | None = None,
    seed: int = 0,
) -> list[Row]:
    """Every head of every run on the same exam, and the most watched movies beside them.

    ``"held-out"`` judges the runs as they are, on the split they were trained with. The other
    protocols keep other ratings aside, which a run has seen; so its recipes are trained again
    on what the protocol allows.

    Parameters
    ----------
    runs : mapping of str to FactorModel
        As loaded, by name; trained on the same data.
    protocol : {"held-out", "leave-last-out", "strong", "time", "ncf"}
        See `matinee.evaluation.protocols`.
    liked : float, optional
        Only held-out ratings of at least so many stars count; without it, all do.
    seed : int
        Of what the protocol draws.

    Raises
    ------
    RunError
        If the data are not those of the runs.
    SettingError
        For an unknown protocol, or runs on different data.
    """
    if protocol not in PROTOCOLS:
        raise SettingError(f"protocol is one of {', '.join(PROTOCOLS)}, not {protocol!r}.")
    if not runs:
        raise SettingError("There is no run to compare.")
    said = {name: noted(model.about) for name, model in runs.items()}
    first = next(iter(said.values()))
    dataset = first.read()
    train, test = _parts(first, dataset)
    for name, other in said.items():
        if not _same_parts(first, other, dataset):
            raise SettingError(
                f"{name} was trained on other data, another split, or another part of it than the "
                "first run (patience keeps some of it aside); evaluate them one by one."
            )
    exam = _exam(protocol, dataset, train, test, liked, seed)
    return judge_heads(exam, runs, retrain=protocol != "held-out", liked=liked)


def judge_heads(
    exam: Exam,
    models: Mapping[str, FactorModel],
    *,
    retrain: bool = False,
    liked: float | None = None,
) -> list[Row]:
    """Every head of every model on one exam, and the most watched movies beside them.

    Parameters
    ----------
    exam : Exam
    models : mapping of str to FactorModel
    retrain : bool
        Train the recipes again on what the exam allows; else judge the models as they are.
    liked : float, optional
        Least stars of a rating that makes a movie popular.
    """
    rows = []
    for name, model in models.items():
        for part, head in model.heads.items():
            judged, by = model, BY[part]
            if retrain:
                judged = _recipe(head).fit(exam.train)
            stars = None
            if part == "rating" and exam.test is not None:
                stars = evaluate(judged, exam.train, exam.test)
            figures = judge(judged, exam, by=by)
            rows.append(Row(name, str(head.trainer["name"]), by, figures, stars))
    popular = Popularity(liked=liked).fit(exam.train)
    rows.append(Row(MOST_WATCHED, "Popularity", "ranking", judge(popular, exam)))
    return rows


def _recipe(head: Head) -> Trainer:
    """The head's recipe; one that stopped early runs as long as it had to, on everything.

    A learning rate that falls to zero does so within that time.
    """
    recipe = recipe_again(head.trainer)
    patience = getattr(recipe, "patience", 0)
    if not patience:
        return recipe
    best = int(head.history["iteration"][kept_epoch(head.history, patience)])
    length = "iterations" if isinstance(recipe, ALS) else "epochs"
    changed: Any = recipe
    return cast(Trainer, replace(changed, patience=0, **{length: best}))


def _parts(said: Noted, dataset: Dataset) -> tuple[Dataset, Dataset]:
    train, test = said.split.apply(dataset)
    return said.learned_from(train), test


def _same_parts(one: Noted, other: Noted, dataset: Dataset) -> bool:
    """Whether two runs learned from the same ratings and are tested on the same ones."""
    if one.fingerprint != other.fingerprint:
        return False
    how = [(said.split, said.hold_out_validation) for said in (one, other)]
    # an official split is the same whatever its seed
    return how[0] == how[1] or _prints(one, dataset) == _prints(other, dataset)


def _prints(said: Noted, dataset: Dataset) -> list[str]:
    return [part.ratings.fingerprint() for part in _parts(said, dataset)]


def _exam(
    protocol: str, dataset: Dataset, train: Dataset, test: Dataset, liked: float | None, seed: int
) -> Exam:
    if protocol == "held-out":
        return held_out(train, test, liked=liked)
    if protocol == "leave-last-out":
        return leave_last_out(dataset, liked=liked)
    if protocol == "time":
        return by_time(dataset, liked=liked)
    if protocol == "strong":
        return strong(dataset, liked=liked, seed=seed)
    if liked is not None:
        raise SettingError("The ncf protocol counts every rating; leave `liked` out.")
    return sampled(dataset, seed=seed)
