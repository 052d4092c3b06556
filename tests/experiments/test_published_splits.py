"""Accuracy on the splits that papers use; skipped where the archive is not at hand."""

import os
import statistics
from pathlib import Path

import pytest

import matinee
from matinee.experiments import Split, train_and_evaluate

BESIDE = Path(__file__).parents[3] / "shared" / "data"
ARCHIVES = Path(os.environ.get("MATINEE_TEST_ARCHIVES", BESIDE))
ARCHIVE = ARCHIVES / "ml-100k.zip"


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.exists(), reason="the archive of ml-100k is not here")
@pytest.mark.parametrize(("estimator", "bar"), [(matinee.Bias(), 0.945), (matinee.ALS(), 0.912)])
def test_the_five_official_folds_of_ml_100k(estimator, bar):
    data = matinee.read(ARCHIVE)
    folds = [train_and_evaluate(data, estimator, Split(f"u{k}")).rating.rmse for k in range(1, 6)]
    assert statistics.mean(folds) <= bar
