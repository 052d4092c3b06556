"""The course of a training as a picture."""

from pathlib import Path
from typing import Any

import polars as pl

from matinee.errors import ExtraError, SettingError
from matinee.folders import new_file
from matinee.models import FactorModel

FORMATS = (".png", ".svg", ".html")
NAMES = {
    "loss": "loss",
    "train_rmse": "training",
    "validation_rmse": "validation",
    "test_rmse": "test",
    "validation_hit_rate": "validation",
    "test_hit_rate": "test",
}
COLORS = {"loss": "#7f7f7f", "training": "#1f77b4", "validation": "#2ca02c", "test": "#d62728"}
TITLES = {"loss": "Loss", "rmse": "RMSE in stars", "hit_rate": "Hit rate@10 of 100"}
HEADS = {"rating": "Stars", "ranking": "Lists"}


def training_curves(model: FactorModel) -> Any:
    """Loss and errors of each head over its training, one panel for each unit.

    Parameters
    ----------
    model : FactorModel

    Returns
    -------
    altair.Chart
        Which a notebook shows as it is.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> model = matinee.ALS(factors=4, iterations=3).fit(train, test=test)
    >>> sorted(chart.title for chart in training_curves(model).concat)
    ['Stars: Loss', 'Stars: RMSE in stars']

    Raises
    ------
    SettingError
        If the model has no history.
    ExtraError
        If altair is not installed.
    """
    alt = load_altair()
    panels = []
    for name, head in model.heads.items():
        history = head.history
        unit = "epoch" if "epochs" in head.trainer else "iteration"
        for ending, title in TITLES.items():
            columns = [column for column in history.columns if column.endswith(ending)]
            if columns:
                rows = history.select("iteration", *columns).unpivot(
                    index="iteration", variable_name="curve", value_name="value"
                )
                rows = rows.drop_nulls().with_columns(pl.col("curve").replace(NAMES))
                panels.append(_panel(alt, rows, f"{HEADS[name]}: {title}", unit))
    if not panels:
        raise SettingError("The model keeps no history of a training in steps.")
    chart = alt.concat(*panels, columns=2).resolve_scale(color="independent")
    return chart.configure_view(strokeWidth=0).configure_axis(gridOpacity=0.5)


def save_curves(model: FactorModel, path: str | Path) -> Path:
    """Write `training_curves` to a file, whole or not at all.

    Parameters
    ----------
    model : FactorModel
    path : str or Path
        Its ending says as what: .png, .svg, or .html, which needs no network.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise SettingError(f"{path}: a picture ends in {', '.join(FORMATS)}.")
    chart = training_curves(model)
    with new_file(path) as fresh:
        if path.suffix == ".html":
            chart.save(fresh, format="html", inline=True)
        elif path.suffix == ".png":
            chart.save(fresh, format="png", scale_factor=2)
        else:
            chart.save(fresh, format="svg")
    return path


def _panel(alt: Any, rows: pl.DataFrame, title: str, unit: str) -> Any:
    """One chart of several curves, each named at its end and in the legend."""
    kinds = [kind for kind in COLORS if kind in rows["curve"].unique()]
    color = alt.Color("curve:N", title=None).scale(
        domain=kinds, range=[COLORS[kind] for kind in kinds]
    )
    rising = title.endswith(TITLES["hit_rate"])
    corner = "bottom-right" if rising else "top-right"  # where the curves are not
    legend = alt.Legend(orient=corner) if len(kinds) > 1 else None
    few = rows["iteration"].n_unique() <= 30
    return (
        alt.Chart(rows, title=title)
        .mark_line(point=few)
        .encode(
            x=alt.X("iteration:Q", title=unit).axis(tickMinStep=1, format="d"),
            y=alt.Y("value:Q", title=None).scale(zero=False),
            color=color.legend(legend),
            tooltip=["iteration", "curve", alt.Tooltip("value", format=".4f")],
        )
        .properties(width=360, height=260)
    )


def load_altair() -> Any:
    """The module altair, able to write pictures; ExtraError if it is not installed."""
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError as problem:
        raise ExtraError(
            f"Pictures need altair ({problem}). Install it: pip install 'matinee[plots]'"
        ) from None
    return altair
