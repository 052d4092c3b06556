"""`matinee train --from RUN`: the same run again, to the same bits, or why not."""

import hashlib
import json
import shutil

import pytest
from shell import Shell

import matinee
from matinee.data.synthetic import generate, write_generated
from matinee.errors import RunError
from matinee.evaluation import leave_one_out
from matinee.experiments import RunSpec, Split, diff_runs, train_and_evaluate
from matinee.models import EASE, Bias

SAME = "The same to the last bit."


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with data `small` in the cache, and a run `first`."""
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    write_generated(cache / "small", users=60, items=50, ratings=1500, seed=2)
    shell = Shell(folder, cache)
    shell("train", "small", "--factors", 3, "--ranker-factors", 4, "--seed", 3, "--split", "leave-last-out",
          "--run", "runs/first")  # fmt: skip
    return shell


def rewrite(run, change):
    """Change the manifest of a run."""
    manifest = json.loads((run / "manifest.json").read_text())
    change(manifest)
    (run / "manifest.json").write_text(json.dumps(manifest))


def forge(run, name, content):
    """Put something else into a file and make its checksum right again."""
    (run / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewrite(run, lambda manifest: manifest["files"][name].update(sha256=digest))


@pytest.mark.parametrize(
    "options",
    [
        ["--factors", 3, "--ranker-factors", 4, "--seed", 3, "--test-fraction", 0.2],
        ["--factors", 3, "--patience", 1, "--ranker", "none"],
        ["--model", "bias", "--ranker", "ease", "--liked", 3, "--split", "temporal"],
        ["--model", "none", "--ranker", "popularity"],
        ["--model", "bayes", "--factors", 2, "--iterations", 6, "--ranker", "none", "--seed", 1],
        ["--scale", "0:6:0.5", "--factors", 2, "--ranker", "none"],
    ],
    ids=["als-ials", "patience", "bias-ease", "popularity", "bayes", "scale"],
)
def test_a_run_is_made_again_to_the_last_bit(shell, options):
    first = shell.json("train", "small", *options)
    again = shell.json("train", "--from", first["run"])
    assert (again["from"], again["same"], again["differing"]) == (first["run"], True, [])
    assert again["made_otherwise"] == {}
    assert again["run"] != first["run"]
    of_both = [shell.manifest(one["run"]) for one in (first, again)]
    for section in ("data", "split", "metrics", "model", "heads", "made"):
        assert of_both[0][section] == of_both[1][section]
    for name in ("estimators", "rmse", "ranking", "train_ratings"):
        assert first[name] == again[name]


@pytest.mark.parametrize(
    "options",
    [["--model", "mf", "--ranker", "bpr", "--factors", 3, "--epochs", 2], ["--recipe", "neumf"]],
    ids=["mf-bpr", "neumf"],
)
def test_models_trained_by_gradients_are_made_again_on_the_same_device(shell, options):
    pytest.importorskip("torch")
    first = shell.json("train", "small", *options, "--device", "cpu", "--threads", 1)
    made = shell.manifest(first["run"])["environment"]
    assert (made["device"], made["threads"]) == ("cpu", 1)
    text = shell("train", "--from", first["run"], "--run", f"{first['run']}-2")
    assert SAME in text
    assert "on cpu" in text
    again = shell.manifest(f"{first['run']}-2")
    assert again["environment"] == made
    lists = again["metrics"]["ranking"]
    assert lists == first["ranking"]
    assert lists["protocol"] == ("ncf" if "--recipe" in options else "holdout")


def test_it_says_so_and_what_was_reached(shell):
    text = shell("train", "--from", "first", "--threads", 1, "--run", "runs/second")
    lines = text.splitlines()
    assert lines[0] == "runs/first: 1,440 ratings to train, 60 to test."
    assert lines[1].startswith("Stars: RMSE ")
    assert SAME in lines
    assert "Saved in runs/second." in text
    assert shell.json("recommend", "second", "--user", 7) == shell.json(
        "recommend", "first", "--user", 7
    )


def test_what_differs_is_named_and_what_it_was_made_with(shell):
    run = shell.folder / "runs" / "older"
    shutil.copytree(shell.folder / "runs" / "first", run)
    forge(run, "rating_head.safetensors", b"other bits")
    text = shell("train", "--from", "older")
    assert "Not the same as runs/older: rating.safetensors." in text
    assert "The runs do not tell why" in text
    assert SAME not in text

    def earlier(manifest):
        manifest["environment"] |= {"numpy": "1.0"}
        del manifest["environment"]["processor"]

    rewrite(run, earlier)
    forge(run, "history.jsonl", b'{"head":"rating","iteration":99}\n')
    text = shell("train", "--from", "older")
    assert "Not the same as runs/older: rating.safetensors, history.jsonl." in text
    assert "made with other means: " in text
    assert "numpy 1.0, now " in text
    assert "processor not noted, now " in text
    found = shell.json("train", "--from", "older")
    assert found["same"] is False
    assert found["differing"] == ["rating_head.safetensors", "history.jsonl"]
    assert found["made_otherwise"]["numpy"][0] == "1.0"


@pytest.mark.parametrize("damage", ["a byte", "gone", "cut short"])
def test_a_damaged_run_is_not_the_same(shell, tmp_path, damage):
    run = shutil.copytree(shell.folder / "runs" / "first", tmp_path / "worn")
    for name in ("rating_head.safetensors", "history.jsonl"):
        content = (run / name).read_bytes()
        (run / name).unlink()
        if damage != "gone":
            last = bytes([content[-1] ^ 1]) if damage == "a byte" else b""
            (run / name).write_bytes(content[:-1] + last)
    text = shell("train", "--from", run)
    assert SAME not in text
    assert f"Not the same as {run}: rating.safetensors, history.jsonl." in text
    assert f"{run} itself was damaged or changed since: rating.safetensors, history" in text
    assert "The runs do not tell why" not in text
    found = shell.json("train", "--from", run)
    assert found["same"] is False
    assert found["damaged"] == found["differing"] == ["rating_head.safetensors", "history.jsonl"]


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("heads", lambda said: said["heads"]["rating"]["settings"].update(mean=3.0)),
        ("heads", lambda said: said["heads"]["ranking"].update(kind="ItemItemHead")),
        ("model", lambda said: said["model"].update(scale=[0, 5, 0.5])),
        ("metrics", lambda said: said["metrics"].update(rmse=0.1)),
        ("metrics", lambda said: said["metrics"]["ranking"].update(users=1)),
    ],
)
def test_what_stands_in_the_manifest_alone_is_compared_too(shell, tmp_path, section, change):
    run = shutil.copytree(shell.folder / "runs" / "first", tmp_path / "said")
    rewrite(run, change)
    text = shell("train", "--from", run)
    assert SAME not in text
    assert f"Not the same as {run}: {section} in manifest.json." in text


def test_other_titles_are_told(shell):
    write_generated(shell.folder / "mine", users=60, items=50, ratings=1500, seed=4)
    run = shell.json("train", "mine", "--factors", 2, "--ranker", "none")["run"]
    items = shell.folder / "mine" / "movies.csv"
    items.write_text(items.read_text().replace("Drama", "Comedy"))
    text = shell("train", "--from", run)
    assert "items.parquet" in text
    assert "Titles, years or genres have changed since." in text


def test_data_that_changed_are_refused_by_name(shell):
    write_generated(shell.folder / "changing", users=60, items=50, ratings=1500, seed=4)
    run = shell.json("train", "changing", "--model", "bias", "--ranker", "none")["run"]
    write_generated(shell.folder / "changing", users=60, items=50, ratings=1500, seed=5)
    message = shell("train", "--from", run, "--run", "runs/refused", fails=True)
    assert "changing/ratings.csv: these are no longer the ratings" in message or (
        "changing: these are no longer the ratings" in message
    )
    assert not (shell.folder / "runs" / "refused").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small"], "leave out DATASET."),
        (["--seed", 0], "leave out --seed."),
        (["--model", "als"], "leave out --model."),
        (["--set", "factors=3"], "leave out --set."),
        (["--split", "leave-last-out"], "leave out --split."),
        (["--recipe", "neumf"], "leave out --recipe."),
        (["--scale", "0:5"], "leave out --scale."),
        (["--device", "cpu"], "--device is for models trained by gradients; none is here."),
        (["--checkpoint", "states"], "--checkpoint is for bayes and for models trained by"),
        (["--resume"], "--resume needs --checkpoint DIR."),
        (["--run", "runs/first"], "this is the run to compare with; name another folder."),
    ],
)
def test_all_else_is_refused_by_name(shell, arguments, message):
    assert message in shell("train", "--from", "first", *arguments, fails=True)


def test_neither_data_nor_a_run_is_refused(shell):
    assert "matinee train DATASET" in shell("train", fails=True)
    assert "there is no run of this name" in shell("train", "--from", "nowhere", fails=True)


def forget_the_estimator(manifest):
    manifest["heads"]["rating"]["estimator"] = {"name": "Magic"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.pop("split"), "does not say which data and split"),
        (lambda manifest: manifest["data"].pop("source"), "does not say which data and split"),
        (lambda manifest: manifest["data"].update(source=""), "a table in memory"),
        (lambda manifest: manifest.update(heads={}), "does not say what it was trained by"),
        (forget_the_estimator, "its rating head cannot be trained again. This version knows no"),
        (lambda manifest: manifest["heads"]["rating"].pop("estimator"), "its rating head cannot"),
        (lambda manifest: manifest["heads"].update(rating=3), "its rating head cannot"),
        (
            lambda manifest: manifest["metrics"]["ranking"].update(
                protocol="strong-generalization"
            ),
            "Its lists were judged by 'strong'",
        ),
    ],
)
def test_a_run_that_does_not_say_enough_is_refused(shell, change, message):
    run = shell.folder / "runs" / "vague"
    shutil.copytree(shell.folder / "runs" / "first", run)
    try:
        rewrite(run, change)
        assert message in shell("train", "--from", "vague", fails=True)
    finally:
        shutil.rmtree(run)


def test_a_run_evaluated_by_another_task_is_refused(tmp_path):
    write_generated(tmp_path / "data", users=60, items=50, ratings=1500, seed=4)
    data = matinee.read(tmp_path / "data")
    task = leave_one_out(data)
    done = train_and_evaluate(data, Bias(), Split("leave-last-out"), ranker=EASE(), task=task)
    with pytest.raises(RunError, match="leave-one-out"):
        RunSpec.of(done.model.save(tmp_path / "run")).again()


def test_runs_with_other_heads_or_without_a_history_are_compared(tmp_path):
    data, _ = generate(users=60, items=50, ratings=1500, seed=4)
    runs = [
        train_and_evaluate(data, *estimators, Split()).model.save(tmp_path / name)
        for name, estimators in {"a": [Bias()], "b": [Bias(iterations=3)]}.items()
    ]
    lists = train_and_evaluate(data, None, Split(), ranker=EASE()).model.save(tmp_path / "ranking")
    assert diff_runs(runs[0], runs[0]).differing == ()
    said = ("heads in manifest.json", "metrics in manifest.json")
    assert diff_runs(*runs).differing == ("rating_head.safetensors", "history.jsonl", said[1])
    wanted = ("ranking_head.safetensors", "rating_head.safetensors", "history.jsonl", *said)
    assert diff_runs(runs[0], lists).differing == wanted
    forge(lists, "history.jsonl", b"nonsense")
    with pytest.raises(RunError, match="no history"):
        diff_runs(runs[0], lists)
