"""Embeddings whose plain dot products are the scores of a model, for an index or a database."""

from pathlib import Path
from string import Template

import numpy as np
import polars as pl

from matinee._types import F32
from matinee.data.id_map import IdMap
from matinee.errors import SettingError
from matinee.export.model_card import model_card
from matinee.models.recommender import Recommender
from matinee.models.topk import ProductHead
from matinee.storage.atomic import new_folder, recover

TEMPLATES = Path(__file__).parent / "templates"
CARD = "MODEL_CARD.md"
MARKS = (CARD, "items.npy", "users.npy")
"""Files by which a folder is known to be an export, which another may replace."""


def export(model: Recommender, folder: str | Path, head: str | None = None) -> Path:
    """Write the embeddings of all items and users to a folder, whole or not at all.

    A score is a dot product of a user's and an item's embedding, nothing else: biases and the
    global mean stand in dimensions of their own. Order an index of the items by inner product, and
    it lists what `Recommender.recommend` does with ``exclude_seen=False``.

    The folder holds `items.parquet` (`item_id`, `title`, `embedding`, a list of float32),
    `users.parquet` (`user_id`, `embedding`; users with training ratings), the same as
    `items.npy`, `users.npy`, float32 (n, width), with `item_ids.npy`, `user_ids.npy`; examples for
    hnswlib and for PostgreSQL with pgvector; and a model card.

    Raises SettingError for a head whose scores are no products of factors, or a folder that holds
    something else than an export.

    Parameters
    ----------
    model : Recommender
    folder : str or Path
    head : {"ranking", "rating"}, optional
        By default what lists are made by.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     folder = export(model, f"{parent}/exported")
    ...     items, users = (np.load(folder / name) for name in ("items.npy", "users.npy"))
    >>> bool(abs(users[0] @ items[6] - model.scores(1)[6]) < 1e-5)
    True
    """
    folder = Path(folder)
    check_folder(folder)
    items, users = dot_product_rows(model, head)
    active = np.flatnonzero(model.user_counts)
    item_ids, user_ids = model.items, model.user_ids.values[active]
    with new_folder(folder) as fresh:
        for name, ids, rows in (("item", item_ids, items), ("user", user_ids, users)):
            np.save(fresh / f"{name}s.npy", rows)
            is_text = ids.dtype == pl.String
            np.save(fresh / f"{name}_ids.npy", np.array(ids.to_list(), str if is_text else "i8"))
            titles = [model.catalog.frame["title"]] if name == "item" else []
            table = [ids.alias(f"{name}_id"), *titles, _embeddings(rows)]
            pl.DataFrame(table).write_parquet(fresh / f"{name}s.parquet")
        settings = {
            "width": items.shape[1],
            "item_id": _sql_type(model.catalog.ids),
            "user_id": _sql_type(model.user_ids),
        }
        for template in TEMPLATES.iterdir():
            text = Template(template.read_text(encoding="utf-8")).substitute(settings)
            (fresh / template.name.removesuffix(".template")).write_text(text, encoding="utf-8")
        card = model_card(model, head, items.shape[1])
        (fresh / CARD).write_text(card, encoding="utf-8")
    return folder


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than an export."""
    recover(folder)
    if folder.exists() and not all((folder / name).is_file() for name in MARKS):
        raise SettingError(f"{folder}: exists and is not an export; choose another folder.")


def dot_product_rows(model: Recommender, head: str | None = None) -> tuple[F32, F32]:
    """Embeddings of all items and of the users with training ratings, each float32 (n, width)."""
    source = model.head(head)
    if head is None:  # the first of the orders that is a product
        products = (order for order in model.orders.values() if isinstance(order, ProductHead))
        source = next(products, source)
    if not isinstance(source, ProductHead):
        raise SettingError(
            f"Scores of {source.estimator.get('name')} are not dot products of embeddings, so "
            "there is nothing to export. Name another head (ALS, ImplicitALS and BPR have them)."
        )
    factors, biases = source.packed.unpacked
    rows = source.rows(model.user_batch())
    if not source.packed.biased:
        return factors, rows
    one = np.ones((1, 1), np.float32)
    items = np.hstack([factors, biases[:, None], np.broadcast_to(one, (len(factors), 1))])
    of_users = rows[:, :1] + source.packed.mean
    users = np.hstack([rows[:, 1:], np.broadcast_to(one, (len(rows), 1)), of_users])
    return items, users


def _embeddings(rows: F32) -> pl.Series:
    return pl.Series("embedding", rows).cast(pl.List(pl.Float32))


def _sql_type(ids: IdMap) -> str:
    return "text" if ids.are_text else "bigint"
