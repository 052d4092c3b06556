"""Heads of a forged run, checksums right and every array in its shape: an answer, or one line."""

from contextlib import suppress

import pytest

import matinee
from forgery import rewrite_arrays, rewrite_manifest
from matinee.errors import MatineeError, RunError

EXTREMES = (0, 1e-45, 1e30, -1e30, 3e38)


@pytest.fixture
def run(both, tmp_path):
    return both.save(tmp_path / "run")


def fill(run, head, value, settings):
    """Every number of a head the same, and its settings others."""
    rewrite_arrays(
        run, f"{head}_head.safetensors", lambda arrays: [a.fill(value) for a in arrays.values()]
    )
    rewrite_manifest(run, lambda manifest: manifest["heads"][head]["settings"].update(settings))


@pytest.mark.parametrize("head", ["rating", "ranking"])
def test_what_has_no_explanation_ends_in_one_line(run, head):
    fill(run, head, 1e30, {"regularization": 1e-300})
    with pytest.raises(RunError, match="too extreme for an answer"):
        matinee.load(run).explain(1, 5, head=head)


@pytest.mark.parametrize("regularization", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("value", EXTREMES)
@pytest.mark.parametrize("head", ["rating", "ranking"])
def test_every_question_to_extreme_heads_ends(run, head, value, regularization):
    value = abs(value) if head == "ranking" else value  # for popularity counts users
    fill(run, head, value, {"regularization": regularization})
    model = matinee.load(run)
    questions = (
        lambda: model.recommend(1, n=3, head=head),
        lambda: model.recommend(model.fold_in({1: 5, 8: 1}), n=3, head=head),
        lambda: model.explain(1, 5, head=head),
        lambda: model.explain(model.fold_in({1: 5, 8: 1}), 5, head=head),
        lambda: model.similar_items(1, n=3, head=head),
        lambda: model.predict([1], [5]),
    )
    for question in questions:
        with suppress(MatineeError):
            question()
