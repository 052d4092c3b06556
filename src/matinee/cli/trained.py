"""Before and after a training: where it goes, and what it reached."""

from pathlib import Path
from typing import TYPE_CHECKING

from matinee.cli.output import say
from matinee.cli.where import Where
from matinee.errors import SettingError

if TYPE_CHECKING:
    from matinee.evaluation import Result

CURVES = "history.png"


def check_place(run: str | None, plot: bool) -> None:
    """Refuse, before the work, a place that cannot be had or a picture that cannot be drawn."""
    from matinee.models.runs import refuse_occupied

    if run:
        refuse_occupied(Path(run))
    if plot:
        from matinee.explore import save_chart, training_curves  # noqa: F401


def report(result: "Result", where: Where) -> None:
    """Say how both heads did on the test part."""
    places = {name: where.named(head.trainer) for name, head in result.model.heads.items()}
    if result.test:
        say(
            f"Stars: RMSE {result.test.rmse:.4f}, MAE {result.test.mae:.4f}; "
            f"fitted in {result.fit_seconds:.1f} s{places['rating']}."
        )
        if result.test.by_unknown_viewers or result.test.of_unknown_movies:
            say(
                f"Among them, {result.test.by_unknown_viewers:,} by viewers and "
                f"{result.test.of_unknown_movies:,} of movies without a training rating."
            )
    if "ranking" in places and result.lists:
        lists = result.lists
        say(
            f"Lists: NDCG@10 {lists['ndcg@10']:.4f}, HR@10 "
            f"{lists['hit_rate@10']:.4f} over {lists.viewers:,} viewers"
            f"{' (' + lists.protocol + ')' if lists.protocol != 'held-out' else ''}; "
            f"fitted in {result.ranking_seconds:.1f} s{places['ranking']}."
        )


def plotted(result: "Result", folder: Path) -> str | None:
    """Where the curves went; None where there is nothing to draw."""
    from matinee.explore import save_chart, training_curves

    try:
        return str(save_chart(training_curves(result.model), folder / CURVES))
    except SettingError:
        return None


def say_saved(folder: Path, curves: str | None, plot: bool) -> None:
    """Say where the run is, and its picture if one was asked for."""
    if plot:
        say(f"Curves in {curves}." if curves else "No curves: this training has no steps.")
    say(f"Saved in {folder}. Next: matinee recommend --user ID, matinee similar TITLE.")
