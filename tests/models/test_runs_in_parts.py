"""Runs whose users are in parts: the lists of the whole model, from the files of those asked."""

import hashlib
import json

import numpy as np
import polars as pl
import pytest

import matinee
from forgery import rewrite_arrays, rewrite_manifest
from matinee.errors import RunError, SettingError, UnknownIdError
from matinee.models import ALS, EASE, ImplicitALS
from matinee.models.users_in_parts import base_of, users_frame, write_in_parts, write_with_parts

ASKED = [5, 17, 250, 3]
WAYS = [
    {},
    {"head": "rating"},
    {"head": "ranking"},
    {"discover": 0.5},
    {"discover": 1.0, "head": "rating"},
    {"measure": "cosine"},
    {"measure": "cosine", "head": "rating", "discover": 0.3},
    {"diverse": 0.5},
    {"min_ratings": 50},
    {"exclude_seen": False},
]


@pytest.fixture
def run(both, tmp_path):
    return write_in_parts(both, tmp_path / "run", users_per_file=40)


def rewrite_part(run, change, file="00000.parquet"):
    """Change a file of users and make its checksum right again: a careful forger."""
    path = run / "users" / file
    change(pl.read_parquet(path)).write_parquet(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    def forge(manifest):
        part = next(part for part in manifest["users"]["parts"] if part["file"] == file)
        part["sha256"] = digest

    rewrite_manifest(run, forge)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_lists_are_those_of_the_whole_model_to_the_last_bit(both, run, way):
    some = matinee.load(run, users=ASKED)
    assert some.recommend(ASKED, 7, **way).equals(both.recommend(ASKED, 7, **way))


def test_all_else_one_can_ask_of_a_user_is_the_same_too(both, run):
    some = matinee.load(run, users=ASKED)
    assert repr(some) == "Recommender(ALS and ImplicitALS, 4 of 300 users, 200 items)"
    for head in ("rating", "ranking", None):
        assert some.explain(17, 7, head=head).equals(both.explain(17, 7, head=head))
        assert np.array_equal(some.scores(ASKED, head=head), both.scores(ASKED, head=head))
    assert np.array_equal(some.predict(3, [1, 2, 3]), both.predict(3, [1, 2, 3]))
    assert some.similar_items(9).equals(both.similar_items(9))
    assert some.recommend().equals(both.recommend(sorted(ASKED)))


def test_a_new_user_needs_none_of_the_parts(both, run):
    for path in (run / "users").iterdir():
        path.unlink()
    none, new = matinee.load(run, users=[]), {1: 5, 8: 2, 30: 4}
    assert none.recommend(none.fold_in(new)).equals(both.recommend(both.fold_in(new)))
    assert none.explain(none.fold_in(new), 7).equals(both.explain(both.fold_in(new), 7))


def test_only_the_parts_of_those_asked_are_read(both, run):
    for path in (run / "users").iterdir():
        if path.name != "00002.parquet":
            path.unlink()
    (part,) = (p for p in json.loads((run / "manifest.json").read_text())["users"]["parts"][2:3])
    some = matinee.load(run, users=[part["first"], part["last"]])
    assert some.recommend().equals(both.recommend([part["first"], part["last"]]))
    with pytest.raises(RunError, match=r"00000\.parquet: file missing"):
        matinee.load(run, users=[1])


def test_ids_may_be_typed_and_unknown_ones_are_unknown_when_asked(both, run):
    some = matinee.load(run, users=["5", "no such", 12345, 1.5, None])
    assert some.recommend("5").equals(both.recommend(5))
    for unknown in (6, 12345, "no such"):
        with pytest.raises(UnknownIdError, match="in the training set, or none was loaded"):
            some.recommend(unknown)
    assert some.predict([6, 5], [1, 1], unknown="average").shape == (2,)


def test_what_needs_all_users_is_refused(run, tmp_path):
    with pytest.raises(RunError, match=r"run: its users are in parts; name those to ask about"):
        matinee.load(run)
    some = matinee.load(run, users=ASKED)
    for ask in (
        lambda: some.similar_users(5),
        lambda: some.recommend_users(5),
        lambda: some.save(tmp_path / "other"),
    ):
        with pytest.raises(SettingError, match="with some of its users"):
            ask()


def test_text_ids_and_interactions_without_ratings(unrated, tmp_path):
    renamed = pl.DataFrame(
        {
            "user_id": unrated.ratings.user_ids.values[unrated.ratings.user].cast(pl.String),
            "item_id": unrated.ratings.item_ids.values[unrated.ratings.item].cast(pl.String),
            "weight": unrated.ratings.values,
        }
    )
    model = ImplicitALS(factors=4, iterations=2).fit(matinee.read(renamed))
    run = write_in_parts(model, tmp_path / "run", users_per_file=70)
    some = matinee.load(run, users=["7", "100", 42])
    assert some.recommend(["7", "100"]).equals(model.recommend(["7", "100"]))
    assert some.recommend("42").equals(model.recommend("42"))
    assert some.index.value_name == model.index.value_name
    with pytest.raises(UnknownIdError):
        some.recommend("8")


def test_files_in_any_order_become_parts_by_id(both, tmp_path):
    files = []
    for number, (start, stop) in enumerate(((200, 300), (0, 90), (90, 200))):
        files.append(tmp_path / f"part-{number}.snappy.parquet")
        users_frame(both, np.arange(start, stop)).write_parquet(files[-1])
    run = write_with_parts(base_of(both), files, tmp_path / "run")
    names = [path.name for path in sorted((run / "users").iterdir())]
    assert names == ["00000.parquet", "00001.parquet", "00002.parquet"]
    assert matinee.load(run, users=ASKED).recommend().equals(both.recommend(sorted(ASKED)))
    with pytest.raises(RunError, match="ids of parts do not ascend"):
        write_with_parts(base_of(both), [files[0], files[0]], tmp_path / "twice")
    assert not (tmp_path / "twice").exists()


def test_models_whose_users_are_more_than_rows_are_refused(parts, tmp_path):
    with pytest.raises(SettingError, match="heads are factorizations"):
        write_in_parts(EASE().fit(parts[0]), tmp_path / "run")


def test_a_changed_part_is_refused_by_name(run):
    path = run / "users" / "00000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"00000\.parquet: wrong checksum"):
        matinee.load(run, users=[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(parts=[]), "no parts"),
        (lambda s: s.update(parts=7), "not iterable"),
        (lambda s: s.pop("parts"), "parts"),
        (lambda s: s["parts"][0].update(file="../../etc/passwd"), "no sound name"),
        (lambda s: s["parts"][0].update(file="/etc/passwd"), "no sound name"),
        (lambda s: s["parts"][0].update(file="00001.parquet\n"), "no sound name"),
        (lambda s: s["parts"][0].update(file=7), "no sound name"),
        (lambda s: s["parts"][0].update(file="00001.parquet"), "the same file"),
        (lambda s: s["parts"][0].update(users=10**12), "makes no sense"),
        (lambda s: s["parts"][0].update(users=39), "another number of users"),
        (lambda s: s["parts"][0].update(users=True), "makes no sense"),
        (lambda s: s["parts"][0].update(first="1"), "another kind"),
        (lambda s: s["parts"][0].update(last=39), "of another part"),
        (lambda s: s["parts"][0].update(last=10**6), "do not ascend"),
        (lambda s: s["parts"][0].update(sha256=None), "no checksum"),
        (lambda s: s["parts"][0].update(more=1), "more"),
        (lambda s: s["parts"].reverse(), "do not ascend"),
        (lambda s: s.update(n_users=0), "number of users"),
        (lambda s: s.update(n_users="300"), "number of users"),
        (lambda s: s.update(n_users=10), "more ratings than"),
        (lambda s: s.update(blend_weight=float("nan")), "weight of the blend"),
        (lambda s: s.update(blend_weight=-1.0), "weight of the blend"),
        (lambda s: s.update(blend_weight="much"), "weight of the blend"),
        (lambda s: s.update(value_name="<b>"), "unknown name"),
        (lambda s: s.pop("n_users"), "n_users"),
    ],
)
def test_a_hostile_manifest_is_refused_in_one_line(run, change, message):
    rewrite_manifest(run, lambda manifest: change(manifest["users"]))
    with pytest.raises(RunError, match=message) as refused:
        matinee.load(run, users=[1, 40])
    assert "\n" not in str(refused.value)


def test_a_section_of_users_that_is_none_is_refused(run):
    rewrite_manifest(run, lambda manifest: manifest.update(users=[1]))
    with pytest.raises(RunError, match="'users' must be an object"):
        matinee.load(run, users=[1])


def lists(name, dtype, change):
    """A column of a part of which the first list is changed."""

    def changed(frame):
        first, *rest = frame[name].to_list()
        return frame.with_columns(pl.Series(name, [change(first), *rest], pl.List(dtype)))

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("ranking_row"), "ranking_row"),
        (lambda f: f.drop("user_id"), "user_id"),
        (lambda f: f.drop("items"), "items"),
        (lambda f: f.slice(1), "another number of users"),
        (lambda f: f.reverse(), "another part|ascending"),
        (lambda f: f.with_columns(pl.col("user_id").cast(pl.String)), "ids are of another kind"),
        (lambda f: f.with_columns(pl.lit("x").alias("rating_row")), "must be lists"),
        (lambda f: f.with_columns(pl.col("values").cast(pl.List(pl.Float64))), "must be lists"),
        (lists("rating_row", pl.Float32, lambda row: row[1:]), "lists of 7 float32"),
        (lists("rating_row", pl.Float32, lambda row: None), "lacks a number"),
        (lists("rating_row", pl.Float32, lambda row: [None, *row[1:]]), "lacks a number"),
        (lists("ranking_row", pl.Float32, lambda row: [np.nan, *row[1:]]), "not finite"),
        (lists("items", pl.Int32, lambda items: [200, *items[1:]]), "fit the users and items"),
        (lists("items", pl.Int32, lambda items: [-1, *items[1:]]), "fit the users and items"),
        (lists("items", pl.Int32, lambda items: items[1:]), "different lengths"),
        (lists("items", pl.Int32, lambda items: items[::-1]), "do not ascend"),
        (lists("items", pl.Int32, lambda items: items[:1] * len(items)), "do not ascend"),
        (lists("items", pl.Int32, lambda items: None), "must be lists"),
        (lists("values", pl.Float32, lambda values: [99.0, *values[1:]]), "fit the users"),
        (lists("values", pl.Float32, lambda values: [None, *values[1:]]), "lacks a number"),
    ],
)
def test_a_forged_part_is_refused_in_one_line(run, change, message):
    rewrite_part(run, change)
    with pytest.raises(RunError, match=message) as refused:
        matinee.load(run, users=list(range(1, 41)))
    assert "\n" not in str(refused.value)


def test_a_part_that_is_no_parquet_file_is_refused(run):
    path = run / "users" / "00000.parquet"
    path.write_bytes(b"PAR1 but not at all PAR1")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite_manifest(run, lambda m: m["users"]["parts"][0].update(sha256=digest))
    with pytest.raises(RunError, match=r"00000\.parquet: its users do not fit the run"):
        matinee.load(run, users=[1])


def test_counts_of_items_are_checked(run):
    rewrite_arrays(
        run, "population.safetensors", lambda arrays: arrays.update(item_counts=np.zeros(3, "i8"))
    )
    with pytest.raises(RunError, match="item_counts has the wrong type or shape"):
        matinee.load(run, users=[])


def test_a_model_of_one_head_and_users_without_lists(parts, tmp_path):
    model = ALS(factors=3, iterations=2).fit(parts[0])
    run = write_in_parts(model, tmp_path / "run")
    assert len(list((run / "users").iterdir())) == 1
    some = matinee.load(run, users=[2])
    assert some.recommend(2, discover=0.2).equals(model.recommend(2, discover=0.2))
