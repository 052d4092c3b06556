"""Runs on disk: the same bits back, nothing believed unchecked, nothing half-written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

import matinee
from forgery import forge, rewrite_arrays, rewrite_manifest
from matinee.errors import RunError
from matinee.models import ALS, EASE, Bias, ImplicitALS, Popularity
from matinee.storage.runs import FILES, check_target, list_runs, read_manifest

HEADS = ("rating_head.safetensors", "ranking_head.safetensors")


@pytest.fixture
def run(both, tmp_path):
    return both.save(tmp_path / "run")


def assert_same(one, other):
    """Every field of a head or a model to the last bit, and of the same type."""
    assert type(one) is type(other)
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        elif isinstance(a, pl.DataFrame):
            assert a.equals(b)
        elif field.name != "estimator":
            assert a == b
        else:
            assert dict(a) == dict(b)


def test_a_loaded_model_answers_with_the_same_bits(both, run):
    loaded = matinee.load(run)
    for name in ("rating", "ranking"):
        assert_same(loaded.heads[name], both.heads[name])
    for head in ("rating", "ranking"):
        assert loaded.recommend(n=3, head=head).equals(both.recommend(n=3, head=head))
        assert loaded.explain(1, 5, head=head).equals(both.explain(1, 5, head=head))
        assert loaded.similar_items(1, head=head).equals(both.similar_items(1, head=head))
    new = {1: 5, 8: 2}
    assert loaded.recommend(loaded.fold_in(new)).equals(both.recommend(both.fold_in(new)))
    assert loaded.history.equals(both.history)
    assert loaded.catalog.frame.equals(both.catalog.frame)
    assert loaded.catalog.genre_names == both.catalog.genre_names
    assert loaded.scale == both.scale


@pytest.mark.parametrize(
    "estimator",
    [
        Bias(),
        ALS(factors=3, iterations=2, features="none"),
        ImplicitALS(factors=3, iterations=2, min_rating=3.5, confidence="rating"),
        ImplicitALS(factors=3, iterations=2, confidence="counts", exponent=0.0),
        EASE(min_rating=4),
        EASE(),
        Popularity(min_rating=4.5),
        Popularity(),
    ],
)
def test_every_kind_of_head_survives_the_disk_alone(parts, tmp_path, estimator):
    model = estimator.fit(parts[0])
    loaded = matinee.load(model.save(tmp_path / "run"))
    assert list(loaded.heads) == list(model.heads)
    for name, head in model.heads.items():
        assert_same(loaded.heads[name], head)
    assert loaded.recommend(n=3).equals(model.recommend(n=3))
    assert loaded.history.equals(model.history)


def test_what_a_head_has_cached_is_not_saved(both, tmp_path):
    both.scores(both.fold_in({1: 5}))
    names = set(load_file(both.save(tmp_path / "run") / "ranking_head.safetensors"))
    assert names == {
        "user_params",
        "item_params",
        "default_user",
        "popularity",
        "user_coefficients",
    }


def test_a_run_is_the_files_that_the_design_names(model, run, tmp_path):
    assert {path.name for path in run.iterdir()} == {"manifest.json", *FILES, *HEADS}
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    manifest = read_manifest(run)
    assert manifest["format"] == 5
    heads = manifest["heads"]
    assert [heads[name]["kind"] for name in heads] == ["FactorRatingHead", "FactorRankingHead"]
    assert [heads[name]["estimator"]["factors"] for name in heads] == [6, 5]
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    expected = [*(("rating", i) for i in range(1, 9)), *(("ranking", i) for i in range(1, 5))]
    assert [(line["head"], line["iteration"]) for line in lines] == expected
    alone = model.save(tmp_path / "alone")
    assert {path.name for path in alone.iterdir()} == {"manifest.json", *FILES, HEADS[0]}


def test_a_run_in_the_older_format_is_refused_in_one_line(run):
    rewrite_manifest(
        run, lambda m: m.update(format=1, estimator=m.pop("heads")["rating"]["estimator"])
    )
    with pytest.raises(RunError, match="older version of matinee; train it again") as refused:
        matinee.load(run)
    assert "\n" not in str(refused.value)
    assert list_runs(run.parent) == []


@pytest.mark.parametrize("name", [*FILES, *HEADS])
def test_a_missing_or_changed_file_is_refused_by_name(run, name):
    content = bytearray((run / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run / name).write_bytes(content)
    with pytest.raises(RunError, match=rf"{name}.*checksum"):
        matinee.load(run)
    (run / name).unlink()
    with pytest.raises(RunError, match=rf"{name}.*missing"):
        matinee.load(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=6), "Upgrade"),
        (lambda m: m.update(format="2"), "format '2'"),
        (lambda m: m.update(format=0), "format 0"),
        (lambda m: m.pop("format"), "not the manifest"),
        (lambda m: m.pop("model"), "fit together"),
        (lambda m: m["model"].update(scale=["low", "high"]), "fit together"),
        (lambda m: m["model"].update(scale=[5, 1, 1]), "fit together"),
        (lambda m: m["model"].update(scale=[1, 5, -1]), "fit together"),
        (lambda m: m.pop("files"), "checksum"),
        (lambda m: m.update(files=[1, 2]), "'files' must be"),
        (lambda m: m["files"].pop("items.safetensors"), "items.safetensors"),
        (lambda m: m["files"].pop("ranking_head.safetensors"), "ranking_head.safetensors"),
        (lambda m: m.update(heads=["rating"]), "'heads' must be"),
        (lambda m: m.update(heads={}), "fit together"),
        (lambda m: m.pop("heads"), "fit together"),
        (lambda m: m["heads"].update(third=m["heads"]["rating"]), "fit together"),
        (lambda m: m["heads"].update(ranking=m["heads"]["rating"]), "fit together"),
        (lambda m: m["heads"].update(rating=[]), "fit together"),
        (lambda m: m["heads"]["rating"].pop("settings"), "fit together"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(run, change, message):
    rewrite_manifest(run, change)
    with pytest.raises(RunError, match=message):
        matinee.load(run)


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ("rating", {"kind": "FactorRankingHead"}),
        ("ranking", {"kind": "RatingHead"}),
        ("ranking", {"kind": "ItemItemHead"}),
        ("ranking", {"kind": "PopularityHead"}),
        ("ranking", {"kind": "os.system"}),
        ("ranking", {"kind": ["FactorRankingHead"]}),
        ("rating", {"estimator": ["ALS"]}),
        ("ranking", {"estimator": None}),
        ("rating", {"settings": {"mean": float("nan")}}),
        ("rating", {"settings": {"mean": "3.5"}}),
        ("rating", {"settings": {"mean": True}}),
        ("rating", {"settings": {"regularization": -5}}),
        ("rating", {"settings": {"exponent": 1e300}}),
        ("rating", {"settings": {"seed": 1}}),
        ("rating", {"settings": {"mean": 10**400}}),
        ("ranking", {"settings": {"regularization": 10**400}}),
        ("ranking", {"settings": {"regularization": 0}}),
        ("ranking", {"settings": {"regularization": None}}),
        ("ranking", {"settings": {"unobserved": float("inf")}}),
        ("ranking", {"settings": {"unobserved": -0.1}}),
        ("ranking", {"settings": {"exponent": float("nan")}}),
        ("ranking", {"settings": {"average": 0}}),
        ("ranking", {"settings": {"confidence": "blind"}}),
        ("ranking", {"settings": {"confidence": 1}}),
        ("ranking", {"settings": {"min_rating": "4"}}),
        ("ranking", {"settings": {"min_rating": [4]}}),
        ("ranking", {"settings": {"min_rating": float("nan")}}),
        ("ranking", {"settings": {"history": []}}),
    ],
)
def test_a_forged_head_is_refused(run, head, part):
    def change(manifest):
        about = manifest["heads"][head]
        settings = {**about["settings"], **part.get("settings", {})}
        about.update({**part, "settings": settings})

    rewrite_manifest(run, change)
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


@pytest.mark.parametrize("name", ["unobserved", "min_rating", "confidence"])
def test_a_head_without_one_of_its_settings_is_refused(run, name):
    rewrite_manifest(run, lambda m: m["heads"]["ranking"]["settings"].pop(name))
    with pytest.raises(RunError, match="ranking head is missing"):
        matinee.load(run)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\x00\x01", "[" * 100_000])
def test_what_is_no_manifest_is_refused(run, text):
    (run / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=r"manifest\.json"):
        matinee.load(run)


def test_no_run_at_all(tmp_path):
    with pytest.raises(RunError, match="no run here"):
        matinee.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("interactions.safetensors", lambda a: a["indices"].__setitem__(0, 10**6)),
        ("interactions.safetensors", lambda a: a["indices"].__setitem__(0, -1)),
        ("interactions.safetensors", lambda a: a["indptr"].__setitem__(3, 10**9)),
        ("interactions.safetensors", lambda a: a["indptr"].__setitem__(-1, 5)),
        ("interactions.safetensors", lambda a: a.update(indices=a["indices"].astype(np.int64))),
        # differences of these wrap around to positive numbers
        ("interactions.safetensors", lambda a: a["indptr"].__setitem__(1, 2**63 - 1)),
        ("interactions.safetensors", lambda a: a["values"].__setitem__(0, np.nan)),
        ("interactions.safetensors", lambda a: a["values"].__setitem__(0, 99)),
        ("rating_head.safetensors", lambda a: a["user_params"].__setitem__((0, 0), np.nan)),
        ("rating_head.safetensors", lambda a: a.update(user_prior=np.array(1, np.float32))),
        ("rating_head.safetensors", lambda a: a.update(item_prior=a["item_prior"][:0].copy())),
        ("rating_head.safetensors", lambda a: a.update(item_prior=a["item_prior"][:2].copy())),
        ("rating_head.safetensors", lambda a: a.update(item_params=a["item_params"][:-1].copy())),
        ("rating_head.safetensors", lambda a: a.update(user_prior=a["user_prior"][:-1].copy())),
        ("rating_head.safetensors", lambda a: a.pop("item_prior")),
        ("rating_head.safetensors", lambda a: a.update(extra=np.zeros(1, np.float32))),
        ("rating_head.safetensors", lambda a: a.update(mean=np.ones(1, np.float32))),
        ("ranking_head.safetensors", lambda a: a["item_params"].__setitem__((0, 0), np.inf)),
        ("ranking_head.safetensors", lambda a: a["popularity"].__setitem__(0, -1)),
        (
            "ranking_head.safetensors",
            lambda a: a.update(default_user=a["default_user"][:-1].copy()),
        ),
        ("ranking_head.safetensors", lambda a: a.update(default_user=np.array(1, np.float32))),
        ("ranking_head.safetensors", lambda a: a.update(user_params=a["user_params"][1:].copy())),
        (
            "ranking_head.safetensors",
            lambda a: a.update(item_params=a["item_params"].astype(np.float64)),
        ),
        ("ranking_head.safetensors", lambda a: a.update(estimator=np.ones(1, np.float32))),
        ("ranking_head.safetensors", lambda a: a.pop("popularity")),
    ],
)
def test_arrays_that_do_not_fit_are_refused_even_with_right_checksums(run, name, change):
    rewrite_arrays(run, name, change)
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a["weights"].__setitem__((2, 1), np.nan),
        lambda a: a.update(weights=a["weights"][:, 1:].copy()),
        lambda a: a.update(popularity=a["popularity"][1:].copy()),
        lambda a: a.update(popularity=a["popularity"].astype(np.int64)),
    ],
)
def test_forged_item_weights_are_refused_even_with_right_checksums(parts, tmp_path, change):
    run = EASE().fit(parts[0]).save(tmp_path / "run")
    rewrite_arrays(run, "ranking_head.safetensors", change)
    with pytest.raises(RunError, match="fit together"):
        matinee.load(run)


@pytest.mark.parametrize("name", [name for name in (*FILES, *HEADS) if "safetensors" in name])
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-4],
        lambda content: content + b"more",
        lambda content: content[:7],
        lambda content: b"",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:8] + b"[" * len(content[8:]),
        lambda content: content.replace(b"[0,", b"[8,", 1),
    ],
)
def test_a_damaged_file_of_arrays_is_refused_even_with_a_right_checksum(run, name, change):
    (run / name).write_bytes(change((run / name).read_bytes()))
    forge(run, name)
    with pytest.raises(RunError, match=rf"fit together \({name}: .*header") as refused:
        matinee.load(run)
    assert "\n" not in str(refused.value)


def test_arrays_of_a_loaded_model_are_its_files_and_writing_to_them_is_not(both, run):
    before = (run / "ranking_head.safetensors").read_bytes()
    loaded = matinee.load(run)
    rows = loaded.ranking_head.item_params
    assert not rows.flags.owndata
    assert rows.flags.aligned
    rows[:] = 0
    assert (run / "ranking_head.safetensors").read_bytes() == before
    assert_same(matinee.load(run).ranking_head, both.ranking_head)


def test_a_loaded_model_outlives_the_run_it_came_from(both, model, run):
    loaded = matinee.load(run)
    model.save(run)
    assert matinee.load(run).ranking_head is None
    shutil.rmtree(run)
    assert_same(loaded.ranking_head, both.ranking_head)
    assert loaded.save(run) == run
    assert_same(matinee.load(run).ranking_head, both.ranking_head)


def test_a_loaded_run_is_saved_over_itself(both, run):
    matinee.load(run).save(run)
    for name in ("rating", "ranking"):
        assert_same(matinee.load(run).heads[name], both.heads[name])


def test_saving_over_a_run_replaces_it_and_over_anything_else_is_refused(model, parts, tmp_path):
    other = ALS(factors=2, iterations=1).fit(parts[0])
    run = other.save(tmp_path / "run")
    model.save(run)
    assert matinee.load(run).rating_head.estimator["factors"] == 6
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    for mine in (tmp_path / "folder", tmp_path / "file"):
        mine.mkdir() if mine.name == "folder" else mine.write_text("mine")
        with pytest.raises(RunError, match="not a run"):
            model.save(mine)
        assert mine.exists()


def test_a_save_that_fails_leaves_the_previous_run_and_no_litter(model, run, monkeypatch):
    before = (run / "manifest.json").read_bytes()
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        model.save(run)
    assert (run / "manifest.json").read_bytes() == before
    assert [path.name for path in run.parent.iterdir()] == ["run"]


KILLED = """
    import sys
    from deadly import Deadly
    import matinee
    import safetensors.numpy

    new, target, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
    model = matinee.load(new)
    deadly = Deadly(step)
    safetensors.numpy.save_file = deadly(safetensors.numpy.save_file)
    model.save(target)
    print("saved in", deadly.calls, "steps")
"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_step_of_saving_a_run_is_whole(model, parts, tmp_path):
    old = ALS(factors=2, iterations=1).fit(parts[0]).save(tmp_path / "old")
    new = model.save(tmp_path / "new")
    target = tmp_path / "runs" / "mine"
    outcomes = []
    for step in range(100):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(old, target)
        child = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), new, target, str(step)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=False,
        )
        # listing comes first: it must see the run, wherever the kill left it
        assert [path for path, _ in list_runs(target.parent)] == [target]
        loaded = matinee.load(target)
        outcomes.append(loaded.rating_head.estimator["factors"])
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    # the old run until the renames, the new one after them, nothing in between
    assert outcomes[0] == 2
    assert outcomes[-1] == 6
    assert outcomes == sorted(outcomes)
    assert len(outcomes) > 10
    # the save that ends well also clears away what killed ones left
    assert [path.name for path in target.parent.iterdir()] == ["mine"]


def test_runs_are_listed_newest_first_and_strangers_skipped(model, tmp_path):
    for name in ("first", "second"):
        model.save(tmp_path / name)
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "manifest.json").write_text("{}")
    assert [path.name for path, _ in list_runs(tmp_path)] == ["second", "first"]


WRITER = """
    import sys
    import matinee
    model = matinee.load(sys.argv[1])
    for _ in range(25):
        model.save(sys.argv[2])
"""


@pytest.mark.slow
def test_writers_and_readers_of_one_run_do_not_disturb_each_other(model, parts, tmp_path):
    sources = [
        ALS(factors=factors, iterations=1).fit(parts[0]).save(tmp_path / f"source{factors}")
        for factors in (2, 3)
    ]
    target = model.save(tmp_path / "runs" / "shared")
    code = textwrap.dedent(WRITER)
    writers = [
        subprocess.Popen([sys.executable, "-c", code, source, target], stderr=subprocess.PIPE)
        for source in sources
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(matinee.load(target).rating_head.estimator["factors"])
    said = [writer.communicate()[1].decode() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], said
    assert seen <= {2, 3, 6}
    assert matinee.load(target).rating_head.estimator["factors"] in (2, 3)
    assert [path.name for path in target.parent.iterdir()] == ["shared"]


def test_a_target_is_a_run_also_while_another_process_replaces_it(model, tmp_path, monkeypatch):
    run, is_file = model.save(tmp_path / "run"), Path.is_file

    def replaced_meanwhile(path):
        monkeypatch.setattr(Path, "is_file", is_file)
        run.rename(tmp_path / "former")
        found = path.is_file()
        model.save(run)
        return found

    monkeypatch.setattr(Path, "is_file", replaced_meanwhile)
    check_target(run)


def test_a_run_behind_a_link_is_replaced_where_it_is(model, tmp_path):
    real = model.save(tmp_path / "real")
    link = tmp_path / "link"
    link.symlink_to(real)
    for _ in range(2):
        model.save(link)
    assert link.is_symlink()
    assert matinee.load(link).rating_head.estimator["factors"] == 6
    assert (real / "rating_head.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_copy_of_a_run_is_newer_than_the_run(model, tmp_path):
    first = model.save(tmp_path / "runs" / "first")
    matinee.load(first).save(tmp_path / "runs" / "copy")
    assert [path.name for path, _ in list_runs(tmp_path / "runs")] == ["copy", "first"]
