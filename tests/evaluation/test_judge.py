"""Judged lists against a slow reference: sort all movies, then count by the textbook."""

import json
from itertools import combinations
from math import log2
from statistics import mean

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data.synthetic import generate
from matinee.evaluation import (
    Exam,
    by_time,
    held_out,
    judge,
    judge_each,
    leave_last_out,
    sampled,
    strong,
)
from matinee.models import EASE, Popularity, Viewer
from matinee.models import topk as lists

ACCURACY = ("hit_rate@10", "ndcg@10", "mrr@100")


class Tied:
    """Scores of a few different values only, of ids or of `Viewer`s; another order by stars."""

    def __init__(self, exam):
        self.movies, self.asked = len(exam.train.catalog), []

    def scores(self, users, *, by=None):
        self.asked.append(len(users))
        return np.array([self.of(one, by) for one in users], np.float32)

    def of(self, one, by):
        known_by = one.items.tolist() if isinstance(one, Viewer) else [int(one)]
        seed = [*known_by, len(by or "")]
        return np.random.default_rng(seed).integers(0, 40, self.movies)


class Constant:
    """Thinks the same of all movies."""

    def __init__(self, exam):
        self.movies = len(exam.train.catalog)

    def scores(self, users, *, by=None):
        return np.ones((len(users), self.movies), np.float32)


def row_of(rows, k):
    part = slice(rows.indptr[k], rows.indptr[k + 1])
    return rows.indices[part], rows.values[part]


def viewers_of(exam):
    """Each judged viewer as a model knows them."""
    if exam.folded_in:
        return [Viewer(*row_of(exam.history, k)) for k in range(len(exam))]
    return [exam.train.ratings.user_ids.values[int(code)] for code in exam.users]


def slow_lists(exam, scores_of):
    """Every unseen movie for each viewer, best first; the hundred best are looked at."""
    ranked = []
    for k, viewer in enumerate(viewers_of(exam)):
        scores, seen = scores_of(viewer), set(row_of(exam.history, k)[0].tolist())
        order = sorted(range(len(scores)), key=lambda code: (-scores[code], code))
        ranked.append([code for code in order if code not in seen][:100])
    return ranked


def slow_accuracy(ranked, wanted):
    """Means over viewers of every figure of accuracy, term by term."""

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


def slow_beyond(ranked, exam):
    """Everything but accuracy, of the first ten places."""
    ratings, catalog = exam.train.ratings, exam.train.catalog
    shown, movies = [order[:10] for order in ranked], range(len(catalog))
    count = np.bincount(ratings.item, minlength=len(catalog)).tolist()
    viewers = len(set(ratings.user.tolist()))
    rated = sorted((code for code in movies if count[code]), key=lambda code: (-count[code], code))
    popular = set(rated[: -(-len(rated) // 10)])
    genres = [set(np.flatnonzero(row).tolist()) for row in catalog.genre_matrix]
    times = [sum(code in order for order in shown) for code in movies]

    def apart(one, other):
        either = genres[one] | genres[other]
        return 1 - len(genres[one] & genres[other]) / len(either) if either else 0

    gaps = sum(abs(one - other) for one in times for other in times)
    return {
        "coverage@10": len(set().union(*shown)) / len(catalog),
        "popularity_share@10": mean(mean(code in popular for code in order) for order in shown),
        "novelty@10": mean(
            mean(-log2(max(count[code], 1) / viewers) for code in order) for order in shown
        ),
        "diversity@10": mean(
            mean(apart(*pair) for pair in combinations(order, 2)) for order in shown
        ),
        "gini@10": gaps / (2 * len(catalog) * sum(times)),
    }


def check(found, expected):
    assert {name: one.value for name, one in found.figures.items()} == pytest.approx(expected)


@pytest.fixture(scope="module")
def many_movies():
    """More movies than a list has places."""
    return generate(viewers=40, movies=150, ratings=2000, seed=1)[0]


@pytest.fixture(scope="module")
def few_movies():
    """Lists run out of movies."""
    return generate(viewers=40, movies=45, ratings=1200, seed=2)[0]


@pytest.mark.parametrize("data", ["many_movies", "few_movies"])
@pytest.mark.parametrize(
    "question",
    [
        lambda data: held_out(*data.split("random", test_fraction=0.3), liked=3),
        lambda data: strong(data, viewers=12, liked=3, test_fraction=0.5),
        leave_last_out,
        lambda data: by_time(data, test_fraction=0.3),
    ],
    ids=["held-out", "strong", "leave-last-out", "time"],
)
def test_figures_are_those_of_a_slow_reference(request, data, question):
    exam = question(request.getfixturevalue(data))
    model = Tied(exam)
    wanted = [set(row_of(exam.relevant, k)[0].tolist()) for k in range(len(exam))]
    for by in (None, "stars"):
        ranked = slow_lists(exam, lambda viewer, by=by: model.of(viewer, by))
        found = judge(model, exam, by=by)
        check(found, slow_accuracy(ranked, wanted) | slow_beyond(ranked, exam))
        assert (found.protocol, found.viewers) == (exam.protocol, len(exam))


def test_viewers_taken_out_of_training_are_folded_in(few_movies):
    exam = strong(few_movies, viewers=10)
    model = EASE(regularization=20).fit(exam.train)
    wanted = [set(row_of(exam.relevant, k)[0].tolist()) for k in range(len(exam))]
    ranked = slow_lists(exam, model.scores)
    check(judge(model, exam), slow_accuracy(ranked, wanted) | slow_beyond(ranked, exam))


@pytest.mark.parametrize("data", ["many_movies", "few_movies"])
def test_among_sampled_movies_the_place_is_one_after_all_that_score_as_high(request, data):
    exam = sampled(request.getfixturevalue(data), negatives=30, seed=3)
    model = Tied(exam)
    places, wanted = [], []
    for k, viewer in enumerate(viewers_of(exam)):
        scores = model.of(viewer, None)
        (positive,), (candidates, _) = row_of(exam.relevant, k)[0], row_of(exam.candidates, k)
        places.append(sorted(candidates, key=lambda c: (-scores[c], c == positive)))
        wanted.append({positive})
    found = judge(model, exam)
    expected = slow_accuracy(places, wanted)
    check(found, {name: expected[name] for name in ACCURACY})
    assert "sampled" in found.note


@pytest.mark.parametrize(("rivals", "rate"), [(9, 1), (10, 0)])
def test_a_model_without_an_opinion_comes_last_among_sampled_movies(many_movies, rivals, rate):
    exam = sampled(many_movies, negatives=rivals)
    found = judge(Constant(exam), exam)
    assert found["hit_rate@10"] == rate
    assert found["mrr@100"] == pytest.approx(1 / (rivals + 1))


@pytest.mark.parametrize("make", [leave_last_out, sampled, strong])
def test_figures_are_the_same_whatever_the_size_of_a_block(many_movies, make, monkeypatch):
    exam = make(many_movies)
    whole, parts = Tied(exam), Tied(exam)
    expected = judge(whole, exam)
    monkeypatch.setattr(lists, "BLOCK", 3 * 150 + 1)
    assert judge(parts, exam) == expected
    assert whole.asked == [len(exam)]
    assert max(parts.asked) == 3 or len(exam) < 3
    assert sum(parts.asked) == len(exam) > max(parts.asked)


def test_seen_movies_take_no_place(many_movies):
    """A model that wants what it knows, then what was held out, is perfect."""
    exam = held_out(*many_movies.split("random", test_fraction=0.2))

    class Oracle:
        def scores(self, users, *, by=None):
            scores = np.zeros((len(users), 150), np.float32)
            for k in range(len(users)):
                scores[k, row_of(exam.history, k)[0]] = 2
                scores[k, row_of(exam.relevant, k)[0]] = 1
            return scores

    found = judge(Oracle(), exam)
    assert {found[name] for name in (*ACCURACY, "ndcg@100", "map@10")} == {1}


def test_stars_and_lists_are_judged_by_the_head_asked_for(both, parts):
    exam = held_out(*parts)
    stars, ranking = judge(both, exam, by="stars"), judge(both, exam, by="ranking")
    assert judge(both, exam) == ranking
    assert stars == judge(matinee.models.FactorModel(
        both.user_ids, both.catalog, both.scale, both.rated, rating=both.rating
    ), exam)  # fmt: skip
    assert stars["ndcg@10"] != ranking["ndcg@10"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_may_be_of_any_layout(few_movies, dtype):
    """Other people's models return what they have: doubles, transposed tables."""
    exam = leave_last_out(few_movies)
    model = Tied(exam)

    class Other:
        def scores(self, users, *, by=None):
            return np.asfortranarray(model.scores(users, by=by).astype(dtype))

    assert judge(Other(), exam) == judge(model, exam)


def test_viewers_may_have_ids_of_text():
    table = pl.DataFrame(
        {
            "user": [f"u{k // 5}" for k in range(50)],
            "item": [f"m{k % 7}" for k in range(50)],
            "stars": 4.0,
            "time": range(50),
        }
    )
    for make in (leave_last_out, strong, sampled):
        exam = make(matinee.read(table))
        assert judge(Popularity().fit(exam.train), exam).viewers == len(exam)


def test_an_interval_holds_its_figure_and_json_says_all(many_movies):
    exam = held_out(*many_movies.split("random"))
    found = judge(Tied(exam), exam)
    of_the_catalogue = {"coverage@10", "gini@10"}
    for name, one in found.figures.items():
        if name in of_the_catalogue:
            assert one.low is one.high is None
        else:
            assert one.low < one.value < one.high
    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert set(plain) == {"protocol", "viewers", "note", "figures"}
    assert plain["figures"]["ndcg@10"]["value"] == found["ndcg@10"]
    assert set(plain["figures"]) == set(found.figures)


def test_figures_of_each_viewer_are_those_of_an_exam_of_that_viewer_alone(many_movies):
    exam = held_out(*many_movies.split("random")).sample(4)
    found = judge_each(Tied(exam), exam)
    assert found.figures() == judge(Tied(exam), exam)
    for place in range(4):
        alone = judge(Tied(exam), exam.take(np.array([place])))
        for name, values in found.values.items():
            assert values[place] == pytest.approx(alone[name])
        assert set(found.values) | set(found.of_all) == set(alone.figures)


def test_what_has_no_value_is_null_in_json():
    """With one unseen movie each, there is no pair of movies to be diverse."""
    table = pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "stars": 3.0, "time": 1})
    exam = leave_last_out(matinee.read(table))
    found = judge(Popularity().fit(exam.train), exam)
    assert found["hit_rate@10"] == 1
    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert plain["figures"]["diversity@10"] == {"value": None, "low": None, "high": None}


def test_an_exam_of_one_viewer_is_judged(many_movies):
    exam = held_out(*many_movies.split("random")).sample(1)
    assert isinstance(exam, Exam)
    for one in judge(Tied(exam), exam).figures.values():
        assert one.low == one.high in (one.value, None)
