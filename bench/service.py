"""How fast the service answers: 85,000 items, 200,000 users, 64 factors, 16 connections.

python bench/service.py [SECONDS]

Invented data, trained once and kept in the cache folder. The load comes from this process, on the
same machine, in rounds in which each kind of question has its turn of SECONDS (4). In the same
rounds `implicit` makes the lists of the ranking head's own factors behind a minimal handler of
FastAPI, in as many processes, on the same server.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np

from matinee.data import read, write_generated
from matinee.experiments import fit
from matinee.models import ALS, ImplicitALS, Recommender
from matinee.models.loading import load
from matinee.storage.cache_folder import cache_folder
from peers import peer_python
from service_load import CONNECTIONS, ask, get, post

USERS, ITEMS, RATINGS = 200_000, 85_000, 8_000_000
FACTORS, ITERATIONS = 64, 3
WORKERS = "2"
ROUNDS = 5
RATED = 20  # ratings of a new user
QUESTIONS = 2000  # different ones of each kind
PLAIN = "&by=ranking&reasons=0"  # what implicit can answer, too
SAME = ("known user, the list alone", "20 new ratings, the list alone")


def trained() -> Path:
    """The run, trained at first use."""
    folder = cache_folder() / "bench-service"
    run = folder / "run"
    if not run.exists():
        write_generated(folder / "data", users=USERS, items=ITEMS, ratings=RATINGS, seed=3)
        settings = {"factors": FACTORS, "iterations": ITERATIONS}
        fit(read(folder / "data"), ALS(**settings), ImplicitALS(**settings)).save(run)
    return run


@contextmanager
def serving(*command: str) -> Iterator[int]:
    """A server as a process of its own, which prints its address; its port, once it is ready."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    try:
        line = server.stdout.readline() if server.stdout else ""
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        while not is_ready(port):
            time.sleep(0.01)
        yield port
    finally:
        server.terminate()
        server.wait()


def is_ready(port: int) -> bool:
    """Whether a server can answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def questions(model: Recommender) -> dict[str, list[bytes]]:
    """The requests of each kind."""
    rng = np.random.default_rng(0)
    users = rng.choice(model.user_ids.values.to_numpy(), QUESTIONS).tolist()
    items = model.items.to_numpy()[model.item_counts >= RATED]
    handfuls = [rng.choice(items, RATED, replace=False).tolist() for _ in range(QUESTIONS)]
    levels = rng.integers(1, 11, (QUESTIONS, RATED)) / 2
    posted = [
        [{"item_id": item, "rating": float(rating)} for item, rating in zip(*pair, strict=True)]
        for pair in zip(handfuls, levels, strict=True)
    ]
    titles = [model.catalog.titles[code] for code in rng.integers(0, ITEMS, QUESTIONS)]
    path, body = "/api/v1/users/{}/recommendations?n=10", {"n": 10}
    plain = {"by": "ranking", "reasons": 0}
    return {
        "known user": [get(path.format(user)) for user in users],
        "20 new ratings": [
            post("/api/v1/recommendations", body | {"ratings": ratings}) for ratings in posted
        ],
        "search": [get(f"/api/v1/items?limit=10&q={quote(typed(t, rng))}") for t in titles],
        SAME[0]: [get(path.format(user) + PLAIN) for user in users],
        SAME[1]: [
            post("/api/v1/recommendations", body | plain | {"ratings": ratings})
            for ratings in posted
        ],
    }


def typed(title: str, rng: np.random.Generator) -> str:
    """The beginning of a title as people type it, one time in four with an error."""
    text = title[: int(rng.integers(2, max(3, len(title) - 6)))]
    if rng.random() < 0.25 and len(text) > 4:
        place = int(rng.integers(1, len(text) - 1))
        text = text[:place] + "aeiourstln"[int(rng.integers(10))] + text[place + 1 :]
    return text


def save_for_peer(model: Recommender, path: Path) -> None:
    """The ranking head's factors, who has rated what, and what an answer says of an item."""
    head, seen = model.head("ranking"), model.interactions
    np.savez(
        path,
        users=np.ascontiguousarray(head.user_factors),
        items=np.ascontiguousarray(head.item_factors),
        indptr=seen.indptr,
        indices=seen.indices,
        user_ids=model.user_ids.values.to_numpy(),
        item_ids=model.items.to_numpy(),
    )
    frame = model.catalog.frame.select("title", "year", "genres")
    path.with_suffix(".json").write_text(json.dumps(frame.to_dicts()))


def measure(seconds: float) -> dict[str, object]:
    """Medians over the rounds, of each kind of question."""
    run = trained()
    model = load(run)
    asked = questions(model)
    rows: dict[str, list[tuple[float, float, float]]] = {}
    starts, failed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder, "peer.npz")
        save_for_peer(model, given)
        del model
        matinee = [
            *(sys.executable, "-m", "matinee", "serve", str(run), "--port", "0"),
            *("--rate", "1e6", "--store", f"{folder}/feedback.sqlite"),
        ]
        script = str(Path(__file__).with_name("peer_service.py"))
        implicit = [str(peer_python("implicit-http")), script, str(given), WORKERS]
        for _ in range(ROUNDS):
            started = time.perf_counter()
            with serving(*matinee):
                starts.append(time.perf_counter() - started)
        with serving(*matinee, "--workers", WORKERS) as ours, serving(*implicit) as theirs:
            time.sleep(seconds)  # the other workers are ready, too
            for number in range(ROUNDS + 1):
                for name, requests in asked.items():
                    ports = {name: ours} | ({f"implicit: {name}": theirs} if name in SAME else {})
                    for label, port in ports.items():
                        load_of = ask(port, requests, seconds)
                        failed += load_of.failed
                        if number:  # the first round warms up
                            p50, p99 = np.percentile(load_of.seconds, [50, 99])
                            rate = len(load_of.seconds) / seconds
                            rows.setdefault(label, []).append((rate, 1000 * p50, 1000 * p99))
    medians = {label: [statistics.median(part) for part in zip(*r, strict=True)]
               for label, r in rows.items()}  # fmt: skip
    names = ("per second", "p50 ms", "p99 ms")
    return {
        "users": USERS,
        "items": ITEMS,
        "factors": FACTORS,
        "connections": CONNECTIONS,
        "workers": int(WORKERS),
        "seconds to ready, one worker": round(statistics.median(starts), 2),
        "failed": failed,
        "answers": {
            label: {name: round(value, 1) for name, value in zip(names, values, strict=True)}
            for label, values in medians.items()
        },
        "times as many as implicit": {
            name: round(medians[name][0] / medians[f"implicit: {name}"][0], 2) for name in SAME
        },
    }


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0), indent=2))
