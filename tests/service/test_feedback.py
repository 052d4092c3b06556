"""What users tell, over HTTP: by the API for any user, by the page for its own."""

import pytest

from matinee.service.store import Store, UserKey

API = "/api/v1"
PAGE = {"X-Matinee": "page"}


@pytest.fixture
def app_store(client, tmp_path):
    """The store of the client's service."""
    store = Store.open(tmp_path / "feedback.sqlite")
    yield store
    store.close()


def told(client, path, **params):
    answer = client.get(API + path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_rating_is_kept_changed_and_taken_back(client, model):
    path = f"{API}/users/ann/feedback/3"
    answer = client.put(path, json={"rating": 4.5})
    assert answer.status_code == 200
    kept = answer.json()
    assert (kept["item_id"], kept["rating"], kept["kind"]) == (3, 4.5, "rating")
    assert kept["title"] == model.catalog.titles[model.catalog.ids.code(3, "item")]
    assert told(client, "/users/ann/feedback")["feedback"] == [kept]
    assert client.put(path, json={"rating": 2}).json()["rating"] == 2.0
    assert len(told(client, "/users/ann/feedback")["feedback"]) == 1
    assert client.put(path, json={"kind": "seen"}).json()["rating"] is None
    assert client.delete(path).status_code == 204
    assert client.delete(path).status_code == 404
    assert told(client, "/users/ann/feedback") == {"feedback": [], "next_cursor": None}


def test_users_and_tenants_are_apart(start):
    first, other = start(), start(tenant="another")
    first.put(f"{API}/users/ann/feedback/3", json={"rating": 4})
    assert told(first, "/users/bob/feedback")["feedback"] == []
    assert told(other, "/users/ann/feedback")["feedback"] == []
    assert other.delete(f"{API}/users/ann").status_code == 204
    assert len(told(first, "/users/ann/feedback")["feedback"]) == 1
    assert first.delete(f"{API}/users/ann").status_code == 204
    assert told(first, "/users/ann/feedback")["feedback"] == []


def test_pages_of_feedback(client):
    for item in range(1, 8):
        client.put(f"{API}/users/ann/feedback/{item}", json={"rating": 3})
    found, cursor = [], None
    while True:
        page = told(
            client, "/users/ann/feedback", limit=3, **({"cursor": cursor} if cursor else {})
        )
        found += [each["item_id"] for each in page["feedback"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [7, 6, 5, 4, 3, 2, 1]
    forged = client.get(f"{API}/users/ann/feedback", params={"cursor": "x"})
    assert forged.status_code == 404


def test_the_same_key_writes_once(client):
    path, key = f"{API}/users/ann/feedback/3", {"Idempotency-Key": "abc"}
    first = client.put(path, json={"rating": 4}, headers=key).json()
    client.put(path, json={"rating": 1})
    assert client.put(path, json={"rating": 4}, headers=key).json() == first
    assert told(client, "/users/ann/feedback")["feedback"][0]["rating"] == 1.0
    other = client.put(path, json={"rating": 5}, headers=key)
    assert other.status_code == 409


@pytest.mark.parametrize(
    "body",
    [{}, {"rating": 4.3}, {"rating": 99}, {"kind": "rating"}, {"kind": "seen", "rating": 3},
     {"kind": "loved"}, {"rating": "5 stars"}, {"rating": None, "x": 1}, [], "x"],
)  # fmt: skip
def test_what_makes_no_sense_is_not_kept(client, body):
    answer = client.put(f"{API}/users/ann/feedback/3", json=body)
    assert answer.status_code == 422
    assert told(client, "/users/ann/feedback")["feedback"] == []


def test_what_no_list_can_be_made_of_is_not_kept(client):
    file = "item_id,rating\n3,4.3\n7,4.5\n"  # which is not on a scale of halves
    told_of = client.post(f"{API}/users/ann/import", content=file).json()
    assert told_of["imported"] == 1
    (skipped,) = told_of["skipped"]
    assert (skipped["row"], skipped["reason"]) == (2, "the rating is not on the scale")
    assert len(told(client, "/users/ann/recommendations", n=5)["items"]) == 5


def test_a_rating_on_an_earlier_scale_is_left_out(client, app_store):
    app_store.put(UserKey("default", "ann"), "3", rating=95.0, kind="rating")
    app_store.put(UserKey("default", "ann"), "7", rating=4.5, kind="rating")
    for item in told(client, "/users/ann/recommendations", n=5)["items"]:
        assert {reason["item_id"] for reason in item["reasons"]} <= {7}


def test_items_that_there_are_not(client):
    assert client.put(f"{API}/users/ann/feedback/99999", json={"rating": 4}).status_code == 404
    assert client.get(f"{API}/items/99999").status_code == 404
    assert client.get(f"{API}/items/%00").status_code == 422


# the page


def test_the_page_has_a_user_of_its_own(client):
    assert client.get(f"{API}/me/feedback").json()["feedback"] == []
    client.put(f"{API}/me/feedback/3", json={"rating": 5}, headers=PAGE)
    assert [each["item_id"] for each in told(client, "/me/feedback")["feedback"]] == [3]
    listed = told(client, "/me/recommendations", n=20)["items"]
    assert 3 not in [item["item_id"] for item in listed]
    cookie = client.cookies.jar._cookies["127.0.0.1"]["/"]["matinee_user"]
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite").lower() == "lax"
    client.cookies.clear()
    assert told(client, "/me/feedback")["feedback"] == []


def test_a_forged_cookie_is_another_user(client):
    client.put(f"{API}/me/feedback/3", json={"rating": 5}, headers=PAGE)
    cookie = client.cookies["matinee_user"]
    user, _, signature = cookie.rpartition(".")
    for forged in (user, f"{user}.x", f"{user}x.{signature}", "", "ä", "." * 5000):
        header = {"Cookie": f"matinee_user={forged}".encode()}
        answer = client.get(f"{API}/me/feedback", headers=header)
        assert answer.json().get("feedback", []) == []


def test_only_the_page_writes_for_its_user(client):
    told(client, "/me/feedback")
    for answer in (
        client.put(f"{API}/me/feedback/3", json={"rating": 5}),
        client.delete(f"{API}/me/feedback/3"),
        client.delete(f"{API}/me"),
    ):
        assert answer.status_code == 403
    assert told(client, "/me/feedback")["feedback"] == []


def test_forget_me(client):
    client.put(f"{API}/me/feedback/3", json={"rating": 5}, headers=PAGE)
    kept = client.cookies["matinee_user"]
    assert client.delete(f"{API}/me", headers=PAGE).status_code == 204
    assert "matinee_user" not in client.cookies
    later = client.get(f"{API}/me/feedback", headers={"Cookie": f"matinee_user={kept}"})
    assert later.json()["feedback"] == []


def test_what_to_rate_first_leaves_out_what_was_told(client):
    first = [item["item_id"] for item in told(client, "/me/first", n=10)["items"]]
    assert len(set(first)) == 10
    client.put(f"{API}/me/feedback/{first[0]}", json={"rating": 5}, headers=PAGE)
    client.put(f"{API}/me/feedback/{first[1]}", json={"kind": "later"}, headers=PAGE)
    following = [item["item_id"] for item in told(client, "/me/first", n=10)["items"]]
    assert not set(first[:2]) & set(following)
