"""`matinee export`."""

import numpy as np
import pytest

import matinee


@pytest.mark.slow
def test_an_export_is_that_of_the_run(shell):
    assert shell.json("export", "als", "out") == {"export": "out"}
    model = matinee.load(shell.folder / "runs" / "als")
    items, users = (np.load(shell.folder / "out" / f"{name}.npy") for name in ("items", "users"))
    np.testing.assert_allclose(users @ items.T, model.scores(), atol=1e-4)
    card = (shell.folder / "out" / "MODEL_CARD.md").read_text()
    assert card.startswith("# Model card: small\n")
    assert f"{model.metadata['metrics']['rmse']:.4f}" in card
    text = shell("export", "out", "--head", "rating")  # of the newest run, over the old one
    assert text == "Embeddings, examples and a model card in out; begin with MODEL_CARD.md there.\n"
    assert np.load(shell.folder / "out" / "items.npy").shape[1] == 5 + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["als", "runs"], "is not an export"),
        (["als", "runs/als"], "is not an export"),
        (["als", "runs/als/manifest.json/out"], "not writable"),
        (["nonsense", "out2"], "no run has this name"),
        (["popular", "out2"], "Scores of Popularity are not dot products"),
        (["als", "out2", "more"], "Give a run, or none, and a folder"),
        (["biases", "out2", "--head", "ranking"], "no ranking head"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(shell, arguments, message):
    assert message in shell("export", *arguments, fails=True)
    assert not (shell.folder / "out2").exists()
