"""Every neural model answers as all other models do."""

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

SETTINGS = {"device": "cpu", "batch_size": 512, "learning_rate": 0.01, "epochs": 8}
TOWER = (16, 8)
LONGER = {**SETTINGS, "epochs": 25}
MF = MatrixFactorization(factors=8, regularization=1.0, **LONGER)
RATING = [
    MF,
    MatrixFactorization(factors=8, biases=False, gravity=0.01, **LONGER),
    MatrixFactorization(factors=8, regularization=0.0, l2=0.06, **LONGER),
    GMF(factors=8, feedback="explicit", **SETTINGS),
    MLP(layers=TOWER, feedback="explicit", **SETTINGS),
    NeuMF(factors=4, layers=TOWER, feedback="explicit", **SETTINGS),
]
RANKING = [
    GMF(factors=8, **SETTINGS),
    MLP(layers=TOWER, **SETTINGS),
    NeuMF(factors=4, layers=TOWER, **SETTINGS),
    BPR(factors=8, **SETTINGS),
]
NETWORKS = [*RATING[3:], *RANKING]
all_estimators = pytest.mark.parametrize(
    "estimator",
    [*RATING, *RANKING],
    ids=lambda estimator: f"{type(estimator).__name__}-{getattr(estimator, 'feedback', '')}",
)


def head_of(model):
    return next(iter(model.heads.values()))


def own_ratings(model, user):
    profile = model.user_profile(user)
    return dict(zip(model.items[profile.items], profile.values.tolist(), strict=True))


@pytest.mark.thorough
@pytest.mark.slow
@all_estimators
def test_recommendations_are_sorted_scores_without_seen_items(trained, estimator):
    model = trained(estimator)
    is_rating = estimator in RATING
    assert list(model.heads) == ["rating" if is_rating else "ranking"]
    together = model.scores([1, 17, 300])
    assert together.shape == (3, 200)
    assert together.dtype == np.float32
    for row, user in enumerate((1, 17, 300)):
        scores = model.scores(user)
        np.testing.assert_allclose(together[row], scores, rtol=1e-4, atol=1e-4)
        seen = set(model.user_profile(user).items.tolist())
        top = model.recommend(user, n=15)
        codes = (top["item_id"] - 1).to_list()
        assert len(codes) == 15
        assert not seen & set(codes)
        np.testing.assert_allclose(top["score"], scores[codes], rtol=1e-4, atol=1e-4)
        assert top["score"].is_sorted(descending=True)
        rest = np.delete(scores, [*codes, *seen])
        assert rest.max() <= top["score"].min() + 1e-4
        assert ("predicted_rating" in top.columns) == is_rating
        everything = model.recommend(user, n=15, exclude_seen=False)
        assert everything["score"][0] == pytest.approx(scores.max(), abs=1e-4)
    for_all = model.recommend(n=2)
    assert for_all.height == 600
    assert for_all["user_id"].n_unique() == 300


@pytest.mark.slow
@all_estimators
def test_ratings_are_predicted_where_there_is_a_rating_head(trained, estimator):
    model = trained(estimator)
    users, items = [1, 5, 5], [3, 9, 200]
    if estimator in RANKING:
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
def test_ratings_are_predicted_better_than_by_their_mean(trained, parts, estimator):
    ratings = parts[1].ratings
    predicted = trained(estimator).predict(ratings.user + 1, ratings.item + 1)
    error = np.sqrt(np.mean((predicted - ratings.values) ** 2))
    baseline = np.sqrt(np.mean((ratings.values - parts[0].ratings.values.mean()) ** 2))
    assert error < baseline - 0.02


@all_estimators
def test_similar_items_are_those_with_the_smallest_angle(trained, estimator):
    model = trained(estimator)
    similar = model.similar_items(7, n=5)
    item_factors = head_of(model).item_factors.astype(np.float64)
    lengths = np.linalg.norm(item_factors, axis=1)
    cosine = item_factors @ item_factors[6] / (lengths * lengths[6])
    cosine[model.item_counts < 10] = -np.inf
    cosine[6] = -np.inf
    order = np.argsort(-cosine)[:5]
    assert (similar["item_id"] - 1).to_list() == order.tolist()
    np.testing.assert_allclose(similar["similarity"], cosine[order], rtol=1e-4, atol=1e-4)


@all_estimators
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


def rewrite(run, name, change):
    """Change a file of arrays and correct its checksum, as a careful forger does."""
    arrays = {key: array.copy() for key, array in load_file(run / name).items()}
    change(arrays)
    save_file(arrays, run / name)
    manifest = (run / "manifest.json").read_text()
    old = runs.read_manifest(run)["files"][name]["sha256"]
    (run / "manifest.json").write_text(
        manifest.replace(old, hashlib.sha256((run / name).read_bytes()).hexdigest())
    )


def put(name, index, value):
    return lambda arrays: arrays[name].__setitem__(index, value)


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
    run = trained(RANKING[2]).save(tmp_path / "run")
    rewrite(run, "ranking_head.safetensors", change)
    with pytest.raises(RunError, match="do not fit together"):
        matinee.load(run)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"negatives": 4.0', '"negatives": -1'),
        ('"noise": 1.0', '"noise": 0'),
        ('"noise": 1.0', '"noise": "1"'),
        ('"mean": 0.0', '"mean": NaN'),
        ('"kind": "NetworkHead"', '"kind": "RatingHead"'),
        ('"kind": "NetworkHead"', '"kind": "Network"'),
    ],
)
def test_forged_settings_of_a_network_are_refused(trained, tmp_path, old, new):
    run = trained(RANKING[2]).save(tmp_path / "run")
    manifest = (run / "manifest.json").read_text()
    assert old in manifest
    (run / "manifest.json").write_text(manifest.replace(old, new))
    with pytest.raises(RunError, match="do not fit together"):
        matinee.load(run)


@pytest.mark.slow
def test_a_network_is_loaded_and_recommends_without_torch(trained, tmp_path):
    run = trained(RANKING[2]).save(tmp_path / "run")
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
def test_components_add_up_to_the_score(trained, estimator):
    model = trained(estimator)
    for user in (1, 77, 300, model.fold_in({1: 5, 2: 1, 9: 4.5}), model.fold_in({})):
        for item in (3, 150):
            parts = model.explain(user, item, head="rating")
            score = float(model.scores(user, head="rating")[item - 1])
            assert parts["contribution"].sum() == pytest.approx(score, abs=2e-4)
            rated = parts.filter(pl.col("component") == "rating")
            given = own_ratings(model, user)
            assert dict(rated.select("item_id", "rating").iter_rows()) == given
            general = set(parts["component"].to_list()) - {"rating"}
            expected = {"global_mean", "item_bias", "prior"}
            assert expected <= general
            residual = {"residual"} if isinstance(user, int) else set()
            assert general <= expected | residual


@pytest.mark.parametrize("estimator", NETWORKS)
def test_a_network_cannot_be_explained_and_says_so(trained, estimator):
    model = trained(estimator)
    with pytest.raises(SettingError, match=f"{type(estimator).__name__} cannot be explained"):
        model.explain(1, 3)


@pytest.fixture(scope="module")
def thin(parts):
    """The training set without ratings of item index 7 and user index 4."""
    train = parts[0]
    is_other = (train.ratings.user != 4) & (train.ratings.item != 7)
    return replace(train, ratings=train.ratings.take(is_other))


@pytest.mark.slow
@all_estimators
def test_cold_start_users_and_items_have_their_priors(thin, estimator):
    model = replace(estimator, epochs=3).fit(thin)
    head = head_of(model)
    assert model.item_counts[7] == 0
    scores = model.scores([1, 2, 3])
    assert np.isfinite(scores).all()
    assert 8 in model.recommend(1, n=200)["item_id"].to_list()
    with pytest.raises(UnknownIdError, match="no ratings"):
        model.recommend(5)
    is_trained = np.delete(np.arange(300), 4)
    if estimator is not RATING[0]:  # ALS's prior, of which all are 0
        expected = head.user_params[is_trained].mean(axis=0)
        if estimator in RATING[1:3]:  # a penalty shrinks to zero, not to the average
            expected = 0 * expected
        np.testing.assert_allclose(head.user_params[4], expected, atol=1e-5)
    # ridge regression of the other rows on their attributes, as `attribute_prior` says
    rows = head.item_params
    if estimator in NETWORKS:
        rows = np.column_stack([head.item_bias, rows])
    counts = model.item_counts
    design = thin.catalog.attributes.dense()
    weights = np.sqrt(counts)[:, None]
    gram = design.T @ (weights * design) + np.sqrt(len(thin)) * np.eye(design.shape[1])
    link = np.linalg.solve(gram, design.T @ (weights * rows))
    np.testing.assert_allclose(rows[7], design[7] @ link, atol=1e-4)


@pytest.mark.parametrize("estimator", RANKING)
def test_ratings_below_min_rating_are_no_positives(parts, estimator):
    estimator = replace(estimator, epochs=2)
    train = parts[0]
    high = replace(train, ratings=train.ratings.take(train.ratings.values >= 4))
    model, other = replace(estimator, min_rating=4.0).fit(train), estimator.fit(high)
    np.testing.assert_allclose(
        head_of(model).user_params, head_of(other).user_params, rtol=1e-5, atol=1e-6
    )
    negative = model.fold_in({3: 1, 6: 0.5})
    np.testing.assert_allclose(model.scores(negative), model.scores(model.fold_in({})), atol=1e-5)


def ranks(scores):
    order = np.argsort(np.argsort(scores, axis=1), axis=1).astype(np.float64)
    return order - order.mean(axis=1, keepdims=True)


def spearman(scores, other):
    a, b = ranks(scores), ranks(other)
    return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


@all_estimators
def test_folding_in_a_training_user_gives_nearly_their_scores(trained, estimator):
    model = trained(estimator)
    users = list(range(1, 300, 12))
    own = model.scores(users)
    folded = model.scores([model.fold_in(own_ratings(model, user)) for user in users])
    assert spearman(own, folded).mean() > 0.8
    # and also in what distinguishes each user from the others
    personal = spearman(own - own.mean(axis=0), folded - folded.mean(axis=0))
    assert personal.mean() > 0.3
    assert 0.6 < folded.std() / own.std() < 1.4


@all_estimators
def test_a_new_user_does_not_depend_on_others_of_the_batch(trained, estimator):
    model = trained(estimator)
    ann, ben = model.fold_in({1: 5, 2: 1, 9: 4.5}), model.fold_in({3: 2, 50: 4})
    both = model.scores([ann, 17, ben])
    for row, user in enumerate((ann, 17, ben)):
        np.testing.assert_allclose(model.scores(user), both[row], rtol=1e-3, atol=1e-3)
    assert np.abs(both[0] - both[2]).max() > 0.01


@all_estimators
def test_heads_join_with_those_of_other_estimators(trained, model, estimator):
    own = trained(estimator)
    if estimator in RANKING:
        both = model.with_ranking(own)
        assert np.array_equal(both.scores(1), own.scores(1))
        assert both.recommend(1).columns == [
            "item_id",
            "title",
            "genres",
            "predicted_rating",
            "score",
        ]
    else:
        both = own.with_ranking(trained(RANKING[3]))
        top = both.recommend(1, n=5)
        np.testing.assert_allclose(
            top["predicted_rating"], own.predict(1, top["item_id"]), rtol=1e-4, atol=1e-4
        )
