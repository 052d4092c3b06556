"""Ranking heads: trained as slow references train, and what must hold of any of them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.models import EASE, BiasOnly, ImplicitALS, Popularity, baselines
from matinee.models.als_common import SPAN
from matinee.models.implicit_als import LINK_RIDGE

RANKERS = [
    ImplicitALS(factors=6, iterations=3),
    ImplicitALS(factors=6, iterations=3, liked=3.5, confidence="stars", exponent=0.5),
    ImplicitALS(factors=6, iterations=3, confidence="counts", features="none", solver="cholesky"),
    EASE(regularization=20),
    EASE(regularization=20, liked=3.5),
    Popularity(),
    Popularity(liked=3.5),
]


def without(dataset, dropped):
    """The data set without some of its ratings, over the same codes."""
    return replace(dataset, ratings=dataset.ratings.take(~dropped), official={})


@pytest.fixture(scope="module")
def small():
    """40 viewers, 30 movies; viewer code 4 and movie code 7 have no ratings, movie 2 no year."""
    data, _ = generate(viewers=40, movies=30, ratings=500, seed=3)
    years = data.catalog.frame["year"].to_list()
    years[2] = None
    frame = data.catalog.frame.with_columns(year=pl.Series(years))
    data = replace(data, catalog=replace(data.catalog, frame=frame))
    return without(data, (data.ratings.user == 4) | (data.ratings.item == 7))


def confidences(dataset, recipe):
    """(known, weights): who watched what, and how sure that is, dense."""
    ratings = dataset.ratings
    shape = len(ratings.user_ids), len(ratings.item_ids)
    stars = np.full(shape, np.nan)
    stars[ratings.user, ratings.item] = ratings.stars
    known = stars >= (-np.inf if recipe.liked is None else recipe.liked)
    trust = {"none": np.ones(shape), "stars": stars, "counts": np.log(1 + stars)}
    weights = trust[recipe.confidence]
    return known, np.where(known, weights / weights[known].mean(), 0.0)


def pulls(known, recipe):
    """(n + unobserved N)^v of each row, 0 for a row without positives."""
    counts, others = known.sum(axis=1), known.any(axis=0).sum()
    return np.where(counts > 0, (counts + recipe.unobserved * others) ** recipe.exponent, 0.0)


def features_of(dataset, kind):
    """A constant, a column for each genre, and one for each span of years, movie by movie."""
    catalog = dataset.catalog
    spans = [None if year is None else year // SPAN for year in catalog.frame["year"]]
    known = sorted({span for span in spans if span is not None})
    rows = []
    for code, genres in enumerate(catalog.frame["genres"]):
        row = [1.0]
        if kind != "none":
            row += [float(name in genres) for name in catalog.genre_names]
        if kind == "genres+years":
            row += [float(spans[code] == span) for span in known]
        rows.append(row)
    return np.array(rows)


def dense_ials(dataset, recipe):
    """The whole sum minimized in the same order, with full matrices in float64.

    Returns rows of viewers and movies, and after each iteration the sum over all pairs.
    """
    known, weights = confidences(dataset, recipe)
    a, lam = recipe.unobserved, recipe.regularization
    if lam is None:
        lam = recipe.usual_regularization(dataset.ratings)
    rng = np.random.default_rng(recipe.seed)
    spread = np.float32(0.1 / np.sqrt(recipe.factors))
    start = [spread * rng.standard_normal((n, recipe.factors), np.float32) for n in known.shape]
    x, w = (rows.astype(np.float64) for rows in start)
    x[~known.any(axis=1)], w[~known.any(axis=0)] = 0, 0
    pull_x, pull_w = pulls(known, recipe), pulls(known.T, recipe)
    features = features_of(dataset, recipe.features)
    ridge = LINK_RIDGE * pull_w[pull_w > 0].mean() * np.eye(features.shape[1])
    link = np.zeros((features.shape[1], recipe.factors))

    def solve(weights, other, pull, prior):
        out = np.zeros((len(weights), recipe.factors))
        for row in np.flatnonzero(pull):
            penalty = lam * pull[row] * np.eye(recipe.factors)
            normal = other.T @ ((weights[row] + a)[:, None] * other) + penalty
            out[row] = np.linalg.solve(normal, other.T @ weights[row] + penalty @ prior[row])
        return out

    def whole():
        scores = x @ w.T
        total = (weights * (1 - scores) ** 2).sum() + a * (scores**2).sum()
        total += lam * (pull_x * (x**2).sum(axis=1)).sum()
        total += lam * (pull_w * ((w - features @ link) ** 2).sum(axis=1)).sum()
        return total + lam * ridge[0, 0] * (link**2).sum()

    losses = []
    for _ in range(recipe.iterations):
        w = solve(weights.T, x, pull_w, features @ link)
        gram = features.T @ (pull_w[:, None] * features) + ridge
        link = np.linalg.solve(gram, features.T @ (pull_w[:, None] * w))
        x = solve(weights, w, pull_x, np.zeros_like(x))
        losses.append(whole())
    cold = ~known.any(axis=0)
    w[cold] = (features @ link)[cold]
    x[~known.any(axis=1)] = x[known.any(axis=1)].mean(axis=0)
    return x, w, losses


@pytest.mark.parametrize("features", ["genres+years", "genres", "none"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"exponent": 0.5, "regularization": 0.1, "unobserved": 1.0},
        {"liked": 4.0},
        {"confidence": "stars"},
        {"confidence": "counts", "liked": 2.5},
    ],
)
def test_training_equals_the_slow_reference(small, features, settings):
    recipe = ImplicitALS(
        **{"factors": 3, "iterations": 3, "solver": "cholesky", "seed": 8, **settings},
        features=features,
    )
    users, items, losses = dense_ials(small, recipe)
    head = recipe.fit(small).ranking
    np.testing.assert_allclose(head.user_rows, users, rtol=5e-3, atol=5e-4)
    np.testing.assert_allclose(head.item_rows, items, rtol=5e-3, atol=5e-4)
    np.testing.assert_allclose(head.history["loss"], losses, rtol=1e-4)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "blocks"])
def test_the_loss_never_rises(parts, solver):
    recipe = ImplicitALS(factors=9, iterations=12, solver=solver, block=4)
    loss = recipe.fit(parts[0]).history["loss"].to_numpy()
    assert (np.diff(loss) <= 1e-6 * loss[:-1]).all()
    assert loss[-1] < 0.99 * loss[0]


def test_all_solvers_end_alike(parts):
    recipe = ImplicitALS(factors=9, iterations=150, block=4, regularization=0.1)
    models = {
        solver: replace(recipe, solver=solver).fit(parts[0])
        for solver in ("cholesky", "cg", "blocks")
    }
    exact = models["cholesky"].scores(range(1, 301))
    loss = models["cholesky"].history["loss"][-1]
    for solver in ("cg", "blocks"):
        scores = models[solver].scores(range(1, 301))
        assert np.corrcoef(exact.ravel(), scores.ravel())[0, 1] > 0.99
        assert np.abs(exact - scores).mean() < 0.01
        assert models[solver].history["loss"][-1] == pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "blocks"])
def test_same_seed_same_bits_for_any_number_of_threads(parts, solver):
    recipe = ImplicitALS(factors=7, iterations=3, solver=solver, block=3, seed=4)
    one, three = (recipe.fit(parts[0], threads=threads) for threads in (1, 3))
    for name in ("user_rows", "item_rows", "nobody"):
        assert np.array_equal(getattr(one.ranking, name), getattr(three.ranking, name))
    assert one.history.drop("seconds").equals(three.history.drop("seconds"))
    users = list(range(1, 301))
    assert np.array_equal(one.scores(users, threads=1), one.scores(users, threads=3))
    assert one.recommend(threads=1).equals(three.recommend(threads=3))
    other = replace(recipe, seed=5).fit(parts[0])
    assert not np.array_equal(one.ranking.user_rows, other.ranking.user_rows)


@pytest.mark.parametrize("recipe", RANKERS)
def test_the_order_of_the_rows_does_not_matter(parts, recipe):
    train = parts[0]
    order = np.random.default_rng(0).permutation(len(train))
    shuffled = matinee.data.Dataset(train.ratings.take(order), train.catalog)
    one, other = recipe.fit(train), recipe.fit(shuffled)
    assert np.array_equal(one.scores([1, 2, 3]), other.scores([1, 2, 3]))


@pytest.mark.parametrize("recipe", [recipe for recipe in RANKERS if recipe.liked])
def test_what_is_not_liked_is_nothing_watched(parts, recipe):
    train = parts[0]
    liked = without(train, train.ratings.stars < recipe.liked)
    assert 0 < len(liked) < len(train)
    known = train.ratings.user_ids.values[np.unique(liked.ratings.user)]
    one, other = recipe.fit(train), replace(recipe, liked=None).fit(liked)
    np.testing.assert_allclose(one.scores(known), other.scores(known), atol=1e-6)


@pytest.mark.parametrize("recipe", RANKERS)
def test_folding_in_a_training_viewer_gives_the_same_scores(parts, recipe):
    train = parts[0]
    model = recipe.fit(without(train, train.ratings.item % 4 == 0))  # a quarter unwatched
    for user in (1, 50, 299):
        trained = model.viewer(user)
        ratings = dict(zip(model.items[trained.items], trained.stars.tolist(), strict=True))
        folded = model.scores(model.fold_in(ratings))
        np.testing.assert_allclose(folded, model.scores(user), atol=1e-4)
        assert model.scores([trained, user]) == pytest.approx(model.scores([user, user]), abs=1e-4)


@pytest.mark.parametrize("recipe", RANKERS)
def test_the_parts_of_a_score_add_up_to_it(model, parts, recipe):
    ranker = recipe.fit(parts[0])
    with_both = model.with_ranking(ranker)
    hater = with_both.fold_in({3: 1, 6: 0.5})  # rated, and for some heads nothing watched
    for user in (1, 77, with_both.fold_in({1: 5, 2: 1, 9: 4.5}), hater, with_both.fold_in({})):
        for movie in (3, 150):
            for by in ("ranking", "stars"):
                found = with_both.explain(user, movie, by=by)
                score = with_both.scores(user, by=by)[movie - 1]
                assert found["contribution"].sum() == pytest.approx(float(score), abs=2e-4)
                rated = found.filter(pl.col("part") == "rating")
                viewer = with_both.viewer(user)
                given = dict(zip(with_both.items[viewer.items], viewer.stars, strict=True))
                assert dict(rated.select("item", "stars").iter_rows()) == given
                sizes = rated["contribution"].abs()
                assert sizes.is_sorted(descending=True)
            by_default = with_both.explain(user, movie)
            assert by_default.equals(ranker.explain(user, movie))


def test_disliked_movies_explain_nothing(parts):
    for recipe in (ImplicitALS(factors=4, iterations=2, liked=4), EASE(liked=4)):
        model = recipe.fit(parts[0])
        found = model.explain(model.fold_in({1: 5, 2: 1, 9: 3.5}), 5)
        adds = dict(found.select("item", "contribution").iter_rows())
        assert adds[1] != 0
        assert adds[2] == adds[9] == 0


@pytest.mark.parametrize("recipe", [ImplicitALS(factors=4, iterations=3, liked=4), EASE(liked=4)])
def test_a_viewer_without_positives_gets_the_average_viewers_list(parts, recipe):
    train = parts[0]
    mine = train.ratings.user == 11
    without_mine = without(train, mine & (train.ratings.stars >= 4))
    assert (without_mine.ratings.user == 11).any()
    model = recipe.fit(without_mine)
    if isinstance(recipe, EASE):
        average = model.ranking.popularity
    else:
        watched = without_mine.ratings.stars >= 4
        known = np.unique(without_mine.ratings.user[watched]) + 1
        average = model.scores(known).mean(axis=0)
    for nobody in (12, model.viewer(12), model.fold_in({}), model.fold_in({1: 0.5})):
        np.testing.assert_allclose(model.scores(nobody), average, atol=1e-5)
    best = np.argsort(-model.scores(model.fold_in({})), kind="stable")[:5]
    assert model.recommend(model.fold_in({}), n=5)["item"].to_list() == (best + 1).tolist()


@pytest.mark.parametrize("features", ["genres+years", "genres", "none"])
def test_a_movie_nobody_watched_has_the_row_of_its_kind(parts, features):
    train = parts[0]
    hidden = int(np.argmax(train.ratings.item_counts))
    left = without(train, train.ratings.item == hidden)
    recipe = ImplicitALS(factors=4, iterations=3, solver="cholesky", features=features)
    model = recipe.fit(left)
    known, _ = confidences(left, recipe)
    pull = pulls(known.T, recipe)
    # the last link is what the final rows of movies say: they are not solved again after it
    rows, design = model.ranking.item_rows.astype(np.float64), features_of(left, recipe.features)
    ridge = LINK_RIDGE * pull[pull > 0].mean() * np.eye(design.shape[1])
    gram = design.T @ (pull[:, None] * design) + ridge
    link = np.linalg.solve(gram, design.T @ (pull[:, None] * rows))
    np.testing.assert_allclose(rows[hidden], design[hidden] @ link, atol=1e-5)
    assert np.abs(rows[hidden]).max() > 0.01
    title = train.catalog.titles[hidden]
    assert title in model.recommend(1, n=200)["title"].to_list()
    assert title not in model.recommend(1, n=200, min_ratings=1)["title"].to_list()


def test_the_genres_of_a_movie_nobody_watched_tell_training_nothing(small):
    catalog = small.catalog
    genres = catalog.frame["genres"].to_list()
    other_genres = [name for name in catalog.genre_names if name not in genres[7]]
    genres[7] = other_genres[:2]
    frame = catalog.frame.with_columns(genres=pl.Series(genres))
    changed = replace(small, catalog=replace(catalog, frame=frame))
    recipe = ImplicitALS(factors=4, iterations=3)
    one, other = recipe.fit(small).ranking, recipe.fit(changed).ranking
    assert np.array_equal(one.user_rows, other.user_rows)
    assert np.flatnonzero((one.item_rows != other.item_rows).any(axis=1)).tolist() == [7]
    assert one.history["loss"].equals(other.history["loss"])


def watched_by(dataset, recipe):
    return confidences(dataset, ImplicitALS(liked=recipe.liked))[0].astype(np.float64)


@pytest.mark.parametrize("recipe", [EASE(regularization=5), EASE(regularization=40, liked=3.5)])
def test_ease_is_least_squares_for_each_movie_from_all_others(small, recipe):
    x = watched_by(small, recipe)
    known = x.any(axis=0)
    expected = np.zeros((30, 30))
    for column in np.flatnonzero(known):
        rest = np.delete(np.arange(30), column)
        normal = x[:, rest].T @ x[:, rest] + recipe.regularization * np.eye(29)
        expected[rest, column] = np.linalg.solve(normal, x[:, rest].T @ x[:, column])
    weights = recipe.fit(small).ranking.weights
    np.testing.assert_allclose(weights[:, known], expected[:, known], atol=1e-5)
    assert (np.diag(weights) == 0).all()
    scores = recipe.fit(small).scores(small.ratings.user_ids.values[[0, 1, 2]])
    np.testing.assert_allclose(scores, x[:3] @ weights, atol=1e-5)


def test_ease_gives_a_movie_nobody_watched_the_weights_of_its_kind(small):
    recipe = EASE(regularization=10)
    weights = recipe.fit(small).ranking.weights.astype(np.float64)
    known = watched_by(small, recipe).any(axis=0)
    design = features_of(small, "genres+years")
    assert not known[7]
    assert (weights[~known] == 0).all()
    for row in np.flatnonzero(known):  # how each movie leads to others, by their kind
        gram = design[known].T @ design[known] + baselines.LINK_RIDGE * np.eye(design.shape[1])
        link = np.linalg.solve(gram, design[known].T @ weights[row, known])
        np.testing.assert_allclose(weights[row, ~known], design[~known] @ link, atol=1e-5)


def test_ease_is_refused_for_too_large_a_catalogue(small, monkeypatch):
    movies = len(small.catalog)
    monkeypatch.setattr(baselines, "MOST_MOVIES", movies)
    EASE().fit(small)
    monkeypatch.setattr(baselines, "MOST_MOVIES", movies - 1)
    with pytest.raises(SettingError, match="too many"):
        EASE().fit(small)


@pytest.mark.parametrize("recipe", [ImplicitALS(), EASE(), Popularity()])
def test_nothing_to_learn_from_is_one_clear_line(small, recipe):
    nothing = small.split("random", test_fraction=0.5)[0]
    nothing = replace(nothing, ratings=nothing.ratings.take(np.zeros(len(nothing), bool)))
    with pytest.raises(SettingError, match="no ratings to learn from"):
        recipe.fit(nothing)
    with pytest.raises(SettingError, match="9 stars or more"):
        replace(recipe, liked=9.0).fit(small)


@pytest.mark.parametrize("recipe", [Popularity(), Popularity(liked=4)])
def test_popularity_counts_who_watched(small, recipe):
    counts = watched_by(small, recipe).sum(axis=0)
    model = recipe.fit(small)
    for somebody in (1, model.fold_in({}), model.fold_in({3: 5})):
        assert model.scores(somebody).tolist() == counts.tolist()
    order = np.argsort(-counts, kind="stable")
    listed = model.recommend(model.fold_in({}), n=30)["item"].to_list()
    assert listed == (order + 1).tolist()
    with pytest.raises(SettingError, match="alike"):
        model.similar(1)


def test_joined_heads_answer_as_they_did_alone(model, both, parts):
    alone = ImplicitALS(factors=5, iterations=4).fit(parts[0])
    assert list(both.heads) == ["rating", "ranking"]
    assert np.array_equal(both.scores([1, 2]), alone.scores([1, 2]))
    assert np.array_equal(both.scores([1, 2], by="stars"), model.scores([1, 2]))
    assert np.array_equal(both.predict([1, 2], [3, 4]), model.predict([1, 2], [3, 4]))
    for by in ("stars", None):
        assert both.similar(7, by=by).equals(model.similar(7))
    assert both.similar(7, by="ranking").equals(alone.similar(7))
    assert alone.similar(7).equals(alone.similar(7, by="ranking"))
    biases = BiasOnly().fit(parts[0]).with_ranking(alone)
    assert biases.similar(7).equals(alone.similar(7))  # whoever has vectors
    history = both.history
    assert history.group_by("head", maintain_order=True).len().rows() == [
        ("rating", 8),
        ("ranking", 4),
    ]
    assert repr(both).startswith("FactorModel(ALS and ImplicitALS, 300 viewers")


def test_heads_of_other_data_are_not_joined(model, parts):
    train, test = parts
    other, _ = generate(viewers=50, movies=40, ratings=1000, seed=1)
    changed = replace(train, ratings=replace(train.ratings, stars=6 - train.ratings.stars))
    for data in (other, test, changed, without(train, train.ratings.user == 0)):
        with pytest.raises(SettingError, match="trained on other"):
            model.with_ranking(Popularity().fit(data))
    with pytest.raises(SettingError, match="no ranking head"):
        model.with_ranking(model)


def test_lists_by_either_head(model, both):
    new = both.fold_in({1: 5, 2: 4})
    for user in (1, 17, new):
        by_stars = both.recommend(user, by="stars")
        assert by_stars.equals(model.recommend(user))
        for by in ("ranking", None):
            found = both.recommend(user, n=15, by=by)
            scores = both.scores(user)
            seen = set(both.viewer(user).items.tolist())
            order = [code for code in np.argsort(-scores, kind="stable") if code not in seen][:15]
            assert found["item"].to_list() == both.items[order].to_list()
            assert np.array_equal(found["score"], scores[order])
            stars = both.predict(user, found["item"])
            np.testing.assert_allclose(found["stars"], stars, rtol=1e-5)
        assert found["item"].to_list() != both.recommend(user, n=15, by="stars")["item"].to_list()
    for who in ([3, 1], None):
        several = both.recommend(who, n=3)
        stars = both.predict(several["user"], several["item"])
        np.testing.assert_allclose(several["stars"], stars, rtol=1e-5)
    with pytest.raises(SettingError, match="'popular'"):
        both.recommend(1, by="popular")


@pytest.mark.parametrize("recipe", RANKERS[2:])
def test_a_model_without_a_rating_head_knows_no_stars(parts, recipe):
    model = recipe.fit(parts[0])
    assert model.recommend(1, n=2).columns == ["item", "title", "genres", "score"]
    asks = (
        lambda: model.predict(1, 1),
        lambda: model.predict(model.fold_in({1: 5}), [1]),
        lambda: model.scores(1, by="stars"),
        lambda: model.recommend(1, by="stars"),
        lambda: model.explain(1, 1, by="stars"),
        lambda: model.similar(1, by="stars"),
    )
    for ask in asks:
        with pytest.raises(SettingError, match="no rating head"):
            ask()
    rating = BiasOnly().fit(parts[0])
    with pytest.raises(SettingError, match="no ranking head"):
        rating.scores(1, by="ranking")


@pytest.mark.parametrize("recipe", RANKERS[:1] + RANKERS[3:4] + RANKERS[5:6])
def test_filters_hold_whatever_lists_are_ranked_by(parts, recipe):
    model = recipe.fit(parts[0])
    catalog, counts = model.catalog, model.item_counts
    years = catalog.frame["year"].to_numpy()
    passing = (
        catalog.genre_matrix[:, 0].astype(bool) & (years >= 1960) & (years <= 2010) & (counts >= 5)
    )
    passing[[4, 8]] = False
    scores = model.scores(1)
    settings = {
        "genres": catalog.genre_names[0],
        "years": (1960, 2010),
        "min_ratings": 5,
        "exclude": [catalog.titles[4], 9],
    }
    order = [code for code in np.argsort(-scores, kind="stable") if passing[code]]
    assert len(order) > 5
    for exclude_seen in (True, False):
        seen = set(model.viewer(1).items.tolist()) if exclude_seen else set()
        found = model.recommend(1, n=300, exclude_seen=exclude_seen, **settings)
        assert found["item"].to_list() == [c + 1 for c in order if c not in seen]
    assert set(model.recommend(1, include=[5, 9], exclude_seen=False)["item"]) == {5, 9}


@pytest.mark.parametrize("seed", [0, 1])
def test_ranking_beats_popularity_where_viewers_watch_what_they_like(generated, seed):
    """In generated data they watch what others watch; here, what the truth has them like."""
    data, truth = generated
    user, item = np.divmod(np.arange(300 * 200, dtype=np.int32), 200)
    luck = np.random.default_rng(seed).gumbel(0, 0.2, (300, 200))
    liking = truth.user_factors @ truth.item_factors.T + luck
    watched = (liking >= np.sort(liking, axis=1)[:, -40:-39]).ravel()
    ratings = replace(
        data.ratings,
        user=user[watched],
        item=item[watched],
        stars=np.full(watched.sum(), 4, np.float32),
        timestamp=None,
    )
    train, test = replace(data, ratings=ratings).split("random", test_fraction=0.2, seed=seed)
    held = set(zip(test.ratings.user.tolist(), test.ratings.item.tolist(), strict=True))

    def hit_rate(recipe):
        lists = recipe.fit(train).recommend(n=10)
        pairs = zip((lists["user"] - 1).to_list(), (lists["item"] - 1).to_list(), strict=True)
        return sum(pair in held for pair in pairs) / lists.height

    popular = hit_rate(Popularity())
    assert popular > 0.05  # 8 of 168 are held out
    for recipe in (ImplicitALS(factors=16, regularization=0.1), EASE(regularization=50)):
        assert hit_rate(recipe) > 2 * popular


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        *((ImplicitALS, {name: 0}) for name in ("factors", "iterations", "cg_steps", "block")),
        (ImplicitALS, {"seed": -1}),
        (ImplicitALS, {"regularization": 0.0}),
        (ImplicitALS, {"regularization": float("nan")}),
        (ImplicitALS, {"unobserved": 0.0}),
        (ImplicitALS, {"unobserved": float("inf")}),
        (ImplicitALS, {"exponent": -0.1}),
        (ImplicitALS, {"exponent": float("nan")}),
        (ImplicitALS, {"liked": float("nan")}),
        (ImplicitALS, {"confidence": "much"}),
        (ImplicitALS, {"features": "year"}),
        (ImplicitALS, {"solver": "lu"}),
        (EASE, {"regularization": 0}),
        (EASE, {"regularization": float("inf")}),
        (EASE, {"liked": float("inf")}),
        (Popularity, {"liked": float("nan")}),
    ],
)
def test_senseless_settings_are_refused_by_name(kind, wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        kind(**wrong)


@pytest.mark.parametrize("kind", [ImplicitALS, EASE, Popularity])
def test_nothing_to_learn_from_is_an_error(parts, kind):
    with pytest.raises(SettingError, match="7 stars or more"):
        kind(liked=7).fit(parts[0])


@pytest.mark.parametrize("confidence", ["stars", "counts"])
def test_confidence_needs_something_to_be_confident_of(confidence):
    table = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "stars": [0.0, 2.0, 3.0]})
    data = matinee.read(table)
    with pytest.raises(SettingError, match="above 0 stars"):
        ImplicitALS(factors=2, confidence=confidence).fit(data)
    model = ImplicitALS(factors=2, confidence=confidence, liked=1).fit(data)
    assert model.recommend(1, exclude_seen=False).height == 2


@pytest.mark.parametrize("solver", ["cholesky", "blocks"])
def test_a_solve_that_breaks_down_is_an_error_not_a_model(small, solver):
    recipe = ImplicitALS(factors=60, regularization=1e-12, solver=solver)
    with pytest.raises(SettingError, match="regularization 1e-12"):
        recipe.fit(small)
    stable = replace(recipe, solver="cg").fit(small)  # needs no inverse
    assert np.isfinite(stable.scores(1)).all()
