"""Lists of many users in a file."""

import json

import polars as pl
import pytest

from matinee.errors import SettingError, UnknownIdError
from matinee.models import batches
from matinee.models.batches import write_lists

READ = {".parquet": pl.read_parquet, ".csv": pl.read_csv}


@pytest.fixture(params=[batches.ROWS, 40])
def rows_at_once(request, monkeypatch):
    monkeypatch.setattr(batches, "ROWS", request.param)


@pytest.mark.usefixtures("rows_at_once")
@pytest.mark.parametrize("ending", READ)
@pytest.mark.parametrize("options", [{}, {"head": "rating", "exclude_seen": False}])
def test_a_file_holds_the_lists_of_all_users(both, tmp_path, ending, options):
    file = tmp_path / f"all{ending}"
    expected = both.recommend(n=3, **options)
    assert write_lists(both, file, n=3, **options) == (300, expected.height)
    found = READ[ending](file)
    if ending == ".parquet":
        assert found.equals(expected)
    else:
        assert found.select("user_id", "item_id").equals(expected.select("user_id", "item_id"))
        assert found.columns == expected.columns
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.usefixtures("rows_at_once")
def test_lines_of_json_have_genres_as_lists(both, tmp_path):
    file = tmp_path / "all.jsonl"
    assert write_lists(both, file, [5, 3, 5], n=4) == (2, 12)
    found = [json.loads(line) for line in file.read_text().splitlines()]
    expected = both.recommend([5, 3, 5], n=4)
    assert [(row["user_id"], row["item_id"]) for row in found] == expected.select(
        "user_id", "item_id"
    ).rows()
    assert ["|".join(row["genres"]) for row in found] == expected["genres"].to_list()


def test_no_users_make_an_empty_file(both, tmp_path):
    for ending, read in READ.items():
        file = tmp_path / f"none{ending}"
        assert write_lists(both, file, []) == (0, 0)
        assert read(file).is_empty()


def test_a_file_that_cannot_be_finished_leaves_the_old_one(both, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "ROWS", 40)
    file = tmp_path / "all.csv"
    file.write_text("as it was")
    recommend = type(both).recommend

    def failing(model, users, *arguments, **options):
        if 250 in users:
            raise KeyboardInterrupt
        return recommend(model, users, *arguments, **options)

    monkeypatch.setattr(type(both), "recommend", failing)
    with pytest.raises(KeyboardInterrupt):
        write_lists(both, file)
    assert file.read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]


def test_what_makes_no_sense_is_refused_before_anything_is_written(both, tmp_path):
    with pytest.raises(SettingError, match=r"must end in \.parquet, \.csv, \.jsonl"):
        write_lists(both, tmp_path / "all.xlsx")
    with pytest.raises(UnknownIdError, match="99999"):
        write_lists(both, tmp_path / "all.csv", [1, 99999])
    with pytest.raises(SettingError, match="n must be >= 1"):
        write_lists(both, tmp_path / "all.csv", n=0)
    assert not list(tmp_path.iterdir())
    (tmp_path / "all.csv").mkdir()
    with pytest.raises(SettingError, match="this is a folder"):
        write_lists(both, tmp_path / "all.csv")
