"""What every model trained by gradients answers, as all other models do."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

import matinee
from matinee.errors import RunError, SettingError, UnknownIdError
from matinee.models.neural import BPR, GMF, MLP, MatrixFactorization, NeuMF
from matinee.storage import runs

HOW = {"device": "cpu", "batch_size": 512, "learning_rate": 0.01, "epochs": 8}
TOWER = (16, 8)
LONGER = {**HOW, "epochs": 25}
MF = MatrixFactorization(factors=8, regularization=1.0, **LONGER)
RATING = [
    MF,
    MatrixFactorization(factors=8, biases=False, gravity=0.01, **LONGER),
    MatrixFactorization(factors=8, regularization=0.0, l2=0.06, **LONGER),
    GMF(factors=8, feedback="explicit", **HOW),
    MLP(layers=TOWER, feedback="explicit", **HOW),
    NeuMF(factors=4, layers=TOWER, feedback="explicit", **HOW),
]
LISTS = [
    GMF(factors=8, **HOW),
    MLP(layers=TOWER, **HOW),
    NeuMF(factors=4, layers=TOWER, **HOW),
    BPR(factors=8, **HOW),
]
NETWORKS = [*RATING[3:], *LISTS]
every = pytest.mark.parametrize(
    "estimator",
    [*RATING, *LISTS],
    ids=lambda estimator: f"{type(estimator).__name__}-{getattr(estimator, 'feedback', '')}",
)


def head_of(model):
    return next(iter(model.heads.values()))


def own_ratings(model, user):
    profile = model.user_profile(user)
    return dict(zip(model.items[profile.items], profile.values.tolist(), strict=True))


@every
def test_lists_are_sorted_scores_without_the_seen_movies(trained, estimator):
    model = trained(estimator)
    is_rating = estimator in RATING
    assert list(model.heads) == ["rating" if is_rating else "ranking"]
    together = model.scores([1, 17, 300])
    assert together.shape == (3, 200)
    assert together.dtype == np.float32
    for at, user in enumerate((1, 17, 300)):
        scores = model.scores(user)
        np.testing.assert_allclose(together[at], scores, rtol=1e-4, atol=1e-4)
        seen = set(model.user_profile(user).items.tolist())
        found = model.recommend(user, n=15)
        codes = (found["item_id"] - 1).to_list()
        assert len(codes) == 15
        assert not seen & set(codes)
        np.testing.assert_allclose(found["score"], scores[codes], rtol=1e-4, atol=1e-4)
        assert found["score"].is_sorted(descending=True)
        rest = np.delete(scores, [*codes, *seen])
        assert rest.max() <= found["score"].min() + 1e-4
        assert ("rating" in found.columns) == is_rating
        everything = model.recommend(user, n=15, exclude_seen=False)
        assert everything["score"][0] == pytest.approx(scores.max(), abs=1e-4)
    lists = model.recommend(n=2)
    assert lists.height == 600
    assert lists["user_id"].n_unique() == 300


@every
def test_values_are_predicted_where_there_is_a_rating_head(trained, estimator):
    model = trained(estimator)
    users, items = [1, 5, 5], [3, 9, 200]
    if estimator in LISTS:
        with pytest.raises(SettingError, match="no rating head"):
            model.predict(users, items)
        return
    expected = [model.scores(user)[item - 1] for user, item in zip(users, items, strict=True)]
    np.testing.assert_allclose(
        model.predict(users, items), np.clip(expected, 0.5, 5.0), rtol=1e-4, atol=1e-4
    )
    average = model.predict([99999, 1, 99999], [1, 77777, 77777], unknown="average")
    assert np.isfinite(average).all()
    with pytest.raises(UnknownIdError, match="99999"):
        model.predict([1, 99999], [1, 1])


@pytest.mark.parametrize("estimator", RATING)
def test_values_are_learned_better_than_by_their_mean(trained, parts, estimator):
    ratings = parts[1].ratings
    found = trained(estimator).predict(ratings.user + 1, ratings.item + 1)
    spread = ratings.values - parts[0].ratings.values.mean()
    assert np.sqrt(np.mean((found - ratings.values) ** 2)) < np.sqrt(np.mean(spread**2)) - 0.02


@every
def test_similar_movies_are_those_with_the_smallest_angle(trained, estimator):
    model = trained(estimator)
    found = model.similar_items(7, n=5)
    item_factors = head_of(model).item_factors.astype(np.float64)
    lengths = np.linalg.norm(item_factors, axis=1)
    cosine = item_factors @ item_factors[6] / (lengths * lengths[6])
    cosine[model.item_counts < 10] = -np.inf
    cosine[6] = -np.inf
    order = np.argsort(-cosine)[:5]
    assert (found["item_id"] - 1).to_list() == order.tolist()
    np.testing.assert_allclose(found["similarity"], cosine[order], rtol=1e-4, atol=1e-4)


@every
def test_saved_models_answer_the_same(trained, tmp_path, estimator):
    model = trained(estimator)
    loaded = matinee.load(model.save(tmp_path / "run"))
    assert np.array_equal(loaded.scores([1, 2, 300]), model.scores([1, 2, 300]))
    new = {1: 5, 8: 2}
    assert np.array_equal(loaded.scores(loaded.fold_in(new)), model.scores(model.fold_in(new)))
    assert loaded.recommend(5).equals(model.recommend(5))
    assert loaded.similar_items(7).equals(model.similar_items(7))
    assert loaded.history.equals(model.history)
    assert dict(head_of(loaded).estimator)["name"] == type(estimator).__name__
    assert loaded.recommend(loaded.fold_in(new), n=3).height == 3


def rewritten(run, name, change):
    """Change a file of arrays and make its checksum right again: a careful forger."""
    arrays = {key: array.copy() for key, array in load_file(run / name).items()}
    change(arrays)
    save_file(arrays, run / name)
    manifest = (run / "manifest.json").read_text()
    old = runs.read_manifest(run)["files"][name]["sha256"]
    (run / "manifest.json").write_text(
        manifest.replace(old, hashlib.sha256((run / name).read_bytes()).hexdigest())
    )


def put(name, at, value):
    return lambda arrays: arrays[name].__setitem__(at, value)


FORGERIES = [
    put("dense", 3, np.nan),
    put("user_params", (0, 0), np.inf),
    put("item_bias", 0, np.nan),
    put("widths", 0, -4),
    put("widths", 0, 5),
    put("widths", 1, 15),
    put("widths", 1, 18),
    put("widths", 2, 7),
    put("widths", 2, 2**30),
    lambda a: a.update(widths=a["widths"].astype(np.int64)),
    lambda a: a.update(widths=a["widths"][:2].copy()),
    lambda a: a.update(widths=a["widths"][:1].copy()),
    lambda a: a.update(widths=a["widths"][:0].copy()),
    lambda a: a.update(widths=a["widths"][None]),
    lambda a: a.update(dense=a["dense"][:-1].copy()),
    lambda a: a.update(dense=a["dense"].astype(np.float64)),
    lambda a: a.update(dense=np.append(a["dense"], np.float32(1))),
    lambda a: a.update(item_params=a["item_params"][:, 1:].copy()),
    lambda a: a.update(user_params=a["user_params"][1:].copy()),
    lambda a: a.update(item_bias=a["item_bias"][1:].copy()),
    lambda a: a.pop("widths"),
    lambda a: a.update(default_user=a["user_params"][0].copy()),
]


@pytest.mark.parametrize("change", FORGERIES)
def test_forged_networks_are_refused_even_with_right_checksums(trained, tmp_path, change):
    run = trained(LISTS[2]).save(tmp_path / "run")
    rewritten(run, "ranking_head.safetensors", change)
    with pytest.raises(RunError, match="hold together"):
        matinee.load(run)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"unobserved": 4.0', '"unobserved": -1'),
        ('"noise": 1.0', '"noise": 0'),
        ('"noise": 1.0', '"noise": "1"'),
        ('"mean": 0.0', '"mean": NaN'),
        ('"kind": "NetworkHead"', '"kind": "RatingHead"'),
        ('"kind": "NetworkHead"', '"kind": "Network"'),
    ],
)
def test_forged_settings_of_a_network_are_refused(trained, tmp_path, old, new):
    run = trained(LISTS[2]).save(tmp_path / "run")
    manifest = (run / "manifest.json").read_text()
    assert old in manifest
    (run / "manifest.json").write_text(manifest.replace(old, new))
    with pytest.raises(RunError, match="hold together"):
        matinee.load(run)


def test_a_network_is_loaded_and_asked_without_torch(trained, tmp_path):
    run = trained(LISTS[2]).save(tmp_path / "run")
    code = """
import sys
import matinee
model = matinee.load(sys.argv[1])
model.recommend(1)
model.recommend(model.fold_in({1: 5, 2: 3}))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, run], check=True)


@pytest.mark.parametrize("estimator", RATING[:3])
def test_the_parts_of_values_add_up_to_them(trained, estimator):
    model = trained(estimator)
    for user in (1, 77, 300, model.fold_in({1: 5, 2: 1, 9: 4.5}), model.fold_in({})):
        for item in (3, 150):
            found = model.explain(user, item, head="rating")
            score = float(model.scores(user, head="rating")[item - 1])
            assert found["contribution"].sum() == pytest.approx(score, abs=2e-4)
            rated = found.filter(pl.col("part") == "rating")
            given = own_ratings(model, user)
            assert dict(rated.select("item_id", "rating").iter_rows()) == given
            general = set(found["part"].to_list()) - {"rating"}
            trained_here = isinstance(user, int)
            assert {"mean", "item", "prior"} <= general
            assert general <= {"mean", "item", "prior", *(["training"] if trained_here else [])}


@pytest.mark.parametrize("estimator", NETWORKS)
def test_a_network_explains_nothing_and_says_so(trained, estimator):
    model = trained(estimator)
    with pytest.raises(SettingError, match=f"{type(estimator).__name__} do not come apart"):
        model.explain(1, 3)


@pytest.fixture(scope="module")
def thin(parts):
    """The training part, without movie code 7 and user code 4."""
    train = parts[0]
    kept = (train.ratings.user != 4) & (train.ratings.item != 7)
    return replace(train, ratings=train.ratings.take(kept))


@every
def test_what_has_no_ratings_is_known_by_its_kind_or_not_at_all(thin, estimator):
    model = replace(estimator, epochs=3).fit(thin)
    head = head_of(model)
    assert model.item_counts[7] == 0
    scores = model.scores([1, 2, 3])
    assert np.isfinite(scores).all()
    assert 8 in model.recommend(1, n=200)["item_id"].to_list()
    with pytest.raises(UnknownIdError, match="no ratings"):
        model.recommend(5)
    known = np.delete(np.arange(300), 4)
    if estimator is not RATING[0]:  # ALS's prior, of which all are 0
        expected = head.user_params[known].mean(axis=0)
        if estimator in RATING[1:3]:  # a penalty pulls to zero, not to the average
            expected = 0 * expected
        np.testing.assert_allclose(head.user_params[4], expected, atol=1e-5)
    # ridge regression of the other rows on their genres, as `genre_prior` says
    rows = head.item_params
    if estimator in NETWORKS:
        rows = np.column_stack([head.item_bias, rows])
    counts = model.item_counts
    design = np.column_stack([np.ones(200), thin.catalog.genre_matrix]).astype(np.float64)
    weights = np.sqrt(counts)[:, None]
    gram = design.T @ (weights * design) + np.sqrt(len(thin)) * np.eye(design.shape[1])
    link = np.linalg.solve(gram, design.T @ (weights * rows))
    np.testing.assert_allclose(rows[7], design[7] @ link, atol=1e-4)


@pytest.mark.parametrize("estimator", LISTS)
def test_what_is_not_liked_is_nothing_watched(parts, estimator):
    estimator = replace(estimator, epochs=2)
    train = parts[0]
    min_rating = replace(train, ratings=train.ratings.take(train.ratings.values >= 4))
    one, other = replace(estimator, min_rating=4.0).fit(train), estimator.fit(min_rating)
    np.testing.assert_allclose(
        head_of(one).user_params, head_of(other).user_params, rtol=1e-5, atol=1e-6
    )
    hater = one.fold_in({3: 1, 6: 0.5})
    np.testing.assert_allclose(one.scores(hater), one.scores(one.fold_in({})), atol=1e-5)


def ranks(scores):
    placed = np.argsort(np.argsort(scores, axis=1), axis=1).astype(np.float64)
    return placed - placed.mean(axis=1, keepdims=True)


def spearman(one, other):
    a, b = ranks(one), ranks(other)
    return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


@every
def test_folding_in_a_training_user_gives_nearly_their_scores(trained, estimator):
    model = trained(estimator)
    users = list(range(1, 300, 12))
    own = model.scores(users)
    folded = model.scores([model.fold_in(own_ratings(model, user)) for user in users])
    assert spearman(own, folded).mean() > 0.8
    # and what sets each user apart from the others as well
    apart = spearman(own - own.mean(axis=0), folded - folded.mean(axis=0))
    assert apart.mean() > 0.3
    assert 0.6 < folded.std() / own.std() < 1.4


@every
def test_a_new_user_does_not_depend_on_who_else_is_asked_about(trained, estimator):
    model = trained(estimator)
    ann, ben = model.fold_in({1: 5, 2: 1, 9: 4.5}), model.fold_in({3: 2, 50: 4})
    both = model.scores([ann, 17, ben])
    for at, one in enumerate((ann, 17, ben)):
        np.testing.assert_allclose(model.scores(one), both[at], rtol=1e-3, atol=1e-3)
    assert np.abs(both[0] - both[2]).max() > 0.01


@every
def test_heads_join_with_those_of_other_estimators(trained, model, estimator):
    mine = trained(estimator)
    if estimator in LISTS:
        both = model.with_ranking(mine)
        assert np.array_equal(both.scores(1), mine.scores(1))
        assert both.recommend(1).columns == ["item_id", "title", "genres", "rating", "score"]
    else:
        both = mine.with_ranking(trained(LISTS[3]))
        found = both.recommend(1, n=5)
        np.testing.assert_allclose(
            found["rating"], mine.predict(1, found["item_id"]), rtol=1e-4, atol=1e-4
        )
