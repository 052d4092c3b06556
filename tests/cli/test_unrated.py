"""Interactions without ratings, ratings all the same, and no test set: from data to pages."""

import re

import numpy as np
import polars as pl
import pytest

from matinee.data import reading
from matinee.data.synthetic import write_generated
from matinee.experiments import provenance
from unrated import all_ones, as_interactions

CHANGES = {"events": as_interactions, "ones": all_ones, "small": lambda data: data}
TRAIN = ["--set", "ranker.factors=6", "--set", "ranker.iterations=4"]
ABOUT_RATINGS = re.compile(r"\brat(ed|ings?)\b")


@pytest.fixture(scope="module")
def shell(shell):
    """The shell, with `events`, which are interactions, and `ones`, whose ratings are all 1."""
    for name, seed in (("events", 4), ("ones", 5)):
        write_generated(shell.folder / name, users=80, items=70, ratings=2400, seed=seed)
    read = reading.read

    def changed(*args, **how):
        data = read(*args, **how)
        return CHANGES[data.name](data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "read", changed)
        patch.setattr(provenance, "read", changed)
        shell("train", "events", *TRAIN, "--run", "runs/events")
        shell("train", "events", "--ranker", "ease", "--run", "runs/ease-events")
        shell("train", "small", "--factors", 2, "--test-fraction", 0, "--run", "runs/everything")
        yield shell


def test_a_ranking_model_alone_is_trained_and_it_is_said_why(shell):
    first, sizes, ranking, saved = shell("train", "events", *TRAIN).splitlines()
    assert first == "These are interactions without ratings: training a ranking model only."
    assert sizes == "events: 2,160 training interactions, 240 test interactions"
    assert ranking.startswith("Top-10 ranking: NDCG@10 0.")
    assert saved.startswith("Saved in runs/events-ials-")
    first, sizes, *_ = shell("train", "ones", *TRAIN).splitlines()
    assert first == "All ratings are 1: training a ranking model only."
    assert sizes == "ones: 2,160 training ratings, 240 test ratings"


def test_json_has_the_same_keys_with_and_without_ratings(shell):
    unrated = shell.json("train", "events", *TRAIN)
    rated = shell.json("train", "small", "--model", "bias", *TRAIN)
    assert unrated.keys() == rated.keys()
    assert (unrated["model"], unrated["rmse"], unrated["mae"]) == ("none", None, None)
    assert list(unrated["estimators"]) == ["ranking"]
    keys = [shell.json("describe", name).keys() for name in ("events", "small")]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "events", "--model", "als"], "events: These are interactions without ratings"),
        (["train", "events", "--factors", 3], "for the ranker use --set ranker.factors=VALUE"),
        (["train", "events", "--ranker", "none"], "Nothing to train"),
        (["train", "events", "--preset", "google-course"], "These are interactions without"),
        (["cross-validate", "events", "--model", "bias"], "These are interactions without"),
        (["tune", "events", "--model", "als"], "tune a ranking model, such as ials, by ndcg@10"),
        (["tune", "events", "--metric", "rmse"], "so rmse says nothing; tune a ranking model"),
        (["tune", "ones", "--metric", "liked_ndcg@10"], "All ratings are 1, so liked_ndcg@10"),
        (["evaluate", "events", "--min-rating", 2], "leave min_rating out"),
        (["map", "events", "--color", "rating"], "one of genre, cluster, year, got 'rating'"),
        (["evaluate", "everything"], "has no test set; choose another protocol, such as leave"),
        (["compare", "everything", "als"], "runs/everything was trained on everything: there is"),
        (["compare", "als", "everything"], "than runs/als (split: no test set, not random"),
    ],
)
def test_what_needs_ratings_or_a_test_set_says_so_in_a_line(shell, arguments, message):
    assert message in shell(*arguments, fails=True)


def test_a_description_says_how_often_not_how_good(shell):
    text = shell("describe", "events", columns=80)
    lines = text.splitlines()
    assert "80 users, 70 movies, 2,400 interactions" in lines
    assert any(re.fullmatch(r"no ratings; 1\.\d\d times per user and movie .*", x) for x in lines)
    for title in ("Times per user and movie", "Sample of interactions"):
        assert title in lines
    assert ABOUT_RATINGS.findall(text.replace("no ratings; ", "")) == []
    assert max(map(len, lines)) <= 80
    ones = shell("describe", "ones")
    assert "all ratings are 1\n" in ones
    assert "mean 1" not in ones


def test_of_many_genres_the_first_are_shown(shell, monkeypatch):
    def tagged(data):
        tags = pl.Series([[f"tag {40 * item + k}" for k in range(40)] for item in range(70)])
        frame = data.catalog.frame.with_columns(genres=tags)
        return type(data)(data.ratings, type(data.catalog)(data.catalog.ids, frame))

    monkeypatch.setitem(CHANGES, "small", tagged)
    lines = shell("describe", "small").splitlines()
    assert lines[-1] == "and 2,780 more"
    assert sum(line.startswith("tag ") for line in lines) == 20


def test_folds_of_interactions_are_ranked_by_default(shell):
    first, heading, *_ = shell("cross-validate", "events", "--folds", 2).splitlines()
    assert first == "These are interactions without ratings: evaluating a ranking model only."
    assert heading == "events: ImplicitALS, 2,400 interactions in 2 folds"
    found = shell.json("cross-validate", "events", "--folds", 2)
    assert list(found["estimators"]) == ["ranking"]


@pytest.mark.slow
def test_a_search_on_interactions_says_how_to_train_what_it_found(shell):
    pytest.importorskip("optuna")
    space = shell.folder / "space.toml"
    space.write_text("factors = [2, 3]\niterations = 2\n")
    given = ["tune", "events", "--space", space, "--trials", 1, "--study", "studies/events"]
    text = shell(*given)
    assert text.startswith("These are interactions without ratings: tuning a ranking model.\n")
    command = next(line for line in text.splitlines() if line.startswith("  matinee train"))
    assert "--model none --ranker ials" in command
    found = shell.json(*command.split()[1:])
    assert found["ranking"]["metrics"]["ndcg@10"]["value"] > 0


@pytest.mark.slow
def test_every_command_answers_from_a_run_on_interactions(shell):
    assert len(shell.json("recommend", "events", "--user", 1, "-n", 3)) == 3
    assert len(shell.json("similar", "events", "2", "-n", 4)) == 4
    assert shell.json("explain", "events", "--user", 1, "2")["predicted_rating"] is None
    for protocol in ("holdout", "leave-one-out", "temporal", "strong-generalization", "ncf"):
        mine, popular = shell.json("evaluate", "events", "--protocol", protocol)
        assert (mine["estimator"], popular["estimator"]) == ("ImplicitALS", "Popularity")
        assert mine["rating"] is None
    assert shell.json("reproduce", "events")["identical"]
    (row,) = [row for row in shell.json("runs") if row["run"] == "runs/events"]
    assert (row["model"], row["ranker"], row["rmse"]) == (None, "ials", None)
    text = shell("compare", "events", "ease-events")
    assert "events: 240 test interactions, ranking for " in text
    assert "2,160 interactions" in text
    assert "\nHigher is better.\n" in text
    assert "RMSE" not in text


@pytest.mark.thorough
@pytest.mark.slow
def test_pages_of_interactions_do_not_speak_of_ratings(shell):
    for package in ("altair", "jinja2", "sklearn", "vl_convert"):
        pytest.importorskip(package)
    text = shell("cluster", "events") + shell("map", "events") + shell("report", "events")
    text += shell("cluster", "events", "--users", "--html")
    assert " with under 10 interactions." in text
    assert ABOUT_RATINGS.findall(text) == []
    shell("describe", "events", "--out", "events.html")
    shell("compare", "events", "ease-events", "--out", "compared.html")
    for page in ("events.html", "runs/events/report.html", "runs/events/map.html",
                 "runs/events/clusters.html"):  # fmt: skip
        html = (shell.folder / page).read_text(encoding="utf-8")
        body = re.sub(r"<script.*?</script>|<style.*?</style>", "", html, flags=re.DOTALL)
        said = re.findall(r">([^<>]+)<", body)
        wrong = [text for text in said if ABOUT_RATINGS.search(text.replace("min_rating", ""))]
        assert wrong == [], page


@pytest.mark.thorough
@pytest.mark.slow
def test_a_run_on_everything_goes_the_whole_way(shell):
    run = shell.json("train", "small", "--factors", 2, "--test-fraction", 0)
    assert (run["train_ratings"], run["test_ratings"]) == (2400, 0)
    assert (run["rmse"], run["ranking"]) == (None, None)
    text = shell("reproduce", "everything")
    sizes, trained, same, _ = text.splitlines()
    assert sizes == "runs/everything: 2,400 training ratings, no test set"
    assert re.fullmatch(r"Trained on everything in \d+\.\d s; without a test set .*\.", trained)
    assert same == "Reproduced bit for bit."
    assert len(shell.json("evaluate", "everything", "--protocol", "leave-one-out")) == 4
    with_split = {row["run"]: row["split"] for row in shell.json("runs")}
    assert with_split["runs/everything"] == "none"
    pytest.importorskip("optuna")
    searched = shell("tune", "small", "--model", "bias", "--trials", 1, "--test-fraction", 0)
    assert "refit on the full training set, without a test set\nThere is no test set." in searched
    both = shell("compare", "everything", run["run"], fails=True)
    assert "was trained on everything: there is no test set to compare runs on" in both
    pytest.importorskip("altair")
    shell("report", "everything", "--out", "everything.html")
    page = (shell.folder / "everything.html").read_text(encoding="utf-8")
    assert "Trained on everything: there is no test set." in page
    assert "Performance by group" not in page


def test_the_newest_run_is_named_where_none_was(shell):
    shell("train", "small", "--model", "bias", "--ranker", "none", "--run", "runs/newest")
    assert shell("evaluate").startswith("runs/newest, the newest run\nholdout: ")
    assert shell("evaluate", "newest").startswith("holdout: ")
    assert np.isfinite(shell.json("evaluate")[0]["rating"]["rmse"])
