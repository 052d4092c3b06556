"""Runs on disk: the same bits back, nothing believed unchecked, nothing half-written."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

import matinee
from matinee.errors import RunError
from matinee.models import ALS
from matinee.models.runs import FILES, list_runs, read_manifest


@pytest.fixture
def run(model, tmp_path):
    return model.save(tmp_path / "run")


def rewrite_manifest(run, change):
    manifest = json.loads((run / "manifest.json").read_text())
    change(manifest)
    (run / "manifest.json").write_text(json.dumps(manifest))


def forge(run, name):
    """Make the checksum of a changed file right again."""
    digest = hashlib.sha256((run / name).read_bytes()).hexdigest()
    rewrite_manifest(run, lambda manifest: manifest["files"][name].update(sha256=digest))


def rewrite_arrays(run, name, change):
    """Change a file of arrays and make its checksum right again: a careful forger."""
    arrays = load_file(run / name)
    arrays = {key: array.copy() for key, array in arrays.items()}
    change(arrays)
    save_file(arrays, run / name)
    forge(run, name)


def test_a_loaded_model_answers_with_the_same_bits(model, run):
    loaded = matinee.load(run)
    for name in ("user_rows", "item_rows", "user_prior", "genre_rows"):
        assert np.array_equal(getattr(loaded, name), getattr(model, name))
    assert loaded.recommend(n=3).equals(model.recommend(n=3))
    assert loaded.explain(1, 5).equals(model.explain(1, 5))
    assert loaded.similar(1).equals(model.similar(1))
    assert loaded.history.equals(model.history)
    assert loaded.catalog.frame.equals(model.catalog.frame)
    assert loaded.catalog.genre_names == model.catalog.genre_names
    assert dict(loaded.trainer) == dict(model.trainer)
    assert (loaded.scale, loaded.mean) == (model.scale, model.mean)


def test_a_run_is_the_files_that_the_design_names(run):
    assert {path.name for path in run.iterdir()} == {"manifest.json", *FILES}
    assert [path.name for path in run.parent.iterdir()] == ["run"]
    manifest = read_manifest(run)
    assert manifest["format"] == 1
    assert manifest["trainer"]["factors"] == 6
    lines = (run / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == list(range(1, 9))


@pytest.mark.parametrize("name", FILES)
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
        (lambda m: m.update(format=2), "Upgrade"),
        (lambda m: m.update(format="1"), "format '1'"),
        (lambda m: m.update(format=0), "format 0"),
        (lambda m: m.pop("format"), "no manifest"),
        (lambda m: m.pop("model"), "hold together"),
        (lambda m: m["model"].update(scale=["low", "high"]), "hold together"),
        (lambda m: m["model"].update(scale=[5, 1, 1]), "hold together"),
        (lambda m: m["model"].update(scale=[1, 5, -1]), "hold together"),
        (lambda m: m["model"].update(mean=float("nan")), "hold together"),
        (lambda m: m["model"].update(regularization=-5), "hold together"),
        (lambda m: m["model"].update(exponent=1e300), "hold together"),
        (lambda m: m["model"].update(genres="abc"), "hold together"),
        (lambda m: m["model"]["genres"].__setitem__(0, 7), "hold together"),
        (lambda m: m.pop("files"), "checksum"),
        (lambda m: m.update(files=[1, 2]), "'files' is not"),
        (lambda m: m["files"].pop("movies.parquet"), "movies.parquet"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(run, change, message):
    rewrite_manifest(run, change)
    with pytest.raises(RunError, match=message):
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
        ("ratings.safetensors", lambda a: a["indices"].__setitem__(0, 10**6)),
        ("ratings.safetensors", lambda a: a["indices"].__setitem__(0, -1)),
        ("ratings.safetensors", lambda a: a["indptr"].__setitem__(3, 10**9)),
        ("ratings.safetensors", lambda a: a["indptr"].__setitem__(-1, 5)),
        ("ratings.safetensors", lambda a: a.update(indices=a["indices"].astype(np.int64))),
        # differences of these wrap around to positive numbers
        ("ratings.safetensors", lambda a: a["indptr"].__setitem__(1, 2**63 - 1)),
        ("ratings.safetensors", lambda a: a["values"].__setitem__(0, np.nan)),
        ("ratings.safetensors", lambda a: a["values"].__setitem__(0, 99)),
        ("vectors.safetensors", lambda a: a["user_rows"].__setitem__((0, 0), np.nan)),
        ("vectors.safetensors", lambda a: a.update(user_prior=np.array(1, np.float32))),
        ("vectors.safetensors", lambda a: a.update(genre_rows=a["genre_rows"][:0].copy())),
        ("vectors.safetensors", lambda a: a.update(genre_rows=a["genre_rows"][:2].copy())),
        ("vectors.safetensors", lambda a: a.update(item_rows=a["item_rows"][:-1].copy())),
        ("vectors.safetensors", lambda a: a.update(user_prior=a["user_prior"][:-1].copy())),
        ("vectors.safetensors", lambda a: a.pop("genre_rows")),
        ("vectors.safetensors", lambda a: a.update(extra=np.zeros(1, np.float32))),
    ],
)
def test_arrays_that_do_not_fit_are_refused_even_with_right_checksums(run, name, change):
    rewrite_arrays(run, name, change)
    with pytest.raises(RunError, match="hold together"):
        matinee.load(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda ids: ids.reverse(),
        lambda ids: ids.cast(pl.Float64),
        lambda ids: ids.set(ids == 3, 2),
        lambda ids: ids.set(ids == 3, None),
        lambda ids: ids.head(5),
        lambda ids: ids.extend_constant(10**6, 1),
        lambda ids: ids.rename("somebody"),
        lambda ids: ids.cast(pl.String).cast(pl.Categorical),
    ],
)
@pytest.mark.parametrize("name", ["movies.parquet", "viewers.parquet"])
def test_forged_ids_are_refused_even_with_right_checksums(run, name, change):
    table = pl.read_parquet(run / name)
    column = table.columns[0]
    ids = change(table[column])
    rows = pl.DataFrame({"row": range(len(ids))}).with_columns(ids)
    rest = table.drop(column).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    rows.join(rest, on="row", how="left").drop("row").write_parquet(run / name)
    forge(run, name)
    with pytest.raises(RunError, match=r"hold together|cannot be read"):
        matinee.load(run)


def test_saving_over_a_run_replaces_it_and_over_anything_else_is_refused(model, parts, tmp_path):
    other = ALS(factors=2, iterations=1).fit(parts[0])
    run = other.save(tmp_path / "run")
    model.save(run)
    assert matinee.load(run).factors == 6
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    for mine in (tmp_path / "folder", tmp_path / "file"):
        mine.mkdir() if mine.name == "folder" else mine.write_text("mine")
        with pytest.raises(RunError, match="no run"):
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
    import os, pathlib, shutil, signal, sys
    import safetensors.numpy
    import matinee

    new, target, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
    model = matinee.load(new)
    import matinee.models.runs as runs
    calls = 0

    def deadly(function):
        def call(*arguments, **named):
            global calls
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1
            return function(*arguments, **named)
        return call

    # every step that changes what is on disk may be the last one
    runs.save_file = deadly(runs.save_file)
    os.fsync = deadly(os.fsync)
    pathlib.Path.rename = deadly(pathlib.Path.rename)
    pathlib.Path.write_text = deadly(pathlib.Path.write_text)
    shutil.rmtree = deadly(shutil.rmtree)
    model.save(target)
    print("saved in", calls, "steps")
"""


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
            capture_output=True,
            check=False,
        )
        # listing comes first: it must see the run, wherever the kill left it
        assert [path for path, _ in list_runs(target.parent)] == [target]
        loaded = matinee.load(target)
        outcomes.append(loaded.factors)
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
        seen.add(matinee.load(target).factors)
    for writer in writers:
        assert writer.wait() == 0, writer.stderr.read().decode()
        writer.stderr.close()
    assert seen <= {2, 3, 6}
    assert matinee.load(target).factors in (2, 3)
    assert [path.name for path in target.parent.iterdir()] == ["shared"]


def test_a_run_behind_a_link_is_replaced_where_it_is(model, tmp_path):
    real = model.save(tmp_path / "real")
    link = tmp_path / "link"
    link.symlink_to(real)
    for _ in range(2):
        model.save(link)
    assert link.is_symlink()
    assert matinee.load(link).factors == 6
    assert (real / "vectors.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_copy_of_a_run_is_newer_than_the_run(model, tmp_path):
    first = model.save(tmp_path / "runs" / "first")
    matinee.load(first).save(tmp_path / "runs" / "copy")
    assert [path.name for path, _ in list_runs(tmp_path / "runs")] == ["copy", "first"]
