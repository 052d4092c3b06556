"""What every input is held to: it is read and answers, or it ends in one short line."""

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matinee
from matinee.analysis.dataset import describe
from matinee.data import Dataset
from matinee.errors import LONGEST, UNPRINTABLE, MatineeError
from matinee.models import Recommender


class EscapeError(AssertionError):
    """Something happened that must not: the cause says what."""


def answer(question: Callable[[], Any]) -> Any:
    """What a question is answered with; None where it ends in one line, as it may."""
    try:
        return question()
    except MatineeError as problem:
        check_message(str(problem))
        return None


def check_message(message: str) -> None:
    """One line of bounded length that a terminal can show."""
    strange = [c for c in message if unicodedata.category(c) in UNPRINTABLE]
    if strange or not message.strip() or len(message) > LONGEST:
        raise EscapeError(f"not one short line: {message[:2000]!r}")


def ask_data(data: Dataset | None, folder: Path) -> None:
    """Look at data, train on them, save the model: what is saved can be loaded."""
    if data is None:
        return
    repr(data)
    answer(lambda: repr(describe(data)))
    answer(lambda: data.to_frame())
    train, _ = answer(lambda: data.split("random", test_fraction=0.3, seed=0)) or (data, None)
    for estimator in (matinee.Popularity(), matinee.ALS(factors=2, iterations=1)):
        model = answer(lambda estimator=estimator: estimator.fit(train))
        if model is None:
            continue
        run = answer(lambda model=model: model.save(folder / "saved"))
        if run is not None:
            ask_model(matinee.load(run))  # an error here is an escape
            shutil.rmtree(run)


def ask_model(model: Recommender | None) -> None:
    """Basic questions to a model."""
    if model is None:
        return
    repr(model)
    answer(lambda: repr(model.history))
    users, items = model.user_ids.values, model.items
    user = users[0] if len(users) else 1
    item = items[len(items) // 2] if len(items) else 1
    for head in (None, *model.heads):
        answer(lambda head=head: repr(model.recommend(user, n=3, head=head)))
        answer(lambda head=head: repr(model.explain(user, item, head=head)))
        answer(lambda head=head: repr(model.similar_items(item, n=2, head=head)))
        answer(lambda head=head: model.recommend(users[:5], n=2, head=head))
    answer(lambda: model.predict([user], [item]))
    ann = answer(lambda: model.fold_in({item: 4}))
    if ann is not None:
        answer(lambda: repr(model.recommend(ann, n=2)))
        answer(lambda: repr(model.explain(ann, item)))
