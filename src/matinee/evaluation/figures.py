"""What every figure is: its name for people, of what it is, which way is better, how it is shown.

How the figures are computed stands in `metrics` and `lists`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class FigureKind:
    """One kind of figure; `Figure` is a value of one, with its interval.

    Parameters
    ----------
    name : str
        As in Python and JSON: ``"ndcg@10"``.
    of : {"stars", "lists", "time"}
    better : {"less", "more"} or None
        None if models are not to be compared by it: it describes them.
    title : str
        What tables call it: ``"NDCG@10"``; those without one are in no table.
    form : str
        How it is printed.

    Examples
    --------
    >>> FIGURES["rmse"]
    FigureKind(name='rmse', of='stars', better='less', title='RMSE', form='.4f')
    >>> FIGURES["ndcg@10"].called, FIGURES["map@10"].called
    ('NDCG@10', 'map@10')
    """

    name: str
    of: str
    better: str | None
    title: str = ""
    form: str = ".4f"

    @property
    def called(self) -> str:
        """What people call it: its title, or its name if it has none."""
        return self.title or self.name


FIGURES = {
    kind.name: kind
    for kind in (
        FigureKind("rmse", "stars", "less", "RMSE"),
        FigureKind("mae", "stars", "less", "MAE"),
        FigureKind("ndcg@10", "lists", "more", "NDCG@10"),
        FigureKind("hit_rate@10", "lists", "more", "HR@10"),
        FigureKind("recall_capped@20", "lists", "more", "Recall@20"),
        FigureKind("ndcg@100", "lists", "more", "NDCG@100"),
        FigureKind("mrr@100", "lists", "more"),
        FigureKind("map@10", "lists", "more"),
        FigureKind("precision@10", "lists", "more"),
        FigureKind("recall@10", "lists", "more"),
        FigureKind("recall_capped@50", "lists", "more"),
        FigureKind("coverage@10", "lists", None, "coverage", ".1%"),
        FigureKind("popularity_share@10", "lists", None, "popular", ".1%"),
        FigureKind("novelty@10", "lists", None),
        FigureKind("diversity@10", "lists", None),
        FigureKind("gini@10", "lists", None),
        FigureKind("fit_seconds", "time", None, "fit time, s", ".2f"),
        FigureKind("test_seconds", "time", None, "test time, s", ".2f"),
    )
}
"""All figures, by name, in the order in which people see them."""
TABLED = {name: kind for name, kind in FIGURES.items() if kind.title}
"""Those that tables show."""
MAIN = {"stars": "rmse", "lists": "ndcg@10"}
"""The one to look at where there is room for one."""
