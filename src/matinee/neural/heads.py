"""From trained tensors to the head that every floor above knows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from matinee.data import Dataset
from matinee.kernels import transpose
from matinee.models import FactorModel
from matinee.models.network_head import NetworkHead
from matinee.models.positives import positives
from matinee.models.side import link_of_genres
from matinee.models.trainer import kept_epoch

if TYPE_CHECKING:
    from matinee.neural.recipe import GradientRecipe


def network_model(
    recipe: "GradientRecipe",
    train: Dataset,
    history: pl.DataFrame,
    *,
    tables: tuple[Tensor, Tensor],
    item_bias: Tensor | None = None,
    layers: Sequence[tuple[Tensor, Tensor]],
    widths: list[int],
    mean: float = 0.0,
    unobserved: int,
    liked: float | None,
) -> FactorModel:
    """The model of a trained network: with a rating head if nothing unobserved was drawn.

    Parameters
    ----------
    recipe : GradientRecipe
    train : Dataset
    history : polars.DataFrame
    tables : tensors (users, width), (items, width)
    item_bias : tensor (items, 1), optional
    layers : sequence of tensors (outputs, inputs), (outputs,)
        Of the tower, and the output layer.
    widths : list of int
        See `Network.unpack`.
    mean : float
    unobserved : int
    liked : float or None
    """
    ratings, in_stars = train.ratings, not unobserved
    watched = ratings.by_user if in_stars else positives(ratings.by_user, liked)
    user_rows, item_rows = (as_array(table) for table in tables)
    bias = np.zeros((len(item_rows), 1), np.float32) if item_bias is None else as_array(item_bias)
    known = np.diff(watched.indptr) > 0
    user_rows[~known] = user_rows[known].mean(axis=0, dtype=np.float64)
    of_items = transpose(watched, len(item_rows))
    _, linked = link_of_genres(of_items, train.catalog, np.hstack([bias, item_rows]))
    head = NetworkHead(
        mean=mean,
        user_rows=user_rows,
        item_rows=np.ascontiguousarray(linked[:, 1:]),
        item_bias=np.ascontiguousarray(linked[:, 0]),
        widths=np.array(widths, np.int32),
        dense=as_array(torch.cat([part.reshape(-1) for layer in layers for part in layer])),
        noise=float(history["train_rmse"][kept_epoch(history, recipe.patience)]) ** 2
        if in_stars
        else 1.0,
        unobserved=float(unobserved),
        liked=liked,
        trainer=recipe.noted(),
        history=history,
    )
    return FactorModel(
        ratings.user_ids,
        train.catalog,
        ratings.scale,
        ratings.by_user,
        **{"rating" if in_stars else "ranking": head},  # type: ignore[arg-type]
    )


def as_array(values: Tensor) -> NDArray[np.float32]:
    """A copy of a tensor, on the CPU."""
    return values.detach().cpu().numpy().copy()
