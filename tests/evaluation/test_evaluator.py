"""Rankings against a slow reference: sort all items, then count by the textbook."""

import json
from dataclasses import replace
from itertools import combinations
from math import isnan, log2
from statistics import mean

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data.synthetic import generate
from matinee.evaluation import (
    RankingTask,
    evaluate,
    evaluate_ranking,
    evaluate_ranking_per_user,
    evaluate_ratings,
    holdout,
    leave_one_out,
    rmse,
    sampled_negatives,
    strong_generalization,
    temporal,
)
from matinee.evaluation.metrics import rmse_interval
from matinee.models import EASE, Bias, Popularity, UserProfile, topk

ACCURACY = ("hit_rate@10", "ndcg@10", "mrr@100")


class Tied:
    """Scores with many ties, for ids or `UserProfile`s; the two heads differ."""

    def __init__(self, task):
        self.items, self.asked = len(task.train.catalog), []

    def scores(self, users, *, head=None):
        self.asked.append(len(users))
        return np.array([self.of(user, head) for user in users], np.float32)

    def of(self, user, head):
        known_by = user.items.tolist() if isinstance(user, UserProfile) else [int(user)]
        seed = [*known_by, len(head or "")]
        return np.random.default_rng(seed).integers(0, 40, self.items)


class Constant:
    """Scores all items the same."""

    def __init__(self, task):
        self.items = len(task.train.catalog)

    def scores(self, users, *, head=None):
        return np.ones((len(users), self.items), np.float32)


def row_of(rows, k):
    part = slice(rows.indptr[k], rows.indptr[k + 1])
    return rows.indices[part], rows.values[part]


def users_of(task):
    """How the model is asked for each test user."""
    if task.folded_in:
        return [UserProfile(*row_of(task.history, k)) for k in range(len(task))]
    return [task.train.ratings.user_ids.values[int(code)] for code in task.users]


def slow_rankings(task, scores_of):
    """The hundred best unseen items for each user, best first."""
    ranked = []
    for k, user in enumerate(users_of(task)):
        scores, seen = scores_of(user), set(row_of(task.history, k)[0].tolist())
        order = sorted(range(len(scores)), key=lambda code: (-scores[code], code))
        ranked.append([code for code in order if code not in seen][:100])
    return ranked


def slow_accuracy(ranked, relevant_items):
    """Means over users of all accuracy metrics, term by term."""

    def dcg(hits):
        return sum(hit / log2(place + 1) for place, hit in enumerate(hits, 1))

    def ndcg(hits, relevant, k):
        return dcg(hits[:k]) / dcg([1] * min(k, relevant))

    result = []
    for order, relevant in zip(ranked, relevant_items, strict=True):
        hits, n = [code in relevant for code in order], len(relevant)
        until = [mean(hits[: place + 1]) for place in range(min(10, len(hits))) if hits[place]]
        result.append(
            {
                "hit_rate@10": float(any(hits[:10])),
                "ndcg@10": ndcg(hits, n, 10),
                "mrr@100": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
                "ndcg@100": ndcg(hits, n, 100),
                "precision@10": sum(hits[:10]) / 10,
                "recall@10": sum(hits[:10]) / n,
                "recall_capped@20": sum(hits[:20]) / min(20, n),
                "recall_capped@50": sum(hits[:50]) / min(50, n),
                "map@10": sum(until) / min(10, n),
            }
        )
    return {name: mean(row[name] for row in result) for name in result[0]}


def slow_beyond(ranked, task):
    """All other metrics, of the first ten places."""
    ratings, catalog = task.train.ratings, task.train.catalog
    shown, items = [order[:10] for order in ranked], range(len(catalog))
    count = np.bincount(ratings.item, minlength=len(catalog)).tolist()
    users = len(set(ratings.user.tolist()))
    interactions = sorted(
        (code for code in items if count[code]), key=lambda code: (-count[code], code)
    )
    popular = set(interactions[: -(-len(interactions) // 10)])
    genres = [set(np.flatnonzero(row).tolist()) for row in catalog.genre_matrix]
    times = [sum(code in order for order in shown) for code in items]

    def apart(first, second):
        either = genres[first] | genres[second]
        return 1 - len(genres[first] & genres[second]) / len(either) if either else 0

    gaps = sum(abs(first - second) for first in times for second in times)
    return {
        "coverage@10": len(set().union(*shown)) / len(catalog),
        "popularity_share@10": mean(mean(code in popular for code in order) for order in shown),
        "novelty@10": mean(
            mean(-log2(max(count[code], 1) / users) for code in order) for order in shown
        ),
        "diversity@10": mean(
            mean(apart(*pair) for pair in combinations(order, 2)) for order in shown
        ),
        "gini@10": gaps / (2 * len(catalog) * sum(times)),
    }


def slow_taste(ranked, task):
    """What ratings say about the first ten places, user by user."""
    spread = task.train.ratings.values.std(dtype=float)
    low, high = task.train.ratings.scale.low, task.train.ratings.scale.high
    ndcgs, graded, hits, disliked = [], [], 0, 0
    for k, order in enumerate(ranked):
        known = row_of(task.history, k)[1]
        center = known.mean(dtype=float)
        test = dict(zip(*(part.tolist() for part in row_of(task.relevant, k)), strict=True))
        liked = {code for code, rating in test.items() if rating >= center}
        found = [test[code] for code in order[:10] if code in test]
        hits += len(found)
        disliked += sum(rating <= center - spread for rating in found)
        if liked:
            gain = sum(1 / log2(place + 2) for place, c in enumerate(order[:10]) if c in liked)
            ndcgs.append(gain / sum(1 / log2(place + 2) for place in range(min(10, len(liked)))))
        gains = {code: (rating - low) / (high - low) for code, rating in test.items()}
        ideal = sorted(gains.values(), reverse=True)[:10]
        if ideal[0] > 0:
            got = sum(gains.get(c, 0) / log2(place + 2) for place, c in enumerate(order[:10]))
            graded.append(got / sum(gain / log2(place + 2) for place, gain in enumerate(ideal)))
    return {
        "liked_ndcg@10": mean(ndcgs),
        "graded_ndcg@10": mean(graded),
        "disliked_share@10": disliked / hits,
    }


def slow(ranked, task):
    """All metrics."""
    relevant = [set(row_of(task.relevant, k)[0].tolist()) for k in range(len(task))]
    return slow_accuracy(ranked, relevant) | slow_taste(ranked, task) | slow_beyond(ranked, task)


def check(result, expected):
    assert {name: value.value for name, value in result.metrics.items()} == pytest.approx(expected)


@pytest.fixture(scope="module")
def many_items():
    """More items than a ranking has places."""
    return generate(users=40, items=150, ratings=2000, seed=1)[0]


@pytest.fixture(scope="module")
def few_items():
    """Fewer items than a ranking has places."""
    return generate(users=40, items=45, ratings=1200, seed=2)[0]


@pytest.mark.parametrize("data", ["many_items", "few_items"])
@pytest.mark.parametrize(
    "question",
    [
        lambda data: holdout(*data.split("random", test_fraction=0.3), min_rating=3),
        lambda data: strong_generalization(data, n_users=12, min_rating=3, test_fraction=0.5),
        leave_one_out,
        lambda data: temporal(data, test_fraction=0.3),
    ],
    ids=["holdout", "strong-generalization", "leave-one-out", "temporal"],
)
def test_metrics_are_those_of_a_slow_reference(request, data, question):
    task = question(request.getfixturevalue(data))
    model = Tied(task)
    for head in (None, "rating"):
        ranked = slow_rankings(task, lambda user, head=head: model.of(user, head))
        result = evaluate_ranking(model, task, head=head)
        check(result, slow(ranked, task))
        assert (result.protocol, result.n_users) == (task.protocol, len(task))


def test_users_taken_out_of_training_are_folded_in(few_items):
    task = strong_generalization(few_items, n_users=10)
    model = EASE(regularization=20).fit(task.train)
    check(evaluate_ranking(model, task), slow(slow_rankings(task, model.scores), task))


@pytest.mark.parametrize("data", ["many_items", "few_items"])
def test_among_sampled_negatives_ties_count_against_the_positive(request, data):
    task = sampled_negatives(request.getfixturevalue(data), negatives=30, seed=3)
    model = Tied(task)
    rankings, relevant_items = [], []
    for k, user in enumerate(users_of(task)):
        scores = model.of(user, None)
        (positive,), (candidates, _) = row_of(task.relevant, k)[0], row_of(task.candidates, k)
        rankings.append(sorted(candidates, key=lambda c: (-scores[c], c == positive)))
        relevant_items.append({positive})
    result = evaluate_ranking(model, task)
    expected = slow_accuracy(rankings, relevant_items)
    check(result, {name: expected[name] for name in ACCURACY})
    assert "sampled" in result.note


@pytest.mark.parametrize(("rivals", "rate"), [(9, 1), (10, 0)])
def test_a_constant_model_ranks_the_positive_last_among_sampled_negatives(many_items, rivals, rate):
    task = sampled_negatives(many_items, negatives=rivals)
    result = evaluate_ranking(Constant(task), task)
    assert result["hit_rate@10"] == rate
    assert result["mrr@100"] == pytest.approx(1 / (rivals + 1))


@pytest.mark.parametrize("make", [leave_one_out, sampled_negatives, strong_generalization])
def test_metrics_are_the_same_whatever_the_size_of_a_block(many_items, make, monkeypatch):
    task = make(many_items)
    whole, parts = Tied(task), Tied(task)
    expected = evaluate_ranking(whole, task)
    monkeypatch.setattr(topk, "BLOCK", 3 * 150 + 1)
    assert evaluate_ranking(parts, task) == expected
    assert whole.asked == [len(task)]
    assert max(parts.asked) == 3 or len(task) < 3
    assert sum(parts.asked) == len(task) > max(parts.asked)


def test_seen_items_take_no_place(many_items):
    """A model that ranks the history first, then what was held out, is perfect."""
    task = holdout(*many_items.split("random", test_fraction=0.2))

    class Oracle:
        def scores(self, users, *, head=None):
            scores = np.zeros((len(users), 150), np.float32)
            for k in range(len(users)):
                scores[k, row_of(task.history, k)[0]] = 2
                scores[k, row_of(task.relevant, k)[0]] = 1
            return scores

    result = evaluate_ranking(Oracle(), task)
    assert {result[name] for name in (*ACCURACY, "ndcg@100", "map@10")} == {1}


def test_rankings_are_made_by_the_head_asked_for(both, parts):
    task = holdout(*parts)
    by_rating, by_ranking = (
        evaluate_ranking(both, task, head="rating"),
        evaluate_ranking(both, task, head="ranking"),
    )
    by_both = evaluate_ranking(both, task)
    assert by_both["ndcg@10"] not in (by_rating["ndcg@10"], by_ranking["ndcg@10"])
    assert by_rating == evaluate_ranking(replace(both, ranking_head=None), task)
    assert by_rating["ndcg@10"] != by_ranking["ndcg@10"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_may_be_of_any_layout(few_items, dtype):
    """Other people's models return what they have: doubles, transposed tables."""
    task = leave_one_out(few_items)
    model = Tied(task)

    class Other:
        def scores(self, users, *, head=None):
            return np.asfortranarray(model.scores(users, head=head).astype(dtype))

    assert evaluate_ranking(Other(), task) == evaluate_ranking(model, task)


def test_users_may_have_ids_of_text():
    table = pl.DataFrame(
        {
            "user": [f"u{k // 5}" for k in range(50)],
            "item": [f"m{k % 7}" for k in range(50)],
            "rating": 4.0,
            "time": range(50),
        }
    )
    for make in (leave_one_out, strong_generalization, sampled_negatives):
        task = make(matinee.read(table))
        assert evaluate_ranking(Popularity().fit(task.train), task).n_users == len(task)


def test_an_interval_holds_its_metric_and_json_says_all(many_items):
    task = holdout(*many_items.split("random"))
    result = evaluate_ranking(Tied(task), task)
    catalog_metrics = {"disliked_share@10", "coverage@10", "gini@10"}
    for name, value in result.metrics.items():
        if name in catalog_metrics:
            assert value.ci_low is value.ci_high is None
        else:
            assert value.ci_low < value.value < value.ci_high
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(plain) == {"protocol", "n_users", "note", "metrics"}
    assert plain["metrics"]["ndcg@10"]["value"] == result["ndcg@10"]
    assert set(plain["metrics"]) == set(result.metrics)


def test_metrics_of_each_user_are_those_of_a_task_with_that_user_alone(many_items):
    task = holdout(*many_items.split("random")).sample(4)
    result = evaluate_ranking_per_user(Tied(task), task)
    whole = evaluate_ranking(Tied(task), task)
    for name, value in result.mean().metrics.items():
        assert value.value == pytest.approx(whole[name], nan_ok=True)
    for place in range(4):
        alone = evaluate_ranking(Tied(task), task.take(np.array([place])))
        for name, values in result.values.items():
            assert values[place] == pytest.approx(alone[name], nan_ok=True)
        assert set(result.values) | set(result.catalog) == set(alone.metrics)


def test_what_has_no_value_is_null_in_json():
    """With one unseen item each, no pair of items can be diverse."""
    table = pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "rating": 3.0, "time": 1})
    task = leave_one_out(matinee.read(table))
    result = evaluate_ranking(Popularity().fit(task.train), task)
    assert result["hit_rate@10"] == 1
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["metrics"]["diversity@10"] == {"value": None, "ci_low": None, "ci_high": None}


def test_a_task_with_one_user_is_evaluated(many_items):
    task = holdout(*many_items.split("random")).sample(1)
    assert isinstance(task, RankingTask)
    for value in evaluate_ranking(Tied(task), task).metrics.values():
        assert value.ci_low == value.ci_high in (value.value, None) or isnan(value.value)


# --- rating metrics


def test_cold_start_ratings_are_evaluated_and_counted():
    table = pl.DataFrame(
        {"user": [1, 1, 2, 2, 3], "item": [10, 20, 10, 20, 30], "rating": [4.0, 2.0, 5.0, 3.0, 1.0]}
    )
    data = matinee.read(table)
    train = matinee.data.Dataset(data.ratings.take(np.arange(3)), data.catalog)
    test = matinee.data.Dataset(data.ratings.take(np.arange(3, 5)), data.catalog)
    model = Bias().fit(train)
    result = evaluate_ratings(model, train, test)
    assert (result.n_ratings, result.cold_start_user_ratings, result.cold_start_item_ratings) == (
        2,
        1,
        1,
    )
    expected = model.predict([2, 3], [20, 30], unknown="average")
    assert result.rmse == pytest.approx(rmse(expected, np.float32([3, 1])))


@pytest.mark.slow
def test_the_rmse_comes_with_its_interval(both, parts):
    ratings = parts[1].ratings
    predicted = [
        float(both.predict([ratings.user_ids.values[user]], [ratings.item_ids.values[item]])[0])
        for user, item in zip(ratings.user.tolist(), ratings.item.tolist(), strict=True)
    ]
    result = evaluate_ratings(both, *parts)
    by_hand = rmse_interval(np.array(predicted), ratings.values, ratings.user)
    assert result.rmse_ci == pytest.approx(by_hand)
    assert result.rmse_ci[0] < result.rmse < result.rmse_ci[1]


# --- both heads


def test_both_heads_are_evaluated(both, parts):
    result = evaluate(both, *parts)
    assert result.rating == evaluate_ratings(both, *parts)
    assert result.ranking == evaluate_ranking(both, holdout(*parts))
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["rating"]["rmse"] == result.rating.rmse
    assert plain["ranking"] == result.ranking.to_dict()


def test_a_head_or_test_users_may_be_missing(parts):
    train, test = parts
    popular = evaluate(Popularity().fit(train), train, test)
    assert popular.rating is None
    known = train.ratings.user < 150
    train, test = (replace(train, ratings=train.ratings.take(mask)) for mask in (known, ~known))
    biases = evaluate(Bias().fit(train), train, test)
    assert biases.ranking is None
    assert biases.rating.n_ratings == len(test)


def test_a_notebook_shows_the_metrics_of_both_heads(both, parts):
    result = evaluate(both, *parts)
    html = result._repr_html_()
    low, high = result.ranking.metrics["ndcg@10"].interval
    for text in (
        "RMSE",
        f"{result.rating.rmse:.4f}",
        "NDCG@10 (liked)",
        f"{low:.4f} to {high:.4f}",
    ):
        assert text in html
    assert html.count("<table") == 2
    assert result.ranking._repr_html_().count("<table") == 1
