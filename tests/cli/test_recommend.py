"""`matinee recommend`, `similar` and `explain`."""

import polars as pl
import pytest

import matinee
from matinee.cli.recommend import parse_years
from matinee.errors import SettingError


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


@pytest.mark.parametrize(
    ("text", "years"),
    [
        (None, None),
        ("1994", (1994, 1994)),
        ("1990-1999", (1990, 1999)),
        ("1990 \u2013 1999", (1990, 1999)),
        ("2000-", (2000, 9999)),
        ("2000\u2013", (2000, 9999)),
        ("-1980", (0, 1980)),
        ("\u20131980", (0, 1980)),
    ],
)
def test_ranges_of_years(text, years):
    assert parse_years(text) == years


@pytest.mark.parametrize("text", ["", "-", "94", "1990-19", "1990-1999-", "then", "1990 1999"])
def test_what_is_no_range_of_years_is_refused_with_the_forms(text):
    with pytest.raises(SettingError, match="--years must be 1994, 1990-1999, 2000- or -1980"):
        parse_years(text)


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
    assert "no timestamps" in shell("evaluate", run, "--protocol", "temporal", fails=True)


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
