"""`matinee train`: what reaches the run, what is printed, and what is refused before the work."""

import json

import polars as pl
import pytest
from shell import BROKEN

KEYS = {"run", "plot", "model", "ranker", "train_ratings", "test_ratings", "rmse", "mae",
        "fit_seconds", "ranker_fit_seconds", "ranking", "cold_start_user_ratings",
        "cold_start_item_ratings", "estimators"}  # fmt: skip


@pytest.mark.slow
def test_the_keys_that_scripts_rely_on(shell):
    found = shell.json("train", "small", "--factors", 3, "--iterations", 2, "--split",
                       "leave-last-out", "--seed", 4, "--threads", 1, "--set", "features=none",
                       "--run", "elsewhere")  # fmt: skip
    assert set(found) == KEYS
    assert (found["model"], found["ranker"]) == ("als", "ials")
    assert (found["train_ratings"], found["test_ratings"]) == (2320, 80)
    rating, ranking = found["estimators"]["rating"], found["estimators"]["ranking"]
    assert (rating["features"], rating["seed"], ranking["seed"]) == ("none", 4, 4)
    assert (shell.folder / "elsewhere" / "manifest.json").exists()
    by_both, by_rating, *_ = shell.json("evaluate", "elsewhere")
    wanted = {"rmse": found["rmse"], "mae": found["mae"], "n_ratings": 80}
    assert by_rating["rating"] == by_rating["rating"] | wanted
    assert {key: by_both[key] for key in found["ranking"]} == found["ranking"]


def test_what_is_printed(shell):
    text = shell("train", "small", "--split", "leave-last-out", "--factors", 2,
                 "--run", "runs/printed")  # fmt: skip
    sizes, rating, *cold_start, ranking, saved = text.splitlines()
    assert sizes == "small: 2,320 training ratings, 80 test ratings"
    assert rating.startswith("Rating prediction: RMSE ")
    assert ", MAE " in rating
    assert rating.endswith(" s)")
    assert all(line.startswith("Cold start: ") for line in cold_start)
    assert ranking.startswith("Top-10 ranking: NDCG@10 ")
    assert " (80 users; fit " in ranking
    assert saved.startswith("Saved in runs/printed. Next: matinee recommend --user ID")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranker", "estimator"), [("none", None), ("ease", "EASE"), ("popularity", "Popularity")]
)
def test_a_run_says_what_it_ranks_by(shell, ranker, estimator):
    found = shell.json("train", "small", "--model", "bias", "--ranker", ranker)
    assert found["estimators"].get("ranking", {}).get("name") == estimator
    listed = {run["run"]: run for run in shell.json("runs")}[found["run"]]
    assert (listed["model"], listed["ranker"]) == ("bias", None if ranker == "none" else ranker)
    assert listed["ndcg@10"] == found["ranking"]["metrics"]["ndcg@10"]["value"]


@pytest.mark.slow
def test_a_new_run_gets_a_name_of_its_own(shell):
    names = {shell.json("train", "small", "--model", "bias")["run"] for _ in range(2)}
    assert len(names) == 2
    assert all((shell.folder / name).is_dir() for name in names)
    listed = [run["run"] for run in shell.json("runs")]
    assert set(listed) >= {*names, "runs/als", "runs/biases"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing-here"], "nothing-here"),
        (["ml-1m"], "matinee data fetch ml-1m"),
        (["small", "--set", "ranker.factors=0"], "factors"),
        (["small", "--ranker", "popularity", "--set", "ranker.min_rating=9"], "9"),
        (["small", "--split", "u1"], "u1"),
        (["small", "--test-fraction", 2], "fraction"),
        (["small", "--set", "features=colour"], "colour"),
        (["small", "--seed", -1], "--seed"),
        (["small", "--run", "."], "not a run"),
        (["small", "--checkpoint-every", 4], "--checkpoint-every needs --checkpoint DIR"),
        (["small", "--resume"], "--resume needs --checkpoint DIR"),
        (["small", "--checkpoint", "unused"], "--checkpoint is for bayes and for models trained"),
        (["small", "--device", "cpu"], "--device is for models trained by gradients; this has"),
        ([], "Missing argument 'DATASET'"),
    ],
)
def test_what_makes_no_sense_is_refused(shell, arguments, message):
    assert message in shell("train", *arguments, fails=True)


# --- BayesianMF


@pytest.fixture(scope="module")
def bayes(shell):
    """The result of a run `bayes` with a chain and a ranking head."""
    return shell.json("train", "small", "--model", "bayes", "--factors", 3, "--iterations", 60,
                      "--set", "ranker.factors=4", "--run", "runs/bayes")  # fmt: skip


@pytest.mark.slow
def test_a_chain_is_trained_tested_and_saved(shell, bayes):
    assert bayes["model"] == "bayes"
    assert 0.5 < bayes["rmse"] < 1.1
    params = bayes["estimators"]["rating"]
    assert (params["name"], params["factors"], params["features"]) == ("BayesianMF", 3, "all")
    history = shell.history("runs/bayes")
    assert history.filter(history["head"] == "rating")["iteration"].to_list() == [*range(1, 61)]
    assert history["test_rmse"].drop_nulls()[-1] == pytest.approx(bayes["rmse"], abs=0.01)


def test_every_command_answers_from_a_chain(shell, bayes):
    assert len(shell.json("recommend", "bayes", "--user", 1, "-n", 3)) == 3
    found = shell.json("explain", "bayes", "--user", 1, "2", "--head", "rating")
    assert found["interval"][0] <= found["predicted_rating"] <= found["interval"][1]
    contributions = [part["contribution"] for part in found["components"]]
    assert found["score"] == pytest.approx(sum(contributions))
    text = shell("explain", "bayes", "--rating", "1=5", "2")
    assert "80% prediction interval: " in text
    assert len(shell.json("similar", "bayes", "2", "-n", 4)) == 4
    assert shell.json("evaluate", "bayes")[1]["rating"]["rmse"] == pytest.approx(bayes["rmse"])


def test_settings_reach_the_chain(shell):
    found = shell.json("train", "small", "--model", "bayes", "--ranker", "none", "--factors", 2,
                       "--iterations", 8, "--set", "likelihood=normal",
                       "--set", "features=genres,date", "--seed", 3)  # fmt: skip
    wanted = {"iterations": 8, "likelihood": "normal", "features": "genres,date", "seed": 3}
    assert found["estimators"]["rating"] == found["estimators"]["rating"] | wanted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "features=genres,weather"], "genres"),
        (["--set", "likelihood=poisson"], "likelihood must be one of"),
        (["--iterations", 1], "iterations must be >= 2"),
        (["--factors", 0], "factors must be >= 1"),
        (["--checkpoint", "nowhere", "--resume"], "--resume: nowhere has no checkpoint"),
        (["--device", "cpu"], "--device is for models trained by gradients"),
    ],
)
def test_what_makes_no_sense_for_a_chain_is_refused(shell, arguments, message):
    command = ["train", "small", "--model", "bayes", "--ranker", "none", *arguments]
    assert message in shell(*command, "--run", "runs/refused", fails=True)
    assert not (shell.folder / "runs" / "refused").exists()


# --- pictures and missing extras


@pytest.mark.slow
def test_curves_are_drawn_into_the_run(shell):
    pytest.importorskip("vl_convert")
    command = ["train", "small", "--model", "bias", "--run", "runs/drawn"]
    found = shell.json(*command, "--plot")
    assert found["plot"] == "runs/drawn/history.png"
    content = (shell.folder / found["plot"]).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(content[16:20], "big") > 600
    assert shell.json("recommend", "drawn", "--user", 7, "-n", 1)  # a run may hold a picture
    assert "Curves in runs/drawn/history.png\n" in shell(*command, "--plot")
    assert "history.png" not in shell(*command)
    assert not (shell.folder / "runs" / "drawn" / "history.png").exists()


def test_a_training_without_iterations_has_no_curves(shell):
    pytest.importorskip("vl_convert")
    text = shell("train", "small", "--model", "none", "--ranker", "ease", "--plot",
                 "--run", "runs/nothing")  # fmt: skip
    assert "No curves: this training has no iterations.\nSaved in runs/nothing." in text


@pytest.mark.slow
@pytest.mark.parametrize("package", ["altair", "vl_convert"])
def test_without_its_packages_a_picture_is_refused_before_the_training(shell, package):
    command = ["train", "small", "--model", "bias", "--ranker", "none"]
    message = shell.without(
        package, *command, "--plot", "--run", "runs/bare", problem=BROKEN, fails=True
    )
    assert package in message
    assert "matinee[charts]" in message
    assert not (shell.folder / "runs" / "bare").exists()


@pytest.mark.slow
def test_without_torch_everything_else_works(shell):
    def run(*arguments, **how):
        return shell.without("torch", *arguments, problem=BROKEN, **how)

    assert "Saved in runs/plain" in run("train", "small", "--factors", 2, "--run", "runs/plain")
    for options in (["--model", "mf"], ["--preset", "embedding-dot"]):
        message = run("train", "small", *options, "--run", "runs/no", fails=True)
        assert "matinee[torch]" in message
    assert not (shell.folder / "runs" / "no").exists()
    assert "matinee[torch]" in json.loads(run("doctor", "--json"))["torch"]


def test_data_without_genres_are_of_items(shell):
    pl.DataFrame(
        {
            "user": [f"u{k // 20}" for k in range(400)],
            "item": [f"m{k % 40}" for k in range(400)],
            "rating": [(k // 20 + k) % 5 + 1 for k in range(400)],
        }
    ).write_csv(shell.folder / "loans.csv")
    for command in (["describe", "loans.csv"], ["train", "loans.csv", "--factors", 2]):
        text = shell(*command)
        assert "movie" not in text.replace("movies.csv", "")
        assert "stars" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "hadoop"], "--engine must be 'local' or 'spark', got 'hadoop'."),
        (["--storage", "/tmp"], "--master and --storage are for --engine spark."),  # noqa: S108
        (["--engine", "spark", "--plot"], "--engine spark decides how it trains; leave out --plot"),
        (["--engine", "spark", "--preset", "neumf"], "leave out --preset"),
        (["--engine", "spark", "--users", "x.csv"], "leave out --users"),
    ],
)
def test_options_of_engines_are_refused_before_the_work(shell, options, message):
    assert message in shell("train", "small", *options, fails=True)


def test_spark_draws_nothing(shell):
    assert "leave out --html" in shell(
        "describe", "small", "--engine", "spark", "--html", fails=True
    )


@pytest.mark.thorough
def test_the_same_command_in_spark(own_shell):
    """One run by each engine, of the same split: as good, and asked in the same way."""
    pytest.importorskip("pyspark")
    sizes = ["--factors", 4, "--iterations", 6, "--set", "ranker.factors=4", "--split", "hashed"]
    master = ["--engine", "spark", "--master", "local[2]"]
    here = own_shell.json("train", "small", *sizes, "--run", "here", "--set", "features=none")
    text = own_shell("train", "small", *sizes, *master, "--run", "there")
    assert f"small: {here['train_ratings']:,} training ratings, " in text
    assert "Saved in there. Next: matinee recommend" in text
    there = own_shell.json("train", "small", *sizes, *master, "--run", "json")
    assert set(there) == KEYS
    assert there["rmse"] == pytest.approx(here["rmse"], rel=0.05)
    assert there["ranking"].keys() == here["ranking"].keys()
    lists = own_shell.json("recommend", "there", "--user", 3)
    assert len(lists) == 10
    whole = own_shell.json("recommend", "there", "--all", "--out", "all.parquet")
    made = own_shell.json("recommend", "there", "--all", "--out", "all", *master)
    assert made["rows"] == whole["rows"]
    columns = ["user_id", "item_id", "score"]
    by_user = [
        pl.read_parquet(own_shell.folder / place)
        .select(columns)
        .sort("user_id", "score", descending=[False, True])
        for place in ("all.parquet", "all/**/*.parquet")
    ]
    assert by_user[0].sort(columns).equals(by_user[1].sort(columns))
    described = own_shell.json("describe", "small", *master)
    expected = own_shell.json("describe", "small")
    assert {name: expected[name] for name in ("users", "ratings", "density", "scale")} == {
        name: described[name] for name in ("users", "ratings", "density", "scale")
    }
    assert described["ratings_per_user"] == expected["ratings_per_user"]
    assert "2,400 ratings" in own_shell("describe", "small", *master)
    for command in (["evaluate", "there"], ["reproduce", "there"]):
        assert "was trained in Spark" in own_shell(*command, fails=True)
