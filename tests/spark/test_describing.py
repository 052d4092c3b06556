"""A description by Spark has the numbers of that on this machine."""

import polars as pl
import pytest
from same import read_both

from matinee import analysis

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("value", ["rating", "plays"])
def test_the_same_numbers(workspace, tmp_path, value):
    from matinee.spark.describing import describe

    rows = [(n * n % 53, n * 7 % 31, n % 5 + 1, 10**9 + n) for n in range(400)]
    table = pl.DataFrame(rows, schema=["user", "item", value, "timestamp"], orient="row")
    table.unique(["user", "item"], keep="last").write_parquet(tmp_path / "data.parquet")
    (tmp_path / "items.csv").write_text("item_id,title\n1,one\n77,unrated\n")
    found, expected = read_both(workspace, tmp_path / "data.parquet")
    whole = analysis.describe(expected).to_dict()
    for name, number in describe(found).to_dict().items():
        assert number == pytest.approx(whole[name]), name
