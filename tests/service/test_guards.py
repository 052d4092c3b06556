"""Who may ask, how much, and what every answer says."""

import time
from types import SimpleNamespace

import httpx
import pytest

from matinee.errors import SettingError
from matinee.service import guards
from matinee.service.app import create_app
from matinee.service.settings import ServiceSettings, is_local

API = "/api/v1"
TOKEN = "t" * 20


def test_a_token_guards_the_api_and_not_the_page(start):
    client = start(token=TOKEN)
    for path in ("/users/5/recommendations", "/users/5/feedback"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            answer = client.get(API + path, headers=headers)
            assert (answer.status_code, answer.json()["title"]) == (401, "Unauthorized")
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get(API + path, headers=right).status_code == 200
    batch = client.post(f"{API}/recommendations/batch", json={"users": [5]})
    group = f"{API}/recommendations/group"
    assert batch.status_code == 401
    assert client.post(group, json={"members": [{"user_id": 5}]}).status_code == 401
    for path in ("/recommendations", "/recommendations/group"):  # of what is posted, for the page
        body = {"members": [{"ratings": []}]} if path.endswith("group") else {}
        assert client.post(API + path, json=body).status_code == 200
    for path in ("/me/recommendations", "/me/feedback", "/items", "/model", "/map"):
        assert client.get(API + path).status_code == 200
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])  # noqa: S104
def test_other_addresses_need_a_token_or_a_proxy(host, tmp_path):
    where = {"run": tmp_path, "store": "x", "host": host}
    with pytest.raises(SettingError, match="is reached from other machines: give --token"):
        ServiceSettings(**where)
    assert ServiceSettings(**where, token=TOKEN).host == host
    assert ServiceSettings(**where, behind_proxy=True).host == host
    with pytest.raises(SettingError, match="16 letters"):
        ServiceSettings(**where, token="short")  # noqa: S106


def test_this_machine():
    assert all(map(is_local, ["127.0.0.1", "127.9.9.9", "::1", "localhost"]))


def test_every_answer_is_strict(client):
    for answer in (client.get(f"{API}/items"), client.get("/nothing"), client.post(f"{API}/items")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/nothing").json()["status"] == 404
    assert client.post(f"{API}/items").json()["status"] == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("localhost:80", 200), ("LOCALHOST", 200), ("[::1]:8000", 200),
     ("evil.example", 421), ("evil.example:8000", 421), ("127.0.0.1.evil.example", 421),
     ("[evil.example]", 421), ("192.168.1.5", 421), ("@", 421)],
)  # fmt: skip
def test_names_that_lead_here_from_elsewhere(client, host, status):
    assert client.get(f"{API}/users/5/feedback", headers={"Host": host}).status_code == status


def test_any_name_where_a_token_or_a_proxy_guards(start):
    for guarded in (start(token=TOKEN), start(behind_proxy=True)):
        assert guarded.get("/health/live", headers={"Host": "example.org"}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_change_nothing(client, site):
    file, headers = "item_id,rating\n3,4\n", {"Sec-Fetch-Site": site, "Content-Type": "text/plain"}
    path, kept = f"{API}/users/ann/import", f"{API}/users/ann/feedback"
    assert client.post(path, content=file, headers=headers).status_code == 403
    assert client.get(kept, headers=headers).json()["feedback"] == []
    headers["Sec-Fetch-Site"] = "same-origin"
    assert client.post(path, content=file, headers=headers).json()["imported"] == 1


def test_bodies_are_limited(client, monkeypatch):
    monkeypatch.setattr(guards, "MAX_BODY", 1000)
    long = {"ratings": [{"item_id": 3, "rating": 4}] * 200}
    assert client.post(f"{API}/recommendations", json=long).status_code == 413

    def chunks():
        for _ in range(200):
            yield b"[" * 100

    assert client.post(f"{API}/recommendations", content=chunks()).status_code == 413
    assert client.post(f"{API}/recommendations", json={}).status_code == 200


@pytest.fixture
def clock(monkeypatch):
    """The seconds by which rates are limited: however slow the machine, they pass as told."""
    seconds = SimpleNamespace(now=0.0)
    told = SimpleNamespace(perf_counter=time.perf_counter, monotonic=lambda: seconds.now)
    monkeypatch.setattr(guards, "time", told)
    return seconds


def test_rates_are_limited(start, clock):
    client = start(rate=5 / guards.BURST)
    statuses = [client.get("/health/live").status_code for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3
    clock.now += 2 * guards.BURST / 5
    statuses = [client.get("/health/live").status_code for _ in range(4)]
    assert statuses == [200] * 2 + [429] * 2


def test_it_is_ready_when_the_run_is_loaded(run, tmp_path, serving):
    app = create_app(ServiceSettings(run=run, store=str(tmp_path / "f.sqlite")))
    with serving(app) as address, httpx.Client(base_url=address) as client:
        assert client.get("/health/live").status_code == 200
        while (answer := client.get("/health/ready")).status_code == 503:
            assert answer.headers["retry-after"] == "1"
        assert answer.json() == {"status": "ready", "run": run.name}
        assert client.get(f"{API}/model").json()["name"] == run.name


def test_measures(client):
    client.get(f"{API}/users/5/recommendations")
    client.get(f"{API}/users/secret-name/recommendations")
    assert client.request("PURGE", "/health/live").status_code == 405
    text = client.get("/metrics").text
    assert "PURGE" not in text
    assert 'route="/api/v1/users/{user_id}/recommendations",status="200"' in text
    assert "secret-name" not in text
    assert "matinee_list_seconds_count 1.0" in text
    assert "matinee_model_trained_timestamp_seconds 1." in text


def statuses(client, addresses, header="X-Forwarded-For"):
    """Of one request for each value of the header."""
    return [client.get("/health/live", headers={header: it}).status_code for it in addresses]


def test_without_a_proxy_what_is_forwarded_is_ignored(start, clock):
    client = start(rate=3 / guards.BURST)
    assert statuses(client, [f"192.0.2.{n}" for n in range(5)]) == [200] * 3 + [429] * 2
    answer = start().get("/", headers={"X-Forwarded-Proto": "https"})
    assert "secure" not in answer.headers["set-cookie"].lower()


def test_behind_a_proxy_each_client_has_a_rate_of_its_own(start, clock):
    client = start(rate=2 / guards.BURST, behind_proxy=True)
    assert statuses(client, ["192.0.2.1"] * 3) == [200, 200, 429]
    assert statuses(client, ["192.0.2.2", "2001:db8::1", "2001:DB8:0::1"]) == [200] * 3
    assert statuses(client, ["2001:db8::1"]) == [429]


def test_behind_a_proxy_nothing_is_believed_but_its_own_word(start, clock):
    client = start(rate=2 / guards.BURST, behind_proxy=True)
    invented = [f"198.51.100.{n}, 192.0.2.1" for n in range(3)]
    assert statuses(client, invented) == [200, 200, 429]
    twice = [("X-Forwarded-For", "198.51.100.9"), ("X-Forwarded-For", "192.0.2.1")]
    assert client.get("/health/live", headers=twice).status_code == 429
    # what is no address is the proxy itself
    assert statuses(client, ["unknown", "192.0.2.1,", "x" * 5000]) == [200, 200, 429]


@pytest.mark.parametrize(
    ("forwarded", "secure"),
    [("https", True), ("http", False), ("http, https", True), ("https,http", False), ("x", False)],
)
def test_behind_a_proxy_the_cookie_is_secure_over_https(start, forwarded, secure):
    answer = start(behind_proxy=True).get("/", headers={"X-Forwarded-Proto": forwarded})
    assert ("secure" in answer.headers["set-cookie"].lower()) is secure
