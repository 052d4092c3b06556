"""matinee demo"""

from typing import TYPE_CHECKING

from matinee.cli.output import command, heading, print_table, say, short

if TYPE_CHECKING:
    from matinee.data.dataset import Dataset
    from matinee.evaluation.protocols import RankingTask
    from matinee.models.recommender import Recommender

EDITION = "ml-latest-small"
ROWS = 8


def demo() -> None:
    """Train on a small MovieLens edition and show what came out."""
    from matinee.analysis.dataset import describe
    from matinee.analysis.embeddings import familiar_items
    from matinee.evaluation.protocols import holdout
    from matinee.experiments.training import Split, train_and_evaluate
    from matinee.models.als import ALS
    from matinee.models.baselines import Bias
    from matinee.models.implicit_als import ImplicitALS
    from matinee.storage.runs import RUNS, write_new_run

    data = _find_data()
    about = describe(data)
    heading(data.name)
    say(
        f"{about.users:,} users gave {about.ratings:,} ratings to {about.rated_items:,} "
        f"movies, {about.mean_rating:.2f} stars on average;"
    )
    say(f"{about.sparsity:.1%} of the full matrix is empty. Terms: {about.licence or 'none'}.")
    say()
    split = Split("random", 0.1, 0)
    plain = train_and_evaluate(data, Bias(), split)
    estimator = ALS()
    result = train_and_evaluate(data, estimator, split, ranker=ImplicitALS())
    heading(f"How far off predicted stars are, on {result.test_ratings:,} ratings kept aside")
    before, after = (one.to_dict()["rmse"] for one in (plain, result))
    say(f"RMSE {before:.3f}  biases only: who is generous, what is liked")
    say(
        f"RMSE {after:.3f}  with {estimator.factors} factors and genres, "
        f"fitted in {result.fit_seconds:.1f} s"
    )
    model = result.model
    _show_lists(model, holdout(*split.apply(data)))
    _show_user(model)
    _show_neighbours(model)
    folder = write_new_run(model.to_parts(), RUNS / "demo")
    say()
    say(f"The model is saved in {folder}. Ask it yourself:")
    title = familiar_items(model, 1)[0]
    say(f"  {command()} recommend --user 1")
    say(f'  {command()} recommend --rated "{title}=5"')
    say(f'  {command()} similar "{title}"')
    say(f'  {command()} explain "{title}" --user 1')


def _find_data() -> "Dataset":
    """The edition from the cache, else downloaded, else generated data; says which."""
    from matinee.data.cache import cached
    from matinee.data.download import fetch
    from matinee.data.reading import read
    from matinee.data.synthetic import generate
    from matinee.errors import ArchiveError

    if path := cached(EDITION):
        say(f"Reading {EDITION} from {short(path)}.")
        return read(EDITION)
    say(f"{EDITION} is not here yet; downloading it from GroupLens.")
    try:
        fetch(EDITION)
    except ArchiveError as problem:
        say(f"That failed: {problem}")
        say("So this demo runs on GENERATED data: invented users, movies and titles.")
        return generate(users=600, items=2000, ratings=100_000, seed=1)[0]
    return read(EDITION)


def _show_lists(model: "Recommender", task: "RankingTask") -> None:
    """Why there are two heads: lists by each, and the same list for everybody."""
    from matinee.evaluation.evaluator import evaluate_ranking
    from matinee.models.baselines import Popularity

    popular = Popularity().fit(task.train)
    ranked = {
        "the same most watched movies for everybody": evaluate_ranking(popular, task),
        "sorted by predicted stars": evaluate_ranking(model, task, head="rating"),
        "by the ranking head, which learned who watches what": evaluate_ranking(
            model, task, head="ranking"
        ),
    }
    say()
    heading(f"How well lists find what {len(task):,} users watched among those ratings")
    for name, found in ranked.items():
        say(f"NDCG@10 {found['ndcg@10']:.3f}  {name}")


def _show_user(model: "Recommender") -> None:
    """One user's favourites beside what is recommended to them, and why."""
    import polars as pl

    from matinee.analysis.users import explain_recommendations, top_rated, typical_user

    user = typical_user(model)
    loved = top_rated(model, user, ROWS)
    found = explain_recommendations(model, user, ROWS, because=1)
    say()
    heading(f"User {user}: what they loved, what they should watch, and because of what")
    side = pl.concat(
        [
            loved.select(loved="title", given="rating"),
            found.select(
                watch="title", values="rating", why=pl.col("because").list.first().fill_null("")
            ),
        ],
        how="horizontal",
    )
    print_table(
        side,
        {"loved": "loved", "given": "", "watch": "should watch", "rating": "", "why": "because of"},
        {"given": "g", "rating": ".1f"},
    )


def _show_neighbours(model: "Recommender") -> None:
    from matinee.analysis.embeddings import familiar_items

    title = familiar_items(model, 1)[0]
    say()
    heading(f"Most like {title}, going by ratings")
    found = model.similar_items(title, ROWS)
    headings = {"title": "title", "genres": "genres", "similarity": "cosine"}
    print_table(found, headings, {"similarity": ".2f"})
