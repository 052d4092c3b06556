"""The service without a model: invented movies, and lists that follow a simple rule.

Two movies are alike if they share genres; a rating counts towards or away from what is like it, by
as much as it is above or below three stars. That is enough to see whether the page reacts.
"""

import asyncio
import csv
import io
import math
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from matinee.data import generate
from matinee.service.page.routes import page_router

SCALE = {"low": 0.5, "high": 5.0, "step": 0.5}
MIDDLE = 3.0
HOSTILE = {  # place among the best known: title
    1: "<img src=x onerror=alert(1)>",
    4: '"><script>window.pwned = 1</script>',
    6: "javascript:alert(document.domain) {{7*7}} ${7*7}",
    11: "The Incredibly Long and Winding Story of a Lighthouse Keeper Who Counted Every Single "
    "Wave Between Two Winters and Never Wrote Down a Number",
    12: "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
}
CARD = """# Model card: invented data

A matrix factorization recommender, for **tests** alone. See [its page](https://example.org/).

## Data

|  |  |
| --- | --- |
| training set | 12,000 ratings |
| called | \\<b\\>a\\|b\\</b\\> \\*c\\* |
| users | 300 |

## Limits

- It knows what people *chose* to rate, `not` what they would have liked.
- <img src=x onerror=alert(2)> is text, and [this](javascript:alert(3)) is no link.
"""


@dataclass(frozen=True)
class Movie:
    item_id: int
    title: str
    year: int | None
    genres: tuple[str, ...]
    n_ratings: int
    x: float
    y: float

    def to_json(self, **more):
        shown = {key: getattr(self, key) for key in ("item_id", "title", "year", "n_ratings")}
        return {**shown, "genres": list(self.genres), **more}


def invent(n=300):
    """Movies from the best known to the least."""
    frame = generate(users=50, items=n, ratings=2000, seed=5)[0].catalog.frame
    movies = []
    for place, row in enumerate(frame.iter_rows(named=True)):
        title = HOSTILE.get(place, row["title"])
        genres = tuple(row["genres"]) or ("Drama",)
        turn = 2 * math.pi * (hash_of(genres[0]) % 97) / 97
        x = 0.5 + 0.3 * math.cos(turn) + 0.4 * ((hash_of(title + "x") % 101) / 101 - 0.5)
        y = 0.5 + 0.3 * math.sin(turn) + 0.4 * ((hash_of(title + "y") % 103) / 103 - 0.5)
        n_ratings = 4000 // (place + 4)
        movies.append(Movie(100 + place, title, row["year"], genres, n_ratings, x, y))
    return {movie.item_id: movie for movie in movies}


def hash_of(text):
    return sum((at + 1) * ord(letter) for at, letter in enumerate(text)) * 2654435761 % 2**31


def likeness(one, other):
    shared = len(set(one.genres) & set(other.genres))
    return shared / math.sqrt(len(one.genres) * len(other.genres))


@dataclass
class Shop:
    """All movies, and what each user has said of them."""

    movies: dict[int, Movie] = field(default_factory=invent)
    users: dict[str, dict[int, dict]] = field(default_factory=dict)
    scale: dict[str, float] | None = field(default_factory=SCALE.copy)
    delays: list[float] = field(default_factory=list)  # seconds, of the next lists
    broken: set[str] = field(default_factory=set)  # ends of paths that answer 503
    clock: count = field(default_factory=count)

    @property
    def by_path(self):
        return {str(item_id): movie for item_id, movie in self.movies.items()}

    def find(self, item_id):
        movie = self.by_path.get(str(item_id))
        if movie is None:
            raise HTTPException(404, f"There is no item {item_id}.")
        return movie

    def said_by(self, request):
        return self.users.setdefault(request.cookies.get("matinee", "?"), {})

    def put(self, said, item_id, rating, kind):
        movie = self.find(item_id)
        at = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + next(self.clock)
        said[movie.item_id] = {
            "item_id": movie.item_id,
            "title": movie.title,
            "rating": rating,
            "kind": kind,
            "updated_at": datetime.fromtimestamp(at, UTC).isoformat(),
        }
        return said[movie.item_id]

    def recommend(self, asked):
        ratings = {int(one["item_id"]): float(one["rating"]) for one in asked.get("ratings", [])}
        ratings |= {int(one): 4.0 for one in asked.get("items", [])}
        found = [
            self.recommended(movie, ratings, asked)
            for movie in self.movies.values()
            if self.is_wanted(movie, ratings, asked)
        ]
        found.sort(key=lambda one: -one["score"])
        offset = asked.get("offset", 0)
        return found[offset : offset + asked.get("n", 20)]

    def is_wanted(self, movie, ratings, asked):
        filters, include = asked.get("filters", {}), asked.get("include")
        return (
            (asked.get("seen") or movie.item_id not in ratings)
            and movie.item_id not in asked.get("exclude", [])
            and (not include or movie.item_id in include)
            and (not filters.get("genres") or set(filters["genres"]) & set(movie.genres))
            and filters.get("year_from", 0) <= (movie.year or 0) <= filters.get("year_to", 9999)
        )

    def recommended(self, movie, ratings, asked):
        parts = [
            (
                self.movies[item],
                rating,
                0.4 * (rating - MIDDLE) * likeness(movie, self.movies[item]),
            )
            for item, rating in ratings.items()
            if item in self.movies
        ]
        known = math.log10(movie.n_ratings + 1) / 4
        total = 3.3 + 0.4 * known + sum(part for *_, part in parts) / (1 + 0.1 * len(parts))
        predicted = min(5.0, max(0.5, total))
        parts.sort(key=lambda part: -abs(part[2]))
        if self.scale is None:
            predicted = None
        reasons = [
            {"item_id": of.item_id, "title": of.title, "rating": rating}
            | {"contribution": round(part, 3)}
            for of, rating, part in parts[: asked.get("reasons", 0)]
            if part
        ]
        wide = 1.1 / math.sqrt(1 + len(parts))
        return movie.to_json(
            predicted_rating=predicted,
            range=predicted and [max(0.5, predicted - wide), min(5.0, predicted + wide)],
            score=total + (1 - 3 * asked.get("discover", 0)) * known,
            reasons=reasons,
        )

    def search(self, text):
        words = text.lower().split()
        found = [
            one for one in self.movies.values() if all(word in one.title.lower() for word in words)
        ]
        return sorted(found, key=lambda one: not one.title.lower().startswith(text.lower()))

    def load(self, said, text):
        """A CSV of Letterboxd (Name, Year, Rating) or of this page (item_id, rating)."""
        imported, skipped = 0, []
        by_name = {(bare(movie), movie.year): movie for movie in self.movies.values()}
        for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
            year = int(row["Year"]) if row.get("Year") else None
            movie = by_name.get((row.get("Name", ""), year))
            if movie is None and row.get("item_id", "").isdigit():
                movie = self.movies.get(int(row["item_id"]))
            if movie is None:
                skipped.append({"row": number, "reason": f"{row.get('Name')} is not in the data"})
            else:
                self.put(said, movie.item_id, float(row.get("Rating") or row["rating"]), "rating")
                imported += 1
        return {"imported": imported, "skipped": skipped}


def bare(movie):
    return movie.title.removesuffix(f" ({movie.year})")


def catalog_routes(shop):
    api = APIRouter(prefix="/api/v1")

    @api.get("/items")
    def search(q: str, limit: int = 20):
        return {"items": [movie.to_json() for movie in shop.search(q)[:limit]]}

    @api.get("/items/{item_id}")
    def item(item_id: str):
        return shop.find(item_id).to_json()

    @api.get("/items/{item_id}/similar")
    def similar(item_id: str, n: int = 12, measure: str = "cosine"):
        one = shop.find(item_id)
        others = [movie for movie in shop.movies.values() if movie is not one]
        weight = {"cosine": 0.0, "dot": 0.001}[measure]
        others.sort(key=lambda other: -likeness(one, other) - weight * other.n_ratings)
        return {"items": [other.to_json(similarity=likeness(one, other)) for other in others[:n]]}

    @api.get("/map")
    def positions():
        shown = ("item_id", "title", "x", "y")
        return {
            "items": [
                {key: getattr(movie, key) for key in shown} | {"genre": movie.genres[0]}
                for movie in shop.movies.values()
            ]
        }

    @api.get("/model")
    def model():
        genres = sorted({genre for movie in shop.movies.values() for genre in movie.genres})
        counts = {"n_users": 300, "n_items": len(shop.movies), "n_ratings": 12_000}
        return {
            "name": "invented",
            "trained_at": "2026-03-01T12:00:00Z",
            "scale": shop.scale,
            "genres": genres,
            "metrics": {"rmse": 0.87},
            "model_card": CARD,
            **counts,
        }

    @api.post("/recommendations")
    async def recommendations(request: Request):
        asked = await request.json()
        await asyncio.sleep(shop.delays.pop(0) if shop.delays else 0)
        return {"items": shop.recommend(asked)}

    @api.post("/recommendations/group")
    async def group(request: Request):
        asked = await request.json()
        everything = {"n": len(shop.movies), "seen": False}
        lists = [shop.recommend({**everything, **member}) for member in asked["members"]]
        by_item = [{one["item_id"]: one for one in ranked} for ranked in lists]
        merged = []
        for item_id in set(by_item[0]).intersection(*by_item[1:]):
            values = [of[item_id]["predicted_rating"] for of in by_item]
            least = asked["strategy"] == "least_misery"
            score = min(values) if least else sum(values) / len(values)
            merged.append({**by_item[0][item_id], "score": score, "members": values})
        merged.sort(key=lambda one: (-one["score"], one["item_id"]))
        return {"items": merged[: asked["n"]]}

    return api


def user_routes(shop):
    api = APIRouter(prefix="/api/v1/me")

    @api.get("/first")
    def first(request: Request, n: int = 10):
        said = shop.said_by(request)
        left = [movie for movie in shop.movies.values() if movie.item_id not in said]
        return {"items": [movie.to_json() for movie in left[:n]]}

    @api.get("/feedback")
    def listed(request: Request, cursor: str = "0", limit: int = 100):
        all_of_it = list(shop.said_by(request).values())
        start = int(cursor)
        more = str(start + limit) if start + limit < len(all_of_it) else None
        return {"feedback": all_of_it[start : start + limit], "next_cursor": more}

    @api.put("/feedback/{item_id}")
    async def put(item_id: str, request: Request):
        what = await request.json()
        kind = what.get("kind", "rating")
        return shop.put(shop.said_by(request), item_id, what.get("rating"), kind)

    @api.delete("/feedback/{item_id}", status_code=204)
    def delete(item_id: str, request: Request):
        shop.said_by(request).pop(int(item_id), None)

    @api.get("/feedback.csv")
    def export(request: Request):
        rows = [f"{one['item_id']},{one['rating']}" for one in shop.said_by(request).values()]
        return Response("\n".join(["item_id,rating", *rows, ""]), media_type="text/csv")

    @api.post("/import")
    async def load(request: Request):
        return shop.load(shop.said_by(request), (await request.body()).decode())

    @api.delete("", status_code=204)
    def forget(request: Request):
        shop.said_by(request).clear()

    return api


def fake_app(shop):
    """The page over invented movies; `shop` may be slowed down or broken while it runs."""
    app = FastAPI()

    @app.middleware("http")
    async def know_the_user(request, call_next):
        path = request.url.path
        if any(path.endswith(end) for end in shop.broken):
            return problem(503, "Out of order.")
        writes = request.method in {"PUT", "DELETE"} or path.endswith("/import")
        if writes and request.headers.get("X-Matinee") != "page":
            return problem(403, "The header X-Matinee is missing.")
        answer = await call_next(request)
        if "matinee" not in request.cookies and not path.startswith(("/api", "/static")):
            answer.set_cookie("matinee", uuid.uuid4().hex, httponly=True, samesite="lax")
        return answer

    @app.exception_handler(HTTPException)
    async def as_a_problem(request, error):
        return problem(error.status_code, error.detail)

    app.include_router(catalog_routes(shop))
    app.include_router(user_routes(shop))
    app.include_router(page_router(lambda item_id: shop.by_path.get(item_id)))
    return app


def problem(status, detail):
    content = {"type": "about:blank", "title": "Problem", "status": status, "detail": detail}
    return JSONResponse(content, status, media_type="application/problem+json")
