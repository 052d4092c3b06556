"""Ids of users and items may be any text: paths carry them percent-encoded."""

from html import unescape
from http.client import HTTPConnection
from urllib.parse import quote

import httpx
import pytest

from matinee.service.app import create_app
from matinee.service.paths import DOTS
from matinee.service.settings import ServiceSettings

API = "/api/v1"
PAGE = {"X-Matinee": "page"}
TWICE = {text: quote(written) for written, text in DOTS.items()}


def written(text):
    """An id as it stands in a path."""
    return TWICE.get(text, quote(text, safe=""))


@pytest.fixture(scope="module")
def client(text_served, serving, tmp_path_factory):
    store = str(tmp_path_factory.mktemp("store") / "feedback.sqlite")
    settings = ServiceSettings(run=text_served.run, store=store, rate=1000)
    with (
        serving(create_app(settings, text_served)) as address,
        httpx.Client(base_url=address) as client,
    ):
        yield client


@pytest.fixture(params=range(12))
def item(request, odd_ids):
    return odd_ids[request.param]


def test_an_item_with_any_id_is_found(client, item):
    answer = client.get(f"{API}/items/{written(item)}")
    assert answer.json()["item_id"] == item
    alike = client.get(f"{API}/items/{written(item)}/similar?n=3")
    assert len(alike.json()["items"]) == 3
    page = client.get(f"/film/{written(item)}")
    assert page.status_code == 200
    assert answer.json()["title"] in unescape(page.text)


@pytest.mark.parametrize("who", ["/me", "/users/a%2Fb%3F", "/users/%252E%252E"])
def test_what_is_told_of_it_is_kept_and_taken_back(client, item, who):
    path = f"{API}{who}/feedback/{written(item)}"
    assert client.put(path, json={"rating": 4}, headers=PAGE).json()["item_id"] == item
    (kept,) = client.get(f"{API}{who}/feedback").json()["feedback"]
    assert (kept["item_id"], kept["rating"]) == (item, 4)
    assert client.delete(path, headers=PAGE).status_code == 204
    assert client.get(f"{API}{who}/feedback").json()["feedback"] == []


@pytest.mark.parametrize("user", ["a/b", "a", "a/feedback", "50%", "50%25", "..", ".", "é ü#?"])
def test_users_are_told_apart_by_all_of_their_id(client, odd_ids, user):
    item = written(odd_ids[0])
    of_users = f"{API}/users/{written(user)}"
    assert client.put(f"{of_users}/feedback/{item}", json={"rating": 4}).status_code == 200
    assert len(client.get(f"{of_users}/feedback").json()["feedback"]) == 1
    assert client.get(f"{of_users}/recommendations?n=1").status_code == 200
    assert client.get(f"{API}/users/b/feedback").json()["feedback"] == []
    assert client.delete(of_users).status_code == 204
    assert client.get(f"{of_users}/feedback").json()["feedback"] == []


def test_a_step_up_in_a_path_forgets_nobody(client, odd_ids):
    item = written(odd_ids[0])
    client.put(f"{API}/users/ann/feedback/{item}", json={"rating": 4})
    # what browsers make of DELETE /users/ann/feedback/..
    assert client.delete(f"{API}/users/ann/", follow_redirects=True).status_code == 404
    assert len(client.get(f"{API}/users/ann/feedback").json()["feedback"]) == 1


@pytest.mark.parametrize("path", ["items/..", "items/%2e%2E", "it%65ms/%252e%252e"])
def test_a_path_sent_as_it_is_means_the_same(client, path):
    connection = HTTPConnection(client.base_url.host, client.base_url.port)
    connection.request("GET", f"{API}/{path}")  # which takes no steps
    assert b'"item_id":".."' in connection.getresponse().read()
    connection.close()


@pytest.mark.parametrize("path", ["%00", "%FF", "%", "%2", "%zz", "y" * 300, "%F0%9F%8E"])
def test_what_is_no_id_is_refused(client, path):
    assert client.get(f"{API}/items/{path}").status_code in {404, 422}
    assert client.get(f"/film/{path}").status_code == 404


def test_an_id_too_long_to_be_kept_is_listed_all_the_same(client, text_served):
    long = max(text_served.item_ids, key=len)
    assert len(long) == 300
    for answer in (
        client.get(f"{API}/items?limit=50"),
        client.post(f"{API}/recommendations", json={"n": 40}),
        client.get(f"{API}/map"),
    ):
        assert long in {item["item_id"] for item in answer.json()["items"]}
    told = client.put(f"{API}/users/ann/feedback/{long}", json={"rating": 4})
    assert told.status_code == 422


def test_the_document_tells_of_ids_as_they_are(client):
    operation = client.get("/openapi.json").json()["paths"][f"{API}/items/{{item_id}}"]["get"]
    (parameter,) = operation["parameters"]
    schema = parameter["schema"]
    assert (schema["type"], schema["minLength"], schema["maxLength"]) == ("string", 1, 256)
