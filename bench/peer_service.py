"""Run by `implicit`'s own interpreter: its answers behind a minimal handler of FastAPI.

python peer_service.py IN.npz WORKERS    prints its address
"""

import json
import os
import socket
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import uvicorn
from fastapi import FastAPI
from implicit.als import AlternatingLeastSquares
from pydantic import BaseModel
from uvicorn.supervisors import Multiprocess


class Rating(BaseModel):
    item_id: int
    rating: float


class Question(BaseModel):
    ratings: list[Rating]
    n: int = 10


def application():
    """The best items for a user, with what there is to say of each."""
    path = os.environ["PEER_DATA"]
    arrays = np.load(path)
    about = json.loads(Path(path).with_suffix(".json").read_text())
    model = AlternatingLeastSquares(factors=arrays["users"].shape[1], num_threads=1)
    model.user_factors, model.item_factors = arrays["users"], arrays["items"]
    indptr, indices = arrays["indptr"], arrays["indices"]
    shape = len(model.user_factors), len(model.item_factors)
    seen = sp.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
    users = {user: code for code, user in enumerate(arrays["user_ids"].tolist())}
    item_ids = arrays["item_ids"].tolist()
    items = {item: code for code, item in enumerate(item_ids)}
    app = FastAPI()

    def answer(codes, scores):
        listed = zip(codes.tolist(), scores.tolist(), strict=True)
        return {
            "items": [{"item_id": item_ids[c], **about[c], "score": score} for c, score in listed]
        }

    @app.get("/health/ready")
    def ready():
        return {}

    @app.get("/api/v1/users/{user_id}/recommendations")
    def of_known(user_id: int, n: int = 10):
        code = users[user_id]
        return answer(*model.recommend(code, seen[code], N=n))

    @app.post("/api/v1/recommendations")
    def of_new(question: Question):
        codes = [items[rating.item_id] for rating in question.ratings]
        row = np.zeros(len(codes), np.int32), np.array(codes)
        liked = sp.csr_matrix((np.ones(len(codes), np.float32), row), shape=(1, shape[1]))
        return answer(*model.recommend(0, liked, N=question.n, recalculate_user=True))

    return app


def main(path, workers):
    """Serve until the process is ended."""
    os.environ["PEER_DATA"] = path
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(
        application, factory=True, workers=int(workers), access_log=False, log_level="error"
    )
    Multiprocess(config, [listening]).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
