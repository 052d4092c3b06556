"""How good a model is, and who is badly served."""

from collections.abc import Sequence

from matinee.data import Dataset
from matinee.errors import SettingError
from matinee.evaluation import JUDGED, TABLED, Row, Served, held_out, judge_heads, served
from matinee.evaluation.judge import Figure
from matinee.explore.charts.accuracy import list_figures, lists_by_group, stars_by_group
from matinee.explore.charts.training import training_panels
from matinee.explore.pages.page import Block, Facts, Number, Section, Table, figure
from matinee.models import FactorModel

EXPLAINED = (
    "NDCG@10, HR@10, Recall@20, NDCG@100: how well lists find what viewers watched among the "
    "ratings kept aside; 1 is perfect. Coverage: the part of the catalogue that is ever listed. "
    "Popular: the part of listed movies that are among the most rated tenth."
)


def training_section(model: FactorModel) -> Section | None:
    """Curves of the training; None if it had no steps."""
    try:
        return Section("Training", [figure(panel) for panel in training_panels(model)])
    except SettingError:
        return None


def quality_sections(model: FactorModel, train: Dataset, test: Dataset) -> list[Section]:
    """Accuracy with intervals, and accuracy by how much is known."""
    try:
        exam = held_out(train, test).sample(JUDGED)
    except SettingError:
        return [
            Section(
                "Accuracy", ["Nobody has both training and test ratings, so it cannot be judged."]
            )
        ]
    rows = judge_heads(exam, {"": model})
    blocks: list[Block] = [
        f"{len(test):,} ratings were kept aside. Stars are judged on all of them, lists on "
        f"{len(exam):,} viewers; intervals say what other viewers would give, at 95 %.",
        Facts(_facts(rows)),
        _table(rows),
        EXPLAINED,
        figure(list_figures(rows, "ndcg@10")),
        figure(list_figures(rows, "hit_rate@10")),
    ]
    parts = served(model, train, test, exam=exam)
    return [Section("Accuracy", blocks), _limits(parts)]


def _facts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    facts = []
    for row in rows:
        if row.stars:
            low, high = row.stars.rmse_interval or (row.stars.rmse, row.stars.rmse)
            facts += [
                (f"{row.stars.rmse:.3f}", f"RMSE of stars, {low:.3f} to {high:.3f}"),
                (f"{row.stars.mae:.3f}", "mean absolute error of stars"),
            ]
        figure = row.lists.figures["ndcg@10"]
        facts.append((f"{figure.value:.3f}", f"NDCG@10 of {row.who}, {_interval(figure)}"))
    return facts


def _table(rows: Sequence[Row]) -> Table:
    names = [name for name in TABLED if all(name in row.lists.figures for row in rows)]
    return Table(
        ["lists by", *(TABLED[name].title for name in names)],
        [
            [row.who, *(Number(_shown(name, row.lists.figures[name])) for name in names)]
            for row in rows
        ],
        "Lists",
    )


def _shown(name: str, figure: Figure) -> str:
    kind = TABLED[name]
    if not kind.better:
        return format(figure.value, kind.form)
    value = f"{figure.value:.3f}"
    return value if figure.low is None else f"{value} ({_interval(figure)})"


def _interval(figure: Figure) -> str:
    return "" if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}"


def _limits(parts: Sequence[Served]) -> Section:
    """Who is badly served, in words and charts."""
    blocks: list[Block] = [
        "Averages hide who is served badly. Here viewers are divided by how many ratings they gave "
        "in training, movies by how many they got."
    ]
    for of in ("viewers", "movies"):
        errors = {
            (part.least, part.most): part.rmse.value
            for part in parts
            if part.of == of and part.rmse and part.least > 0
        }
        if len(errors) > 1:
            (few, worse), *_, (many, better) = errors.items()
            blocks.append(
                f"{of.capitalize()} with {few[0]:,} to {few[1]:,} ratings: stars are off by an "
                f"RMSE of {worse:.3f}, against {better:.3f} for those with {many[0]:,} to "
                f"{many[1]:,}."
            )
    for of in ("viewers", "movies"):
        if any(part.of == of and part.rmse for part in parts):
            blocks.append(figure(stars_by_group(parts, of)))
        if any(part.of == of and part.found for part in parts):
            blocks.append(figure(lists_by_group(parts, of)))
    blocks += [
        "Ratings were kept aside as the split says; unless it is by time, the model has seen what "
        "other people rated later, which a recommender in use never has. What people did not rate "
        "is not known to be bad: a list is given no credit for a good movie that nobody rated. And "
        "those who rate are not everybody: people who gave few ratings are not in most editions.",
    ]
    return Section("Limits", blocks)
