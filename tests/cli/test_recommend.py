"""`matinee recommend`, `similar` and `explain`."""

import shutil
from dataclasses import replace

import polars as pl
import pytest

import matinee


@pytest.mark.slow
def test_the_newest_run_is_the_default(shell):
    by_default, by_name = (shell.json("recommend", *run, "--user", 3) for run in ([], ["als"]))
    assert by_default == by_name


@pytest.mark.slow
def test_recommend_to_a_user_and_to_a_new_user(shell):
    listed = shell.json("recommend", "als", "--user", 7, "-n", 4)
    assert len(listed) == 4
    assert set(listed[0]) == {"item_id", "title", "genres", "predicted_rating", "score"}
    assert isinstance(listed[0]["genres"], list)
    title = listed[0]["title"]
    new = shell.json("recommend", "als", "--rating", f"{title}=5", "--rating", "3=1", "-n", 3)
    assert len(new) == 3
    assert title not in [entry["title"] for entry in new]
    text = shell("recommend", "als", "--user", 7, "-n", 4, "--min-ratings", 5)
    assert "predicted" in text.splitlines()[0]
    assert "score" not in shell("recommend", "biases", "--user", 7)


def test_filters(shell):
    (first,) = shell.json("recommend", "als", "--user", 7, "-n", 1)
    title, genre = first["title"], first["genres"][0]
    listed = shell.json("recommend", "als", "--user", 7, "--genre", genre, "--exclude", title)
    assert all(genre in entry["genres"] for entry in listed)
    assert title not in [entry["title"] for entry in listed]
    dates = ["--years", "1990-1999", "--include-seen", "-n", 70]
    listed = shell.json("recommend", "als", "--user", 7, *dates)
    years = [int(entry["title"][-5:-1]) for entry in listed]
    assert years
    assert all(1990 <= year <= 1999 for year in years)
    later = shell.json("recommend", "als", "--user", 7, "--years", "1990-", *dates[2:])
    assert len(later) > len(listed)
    text = shell("recommend", "als", "--user", 7, "--years", "1700")
    assert "No movie passes these filters (movies the user has rated are left out" in text


def test_a_long_heading_names_the_first_titles_only(shell):
    titles = pl.read_csv(shell.cache / "small" / "movies.csv")["title"].to_list()
    ratings = [word for title in titles[:10] for word in ("--rating", f"{title}=4")]
    first = shell("recommend", "als", *ratings).splitlines()[0]
    assert first == f"For a new user who rated {', '.join(titles[:3])} and 7 more:"
    first = shell("recommend", "als", *ratings[:4]).splitlines()[0]
    assert first == f"For a new user who rated {titles[0]} and {titles[1]}:"


@pytest.mark.slow
def test_rankings_and_neighbours_are_of_the_head_asked_for(shell):
    by_default, by_ranking, by_rating = (
        shell.json("recommend", "als", "--user", 7, *head)
        for head in ([], ["--head", "ranking"], ["--head", "rating"])
    )
    assert by_default != by_ranking != by_rating
    for listed, key in (
        (by_default, "score"),
        (by_ranking, "score"),
        (by_rating, "predicted_rating"),
    ):
        values = [entry[key] for entry in listed]
        assert values == sorted(values, reverse=True)
    similar = [shell.json("similar", "als", 1, "--head", head) for head in ("rating", "ranking")]
    assert similar[0] == shell.json("similar", "als", 1) != similar[1]
    assert ", rating factors\n" in shell("similar", "als", 1)
    assert ", ranking factors\n" in shell("similar", "als", 1, "--head", "ranking")


@pytest.mark.slow
def test_similar_items(shell):
    title = shell.json("recommend", "als", "--user", 7, "-n", 1)[0]["title"]
    by_cosine = shell.json("similar", "als", title, "-n", 5)
    assert len(by_cosine) == 5
    assert set(by_cosine[0]) == {"item_id", "title", "genres", "similarity", "n_ratings"}
    by_product = shell.json("similar", "runs/als", title.upper(), "--measure", "dot")
    assert [e["similarity"] for e in by_product] != [e["similarity"] for e in by_cosine]
    assert shell("similar", "als", title).startswith(f"Similar to {title}, ")


@pytest.mark.slow
@pytest.mark.parametrize("head", ["ranking", "rating"])
def test_an_explanation_adds_up_to_the_score_in_the_ranking(shell, head):
    for who in (["--user", 7], ["--rating", "1=5", "--rating", "2=2"]):
        (first,) = shell.json("recommend", "als", *who, "-n", 1, "--head", head)
        found = shell.json("explain", "als", first["title"], *who, "--head", head)
        total = sum(part["contribution"] for part in found["components"])
        assert total == pytest.approx(first["score"], abs=1e-4)
        assert found["score"] == pytest.approx(total)
        assert found["predicted_rating"] == pytest.approx(first["predicted_rating"], abs=1e-4)
        assert found["interval"] is None
        components = {part["component"] for part in found["components"]}
        assert "rating" in components
        assert ("global_mean" in components) == (head == "rating")


def test_explanations_are_printed(shell):
    title = shell.json("recommend", "als", "--user", 7, "-n", 1)[0]["title"]
    ratings = ["--rating", "1=5", "--rating", "2=2"]
    assert f"{title}: ranking score " in shell("explain", "als", title, *ratings)
    text = shell("explain", "biases", title, *ratings)
    assert text.startswith(f"{title}: predicted rating ")
    assert "prediction interval" not in text


@pytest.mark.slow
def test_own_data_with_text_ids_go_all_the_way(shell):
    table = pl.DataFrame(
        {
            "user": [f"u{k // 20}" for k in range(400)],
            "item": [f"m{k % 20}" for k in range(400)],
            "rating": [(k // 20 + k) % 5 + 1 for k in range(400)],
        }
    )
    table.write_csv(shell.folder / "text.csv")
    run = shell.json("train", "text.csv", "--factors", 2, "--run", "text")["run"]
    listed = shell.json("recommend", run, "--user", "u3", "--include-seen")
    assert listed[0]["item_id"].startswith("m")
    assert "No item passes" in shell("recommend", run, "--user", "u3", "--years", "1990")
    assert shell.json("evaluate", run)[1]["rating"]["n_ratings"] == 40
    assert "needs timestamps" in shell("evaluate", run, "--protocol", "temporal", fails=True)


@pytest.mark.parametrize("model", ["als", "biases"])
def test_what_is_printed_is_what_the_model_says(shell, model):
    wanted = matinee.load(shell.folder / "runs" / model).recommend(7, n=5)
    listed = shell.json("recommend", model, "--user", 7, "-n", 5)
    assert [row["item_id"] for row in listed] == wanted["item_id"].to_list()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend", "als"], "--user"),
        (["recommend", "als", "--user", "99999"], "99999"),
        (["recommend", "als", "--user", "1", "--rating", "1=5"], "not both"),
        (["recommend", "als", "--user", "1", "--years", "1999-1990"], "earlier year first"),
        (["recommend", "small", "--user", "1"], "no run has this name"),
        (["recommend", "als", "--rating", "nonsense"], "TITLE=VALUE"),
        (["recommend", "als", "--rating", "1=nine"], "'nine' is not a number"),
        (["recommend", "als", "--rating", "1=9"], "scale"),
        (["recommend", "als", "--user", "1", "--genre", "Polka"], "Polka"),
        (["recommend", "als", "--user", "1", "--head", "magic"], "got 'magic'"),
        (["recommend", "biases", "--user", "1", "--head", "ranking"], "no ranking head"),
        (["recommend", "popular", "--user", "1", "--head", "rating"], "no rating head"),
        (["explain", "biases", "1", "--user", "1", "--head", "ranking"], "no ranking head"),
        (["similar", "als", "No Such Film"], "No Such Film"),
        (["similar", "als", "Far", "Away"], "quotes"),
        (["similar", "Far", "Away"], "quotes"),
        (["similar", "biases", "1"], "factors"),
        (["similar", "als", "1", "--measure", "miles"], "miles"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    assert message in shell(*arguments, fails=True)


def test_several_users_are_listed_with_their_ids(shell):
    listed = shell.json("recommend", "als", "--user", 7, "--user", 3, "-n", 2)
    assert [row["user_id"] for row in listed] == [7, 7, 3, 3]
    alone = shell.json("recommend", "als", "--user", 3, "-n", 2)
    assert [row["item_id"] for row in listed[2:]] == [row["item_id"] for row in alone]
    assert shell("recommend", "als", "--user", 7, "--user", 3).split()[0] == "user"


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_lists_for_all_users_go_into_a_file(shell, ending):
    file = shell.folder / f"all.{ending}"
    options = ["-n", 3, "--min-ratings", 20, "--discover", 0.2]
    told = shell.json("recommend", "als", "--all", "--out", file, *options)
    model = matinee.load(shell.folder / "runs" / "als")
    expected = model.recommend(n=3, min_ratings=20, discover=0.2)
    assert told == {"out": str(file), "users": 80, "rows": expected.height}
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[ending]
    found = read(file)
    assert found.select("user_id", "item_id").equals(expected.select("user_id", "item_id"))
    text = shell("recommend", "als", "--user", 5, "--out", file)
    assert text.startswith("Lists of 1 user in ")


def test_a_list_by_cosine_says_so(shell):
    text = shell("recommend", "als", "--user", 7, "--measure", "cosine", "-n", 2)
    assert "cosine" in text.splitlines()[0]
    model = matinee.load(shell.folder / "runs" / "als")
    listed = shell.json("recommend", "als", "--user", 7, "--measure", "cosine", "-n", 2)
    wanted = model.recommend(7, n=2, measure="cosine")["item_id"].to_list()
    assert [row["item_id"] for row in listed] == wanted


@pytest.mark.slow
def test_similar_users_and_the_users_for_a_movie(shell):
    model = matinee.load(shell.folder / "runs" / "als")
    listed = shell.json("similar", "als", "--user", 7, "-n", 3)
    assert listed == model.similar_users(7, n=3).to_dicts()
    assert shell("similar", "--user", 7).startswith("Similar to user 7, rating factors\n")
    title = model.catalog.titles[4]
    listed = shell.json("audience", "als", title, "-n", 3)
    assert listed == model.recommend_users(title, n=3).to_dicts()
    assert shell("audience", title).startswith(f"Users for {title}\n")
    seen = shell.json("audience", "als", title, "-n", 80, "--include-seen")
    assert len(seen) == 80
    by_rating = shell("audience", "als", title, "--head", "rating").splitlines()[1].split()
    assert by_rating == ["user", "predicted", "ratings"]


def test_items_alone_are_enough_where_the_data_have_no_ratings(shell):
    data = matinee.read(shell.cache / "small")
    ratings = data.ratings
    once = (ratings.values * 0 + 1).astype("f4")
    unrated = replace(data, ratings=replace(ratings, values=once, scale=None), official={})
    model = matinee.ImplicitALS(factors=3, iterations=2).fit(unrated)
    model.save(shell.folder / "runs" / "likes")
    title = model.catalog.titles[5]
    listed = shell.json("recommend", "likes", "--item", title, "--item", 2, "-n", 3)
    wanted = model.recommend(model.fold_in([title, "2"]), n=3)
    assert [row["item_id"] for row in listed] == wanted["item_id"].to_list()
    text = shell("recommend", "likes", "--item", title, "-n", 2)
    assert text.startswith(f"For a new user who has {title}:\n")
    assert "rated" not in text
    assert shell.json("explain", "likes", "3", "--item", title)["predicted_rating"] is None
    assert "interactions" in shell("similar", "likes", "3").splitlines()[1]
    shutil.rmtree(shell.folder / "runs" / "likes")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--all"], "--out lists.parquet"),
        (["--all", "--user", "1", "--out", "x.csv"], "not both"),
        (["--out", "x.csv"], "--all"),
        (["--rating", "1=5", "--out", "x.csv"], "users of the data"),
        (["--all", "--out", "x.xlsx"], "must end in .parquet or .csv or .jsonl"),
        (["--all", "--out", "runs/als/manifest.json/x.csv"], "not writable"),
        (["--all", "--out", "x.csv", "--head", "magic"], "got 'magic'"),
        (["--user", "1", "--measure", "miles"], "got 'miles'"),
        (["--user", "1", "--user", "99999"], "99999"),
        (["--item", "1"], "comes without a rating"),
        (["--user", "1", "--item", "1"], "not both"),
    ],
)
def test_lists_that_make_no_sense_are_refused_in_one_line(shell, arguments, message):
    assert message in shell("recommend", "als", *arguments, fails=True)
    assert not (shell.folder / "x.csv").exists()


def test_similar_to_nothing_or_to_two_things_is_refused(shell):
    assert "Name a title, or a user" in shell("similar", fails=True)
    assert "not both" in shell("similar", "als", "Heat", "--user", 1, fails=True)
    assert "99999" in shell("similar", "als", "--user", 99999, fails=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "spark"], "--all --out FOLDER"),
        (["--engine", "spark", "--user", 3, "--out", "top"], "--all --out FOLDER"),
        (["--engine", "hadoop", "--all", "--out", "x.parquet"], "--engine must be"),
        (["--master", "local[2]", "--user", 3], "for --engine spark"),
    ],
)
def test_options_of_engines_are_refused_before_the_work(shell, options, message):
    assert message in shell("recommend", "als", *options, fails=True)
