"""matinee evaluate"""

from dataclasses import asdict

from matinee.cli.options import Json, RunArgument, find_run
from matinee.cli.output import print_json, say


def evaluate(run: RunArgument = None, json: Json = False) -> None:
    """Judge a run again on the ratings that it has not seen."""
    from matinee.evaluation import evaluate_again
    from matinee.models import load

    folder = find_run(run)
    model = load(folder)
    found = evaluate_again(model)
    if json:
        print_json({"run": str(folder), "model": model.trainer["name"], **asdict(found)})
        return
    say(f"{folder}: {model.trainer['name']} on {found.ratings:,} held-out ratings")
    say(f"RMSE {found.rmse:.4f}, MAE {found.mae:.4f} stars")
    say(
        f"{found.by_unknown_viewers:,} by viewers and {found.of_unknown_movies:,} of movies "
        "without a training rating"
    )
