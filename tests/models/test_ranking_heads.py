"""Ranking heads: trained as slow references train, and what must hold of any of them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import features_by_hand
import matinee
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.models import EASE, Bias, ImplicitALS, Popularity, baselines
from matinee.models.implicit_als import PRIOR_RIDGE

RANKERS = [
    ImplicitALS(factors=6, iterations=3),
    ImplicitALS(factors=6, iterations=3, min_rating=3.5, confidence="rating", exponent=0.5),
    ImplicitALS(factors=6, iterations=3, confidence="counts", features="none", solver="cholesky"),
    EASE(regularization=20),
    EASE(regularization=20, min_rating=3.5),
    Popularity(),
    Popularity(min_rating=3.5),
]


def without(dataset, dropped):
    """The data set without some of its ratings, over the same codes."""
    return replace(dataset, ratings=dataset.ratings.take(~dropped), official={})


@pytest.fixture(scope="module")
def small():
    """40 users, 30 movies; user code 4 and movie code 7 have no ratings, movie 2 no year."""
    data, _ = generate(users=40, items=30, ratings=500, seed=3)
    years = data.catalog.frame["year"].to_list()
    years[2] = None
    frame = data.catalog.frame.with_columns(year=pl.Series(years, dtype=pl.Int32))
    data = replace(data, catalog=replace(data.catalog, frame=frame))
    return without(data, (data.ratings.user == 4) | (data.ratings.item == 7))


def confidences(dataset, estimator):
    """(known, weights): who watched what, and how sure that is, dense."""
    ratings = dataset.ratings
    shape = len(ratings.user_ids), len(ratings.item_ids)
    values = np.full(shape, np.nan)
    values[ratings.user, ratings.item] = ratings.values
    known = values >= (-np.inf if estimator.min_rating is None else estimator.min_rating)
    confidence_weights = {"none": np.ones(shape), "rating": values, "counts": np.log(1 + values)}
    weights = confidence_weights[estimator.confidence or "none"]
    return known, np.where(known, weights / weights[known].mean(), 0.0)


def preferences(dataset, estimator):
    """What each positive should score, cell by cell from the formula, dense."""
    ratings = dataset.ratings
    weight = estimator.rating_weight
    if weight is None:
        weight = 0.09 if estimator.confidence in (None, "none") else 0.0
    mean, spread = ratings.values.mean(dtype=float), ratings.values.std(dtype=float)
    targets = np.zeros((len(ratings.user_ids), len(ratings.item_ids)))
    for user in range(len(targets)):
        own = ratings.user == user
        center = (ratings.values[own].sum(dtype=float) + 50 * mean) / (own.sum() + 50)
        for item, rating in zip(ratings.item[own], ratings.values[own], strict=True):
            away = min(3.0, max(-3.0, (float(rating) - center) / spread))
            curve = abs(away) if away > 0 else 1.5 * abs(away)
            targets[user, item] = 1 + weight * away * (1 + curve)
    return targets


def prior_weights(known, estimator):
    """(n + unobserved N)^v of each row, 0 for a row without positives."""
    counts, others = known.sum(axis=1), known.any(axis=0).sum()
    return np.where(
        counts > 0, (counts + (estimator.unobserved or 0.25) * others) ** estimator.exponent, 0.0
    )


def features_of(dataset, kind):
    """A constant, columns for genres, and for spans of years, movie by movie."""
    frame, groups = dataset.catalog.frame, []
    if kind != "none":
        groups.append(features_by_hand.of_texts(frame["genres"].to_list()))
    if kind == "all":
        groups.append(features_by_hand.of_years(frame["year"].to_list()))
    return features_by_hand.design(len(frame), *groups)


def dense_ials(dataset, estimator):
    """The whole sum minimized in the same order, with full matrices in float64.

    Returns rows of users and movies, and after each iteration the sum over all pairs.
    """
    known, weights = confidences(dataset, estimator)
    targets = preferences(dataset, estimator)
    a, lam = estimator.unobserved or 0.25, estimator.regularization
    if lam is None:
        lam = estimator.default_regularization(dataset.ratings)
    rng = np.random.default_rng(estimator.seed)
    spread = np.float32(0.1 / np.sqrt(estimator.factors))
    start = [spread * rng.standard_normal((n, estimator.factors), np.float32) for n in known.shape]
    x, w = (rows.astype(np.float64) for rows in start)
    x[~known.any(axis=1)], w[~known.any(axis=0)] = 0, 0
    prior_x, prior_w = prior_weights(known, estimator), prior_weights(known.T, estimator)
    features = features_of(dataset, estimator.features)
    ridge = PRIOR_RIDGE * prior_w[prior_w > 0].mean() * np.eye(features.shape[1])
    link = np.zeros((features.shape[1], estimator.factors))

    def solve(weights, targets, other, prior_weight, prior):
        out = np.zeros((len(weights), estimator.factors))
        for row in np.flatnonzero(prior_weight):
            penalty = lam * prior_weight[row] * np.eye(estimator.factors)
            normal = other.T @ ((weights[row] + a)[:, None] * other) + penalty
            out[row] = np.linalg.solve(
                normal, other.T @ (weights[row] * targets[row]) + penalty @ prior[row]
            )
        return out

    def whole():
        scores = x @ w.T
        total = (weights * (targets - scores) ** 2).sum() + a * (scores**2).sum()
        total += lam * (prior_x * (x**2).sum(axis=1)).sum()
        total += lam * (prior_w * ((w - features @ link) ** 2).sum(axis=1)).sum()
        return total + lam * ridge[0, 0] * (link**2).sum()

    losses = []
    for _ in range(estimator.iterations):
        w = solve(weights.T, targets.T, x, prior_w, features @ link)
        gram = features.T @ (prior_w[:, None] * features) + ridge
        link = np.linalg.solve(gram, features.T @ (prior_w[:, None] * w))
        x = solve(weights, targets, w, prior_x, np.zeros_like(x))
        losses.append(whole())
    cold = ~known.any(axis=0)
    w[cold] = (features @ link)[cold]
    x[~known.any(axis=1)] = x[known.any(axis=1)].mean(axis=0)
    return x, w, losses


@pytest.mark.slow
@pytest.mark.parametrize("features", ["all", "genres", "none"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"exponent": 0.5, "regularization": 0.1, "unobserved": 1.0},
        {"min_rating": 4.0},
        {"rating_weight": 0.0},
        {"rating_weight": 0.3},
        {"confidence": "rating"},
        {"confidence": "counts", "min_rating": 2.5},
    ],
)
def test_training_equals_the_slow_reference(small, features, settings):
    estimator = ImplicitALS(
        **{"factors": 3, "iterations": 3, "solver": "cholesky", "seed": 8, **settings},
        features=features,
    )
    users, items, losses = dense_ials(small, estimator)
    head = estimator.fit(small).ranking_head
    np.testing.assert_allclose(head.user_params, users, rtol=5e-3, atol=5e-4)
    np.testing.assert_allclose(head.item_params, items, rtol=5e-3, atol=5e-4)
    np.testing.assert_allclose(head.history["loss"], losses, rtol=1e-4)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "blocks"])
def test_the_loss_never_rises(parts, solver):
    estimator = ImplicitALS(factors=9, iterations=12, solver=solver, block=4)
    loss = estimator.fit(parts[0]).history["loss"].to_numpy()
    assert (np.diff(loss) <= 1e-6 * loss[:-1]).all()
    assert loss[-1] < 0.99 * loss[0]


@pytest.mark.slow
def test_all_solvers_end_alike(parts):
    estimator = ImplicitALS(factors=9, iterations=150, block=4, regularization=0.1)
    models = {
        solver: replace(estimator, solver=solver).fit(parts[0])
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
    estimator = ImplicitALS(factors=7, iterations=3, solver=solver, block=3, seed=4)
    one, three = (estimator.fit(parts[0], threads=threads) for threads in (1, 3))
    for name in ("user_params", "item_params", "default_user"):
        assert np.array_equal(getattr(one.ranking_head, name), getattr(three.ranking_head, name))
    assert one.history.drop("seconds").equals(three.history.drop("seconds"))
    users = list(range(1, 301))
    assert np.array_equal(one.scores(users, threads=1), one.scores(users, threads=3))
    assert one.recommend(threads=1).equals(three.recommend(threads=3))
    other = replace(estimator, seed=5).fit(parts[0])
    assert not np.array_equal(one.ranking_head.user_params, other.ranking_head.user_params)


@pytest.mark.parametrize("estimator", RANKERS)
def test_the_order_of_the_rows_does_not_matter(parts, estimator):
    train = parts[0]
    order = np.random.default_rng(0).permutation(len(train))
    shuffled = matinee.data.Dataset(train.ratings.take(order), train.catalog)
    one, other = estimator.fit(train), estimator.fit(shuffled)
    assert np.array_equal(one.scores([1, 2, 3]), other.scores([1, 2, 3]))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [estimator for estimator in RANKERS if estimator.min_rating])
def test_what_is_not_liked_is_nothing_watched(parts, estimator):
    train = parts[0]
    min_rating = without(train, train.ratings.values < estimator.min_rating)
    assert 0 < len(min_rating) < len(train)
    known = train.ratings.user_ids.values[np.unique(min_rating.ratings.user)]
    one, other = estimator.fit(train), replace(estimator, min_rating=None).fit(min_rating)
    np.testing.assert_allclose(one.scores(known), other.scores(known), atol=1e-6)


@pytest.mark.parametrize("estimator", RANKERS)
def test_folding_in_a_training_user_gives_the_same_scores(parts, estimator):
    train = parts[0]
    model = estimator.fit(without(train, train.ratings.item % 4 == 0))  # a quarter unwatched
    for user in (1, 50, 299):
        trained = model.user_profile(user)
        ratings = dict(zip(model.items[trained.items], trained.values.tolist(), strict=True))
        folded = model.scores(model.fold_in(ratings))
        np.testing.assert_allclose(folded, model.scores(user), atol=1e-4)
        assert model.scores([trained, user]) == pytest.approx(model.scores([user, user]), abs=1e-4)


@pytest.mark.parametrize("estimator", RANKERS)
def test_the_parts_of_a_score_add_up_to_it(model, parts, estimator):
    ranker = estimator.fit(parts[0])
    with_both = model.with_ranking(ranker)
    hater = with_both.fold_in({3: 1, 6: 0.5})  # rated, and for some heads nothing watched
    for user in (1, 77, with_both.fold_in({1: 5, 2: 1, 9: 4.5}), hater, with_both.fold_in({})):
        for item in (3, 150):
            for head in ("ranking", "rating", None):
                found = with_both.explain(user, item, head=head)
                score = with_both.scores(user, head=head)[item - 1]
                assert found["contribution"].sum() == pytest.approx(float(score), abs=2e-4)
                interactions = found.filter(pl.col("component") == "rating")
                profile = with_both.user_profile(user)
                given = dict(zip(with_both.items[profile.items], profile.values, strict=True))
                assert dict(interactions.select("item_id", "rating").iter_rows()) == given
                sizes = interactions["contribution"].abs()
                assert sizes.is_sorted(descending=True)
            alone = with_both.explain(user, item, head="ranking")
            assert alone.equals(ranker.explain(user, item))


def test_disliked_movies_explain_nothing(parts):
    for estimator in (ImplicitALS(factors=4, iterations=2, min_rating=4), EASE(min_rating=4)):
        model = estimator.fit(parts[0])
        found = model.explain(model.fold_in({1: 5, 2: 1, 9: 3.5}), 5)
        adds = dict(found.select("item_id", "contribution").iter_rows())
        assert adds[1] != 0
        assert adds[2] == adds[9] == 0


@pytest.mark.parametrize(
    "estimator", [ImplicitALS(factors=4, iterations=3, min_rating=4), EASE(min_rating=4)]
)
def test_a_user_without_positives_gets_the_average_users_list(parts, estimator):
    train = parts[0]
    mine = train.ratings.user == 11
    without_mine = without(train, mine & (train.ratings.values >= 4))
    assert (without_mine.ratings.user == 11).any()
    model = estimator.fit(without_mine)
    if isinstance(estimator, EASE):
        average = model.ranking_head.popularity
    else:
        watched = without_mine.ratings.values >= 4
        known = np.unique(without_mine.ratings.user[watched]) + 1
        average = model.scores(known).mean(axis=0)
    for default_user in (12, model.user_profile(12), model.fold_in({}), model.fold_in({1: 0.5})):
        np.testing.assert_allclose(model.scores(default_user), average, atol=1e-5)
    best = np.argsort(-model.scores(model.fold_in({})), kind="stable")[:5]
    assert model.recommend(model.fold_in({}), n=5)["item_id"].to_list() == (best + 1).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("features", ["all", "genres", "none"])
def test_a_movie_nobody_watched_has_the_row_of_its_kind(parts, features):
    train = parts[0]
    hidden = int(np.argmax(train.ratings.item_counts))
    left = without(train, train.ratings.item == hidden)
    estimator = ImplicitALS(
        factors=4, unobserved=0.25, iterations=3, solver="cholesky", features=features
    )
    model = estimator.fit(left)
    known, _ = confidences(left, estimator)
    prior_weight = prior_weights(known.T, estimator)
    # the last link is what the final rows of movies say: they are not solved again after it
    rows, design = (
        model.ranking_head.item_params.astype(np.float64),
        features_of(left, estimator.features),
    )
    ridge = PRIOR_RIDGE * prior_weight[prior_weight > 0].mean() * np.eye(design.shape[1])
    gram = design.T @ (prior_weight[:, None] * design) + ridge
    link = np.linalg.solve(gram, design.T @ (prior_weight[:, None] * rows))
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
    estimator = ImplicitALS(factors=4, iterations=3)
    one, other = estimator.fit(small).ranking_head, estimator.fit(changed).ranking_head
    assert np.array_equal(one.user_params, other.user_params)
    assert np.flatnonzero((one.item_params != other.item_params).any(axis=1)).tolist() == [7]
    assert one.history["loss"].equals(other.history["loss"])


def user_positives(dataset, estimator):
    return confidences(dataset, ImplicitALS(min_rating=estimator.min_rating))[0].astype(np.float64)


@pytest.mark.parametrize(
    "estimator", [EASE(regularization=5), EASE(regularization=40, min_rating=3.5)]
)
def test_ease_is_least_squares_for_each_movie_from_all_others(small, estimator):
    x = user_positives(small, estimator)
    known = x.any(axis=0)
    expected = np.zeros((30, 30))
    for column in np.flatnonzero(known):
        rest = np.delete(np.arange(30), column)
        normal = x[:, rest].T @ x[:, rest] + estimator.regularization * np.eye(29)
        expected[rest, column] = np.linalg.solve(normal, x[:, rest].T @ x[:, column])
    weights = estimator.fit(small).ranking_head.weights
    np.testing.assert_allclose(weights[:, known], expected[:, known], atol=1e-5)
    assert (np.diag(weights) == 0).all()
    scores = estimator.fit(small).scores(small.ratings.user_ids.values[[0, 1, 2]])
    np.testing.assert_allclose(scores, x[:3] @ weights, atol=1e-5)


def test_ease_gives_a_movie_nobody_watched_the_weights_of_its_kind(small):
    estimator = EASE(regularization=10)
    weights = estimator.fit(small).ranking_head.weights.astype(np.float64)
    known = user_positives(small, estimator).any(axis=0)
    design = features_of(small, "all")
    assert not known[7]
    assert (weights[~known] == 0).all()
    for row in np.flatnonzero(known):  # how each movie leads to others, by their kind
        gram = design[known].T @ design[known] + baselines.PRIOR_RIDGE * np.eye(design.shape[1])
        link = np.linalg.solve(gram, design[known].T @ weights[row, known])
        np.testing.assert_allclose(weights[row, ~known], design[~known] @ link, atol=1e-5)


def test_ease_is_refused_for_too_large_a_catalogue(small, monkeypatch):
    items = len(small.catalog)
    monkeypatch.setattr(baselines, "MOST_ITEMS", items)
    EASE().fit(small)
    monkeypatch.setattr(baselines, "MOST_ITEMS", items - 1)
    with pytest.raises(SettingError, match="are more than"):
        EASE().fit(small)


@pytest.mark.parametrize("estimator", [ImplicitALS(), EASE(), Popularity()])
def test_nothing_to_learn_from_is_one_clear_line(small, estimator):
    nothing = small.split("random", test_fraction=0.5)[0]
    nothing = replace(nothing, ratings=nothing.ratings.take(np.zeros(len(nothing), bool)))
    with pytest.raises(SettingError, match="no ratings to learn from"):
        estimator.fit(nothing)
    with pytest.raises(SettingError, match="no rating is >= 9"):
        replace(estimator, min_rating=9.0).fit(small)


@pytest.mark.parametrize("estimator", [Popularity(), Popularity(min_rating=4)])
def test_popularity_counts_who_watched(small, estimator):
    counts = user_positives(small, estimator).sum(axis=0)
    model = estimator.fit(small)
    for profile in (1, model.fold_in({}), model.fold_in({3: 5})):
        assert model.scores(profile).tolist() == counts.tolist()
    order = np.argsort(-counts, kind="stable")
    listed = model.recommend(model.fold_in({}), n=30)["item_id"].to_list()
    assert listed == (order + 1).tolist()
    with pytest.raises(SettingError, match="similar"):
        model.similar_items(1)


def test_joined_heads_answer_as_they_did_alone(model, both, parts):
    alone = ImplicitALS(factors=5, iterations=4).fit(parts[0])
    assert list(both.heads) == ["rating", "ranking"]
    assert np.array_equal(both.scores([1, 2], head="ranking"), alone.scores([1, 2]))
    assert np.array_equal(both.scores([1, 2], head="rating"), model.scores([1, 2]))
    assert np.array_equal(both.predict([1, 2], [3, 4]), model.predict([1, 2], [3, 4]))
    for head in ("rating", None):
        assert both.similar_items(7, head=head).equals(model.similar_items(7))
    assert both.similar_items(7, head="ranking").equals(alone.similar_items(7))
    assert alone.similar_items(7).equals(alone.similar_items(7, head="ranking"))
    biases = Bias().fit(parts[0]).with_ranking(alone)
    assert biases.similar_items(7).equals(alone.similar_items(7))  # the one that has factors
    history = both.history
    assert history.group_by("head", maintain_order=True).len().rows() == [
        ("rating", 8),
        ("ranking", 4),
    ]
    assert repr(both).startswith("Recommender(ALS and ImplicitALS, 300 users")


def test_heads_of_other_data_are_not_joined(model, parts):
    train, test = parts
    other, _ = generate(users=50, items=40, ratings=1000, seed=1)
    changed = replace(train, ratings=replace(train.ratings, values=6 - train.ratings.values))
    for data in (other, test, changed, without(train, train.ratings.user == 0)):
        with pytest.raises(SettingError, match="trained on other"):
            model.with_ranking(Popularity().fit(data))
    with pytest.raises(SettingError, match="no ranking head"):
        model.with_ranking(model)


def test_lists_by_either_head(model, both):
    new = both.fold_in({1: 5, 2: 4})
    for user in (1, 17, new):
        by_rating = both.recommend(user, head="rating")
        assert by_rating.equals(model.recommend(user))
        for head in ("ranking", None):
            found = both.recommend(user, n=15, head=head)
            scores = both.scores(user, head=head)
            seen = set(both.user_profile(user).items.tolist())
            order = [code for code in np.argsort(-scores, kind="stable") if code not in seen][:15]
            assert found["item_id"].to_list() == both.items[order].to_list()
            assert np.array_equal(found["score"], scores[order])
            values = both.predict(user, found["item_id"])
            np.testing.assert_allclose(found["predicted_rating"], values, rtol=1e-5)
        assert (
            found["item_id"].to_list()
            != both.recommend(user, n=15, head="rating")["item_id"].to_list()
        )
    for who in ([3, 1], None):
        several = both.recommend(who, n=3)
        values = both.predict(several["user_id"], several["item_id"])
        np.testing.assert_allclose(several["predicted_rating"], values, rtol=1e-5)
    with pytest.raises(SettingError, match="'popular'"):
        both.recommend(1, head="popular")


@pytest.mark.parametrize("estimator", RANKERS[2:])
def test_a_model_without_a_rating_head_knows_no_values(parts, estimator):
    model = estimator.fit(parts[0])
    assert model.recommend(1, n=2).columns == ["item_id", "title", "genres", "score"]
    asks = (
        lambda: model.predict(1, 1),
        lambda: model.predict(model.fold_in({1: 5}), [1]),
        lambda: model.scores(1, head="rating"),
        lambda: model.recommend(1, head="rating"),
        lambda: model.explain(1, 1, head="rating"),
        lambda: model.similar_items(1, head="rating"),
    )
    for ask in asks:
        with pytest.raises(SettingError, match="no rating head"):
            ask()
    rating = Bias().fit(parts[0])
    with pytest.raises(SettingError, match="no ranking head"):
        rating.scores(1, head="ranking")


@pytest.mark.parametrize("estimator", RANKERS[:1] + RANKERS[3:4] + RANKERS[5:6])
def test_filters_hold_whatever_lists_are_ranked_by(parts, estimator):
    model = estimator.fit(parts[0])
    catalog, counts = model.catalog, model.item_counts
    years = catalog.frame["year"].to_numpy()
    passing = (
        catalog.genre_matrix[:, 0].astype(bool) & (years >= 1960) & (years <= 2010) & (counts >= 5)
    )
    passing[[4, 8]] = False
    scores = model.scores(1)
    settings = {
        "where": {"genres": catalog.genre_names[0], "year": (1960, 2010)},
        "min_ratings": 5,
        "exclude": [catalog.titles[4], 9],
    }
    order = [code for code in np.argsort(-scores, kind="stable") if passing[code]]
    assert len(order) > 5
    for exclude_seen in (True, False):
        seen = set(model.user_profile(1).items.tolist()) if exclude_seen else set()
        found = model.recommend(1, n=300, exclude_seen=exclude_seen, **settings)
        assert found["item_id"].to_list() == [c + 1 for c in order if c not in seen]
    assert set(model.recommend(1, include=[5, 9], exclude_seen=False)["item_id"]) == {5, 9}


@pytest.mark.parametrize("seed", [0, 1])
def test_ranking_beats_popularity_where_users_watch_what_they_like(generated, seed):
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
        values=np.full(watched.sum(), 4, np.float32),
        timestamp=None,
    )
    train, test = replace(data, ratings=ratings).split("random", test_fraction=0.2, seed=seed)
    held = set(zip(test.ratings.user.tolist(), test.ratings.item.tolist(), strict=True))

    def hit_rate(estimator):
        lists = estimator.fit(train).recommend(n=10)
        pairs = zip((lists["user_id"] - 1).to_list(), (lists["item_id"] - 1).to_list(), strict=True)
        return sum(pair in held for pair in pairs) / lists.height

    popular = hit_rate(Popularity())
    assert popular > 0.05  # 8 of 168 are held out
    for estimator in (ImplicitALS(factors=16, regularization=0.1), EASE(regularization=50)):
        assert hit_rate(estimator) > 2 * popular


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
        (ImplicitALS, {"min_rating": float("nan")}),
        (ImplicitALS, {"confidence": "much"}),
        (ImplicitALS, {"features": ""}),
        (ImplicitALS, {"features": None}),
        (ImplicitALS, {"solver": "lu"}),
        (EASE, {"regularization": 0}),
        (EASE, {"regularization": float("inf")}),
        (EASE, {"min_rating": float("inf")}),
        (Popularity, {"min_rating": float("nan")}),
    ],
)
def test_senseless_settings_are_refused_by_name(kind, wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        kind(**wrong)


@pytest.mark.parametrize("kind", [ImplicitALS, EASE, Popularity])
def test_nothing_to_learn_from_is_an_error(parts, kind):
    with pytest.raises(SettingError, match="no rating is >= 7"):
        kind(min_rating=7).fit(parts[0])


@pytest.mark.parametrize("confidence", ["rating", "counts"])
def test_confidence_needs_something_to_be_confident_of(confidence):
    table = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [0.0, 2.0, 3.0]})
    data = matinee.read(table)
    with pytest.raises(SettingError, match="needs ratings > 0"):
        ImplicitALS(factors=2, confidence=confidence).fit(data)
    model = ImplicitALS(factors=2, confidence=confidence, min_rating=1).fit(data)
    assert model.recommend(1, exclude_seen=False).height == 2


@pytest.mark.parametrize("solver", ["cholesky", "blocks"])
def test_a_solve_that_breaks_down_is_an_error_not_a_model(small, solver):
    estimator = ImplicitALS(factors=60, regularization=1e-12, solver=solver)
    with pytest.raises(SettingError, match="regularization 1e-12"):
        estimator.fit(small)
    stable = replace(estimator, solver="cg").fit(small)  # needs no inverse
    assert np.isfinite(stable.scores(1)).all()
