"""Judged lists against a slow reference: sort all movies, then count by the textbook."""

import json
from dataclasses import replace
from itertools import combinations
from math import log2
from statistics import mean

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data.synthetic import generate
from matinee.evaluation import (
    RankingTask,
    evaluate_ranking,
    evaluate_ranking_per_user,
    holdout,
    leave_one_out,
    sampled_negatives,
    strong_generalization,
    temporal,
)
from matinee.models import EASE, Popularity, UserProfile
from matinee.models import topk as lists

ACCURACY = ("hit_rate@10", "ndcg@10", "mrr@100")


class Tied:
    """Scores of a few different values only, of ids or of `UserProfile`s; another order by stars."""

    def __init__(self, task):
        self.items, self.asked = len(task.train.catalog), []

    def scores(self, users, *, head=None):
        self.asked.append(len(users))
        return np.array([self.of(one, head) for one in users], np.float32)

    def of(self, one, head):
        known_by = one.items.tolist() if isinstance(one, UserProfile) else [int(one)]
        seed = [*known_by, len(head or "")]
        return np.random.default_rng(seed).integers(0, 40, self.items)


class Constant:
    """Thinks the same of all movies."""

    def __init__(self, task):
        self.items = len(task.train.catalog)

    def scores(self, users, *, head=None):
        return np.ones((len(users), self.items), np.float32)


def row_of(rows, k):
    part = slice(rows.indptr[k], rows.indptr[k + 1])
    return rows.indices[part], rows.values[part]


def users_of(task):
    """Each judged user as a model knows them."""
    if task.folded_in:
        return [UserProfile(*row_of(task.history, k)) for k in range(len(task))]
    return [task.train.ratings.user_ids.values[int(code)] for code in task.users]


def slow_lists(task, scores_of):
    """Every unseen movie for each user, best first; the hundred best are looked at."""
    ranked = []
    for k, user in enumerate(users_of(task)):
        scores, seen = scores_of(user), set(row_of(task.history, k)[0].tolist())
        order = sorted(range(len(scores)), key=lambda code: (-scores[code], code))
        ranked.append([code for code in order if code not in seen][:100])
    return ranked


def slow_accuracy(ranked, wanted):
    """Means over users of every figure of accuracy, term by term."""

    def dcg(hits):
        return sum(hit / log2(place + 1) for place, hit in enumerate(hits, 1))

    def ndcg(hits, relevant, k):
        return dcg(hits[:k]) / dcg([1] * min(k, relevant))

    found = []
    for order, relevant in zip(ranked, wanted, strict=True):
        hits, n = [code in relevant for code in order], len(relevant)
        until = [mean(hits[: place + 1]) for place in range(min(10, len(hits))) if hits[place]]
        found.append(
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
    return {name: mean(one[name] for one in found) for name in found[0]}


def slow_beyond(ranked, task):
    """Everything but accuracy, of the first ten places."""
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

    def apart(one, other):
        either = genres[one] | genres[other]
        return 1 - len(genres[one] & genres[other]) / len(either) if either else 0

    gaps = sum(abs(one - other) for one in times for other in times)
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


def check(found, expected):
    assert {name: one.value for name, one in found.metrics.items()} == pytest.approx(expected)


@pytest.fixture(scope="module")
def many_items():
    """More movies than a list has places."""
    return generate(users=40, items=150, ratings=2000, seed=1)[0]


@pytest.fixture(scope="module")
def few_items():
    """Lists run out of movies."""
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
    wanted = [set(row_of(task.relevant, k)[0].tolist()) for k in range(len(task))]
    for head in (None, "rating"):
        ranked = slow_lists(task, lambda user, head=head: model.of(user, head))
        found = evaluate_ranking(model, task, head=head)
        check(found, slow_accuracy(ranked, wanted) | slow_beyond(ranked, task))
        assert (found.protocol, found.n_users) == (task.protocol, len(task))


def test_users_taken_out_of_training_are_folded_in(few_items):
    task = strong_generalization(few_items, n_users=10)
    model = EASE(regularization=20).fit(task.train)
    wanted = [set(row_of(task.relevant, k)[0].tolist()) for k in range(len(task))]
    ranked = slow_lists(task, model.scores)
    check(evaluate_ranking(model, task), slow_accuracy(ranked, wanted) | slow_beyond(ranked, task))


@pytest.mark.parametrize("data", ["many_items", "few_items"])
def test_among_sampled_movies_the_place_is_one_after_all_that_score_as_high(request, data):
    task = sampled_negatives(request.getfixturevalue(data), negatives=30, seed=3)
    model = Tied(task)
    places, wanted = [], []
    for k, user in enumerate(users_of(task)):
        scores = model.of(user, None)
        (positive,), (candidates, _) = row_of(task.relevant, k)[0], row_of(task.candidates, k)
        places.append(sorted(candidates, key=lambda c: (-scores[c], c == positive)))
        wanted.append({positive})
    found = evaluate_ranking(model, task)
    expected = slow_accuracy(places, wanted)
    check(found, {name: expected[name] for name in ACCURACY})
    assert "sampled" in found.note


@pytest.mark.parametrize(("rivals", "rate"), [(9, 1), (10, 0)])
def test_a_model_without_an_opinion_comes_last_among_sampled_movies(many_items, rivals, rate):
    task = sampled_negatives(many_items, negatives=rivals)
    found = evaluate_ranking(Constant(task), task)
    assert found["hit_rate@10"] == rate
    assert found["mrr@100"] == pytest.approx(1 / (rivals + 1))


@pytest.mark.parametrize("make", [leave_one_out, sampled_negatives, strong_generalization])
def test_metrics_are_the_same_whatever_the_size_of_a_block(many_items, make, monkeypatch):
    task = make(many_items)
    whole, parts = Tied(task), Tied(task)
    expected = evaluate_ranking(whole, task)
    monkeypatch.setattr(lists, "BLOCK", 3 * 150 + 1)
    assert evaluate_ranking(parts, task) == expected
    assert whole.asked == [len(task)]
    assert max(parts.asked) == 3 or len(task) < 3
    assert sum(parts.asked) == len(task) > max(parts.asked)


def test_seen_movies_take_no_place(many_items):
    """A model that wants what it knows, then what was held out, is perfect."""
    task = holdout(*many_items.split("random", test_fraction=0.2))

    class Oracle:
        def scores(self, users, *, head=None):
            scores = np.zeros((len(users), 150), np.float32)
            for k in range(len(users)):
                scores[k, row_of(task.history, k)[0]] = 2
                scores[k, row_of(task.relevant, k)[0]] = 1
            return scores

    found = evaluate_ranking(Oracle(), task)
    assert {found[name] for name in (*ACCURACY, "ndcg@100", "map@10")} == {1}


def test_values_and_lists_are_evaluated_by_the_head_asked_for(both, parts):
    task = holdout(*parts)
    values, ranking = (
        evaluate_ranking(both, task, head="rating"),
        evaluate_ranking(both, task, head="ranking"),
    )
    assert evaluate_ranking(both, task) == ranking
    assert values == evaluate_ranking(replace(both, ranking_head=None), task)
    assert values["ndcg@10"] != ranking["ndcg@10"]


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
    found = evaluate_ranking(Tied(task), task)
    of_the_catalogue = {"coverage@10", "gini@10"}
    for name, one in found.metrics.items():
        if name in of_the_catalogue:
            assert one.ci_low is one.ci_high is None
        else:
            assert one.ci_low < one.value < one.ci_high
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(plain) == {"protocol", "n_users", "note", "metrics"}
    assert plain["metrics"]["ndcg@10"]["value"] == found["ndcg@10"]
    assert set(plain["metrics"]) == set(found.metrics)


def test_metrics_of_each_user_are_those_of_an_task_of_that_user_alone(many_items):
    task = holdout(*many_items.split("random")).sample(4)
    found = evaluate_ranking_per_user(Tied(task), task)
    assert found.mean() == evaluate_ranking(Tied(task), task)
    for place in range(4):
        alone = evaluate_ranking(Tied(task), task.take(np.array([place])))
        for name, values in found.values.items():
            assert values[place] == pytest.approx(alone[name])
        assert set(found.values) | set(found.catalog) == set(alone.metrics)


def test_what_has_no_value_is_null_in_json():
    """With one unseen movie each, there is no pair of movies to be diverse."""
    table = pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "rating": 3.0, "time": 1})
    task = leave_one_out(matinee.read(table))
    found = evaluate_ranking(Popularity().fit(task.train), task)
    assert found["hit_rate@10"] == 1
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["metrics"]["diversity@10"] == {"value": None, "ci_low": None, "ci_high": None}


def test_an_task_of_one_user_is_evaluated(many_items):
    task = holdout(*many_items.split("random")).sample(1)
    assert isinstance(task, RankingTask)
    for one in evaluate_ranking(Tied(task), task).metrics.values():
        assert one.ci_low == one.ci_high in (one.value, None)
