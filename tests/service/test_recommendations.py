"""Recommendations over HTTP are those of the model, and say why."""

import numpy as np
import pytest

API = "/api/v1"


def post(client, path="/recommendations", **body):
    answer = client.post(API + path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(items):
    return [item["item_id"] for item in items]


HANDFUL = [
    {"item_id": 3, "rating": 5.0},
    {"item_id": 7, "rating": 1.0},
    {"item_id": 20, "rating": 4},
]


@pytest.fixture
def handful(model):
    return model.fold_in([(rating["item_id"], rating["rating"]) for rating in HANDFUL])


def test_posted_ratings_get_the_list_of_a_fold_in(client, model, handful):
    items = post(client, ratings=HANDFUL, n=15)["items"]
    expected = model.recommend(handful, n=15)
    assert ids(items) == expected["item_id"].to_list()
    scores = [item["score"] for item in items]
    assert scores == pytest.approx(expected["score"].to_list())
    ratings = [item["predicted_rating"] for item in items]
    assert ratings == pytest.approx(expected["predicted_rating"].to_list())
    assert items[0]["title"] == expected["title"][0]
    assert client.get(f"{API}/users/3/feedback").json()["feedback"] == []  # nothing was stored


@pytest.mark.parametrize("by", ["default", "rating", "ranking"])
def test_reasons_are_the_largest_contributions_and_add_up(client, model, handful, by):
    head = None if by == "default" else by
    for item in post(client, ratings=HANDFUL, n=5, by=by, reasons=2)["items"]:
        components = model.explain(handful, item["item_id"], head=head)
        if by == "default":  # what lists are made by, which `explain` takes for the ranking head
            assert len(item["reasons"]) == 2
        else:
            rated = components.filter(components["component"] == "rating")
            largest = rated.sort(rated["contribution"].abs(), descending=True)[:2]
            assert ids(item["reasons"]) == largest["item_id"].to_list()
            found = [reason["contribution"] for reason in item["reasons"]]
            assert found == pytest.approx(largest["contribution"].to_list(), abs=1e-6)
        total = item["other"] + sum(reason["contribution"] for reason in item["reasons"])
        assert total == pytest.approx(item["score"])


def test_what_a_list_may_hold(client, model):
    everything = ids(post(client, ratings=HANDFUL, n=200)["items"])
    assert not {3, 7, 20} & set(everything)
    assert {3, 7, 20} <= set(ids(post(client, ratings=HANDFUL, n=200, seen=True)["items"]))
    assert ids(post(client, ratings=HANDFUL, n=5, offset=3)["items"]) == everything[3:8]
    assert (
        ids(post(client, ratings=HANDFUL, include=everything[5:7], n=9)["items"]) == everything[5:7]
    )
    assert post(client, ratings=HANDFUL, include=[], n=9)["items"] == []
    assert ids(post(client, ratings=HANDFUL, exclude=everything[:2], n=1)["items"]) == [
        everything[2]
    ]
    genre = model.catalog.genre_names[0]
    filters = {"genres": [genre], "year_from": 1990, "year_to": 2010}
    for item in post(client, ratings=HANDFUL, n=50, filters=filters)["items"]:
        assert genre in item["genres"]
        assert 1990 <= item["year"] <= 2010
    unusual = ids(post(client, ratings=HANDFUL, n=10, discover=1.0)["items"])
    assert unusual != everything[:10]


def test_a_user_of_whom_nothing_is_known(client):
    items = post(client, n=10)["items"]
    assert len(items) == 10
    assert items[0]["reasons"] == []


def test_a_user_of_the_training_set(client, model):
    answer = client.get(f"{API}/users/5/recommendations", params={"n": 10, "by": "rating"}).json()
    assert ids(answer["items"]) == model.recommend(5, n=10, head="rating")["item_id"].to_list()


def test_what_users_have_told_since_counts(client, model):
    before = client.get(f"{API}/users/5/recommendations", params={"n": 10}).json()["items"]
    best = before[0]["item_id"]
    client.put(f"{API}/users/5/feedback/{best}", json={"rating": 0.5})
    after = client.get(f"{API}/users/5/recommendations", params={"n": 10}).json()["items"]
    assert best not in ids(after)
    code = model.catalog.ids.code(best, "item")
    profile = model.index.profile(5)
    rated = dict(zip(profile.items.tolist(), profile.values.tolist(), strict=True)) | {code: 0.5}
    expected = model.recommend(
        model.fold_in([(model.catalog.ids.values[c], value) for c, value in rated.items()]), n=10
    )
    assert ids(after) == expected["item_id"].to_list()


@pytest.mark.parametrize("kind", ["seen", "later"])
def test_marks_hide_items_and_teach_nothing(client, kind):
    client.put(f"{API}/users/ann/feedback/3", json={"rating": 5})
    path = f"{API}/users/ann/recommendations"
    before = client.get(path, params={"n": 10}).json()["items"]
    client.put(f"{API}/users/ann/feedback/{before[0]['item_id']}", json={"kind": kind})
    after = client.get(path, params={"n": 9}).json()["items"]
    assert ids(after) == ids(before)[1:]


def test_many_users(client):
    made = post(client, "/recommendations/batch", users=[5, 6, 5], n=4)["recommendations"]
    assert [each["user_id"] for each in made] == [5, 6, 5]
    assert made[0]["items"] == made[2]["items"]
    single = client.get(f"{API}/users/6/recommendations", params={"n": 4, "reasons": 0}).json()
    assert made[1]["items"] == single["items"]


@pytest.mark.parametrize("strategy", ["average", "least_misery"])
def test_a_group(client, model, handful, strategy):
    members = [{"user_id": 5}, {"ratings": HANDFUL}]
    items = post(client, "/recommendations/group", members=members, strategy=strategy, n=10)[
        "items"
    ]
    scores = np.stack([model.scores(5), model.scores(handful)])
    together = scores.min(axis=0) if strategy == "least_misery" else scores.mean(axis=0)
    seen = {*model.index.profile(5).items.tolist(), *handful.items.tolist()}
    order = [code for code in np.argsort(-together, kind="stable") if code not in seen][:10]
    assert ids(items) == [model.catalog.ids.values[int(code)] for code in order]
    expected = [model.predict(who, ids(items)[:1])[0] for who in (5, handful)]
    assert items[0]["members"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"ratings": [{"item_id": 3, "rating": 7}]}, 422, "0.5 to 5 in steps of 0.5"),
        ({"ratings": [{"item_id": 99999, "rating": 4}]}, 404, "99999"),
        ({"ratings": [{"item_id": "x", "rating": 4}]}, 404, "'x'"),
        ({"ratings": [{"item_id": 3, "rating": "NaN"}]}, 422, "valid number"),
        ({"n": 0}, 422, "n"),
        ({"n": 10**12}, 422, "n"),
        ({"offset": -1}, 422, "offset"),
        ({"discover": 1.5}, 422, "discover"),
        ({"by": "luck"}, 422, "by"),
        ({"filters": {"genres": ["Nope"]}}, 404, "Nope"),
        ({"filters": {"where": {"colour": "red"}}}, 404, "colour"),
        ({"exclude": [2**70]}, 404, ""),
        ({"surprise": 1}, 422, "surprise"),
    ],
)
def test_what_makes_no_sense(client, body, status, word):
    answer = client.post(f"{API}/recommendations", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert word in problem["detail"]
    assert "\n" not in problem["detail"]


def test_users_of_whom_nothing_is_known(client):
    for user in ("nobody", "999999", "-1", "1e3", "²"):
        answer = client.get(f"{API}/users/{user}/recommendations")
        assert answer.status_code == 404
        assert "Nothing is known of user" in answer.json()["detail"]


def test_a_search_may_ask_for_any_attribute(client, model):
    genre = model.catalog.genre_names[0]

    def found(**parameters):
        answer = client.get(f"{API}/items", params={"limit": 50, **parameters})
        assert answer.status_code == 200
        return answer.json()["items"]

    years = found(where="year=1990:2005")
    assert years == found(year_from=1990, year_to=2005)
    assert 0 < len(years) < 50
    assert found(where=[f"genres={genre}", "year=1990:"]) == found(genre=genre, year_from=1990)
    assert {item["item_id"] for item in found(q="the", where="year=:1990")} < {
        item["item_id"] for item in found(q="the")
    }


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("year", "where must be NAME=VALUE"),
        ("year=late", "year must be a number, or LOW:HIGH"),
        ("color=red", "color"),
        ("genres=Polka", "Polka"),
    ],
)
def test_a_condition_that_no_item_meets(client, condition, problem):
    answer = client.get(f"{API}/items", params={"where": condition})
    assert answer.status_code == 404
    assert problem in answer.json()["detail"]
