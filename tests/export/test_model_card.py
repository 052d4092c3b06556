"""The model card beside exported embeddings."""

from dataclasses import replace

import numpy as np

from matinee.experiments import Split, train_and_evaluate
from matinee.export.model_card import model_card
from matinee.models import ALS, ImplicitALS


def test_a_card_says_what_was_trained_on_what_and_how_well_it_does(generated):
    data = replace(generated[0], licence="Only for research", name="films of mine")
    model = train_and_evaluate(
        data, ALS(factors=3, iterations=2), Split(), ranker=ImplicitALS(factors=5, iterations=2)
    ).model
    card = model_card(model, None, 11)
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings == [
        "# Model card: films of mine",
        *("## Data", "## Hyperparameters", "## Metrics", "## Embeddings", "## Intended use"),
        *("## Limits", "## Licence of the data"),
    ]
    metrics = model.metadata["metrics"]
    low, high = metrics["rmse_ci"]
    assert f"| RMSE | {metrics['rmse']:.4f} | {low:.4f} to {high:.4f} |" in card
    ndcg = metrics["ranking"]["metrics"]["ndcg@10"]
    row = f"| NDCG@10 | {ndcg['value']:.4f} | {ndcg['ci_low']:.4f} to {ndcg['ci_high']:.4f} |"
    assert row in card
    for line in (
        "| factors | 3 |",
        "| factors | 5 |",
        "| training set | 10,800 ratings, 0.5 to 5 in steps of 0.5 |",
        f"| fingerprint | {model.metadata['data']['fingerprint']} |",
        "Only for research",
        "have 11 dimensions",
        "seed 0",
    ):
        assert line in card


def test_a_model_that_was_never_evaluated_says_so(both):
    card = model_card(both, "ranking", 5)
    assert "None: this model was not evaluated on a test set." in card
    assert "those of the ranking head" in card
    assert "Unknown; ask whoever gave you the data." in card


def test_a_card_of_interactions_speaks_of_no_ratings(parts):
    ratings = parts[0].ratings
    once = np.ones(len(ratings), np.float32)
    unrated = replace(parts[0], ratings=replace(ratings, values=once, scale=None), official={})
    card = model_card(ImplicitALS(factors=2, iterations=1).fit(unrated), None, 2)
    assert "| training set | 10,800 interactions without ratings |" in card


def test_what_others_wrote_is_text_on_one_line(both):
    hostile = "a | b\n# Not a heading <script> [x](http://y) `c`"
    metadata = {
        "data": {"name": hostile, "licence": hostile, "fingerprint": [hostile]},
        "split": {hostile: {hostile: 1}},
        "metrics": {
            "rmse": hostile,
            "rmse_ci": 7,
            "mae": True,
            "ranking": {"n_users": hostile, "metrics": {"ndcg@10": hostile, hostile: {"value": 1}}},
        },
    }
    card = model_card(replace(both, metadata=metadata), None, 11)
    assert "\n# Not" not in card
    assert "<script>" not in card.replace("\\<script\\>", "")
    assert "](http" not in card.replace("\\](http", "")
    for broken in ({"metrics": {"ranking": 3}}, {"metrics": {"rmse": 10**400}}, {"data": {}}):
        assert "## Metrics" in model_card(replace(both, metadata=broken), None, 11)


def test_without_embeddings_beside_it_a_card_tells_of_none(both):
    card = model_card(both)
    assert "described by matinee" in card
    for gone in ("## Embeddings", "items.npy", "personal data"):
        assert gone not in card
