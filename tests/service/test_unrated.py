"""A run of interactions without ratings: what users have seen is what lists are made of."""

import httpx
import pytest

from matinee.service.app import create_app
from matinee.service.served import Served
from matinee.service.settings import ServiceSettings

API = "/api/v1"


@pytest.fixture(scope="module")
def client(unrated_run, serving, tmp_path_factory):
    store = str(tmp_path_factory.mktemp("store") / "feedback.sqlite")
    app = create_app(ServiceSettings(run=unrated_run, store=store), Served.load(unrated_run))
    with serving(app) as address, httpx.Client(base_url=address) as client:
        yield client


def test_what_was_seen_counts(client):
    path = f"{API}/users/ann"
    assert client.put(f"{path}/feedback/3", json={"kind": "seen"}).status_code == 200
    stored = client.get(f"{path}/recommendations", params={"n": 5}).json()
    posted = client.post(f"{API}/recommendations", json={"items": [3], "n": 5}).json()
    assert stored == posted
    for item in stored["items"]:
        assert item["item_id"] != 3
        assert [reason["item_id"] for reason in item["reasons"]] == [3]


@pytest.mark.parametrize("weight", [0, -1, 1e308, 1e-300])
def test_weights_that_are_none(client, weight):
    body = {"rating": weight}
    assert client.put(f"{API}/users/bob/feedback/3", json=body).status_code == 422
    ratings = {"ratings": [{"item_id": 3, **body}]}
    assert client.post(f"{API}/recommendations", json=ratings).status_code == 422
    file = f"item_id,rating\n3,{weight}\n"
    imported = client.post(f"{API}/users/bob/import", content=file).json()
    assert imported["imported"] == 0


def test_the_document_has_no_ratings(client):
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert schemas["RatingRequest"]["properties"]["rating"]["minimum"] > 0
    assert schemas["RatingsRequest"]["properties"]["by"]["enum"] == ["default", "ranking"]
