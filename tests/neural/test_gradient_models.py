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
STARS = [
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
NETWORKS = [*STARS[3:], *LISTS]
every = pytest.mark.parametrize(
    "recipe",
    [*STARS, *LISTS],
    ids=lambda recipe: f"{type(recipe).__name__}-{getattr(recipe, 'feedback', '')}",
)


def head_of(model):
    return next(iter(model.heads.values()))


def own_ratings(model, user):
    viewer = model.viewer(user)
    return dict(zip(model.items[viewer.items], viewer.stars.tolist(), strict=True))


@every
def test_lists_are_sorted_scores_without_the_seen_movies(trained, recipe):
    model = trained(recipe)
    in_stars = recipe in STARS
    assert list(model.heads) == ["rating" if in_stars else "ranking"]
    together = model.scores([1, 17, 300])
    assert together.shape == (3, 200)
    assert together.dtype == np.float32
    for at, user in enumerate((1, 17, 300)):
        scores = model.scores(user)
        np.testing.assert_allclose(together[at], scores, rtol=1e-4, atol=1e-4)
        seen = set(model.viewer(user).items.tolist())
        found = model.recommend(user, n=15)
        codes = (found["item"] - 1).to_list()
        assert len(codes) == 15
        assert not seen & set(codes)
        np.testing.assert_allclose(found["score"], scores[codes], rtol=1e-4, atol=1e-4)
        assert found["score"].is_sorted(descending=True)
        rest = np.delete(scores, [*codes, *seen])
        assert rest.max() <= found["score"].min() + 1e-4
        assert ("stars" in found.columns) == in_stars
        everything = model.recommend(user, n=15, exclude_seen=False)
        assert everything["score"][0] == pytest.approx(scores.max(), abs=1e-4)
    lists = model.recommend(n=2)
    assert lists.height == 600
    assert lists["user"].n_unique() == 300


@every
def test_stars_are_predicted_where_there_is_a_rating_head(trained, recipe):
    model = trained(recipe)
    users, items = [1, 5, 5], [3, 9, 200]
    if recipe in LISTS:
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


@pytest.mark.parametrize("recipe", STARS)
def test_stars_are_learned_better_than_by_their_mean(trained, parts, recipe):
    ratings = parts[1].ratings
    found = trained(recipe).predict(ratings.user + 1, ratings.item + 1)
    spread = ratings.stars - parts[0].ratings.stars.mean()
    assert np.sqrt(np.mean((found - ratings.stars) ** 2)) < np.sqrt(np.mean(spread**2)) - 0.02


@every
def test_similar_movies_are_those_with_the_smallest_angle(trained, recipe):
    model = trained(recipe)
    found = model.similar(7, n=5)
    vectors = head_of(model).vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    cosine = vectors @ vectors[6] / (lengths * lengths[6])
    cosine[model.item_counts < 10] = -np.inf
    cosine[6] = -np.inf
    order = np.argsort(-cosine)[:5]
    assert (found["item"] - 1).to_list() == order.tolist()
    np.testing.assert_allclose(found["similarity"], cosine[order], rtol=1e-4, atol=1e-4)


@every
def test_saved_models_answer_the_same(trained, tmp_path, recipe):
    model = trained(recipe)
    loaded = matinee.load(model.save(tmp_path / "run"))
    assert np.array_equal(loaded.scores([1, 2, 300]), model.scores([1, 2, 300]))
    new = {1: 5, 8: 2}
    assert np.array_equal(loaded.scores(loaded.fold_in(new)), model.scores(model.fold_in(new)))
    assert loaded.recommend(5).equals(model.recommend(5))
    assert loaded.similar(7).equals(model.similar(7))
    assert loaded.history.equals(model.history)
    assert dict(head_of(loaded).trainer)["name"] == type(recipe).__name__
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
    put("user_rows", (0, 0), np.inf),
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
    lambda a: a.update(item_rows=a["item_rows"][:, 1:].copy()),
    lambda a: a.update(user_rows=a["user_rows"][1:].copy()),
    lambda a: a.update(item_bias=a["item_bias"][1:].copy()),
    lambda a: a.pop("widths"),
    lambda a: a.update(nobody=a["user_rows"][0].copy()),
]


@pytest.mark.parametrize("change", FORGERIES)
def test_forged_networks_are_refused_even_with_right_checksums(trained, tmp_path, change):
    run = trained(LISTS[2]).save(tmp_path / "run")
    rewritten(run, "ranking.safetensors", change)
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


@pytest.mark.parametrize("recipe", STARS[:3])
def test_the_parts_of_stars_add_up_to_them(trained, recipe):
    model = trained(recipe)
    for user in (1, 77, 300, model.fold_in({1: 5, 2: 1, 9: 4.5}), model.fold_in({})):
        for movie in (3, 150):
            found = model.explain(user, movie, by="stars")
            score = float(model.scores(user, by="stars")[movie - 1])
            assert found["contribution"].sum() == pytest.approx(score, abs=2e-4)
            rated = found.filter(pl.col("part") == "rating")
            given = own_ratings(model, user)
            assert dict(rated.select("item", "stars").iter_rows()) == given
            general = set(found["part"].to_list()) - {"rating"}
            trained_here = isinstance(user, int)
            assert {"mean", "movie", "prior"} <= general
            assert general <= {"mean", "movie", "prior", *(["training"] if trained_here else [])}


@pytest.mark.parametrize("recipe", NETWORKS)
def test_a_network_explains_nothing_and_says_so(trained, recipe):
    model = trained(recipe)
    with pytest.raises(SettingError, match=f"{type(recipe).__name__} do not come apart"):
        model.explain(1, 3)


@pytest.fixture(scope="module")
def thin(parts):
    """The training part, without movie code 7 and viewer code 4."""
    train = parts[0]
    kept = (train.ratings.user != 4) & (train.ratings.item != 7)
    return replace(train, ratings=train.ratings.take(kept))


@every
def test_what_has_no_ratings_is_known_by_its_kind_or_not_at_all(thin, recipe):
    model = replace(recipe, epochs=3).fit(thin)
    head = head_of(model)
    assert model.item_counts[7] == 0
    scores = model.scores([1, 2, 3])
    assert np.isfinite(scores).all()
    assert 8 in model.recommend(1, n=200)["item"].to_list()
    with pytest.raises(UnknownIdError, match="no ratings"):
        model.recommend(5)
    known = np.delete(np.arange(300), 4)
    if recipe is not STARS[0]:  # ALS's prior, of which all are 0
        expected = head.user_rows[known].mean(axis=0)
        if recipe in STARS[1:3]:  # a penalty pulls to zero, not to the average
            expected = 0 * expected
        np.testing.assert_allclose(head.user_rows[4], expected, atol=1e-5)
    # ridge regression of the other rows on their genres, as `link_of_genres` says
    rows = head.item_rows
    if recipe in NETWORKS:
        rows = np.column_stack([head.item_bias, rows])
    counts = model.item_counts
    design = np.column_stack([np.ones(200), thin.catalog.genre_matrix]).astype(np.float64)
    weights = np.sqrt(counts)[:, None]
    gram = design.T @ (weights * design) + np.sqrt(len(thin)) * np.eye(design.shape[1])
    link = np.linalg.solve(gram, design.T @ (weights * rows))
    np.testing.assert_allclose(rows[7], design[7] @ link, atol=1e-4)


@pytest.mark.parametrize("recipe", LISTS)
def test_what_is_not_liked_is_nothing_watched(parts, recipe):
    recipe = replace(recipe, epochs=2)
    train = parts[0]
    liked = replace(train, ratings=train.ratings.take(train.ratings.stars >= 4))
    one, other = replace(recipe, liked=4.0).fit(train), recipe.fit(liked)
    np.testing.assert_allclose(
        head_of(one).user_rows, head_of(other).user_rows, rtol=1e-5, atol=1e-6
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
def test_folding_in_a_training_viewer_gives_nearly_their_scores(trained, recipe):
    model = trained(recipe)
    users = list(range(1, 300, 12))
    own = model.scores(users)
    folded = model.scores([model.fold_in(own_ratings(model, user)) for user in users])
    assert spearman(own, folded).mean() > 0.8
    # and what sets each viewer apart from the others as well
    apart = spearman(own - own.mean(axis=0), folded - folded.mean(axis=0))
    assert apart.mean() > 0.3
    assert 0.6 < folded.std() / own.std() < 1.4


@every
def test_a_new_viewer_does_not_depend_on_who_else_is_asked_about(trained, recipe):
    model = trained(recipe)
    ann, ben = model.fold_in({1: 5, 2: 1, 9: 4.5}), model.fold_in({3: 2, 50: 4})
    both = model.scores([ann, 17, ben])
    for at, one in enumerate((ann, 17, ben)):
        np.testing.assert_allclose(model.scores(one), both[at], rtol=1e-3, atol=1e-3)
    assert np.abs(both[0] - both[2]).max() > 0.01


@every
def test_heads_join_with_those_of_other_trainers(trained, model, recipe):
    mine = trained(recipe)
    if recipe in LISTS:
        both = model.with_ranking(mine)
        assert np.array_equal(both.scores(1), mine.scores(1))
        assert both.recommend(1).columns == ["item", "title", "genres", "stars", "score"]
    else:
        both = mine.with_ranking(trained(LISTS[3]))
        found = both.recommend(1, n=5)
        np.testing.assert_allclose(
            found["stars"], mine.predict(1, found["item"]), rtol=1e-4, atol=1e-4
        )
