"""Lists of all users by Spark are the laptop's to the last bit, and interrupted work continues."""

import json
import shutil

import polars as pl
import pytest

import matinee
from matinee.errors import MatineeError, RunError, SettingError
from matinee.models.users_in_parts import write_in_parts
from matinee.spark import executors, recommending
from matinee.spark.recommending import recommend_all

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


@pytest.fixture(scope="module")
def runs(both, tmp_path_factory):
    """The same model as a run of either kind."""
    folder = tmp_path_factory.mktemp("runs")
    whole = both.save(folder / "whole")
    return {"whole": whole, "in parts": write_in_parts(both, folder / "parts", users_per_file=40)}


@pytest.fixture
def small(monkeypatch):
    """Blocks of few users, tasks and parts of few blocks."""
    monkeypatch.setattr(executors, "USERS", 50)
    monkeypatch.setattr(recommending, "BLOCKS", 2)
    monkeypatch.setattr(recommending, "USERS_OF_A_TASK", 100)


def lists_in(out):
    """The lists of a folder, as any reader of Parquet finds them."""
    lists = pl.read_parquet(f"{out}/part=*/*.parquet", hive_partitioning=False)
    return lists.sort("user_id", maintain_order=True)


@pytest.mark.parametrize("kind", ["whole", "in parts"])
def test_lists_are_those_of_the_laptop(workspace, both, runs, small, tmp_path, kind):
    out = tmp_path / "top"
    options = {"discover": 0.2, "where": {"year": (1980, None)}, "min_ratings": 3}
    made = recommend_all(workspace, runs[kind], str(out), 7, **options)
    expected = both.recommend(None, 7, **options)
    assert lists_in(out).equals(expected)
    assert (made.users, made.rows, made.found) == (300, expected.height, 0)
    assert made.parts > 2
    (complete,) = (out / "_complete").glob("*.json")
    assert json.loads(complete.read_text())["rows"] == expected.height


def test_what_was_interrupted_is_completed(workspace, both, runs, small, tmp_path, monkeypatch):
    out = tmp_path / "top"
    side_by_side = recommending._side_by_side

    def interrupted(make, parts):
        yield next(side_by_side(make, parts[:1]))
        raise KeyboardInterrupt

    monkeypatch.setattr(recommending, "_side_by_side", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recommend_all(workspace, runs["whole"], str(out), 5)
    assert not (out / "_complete").exists()
    leftover = out / "part=1"  # of a part that was in work
    shutil.copytree(out / "part=0", leftover)
    kept = {path: path.stat().st_mtime_ns for path in (out / "part=0").iterdir()}
    monkeypatch.setattr(recommending, "_side_by_side", side_by_side)
    made = recommend_all(workspace, runs["whole"], str(out), 5)
    assert (made.found, made.parts) == (1, 3)
    assert lists_in(out).equals(both.recommend(None, 5))
    assert {path: path.stat().st_mtime_ns for path in (out / "part=0").iterdir()} == kept
    assert recommend_all(workspace, runs["whole"], str(out), 5).found == 3


def test_another_folder_is_refused(workspace, runs, tmp_path):
    out = tmp_path / "top"
    recommend_all(workspace, runs["whole"], str(out), 2)
    for run, n, options in (
        ("whole", 3, {}),
        ("whole", 2, {"head": "rating"}),
        ("in parts", 2, {}),
    ):
        with pytest.raises(SettingError, match="lists of another run, or with other options"):
            recommend_all(workspace, runs[run], str(out), n, **options)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(SettingError, match="there are other files; name a new folder"):
        recommend_all(workspace, runs["whole"], str(other), 2)
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_options_are_refused_before_the_work(workspace, runs, tmp_path):
    for options in ({"where": {"genres": "Nothing"}}, {"head": "none"}, {"discover": 2}):
        with pytest.raises(MatineeError):
            recommend_all(workspace, runs["whole"], str(tmp_path / "top"), **options)
    with pytest.raises(SettingError, match="n must be"):
        recommend_all(workspace, runs["whole"], str(tmp_path / "top"), 0)
    assert not (tmp_path / "top").exists()


def test_a_broken_part_is_named_in_one_line(workspace, both, tmp_path):
    run = write_in_parts(both, tmp_path / "run", users_per_file=150)
    part = run / "users" / "00001.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"00001\.parquet: wrong checksum") as refused:
        recommend_all(workspace, run, str(tmp_path / "top"))
    assert "\n" not in str(refused.value)


def test_a_model_without_factors_and_text_ids(workspace, generated, tmp_path):
    ratings = generated[0].ratings
    frame = pl.DataFrame(
        {
            "user_id": ratings.user_ids.values[ratings.user].cast(pl.String),
            "item_id": ratings.item_ids.values[ratings.item].cast(pl.String),
            "rating": ratings.values,
        }
    )
    model = matinee.EASE().fit(matinee.read(frame))
    run = model.save(tmp_path / "run")
    recommend_all(workspace, run, str(tmp_path / "top"), 4, exclude_seen=False)
    assert lists_in(tmp_path / "top").equals(model.recommend(None, 4, exclude_seen=False))
