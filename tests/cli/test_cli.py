"""The command line as a process: what it prints, where, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from matinee.data.synthetic import write_generated

MATINEE = Path(sys.executable).with_name("matinee")


class Shell:
    """Runs `matinee` in a folder of its own, with a cache of its own."""

    def __init__(self, folder, cache):
        self.folder = folder
        # a machine without a network, as far as matinee can tell
        nowhere = "http://127.0.0.1:9"
        self.environment = {
            **os.environ,
            "MATINEE_DATA": str(cache),
            "https_proxy": nowhere,
            "COLUMNS": "100",
        }

    def __call__(self, *arguments, fails=False):
        done = subprocess.run(
            [MATINEE, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == (2 if fails else 0), done.stderr
        assert "Traceback" not in done.stderr
        if fails:
            assert done.stdout == ""
            assert 1 <= done.stderr.strip().count("\n") + 1 <= 2 or "Usage:" in done.stderr
        return done.stderr if fails else done.stdout

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json"))


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with data `small` in the cache and two runs on it: `biases`, then `als`.

    The first has no ranking head, and its lists are sorted by stars.
    """
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    write_generated(cache / "small", users=120, items=90, ratings=4000, seed=2)
    shell = Shell(folder, cache)
    shell("train", "small", "--model", "bias", "--ranker", "none", "--run", "runs/biases")
    shell("train", "small", "--factors", 5, "--iterations", 4, "--ranker-factors", 6,
          "--run", "runs/als")  # fmt: skip
    return shell


def test_help_names_every_command():
    done = subprocess.run([MATINEE, "--help"], capture_output=True, check=True)
    for command in ("demo", "data", "describe", "train", "evaluate", "compare", "recommend",
                    "similar", "explain", "runs", "doctor"):  # fmt: skip
        assert f"  {command} " in done.stdout.decode()


def test_train_prints_the_keys_that_scripts_rely_on(shell):
    found = shell.json("train", "small", "--factors", 3, "--iterations", 2, "--split", "leave-last-out",
                       "--seed", 4, "--threads", 1, "--features", "none",
                       "--regularization", 2, "--ranker-factors", 4, "--liked", 3.5,
                       "--run", "elsewhere")  # fmt: skip
    wanted = {"run", "plot", "model", "ranker", "train_ratings", "test_ratings", "rmse", "mae",
              "fit_seconds", "ranking_seconds", "ranking", "cold_start_user_ratings",
              "cold_start_item_ratings", "estimators"}  # fmt: skip
    assert set(found) == wanted
    assert (found["model"], found["train_ratings"], found["test_ratings"]) == ("als", 3880, 120)
    rating, ranking = found["estimators"]["rating"], found["estimators"]["ranking"]
    assert (rating["regularization"], rating["features"], rating["seed"]) == (2, "none", 4)
    assert (ranking["factors"], ranking["min_rating"], ranking["seed"]) == (4, 3.5, 4)
    assert (shell.folder / "elsewhere" / "manifest.json").exists()
    values, ranking, _ = shell.json("evaluate", "elsewhere")
    assert values["rating"] == {"rmse": found["rmse"], "mae": found["mae"], "ratings": 120}
    assert {key: ranking[key] for key in found["ranking"]} == found["ranking"]


@pytest.mark.parametrize(
    ("ranker", "estimator"), [("none", None), ("ease", "EASE"), ("popularity", "Popularity")]
)
def test_train_notes_what_lists_are_made_by(shell, ranker, estimator):
    found = shell.json("train", "small", "--model", "bias", "--ranker", ranker)
    assert found["estimators"].get("ranking", {}).get("name") == estimator
    listed = {run["run"]: run for run in shell.json("runs")}[found["run"]]
    assert (listed["stars_by"], listed["lists_by"]) == ("Bias", estimator)
    assert listed["ndcg@10"] == found["ranking"]["metrics"]["ndcg@10"]["value"]


def test_evaluate_puts_several_runs_side_by_side(shell):
    rows = shell.json("evaluate", "biases", "als", "--liked", 3)
    assert [(row["model"], row["estimator"], row["head"]) for row in rows] == [
        ("runs/biases", "Bias", "rating"),
        ("runs/als", "ALS", "rating"),
        ("runs/als", "ImplicitALS", "ranking"),
        ("(most watched)", "Popularity", "ranking"),
    ]
    keys = {"model", "estimator", "head", "rating", "protocol", "users", "note", "metrics"}
    keys |= {"min_rating", "seed"}
    assert all(set(row) == keys for row in rows)
    table = shell("evaluate", "biases", "als", "--liked", 3)
    assert f"held-out: lists of {rows[0]['users']} users" in table
    assert "A  runs/biases" in table
    assert "B  runs/als" in table
    for row in rows:
        metrics = [row["metrics"][name]["value"] for name in ("ndcg@10", "hit_rate@10")]
        metrics += [row["rating"]["rmse"]] if row["rating"] else []
        letter = {"runs/biases": "A", "runs/als": "B"}.get(row["model"], "")
        wanted = [letter, row["estimator"], *(f"{value:.4f}" for value in metrics)]
        lines = [line for line in table.splitlines() if all(cell in line for cell in wanted)]
        assert len(lines) == 1


def test_evaluate_asks_what_the_protocol_asks(shell):
    text = shell("evaluate", "als", "--protocol", "ncf", "--seed", 1)
    assert "sampled" in text
    assert "coverage" not in text
    drawn = [
        shell.json("evaluate", "als", "--protocol", "strong-generalization", "--seed", seed)
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert {row["protocol"] for row in drawn[0]} == {"strong-generalization"}
    assert "RMSE" not in shell("evaluate", "als", "--protocol", "strong-generalization")


def test_a_new_run_gets_a_name_of_its_own(shell):
    names = {shell.json("train", "small", "--model", "bias")["run"] for _ in range(2)}
    assert len(names) == 2
    assert all((shell.folder / name).is_dir() for name in names)
    listed = [run["run"] for run in shell.json("runs")]
    assert set(listed) >= {*names, "runs/als", "runs/biases"}


def test_the_newest_run_is_the_default(shell):
    run = shell.json("train", "small", "--factors", 2, "--iterations", 1)["run"]
    assert shell.json("evaluate")[0]["model"] == run
    by_default, by_name = (shell.json("recommend", *which, "--user", 3) for which in ([], [run]))
    assert by_default == by_name


def test_recommend_for_a_user_and_for_somebody_new(shell):
    found = shell.json("recommend", "als", "--user", 7, "-n", 4)
    assert len(found) == 4
    assert set(found[0]) == {"item_id", "title", "genres", "rating", "score"}
    assert isinstance(found[0]["genres"], list)
    title = found[0]["title"]
    new = shell.json("recommend", "als", "--rated", f"{title}=5", "--rated", "3=1", "-n", 3)
    assert len(new) == 3
    assert title not in [entry["title"] for entry in new]
    genre = found[0]["genres"][0]
    some = shell.json("recommend", "als", "--user", 7, "--genre", genre, "--exclude", title)
    assert all(genre in entry["genres"] for entry in some)
    assert title not in [entry["title"] for entry in some]
    table = shell("recommend", "als", "--user", 7, "-n", 4, "--min-ratings", 5)
    assert "rating" in table
    years = shell.json("recommend", "als", "--user", 7, "--years", "1990-1999", "--seen")
    assert years
    assert all(1990 <= int(entry["title"][-5:-1]) <= 1999 for entry in years)
    assert "No movie" in shell("recommend", "als", "--user", 7, "--years", "1700")


def test_lists_and_neighbours_are_by_the_head_asked_for(shell):
    by_default, by_ranking, by_rating = (
        shell.json("recommend", "als", "--user", 7, *how)
        for how in ([], ["--by", "ranking"], ["--by", "rating"])
    )
    assert by_default == by_ranking != by_rating
    for listed, sorted_by in ((by_ranking, "score"), (by_rating, "rating")):
        values = [entry[sorted_by] for entry in listed]
        assert values == sorted(values, reverse=True)
    alike = [shell.json("similar", "als", 1, "--by", head) for head in ("rating", "ranking")]
    assert alike[0] == shell.json("similar", "als", 1) != alike[1]


@pytest.mark.parametrize("head", ["ranking", "rating"])
def test_an_explanation_adds_up_to_the_score_in_the_list(shell, head):
    for who in (["--user", 7], ["--rated", "1=5", "--rated", "2=2"]):
        (first,) = shell.json("recommend", "als", *who, "-n", 1, "--by", head)
        found = shell.json("explain", "als", first["title"], *who, "--by", head)
        total = sum(part["contribution"] for part in found["parts"])
        assert total == pytest.approx(first["score"], abs=1e-4)
        assert found["score"] == pytest.approx(total)
        assert found["rating"] == pytest.approx(first["rating"], abs=1e-4)
        assert {part["part"] for part in found["parts"]} >= {"rating"}
        assert ("mean" in {part["part"] for part in found["parts"]}) == (head == "rating")


def test_similar_and_explain(shell):
    title = shell.json("recommend", "als", "--user", 7, "-n", 1)[0]["title"]
    by_angle = shell.json("similar", "als", title, "-n", 5)
    assert len(by_angle) == 5
    product = shell.json("similar", "runs/als", title.upper(), "--measure", "dot")
    assert [entry["similarity"] for entry in product] != [e["similarity"] for e in by_angle]
    rated = ["--rated", "1=5", "--rated", "2=2"]
    assert "in lists" in shell("explain", "als", title, *rated)
    assert f"{title}: " in shell("explain", "biases", title, *rated)
    assert title in shell("similar", "als", title)


def test_describe_data_list_and_doctor(shell):
    about = shell.json("describe", "small")
    assert (about["users"], about["items"], about["ratings"]) == (120, 90, 4000)
    text = shell("describe", "small")
    assert "sparsity" in text
    assert "4,000 ratings" in text
    names = {entry["name"]: entry["path"] for entry in shell.json("data", "list")}
    assert names["small"].endswith("small")
    assert names["ml-32m"] == ""
    assert "ml-32m" in shell("data", "list")
    assert shell.json("doctor")["threads"] >= 1


def test_data_add_keeps_how_a_table_is_read(shell):
    table = pl.DataFrame(
        {"reader": ["ann", "bob", "ann"] * 4, "book": [f"b{k}" for k in range(12)],
         "grade": [10.0, 0.0, 5.0] * 4}
    )  # fmt: skip
    table.write_csv(shell.folder / "books.csv")
    told = ["--columns", "user_id=reader,item_id=book,rating=grade", "--scale", "0:10"]
    assert "reader" in shell("data", "add", "books.csv", fails=True)
    found = shell.json("data", "add", "books.csv", *told, "--name", "books")
    assert (found["name"], found["ratings"]) == ("books", 12)
    about = shell.json("describe", "books")
    assert about["scale"].startswith("0 to 10")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nothing-here"], "nothing-here"),
        (["train", "ml-1m"], "matinee data fetch ml-1m"),
        (["train", "small", "--model", "magic"], "magic"),
        (["train", "small", "--model", "bias", "--factors", "4"], "factors"),
        (["train", "small", "--ranker", "magic"], "gmf, mlp, neumf or none, not 'magic'"),
        (["train", "small", "--ranker", "ease", "--ranker-factors", "4"], "--ranker-factors"),
        (["train", "small", "--ranker", "none", "--liked", "4"], "--liked"),
        (["train", "small", "--ranker-factors", "0"], "factors"),
        (["train", "small", "--ranker", "popularity", "--liked", "9"], "9 stars"),
        (["train", "small", "--split", "u1"], "u1"),
        (["train", "small", "--test-fraction", "2"], "fraction"),
        (["train", "small", "--features", "year"], "year"),
        (["train", "small", "--factors", "-1"], "factors"),
        (["train", "small", "--seed", "-1"], "seed"),
        (["recommend", "als"], "--user"),
        (["recommend", "als", "--user", "99999"], "99999"),
        (["recommend", "als", "--user", "1", "--rated", "1=5"], "not both"),
        (["recommend", "als", "--user", "1", "--years", "1999-1990"], "earlier"),
        (["recommend", "small", "--user", "1"], "no run of this name"),
        (["train", "small", "--run", "."], "no run"),
        (["train", "small", "--run", "/dev/null/x"], "/dev/null"),
        (["data", "add", "small.csv", "--name", "ml-1m"], "small.csv"),
        (["describe", "https://example.org/x.csv"], "download it first"),
        (["recommend", "als", "--rated", "nonsense"], "TITLE=STARS"),
        (["recommend", "als", "--rated", "1=nine"], "TITLE=STARS"),
        (["recommend", "als", "--rated", "1=9"], "scale"),
        (["recommend", "als", "--user", "1", "--years", "then"], "--years"),
        (["recommend", "als", "--user", "1", "--genre", "Polka"], "Polka"),
        (["similar", "als", "No Such Film"], "No Such Film"),
        (["similar", "als", "Far", "Away"], "quotes"),
        (["similar", "biases", "1"], "factors"),
        (["recommend", "biases", "--user", "1", "--by", "ranking"], "no ranking head"),
        (["explain", "biases", "1", "--user", "1", "--by", "ranking"], "no ranking head"),
        (["recommend", "als", "--user", "1", "--by", "magic"], "not 'magic'"),
        (["similar", "als", "1", "--measure", "miles"], "miles"),
        (["evaluate", "als", "nowhere"], "nowhere"),
        (["evaluate", "als", "--protocol", "magic"], "held-out, leave-last-out, strong, time, ncf"),
        (["evaluate", "als", "--protocol", "ncf", "--liked", "4"], "min_rating"),
        (["evaluate", "als", "--liked", "9"], "nobody can be judged"),
        (["data", "fetch", "ml-9"], "ml-9"),
        (["data", "add", "nowhere.zip"], "nowhere.zip"),
        (["describe", "small", "--scale", "low:high"], "--scale"),
        (["nonsense"], "nonsense"),
    ],
)
def test_what_goes_wrong_is_one_line_on_stderr_and_status_2(shell, arguments, message):
    assert message in shell(*arguments, fails=True)


def test_a_traceback_only_with_debug(shell):
    done = subprocess.run(
        [MATINEE, "--debug", "train", "nothing-here"],
        env=shell.environment,
        capture_output=True,
        check=False,
    )
    assert b"Traceback" in done.stderr
    assert done.returncode != 0


def test_a_table_with_text_ids_goes_all_the_way(shell):
    table = pl.DataFrame(
        {
            "user": [f"u{k // 20}" for k in range(400)],
            "item": [f"m{k % 20}" for k in range(400)],
            "rating": [(k // 20 + k) % 5 + 1 for k in range(400)],
        }
    )
    table.write_csv(shell.folder / "text.csv")
    run = shell.json("train", "text.csv", "--factors", 2)["run"]
    assert shell.json("recommend", run, "--user", "u3", "--seen")[0]["item_id"].startswith("m")
    assert shell.json("evaluate", run)[0]["rating"]["ratings"] == 40
    assert "no timestamps" in shell("evaluate", run, "--protocol", "time", fails=True)


def test_a_bad_row_leaves_everything_as_it_was(shell):
    bad = shell.folder / "bad.csv"
    bad.write_text("user,item,stars\n1,1,4\n1,2,many\n")
    runs = {path.name for path in (shell.folder / "runs").iterdir()}
    message = shell("train", "bad.csv", fails=True)
    assert "bad.csv, row 3, column stars" in message
    assert {path.name for path in (shell.folder / "runs").iterdir()} == runs
    assert "bad.csv" in shell("data", "add", "bad.csv", fails=True)
    assert "bad" not in [entry["name"] for entry in shell.json("data", "list")]


def test_the_demo_without_a_network_says_that_its_data_are_generated(tmp_path):
    cache = tmp_path / "cache"
    shell = Shell(tmp_path, cache)
    text = shell("demo")
    assert "GENERATED" in text
    assert text.count("RMSE") == 2
    assert (tmp_path / "runs" / "demo" / "manifest.json").exists()
    assert shell("recommend", "--user", 1).count("\n") == 12


def test_the_demo_reads_the_edition_from_the_cache(tmp_path):
    """An invented edition of the right name stands in for the real one."""
    cache = tmp_path / "cache"
    edition = cache / "ml-latest-small"
    write_generated(edition, users=80, items=60, ratings=2500, seed=3)
    (tmp_path / "runs" / "demo").mkdir(parents=True)  # somebody's, and it stays
    text = Shell(tmp_path, cache)("demo")
    assert "saved in runs/demo-2." in text
    assert not list((tmp_path / "runs" / "demo").iterdir())
    assert "GENERATED" not in text
    assert str(edition) in text
    assert "80 users gave 2,500 ratings" in text


def test_clean_removes_what_was_prepared_and_nothing_else(shell):
    cache = Path(shell.environment["MATINEE_DATA"])
    entry = cache / ".parsed" / "0123"
    entry.mkdir(parents=True)
    (entry / "0.npy").write_bytes(b"1234")
    (cache / "mine").mkdir()
    assert shell.json("data", "clean") == {"bytes": 4}
    assert not entry.exists()
    assert (cache / "mine").exists()
    assert shell.json("data", "clean") == {"bytes": 0}
