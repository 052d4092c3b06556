"""Single viewers: their taste, what is recommended to them, and why."""

from typing import Any

import polars as pl

from matinee.errors import SettingError
from matinee.explore.charts.map import viewer_on_map
from matinee.explore.charts.viewer import explanation_chart, taste_chart
from matinee.explore.layout import Layout
from matinee.explore.pages.page import Block, Section, figure, table
from matinee.explore.viewers import favourites, reasons, taste
from matinee.models import FactorModel

SHOWN = 8


def viewer_section(model: FactorModel, user: Any, layout: Layout | None = None) -> Section:
    """One viewer beside the average one.

    Parameters
    ----------
    model : FactorModel
    user : id or Viewer
    layout : Layout, optional
        The map to find their place on.
    """
    viewer = model.viewer(user)
    found = reasons(model, user, SHOWN)
    last = {"stars": "predicted stars"} if "stars" in found.columns else {"score": "score"}
    found = found.with_columns(pl.col("genres").str.replace_all("|", ", ", literal=True))
    mine = taste(model, user)
    kinds = [kind for kind in ("genre", "years", "popularity") if kind in mine["kind"].unique()]
    tastes = [figure(taste_chart(mine, kind)) for kind in kinds]
    blocks: list[Block] = [
        f"{len(viewer.items):,} training ratings, {viewer.stars.mean():.2f} stars on average.",
        table(
            favourites(model, user, SHOWN),
            {"title": "title", "stars": "stars"},
            {"stars": "g"},
            "What they loved",
            wide=False,
        ),
        tastes[0],
        table(
            found,
            {"title": "title", "genres": "genres", **last, "because": "because of"},
            {next(iter(last)): ".2f"},
            "What they should watch, the likeliest first",
        ),
    ]
    blocks += tastes[1:]
    if layout is not None:
        listed = model.catalog.ids.codes(found["item"].to_list())
        blocks.append(figure(viewer_on_map(layout, viewer.items, listed)))
    if found.height:
        by = "ranking" if model.ranking else "stars"
        try:
            parts = model.explain(user, found["item"][0], by=by)
        except SettingError:  # a network's scores do not come apart
            return Section(_name(user), blocks)
        blocks.append(figure(explanation_chart(parts, found["title"][0], by)))
    return Section(_name(user), blocks)


def _name(user: Any) -> str:
    return f"Viewer {user}" if isinstance(user, str | int) else "Somebody new"
