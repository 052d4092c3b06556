"""What is exported: its dot products, its files, and the examples beside them."""

import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import SettingError
from matinee.export import embeddings as embeddings_module
from matinee.export import export
from matinee.models import EASE, Bias, Popularity

FILES = {
    *("items.npy", "item_ids.npy", "items.parquet", "users.npy", "user_ids.npy", "users.parquet"),
    *("search_hnswlib.py", "load_pgvector.py", "pgvector.sql", "MODEL_CARD.md"),
}
HNSWLIB = textwrap.dedent(
    '''
    """An exact index with the interface of hnswlib that the example uses."""

    import numpy as np


    class Index:
        def __init__(self, space, dim):
            assert space == "ip"
            self.dim = dim

        def init_index(self, max_elements, M, ef_construction):
            self.rows = np.zeros((max_elements, self.dim), np.float32)

        def add_items(self, rows, labels):
            self.rows[labels] = rows

        def set_ef(self, ef):
            pass

        def knn_query(self, wanted, k):
            distances = 1 - wanted @ self.rows.T
            order = np.argsort(distances, axis=1, kind="stable")[:, :k]
            return order, np.take_along_axis(distances, order, axis=1)
    '''
)


@pytest.mark.parametrize("head", [None, "rating", "ranking"])
def test_dot_products_are_scores_and_their_order_that_of_the_lists(both, tmp_path, head):
    folder = export(both, tmp_path / "out", head)
    items, users = np.load(folder / "items.npy"), np.load(folder / "users.npy")
    assert items.dtype == users.dtype == np.float32
    scores = users @ items.T
    np.testing.assert_allclose(scores, both.scores(head=head), atol=2e-5)
    lists = both.recommend(n=10, head=head, exclude_seen=False)
    found = np.load(folder / "item_ids.npy")[np.argsort(-scores, axis=1, kind="stable")[:, :10]]
    same = found.ravel() == lists["item_id"].to_numpy()
    # but for scores that are equal up to rounding
    swapped = np.take_along_axis(scores, np.argsort(-scores, axis=1, kind="stable")[:, :10], 1)
    np.testing.assert_allclose(swapped.ravel()[~same], lists["score"].to_numpy()[~same], atol=2e-5)
    assert same.mean() > 0.99


def test_tables_hold_the_same_as_the_arrays(both, tmp_path):
    folder = export(both, tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == FILES
    for name, columns in (
        ("item", ["item_id", "title", "embedding"]),
        ("user", ["user_id", "embedding"]),
    ):
        table = pl.read_parquet(folder / f"{name}s.parquet")
        assert table.columns == columns
        assert table["embedding"].dtype == pl.List(pl.Float32)
        assert np.array_equal(
            np.array(table["embedding"].to_list()), np.load(folder / f"{name}s.npy")
        )
        ids = np.load(folder / f"{name}_ids.npy", allow_pickle=False)
        assert table[f"{name}_id"].to_list() == ids.tolist()
    assert pl.read_parquet(folder / "items.parquet")["title"].to_list() == both.catalog.titles


def test_users_without_training_ratings_are_left_out_and_ids_may_be_text(parts, tmp_path):
    table = pl.DataFrame(
        {"user": ["ann", "ann", "bob"], "item": ["x", "y", "x"], "rating": [5.0, 3.0, 4.0]}
    )
    data = matinee.read(table)
    train = replace(data, ratings=data.ratings.take(data.ratings.user == 0), official={})
    folder = export(matinee.Bias().fit(train), tmp_path / "out")
    assert np.load(folder / "user_ids.npy").tolist() == ["ann"]
    assert np.load(folder / "item_ids.npy").tolist() == ["x", "y"]
    assert "user_id text PRIMARY KEY" in (folder / "pgvector.sql").read_text()


def test_biases_alone_have_an_embedding_too(parts, tmp_path):
    model = Bias().fit(parts[0])
    folder = export(model, tmp_path / "out")
    items, users = np.load(folder / "items.npy"), np.load(folder / "users.npy")
    np.testing.assert_allclose(users @ items.T, model.scores(), atol=1e-5)


def test_the_example_of_an_index_lists_what_the_model_recommends(both, tmp_path):
    folder = export(both, tmp_path / "out")
    (folder / "hnswlib.py").write_text(HNSWLIB)
    for user, arguments in ((1, []), (42, ["42"])):
        done = subprocess.run(
            [sys.executable, "search_hnswlib.py", *arguments],
            cwd=folder,
            capture_output=True,
            check=True,
            encoding="utf-8",
        )
        found = [line.split("\t") for line in done.stdout.splitlines()]
        lists = both.recommend(user, n=10, exclude_seen=False)
        assert [int(item) for item, _ in found] == lists["item_id"].to_list()
        np.testing.assert_allclose([float(s) for _, s in found], lists["score"], atol=1e-3)
    done = subprocess.run(
        [sys.executable, "search_hnswlib.py", "nobody"],
        cwd=folder,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert (done.returncode, done.stderr.strip()) == (1, "No user nobody.")


def test_the_tables_of_a_database_are_as_wide_as_the_embeddings(both, tmp_path):
    folder = export(both, tmp_path / "out", "rating")
    sql = (folder / "pgvector.sql").read_text()
    assert sql.count(f"embedding vector({np.load(folder / 'items.npy').shape[1]}) NOT NULL") == 2
    assert "user_id bigint PRIMARY KEY" in sql
    assert "$" not in sql
    compile((folder / "load_pgvector.py").read_text(), "load_pgvector.py", "exec")


def test_an_export_replaces_an_older_one_and_nothing_else(both, tmp_path):
    folder = export(both, tmp_path / "out")
    width = np.load(folder / "items.npy").shape[1]
    export(both, folder, "ranking")
    assert np.load(folder / "items.npy").shape[1] < width
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    for taken in (other, other / "thesis.txt", tmp_path):
        with pytest.raises(SettingError, match="is not an export; choose another folder"):
            export(both, taken)
    assert (other / "thesis.txt").read_text() == "years of work"


def test_an_export_that_fails_leaves_nothing(both, tmp_path, monkeypatch):
    def failing(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(embeddings_module, "model_card", failing)
    with pytest.raises(KeyboardInterrupt):
        export(both, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("estimator", [EASE(regularization=20), Popularity()])
def test_scores_that_are_no_products_are_refused(parts, tmp_path, estimator):
    with pytest.raises(SettingError, match=f"Scores of {type(estimator).__name__} are not dot"):
        export(estimator.fit(parts[0]), tmp_path / "out")
    assert not list(tmp_path.iterdir())
