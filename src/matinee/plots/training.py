"""The course of a training, or of several, as pictures."""

from collections.abc import Iterator, Mapping, Sequence

import altair as alt
import polars as pl

from matinee.errors import SettingError
from matinee.models.recommender import Recommender
from matinee.plots.theme import BLUE, GREY, ORANGE, RED, Chart, framed, in_order, rows

KINDS = {"loss": GREY, "training": BLUE, "validation": "#4a9c5d", "test": RED}
"""Curves and their colours."""
DASHES = {"loss": [1, 0], "training": [6, 3], "validation": [2, 2], "test": [1, 0]}
"""The same curves by dashes, where colours tell runs apart."""
KIND_OF = {"loss": "loss", "train": "training", "validation": "validation", "test": "test"}
"""The same by how columns of a history begin."""
UNITS = {"loss": "loss", "rmse": "RMSE, stars", "hit_rate": "hit rate@10 of 100"}
"""Axes by how columns end."""
TITLES = {"loss": "loss", "rmse": "error", "hit_rate": "hit rate"}
HEADS = {"rating": "Stars", "ranking": "Lists"}
PANEL_WIDTH, PANEL_HEIGHT = 360, 250
EXACT = "The last one of ALS solves users exactly."
OWN_LOSS = "Each under its own settings and ratings: under others, it is another measure."
FEW = 30  # steps, whose points are drawn

Runs = Recommender | Mapping[str, Recommender]


def training_curves(runs: Runs) -> alt.ConcatChart:
    """Loss, errors and time of each head over its training, one panel for each unit.

    Parameters
    ----------
    runs : Recommender, or mapping of a name to one
        Several are drawn over each other.

    Returns
    -------
    altair.ConcatChart
        Which a notebook shows as it is.

    Raises
    ------
    SettingError
        If no model has a history.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> model = matinee.ALS(factors=4, iterations=3).fit(train, test=test)
    >>> [panel.title.text for panel in training_curves(model).concat]
    ['Stars: loss', 'Stars: error', 'Stars: time per iteration']
    """
    panels: alt.ConcatChart = alt.concat(*training_panels(runs), columns=2).resolve_scale(
        color="independent", strokeDash="independent"
    )
    return panels


def training_panels(runs: Runs) -> list[Chart]:
    """The panels of `training_curves`, one by one."""
    panels: list[Chart] = []
    for head, histories, estimators, step in _trainings(runs):
        for ending, unit in UNITS.items():
            curves = _curves(histories, ending)
            if curves.height:
                panels.append(_panel(curves, f"{HEADS[head]}: {TITLES[ending]}", step, unit))
        times = _times(histories)
        if times.height:
            exact = EXACT if "ALS" in estimators else ""
            panels.append(_panel(times, f"{HEADS[head]}: time per {step}", step, "seconds", exact))
    if not panels:
        raise SettingError("The model keeps no history of a training in steps.")
    return panels


def training_curves_by_run(runs: Mapping[str, Recommender]) -> list[Chart]:
    """The same for comparing runs: a panel for each figure, in which colours tell runs apart.

    The loss is left out where recipes differ, for then it is not the same quantity, and so is the
    time of a step.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> runs = {"als": matinee.ALS(factors=4), "bias": matinee.Bias()}
    >>> models = {name: estimator.fit(train, test=test) for name, estimator in runs.items()}
    >>> [panel.title.text for panel in training_curves_by_run(models)]
    ['Stars: training error', 'Stars: test error']
    """
    panels: list[Chart] = []
    for head, histories, estimators, step in _trainings(runs):
        for ending, unit in UNITS.items():
            curves = _curves(histories, ending)
            for kind in KINDS if curves.height else ():
                of_kind = curves.filter(pl.col("kind") == kind)
                if of_kind.height == 0 or (kind == "loss" and len(estimators) > 1):
                    continue
                what = kind if kind == "loss" else f"{kind} {TITLES[ending]}"
                line = OWN_LOSS if kind == "loss" else ""
                title = f"{HEADS[head]}: {what}"
                panels.append(_panel(of_kind, title, step, unit, line, list(runs)))
    return panels


def _trainings(runs: Runs) -> Iterator[tuple[str, dict[str, pl.DataFrame], set[str], str]]:
    """Each head that was trained in steps: histories by run, recipes, what a step is called."""
    models = runs if isinstance(runs, Mapping) else {"": runs}
    for head in HEADS:
        histories = {
            name: model.heads[head].history
            for name, model in models.items()
            if head in model.heads and model.heads[head].history.height > 1
        }
        estimators = [models[name].heads[head].estimator for name in histories]
        unique = {str(estimator.get("name")) for estimator in estimators}
        epochs = {"epoch" if "epochs" in estimator else "iteration" for estimator in estimators}
        if histories:
            yield head, histories, unique, " or ".join(sorted(epochs, reverse=True))


def _curves(histories: Mapping[str, pl.DataFrame], ending: str) -> pl.DataFrame:
    """Columns `run`, `kind`, `iteration`, `value` of all columns that end like this."""
    parts = []
    for run, history in histories.items():
        for column in history.columns:
            if column.endswith(ending):
                kind = KIND_OF[column.removesuffix(ending).rstrip("_") or "loss"]
                parts.append(_curve(run, kind, history, pl.col(column)))
    return pl.concat(parts).drop_nulls() if parts else pl.DataFrame()


def _times(histories: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The same for how long each step took, from the seconds since the start."""
    so_far = pl.col("seconds")
    parts = [
        _curve(run, "seconds", history, so_far.diff().fill_null(so_far.first()))
        for run, history in histories.items()
        if "seconds" in history.columns
    ]
    return pl.concat(parts) if parts else pl.DataFrame()


def _curve(run: str, kind: str, history: pl.DataFrame, value: pl.Expr) -> pl.DataFrame:
    return history.select(
        pl.lit(run).alias("run"),
        pl.lit(kind).alias("kind"),
        pl.col("iteration").cast(pl.Int64),
        value.cast(pl.Float64).alias("value"),
    )


def _panel(
    curves: pl.DataFrame,
    title: str,
    step: str,
    unit: str,
    line: str = "",
    runs: Sequence[str] = (),
) -> Chart:
    """One chart of several curves; of several runs, by colour, and then kinds by dash.

    `runs` are all that have a colour, by default those with a curve.
    """
    shown = curves["run"].unique(maintain_order=True).to_list()
    runs = runs or shown
    kinds = [kind for kind in (*KINDS, "seconds") if kind in curves["kind"].unique()]
    # one run's in a corner where no curve is
    corner = alt.Legend(orient="bottom-right" if unit == UNITS["hit_rate"] else "top-right")
    legend = corner if len(runs) == 1 else alt.Legend(orient="bottom", symbolType="stroke")
    chart = (
        alt.Chart(rows(curves))
        # points would hide the dashes in the legend
        .mark_line(
            point=(len(runs) == 1 or len(kinds) == 1) and curves["iteration"].n_unique() <= FEW
        )
        .encode(
            x=alt.X("iteration:Q", title=step).axis(tickMinStep=1, format="d", grid=False),
            y=alt.Y("value:Q", title=unit).scale(zero=unit == "seconds").axis(tickCount=5),
            tooltip=[
                "run:N",
                "kind:N",
                alt.Tooltip("iteration:Q", title=step),
                alt.Tooltip("value:Q", title=unit, format=".4f"),
            ],
        )
    )
    if len(runs) > 1:
        chart = chart.encode(
            color=alt.Color("run:N", title=None)
            .scale(in_order(runs))
            .legend(alt.Legend(orient="bottom", symbolType="stroke", values=shown))
        )
        if len(kinds) > 1:
            dashes = alt.Scale(domain=kinds, range=[DASHES[kind] for kind in kinds])
            dash = alt.StrokeDash("kind:N", title=None, scale=dashes, legend=legend)
            chart = chart.encode(strokeDash=dash)
    elif kinds == ["seconds"]:
        chart = chart.encode(color=alt.value(ORANGE))
    else:
        scale = alt.Scale(domain=kinds, range=[KINDS[kind] for kind in kinds])
        color = alt.Color("kind:N", title=None, scale=scale)
        chart = chart.encode(color=color.legend(legend if len(kinds) > 1 else None))
    return framed(chart, title, line, width=PANEL_WIDTH, height=PANEL_HEIGHT)
