"""matinee demo"""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from matinee.cli.output import heading, print_table, program, say, section, short

if TYPE_CHECKING:
    from matinee.data.dataset import Dataset
    from matinee.evaluation.protocols import RankingTask
    from matinee.models.recommender import Recommender

EDITION = "ml-latest-small"
ROWS = 8


def demo() -> None:
    """Train on a small MovieLens edition and show the results."""
    from matinee.experiments.compiling import compiling_beside

    with compiling_beside():
        _demo()


def _demo() -> None:
    from matinee.analysis.dataset import describe
    from matinee.evaluation.protocols import holdout
    from matinee.experiments.split import Split
    from matinee.experiments.training import train_and_evaluate
    from matinee.models.als import ALS
    from matinee.models.baselines import Bias
    from matinee.models.implicit_als import ImplicitALS
    from matinee.storage.runs import RUNS, write_new_run
    from matinee.storage.writing import check_place

    check_place(RUNS / "demo")
    data = _find_data()
    summary = describe(data)
    heading(data.name)
    say(
        f"{summary.users:,} users gave {summary.ratings:,} ratings to {summary.rated_items:,} "
        f"movies (mean {data.ratings.values.mean():.2f})."
    )
    say(f"{summary.sparsity:.1%} of the user-item matrix is empty.")
    if summary.licence:
        say(f"Terms of use: {summary.licence}.")
    split = Split("random", 0.1, 0)
    baseline = train_and_evaluate(data, Bias(), split)
    estimator = ALS()
    result = train_and_evaluate(data, estimator, split, ranker=ImplicitALS())
    section(f"Rating prediction on {result.test_ratings:,} test ratings (lower is better)")
    for trained, label in (
        (baseline, "baseline: user and item biases"),
        (result, f"ALS, {estimator.factors} factors, attributes (fit {result.fit_seconds:.1f} s)"),
    ):
        if trained.rating:
            say(f"RMSE {trained.rating.rmse:.3f}  {label}")
    model = result.model
    _print_ranking(model, holdout(*split.apply(data)))
    user, recommended = _print_user(model)
    title = _print_similar(model)
    folder = write_new_run(model.to_parts(), RUNS / "demo")
    say()
    say(f"The model is saved in {folder}. Try it:")
    say(f'  {program()} recommend --rating "{title}=5"')
    say(f'  {program()} similar "{title}"')
    say(f'  {program()} explain "{recommended}" --user {user}')
    say("A page to rate movies on, and an HTTP API (pip install 'matinee[service]'):")
    say(f"  {program()} serve {folder.name}")


def _find_data() -> "Dataset":
    """The edition from the cache, else downloaded, else synthetic data; says which.

    Synthetic data are written to the cache, so that the run can be evaluated and retrained.
    """
    from matinee.data.cache import cached
    from matinee.data.download import fetch
    from matinee.data.reading import read
    from matinee.data.synthetic import generate
    from matinee.data.writing import write_folder
    from matinee.errors import ArchiveError, WriteError
    from matinee.storage.cache_folder import cache_folder

    if path := cached(EDITION):
        say(f"Reading {EDITION} from {short(path)}.")
        return read(EDITION)
    say(f"{EDITION} is not here yet; downloading it from GroupLens.")
    try:
        fetch(EDITION)
    except (ArchiveError, WriteError) as problem:
        say(f"That failed: {problem}")
        say("So this demo runs on SYNTHETIC data: invented users, movies and titles.")
        data = generate(users=600, items=2000, ratings=100_000, seed=1)[0]
        with suppress(WriteError):  # where nothing can be kept, they are in memory only
            return write_folder(data, cache_folder() / data.name)
        return data
    return read(EDITION)


def _print_ranking(model: "Recommender", task: "RankingTask") -> None:
    """Why there are two heads: rankings by each, by both, and by a baseline."""
    import polars as pl

    from matinee.evaluation.evaluator import evaluate_ranking
    from matinee.evaluation.metrics import METRICS
    from matinee.models.baselines import Popularity

    popular = Popularity().fit(task.train)
    rankings = {
        "popularity, the same for all": evaluate_ranking(popular, task),
        "predicted rating": evaluate_ranking(model, task, head="rating"),
        "ranking head: who watches what, and likes it": evaluate_ranking(
            model, task, head="ranking"
        ),
        "both heads, the default": evaluate_ranking(model, task),
    }
    section(f"Top-10 ranking for {len(task):,} test users")
    shown = [METRICS[name] for name in ("ndcg@10", "liked_ndcg@10", "disliked_share@10")]
    rows = [
        {"by": by, **{m.name: metrics[m.name] for m in shown}} for by, metrics in rankings.items()
    ]
    headings = {metric.name: metric.label for metric in shown} | {"by": "sorted by"}
    print_table(pl.DataFrame(rows), headings, {metric.name: metric.format for metric in shown})


def _print_user(model: "Recommender") -> tuple[Any, str]:
    """What a user rated highest beside what is recommended, and why; the user and the first."""
    import polars as pl

    from matinee.analysis.users import explain_recommendations, top_rated, typical_user

    user = typical_user(model)
    rated = top_rated(model, user, ROWS).select(rated="title", given="rating")
    listed = explain_recommendations(model, user, ROWS, because=1).select(
        "predicted_rating",
        recommended="title",
        because=pl.col("because").list.first().fill_null(""),
    )
    section(f"User {user}: top rated, recommended, and because of")
    print_table(
        pl.concat([rated, listed], how="horizontal"),
        {"rated": "top rated", "given": ""}
        | {"recommended": "recommended", "predicted_rating": "", "because": "because of"},
        {"given": "g", "predicted_rating": ".1f"},
    )
    return user, listed["recommended"][0]


def _print_similar(model: "Recommender") -> str:
    """What is most similar to a movie that most people know; its title."""
    from matinee.analysis.embeddings import familiar_items

    title = familiar_items(model, 1)[0]
    section(f"Similar to {title}, rating factors")
    headings = {"title": "title", "genres": "genres", "similarity": "cosine"}
    print_table(model.similar_items(title, ROWS), headings, {"similarity": ".2f"})
    return title
