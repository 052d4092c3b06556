"""`matinee reproduce RUN`: the same run once more, to the same bits, or why not."""

import hashlib
import json
import shutil

import pytest

import matinee
from matinee.data.synthetic import generate, write_generated
from matinee.errors import RunError
from matinee.evaluation import leave_one_out
from matinee.experiments import Split, diff_runs, reproduce, train_and_evaluate
from matinee.models import EASE, Bias

SAME = "Reproduced bit for bit."
UNKNOWN = "Cause unknown. A run that was interrupted or resumed can differ."


@pytest.fixture(scope="module")
def first(shell):
    """The shell, with a run `first`."""
    shell("train", "small", "--factors", 3, "--set", "ranker.factors=4", "--seed", 3,
          "--split", "leave-last-out", "--run", "runs/first")  # fmt: skip
    return shell


@pytest.fixture
def altered(first, tmp_path):
    """A copy of `first`, to be changed."""
    return shutil.copytree(first.folder / "runs" / "first", tmp_path / "altered")


def rewrite(run, change):
    """Change the manifest of a run."""
    manifest = json.loads((run / "manifest.json").read_text())
    change(manifest)
    (run / "manifest.json").write_text(json.dumps(manifest))


def forge(run, name, content):
    """Put other content into a file and make its checksum right again."""
    (run / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewrite(run, lambda manifest: manifest["files"][name].update(sha256=digest))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--factors", 3, "--set", "ranker.factors=4", "--seed", 3, "--test-fraction", 0.2],
        ["--factors", 3, "--patience", 1, "--ranker", "none"],
        ["--model", "bias", "--ranker", "ease", "--set", "ranker.min_rating=3", "--split",
         "temporal"],
        ["--model", "none", "--ranker", "popularity"],
        ["--model", "bayes", "--factors", 2, "--iterations", 6, "--ranker", "none", "--seed", 1],
        ["--scale", "0:6:0.5", "--factors", 2, "--ranker", "none"],
    ],
    ids=["als-ials", "patience", "bias-ease", "popularity", "bayes", "scale"],
)  # fmt: skip
def test_a_run_is_reproduced_bit_for_bit(shell, options):
    run = shell.json("train", "small", *options)
    copy = shell.json("reproduce", run["run"])
    assert (copy["reproduced"], copy["identical"]) == (run["run"], True)
    assert (copy["differing"], copy["corrupt"], copy["environment_changes"]) == ([], [], {})
    assert copy["run"] != run["run"]
    manifests = [shell.manifest(result["run"]) for result in (run, copy)]
    for section in ("data", "split", "metrics", "model", "heads", "environment"):
        assert manifests[0][section] == manifests[1][section]
    for name in ("estimators", "rmse", "ranking", "train_ratings"):
        assert run[name] == copy[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--model", "mf", "--ranker", "bpr", "--factors", 3, "--set", "epochs=2",
         "--set", "ranker.epochs=2"],
        ["--preset", "neumf"],
    ],
    ids=["mf-bpr", "neumf"],
)  # fmt: skip
def test_gradient_models_are_reproduced_on_the_same_device(shell, options):
    pytest.importorskip("torch")
    run = shell.json("train", "small", *options, "--device", "cpu", "--threads", 1)
    environment = shell.manifest(run["run"])["environment"]
    assert (environment["device"], environment["threads"]) == ("cpu", 1)
    text = shell("reproduce", run["run"], "--run", f"{run['run']}-2")
    assert SAME in text
    assert " s on cpu)" in text
    copy = shell.manifest(f"{run['run']}-2")
    assert copy["environment"] == environment
    ranking = copy["metrics"]["ranking"]
    assert ranking == run["ranking"]
    assert ranking["protocol"] == ("sampled-negatives" if "--preset" in options else "holdout")


@pytest.mark.slow
def test_what_is_printed(first):
    text = first("reproduce", "first", "--threads", 1, "--run", "runs/second")
    lines = text.splitlines()
    assert lines[0] == "runs/first: 2,320 training ratings, 80 test ratings"
    assert lines[1].startswith("Rating prediction: RMSE ")
    assert SAME in lines
    assert "Saved in runs/second." in text
    assert first.json("recommend", "second", "--user", 7) == first.json(
        "recommend", "first", "--user", 7
    )


@pytest.mark.slow
def test_what_differs_is_named_and_what_changed_in_the_environment(first, altered):
    forge(altered, "rating_head.safetensors", b"other bits")
    text = first("reproduce", altered)
    assert f"Differs from {altered} in: rating_head.safetensors.\n" in text
    assert UNKNOWN in text
    assert SAME not in text

    def earlier(manifest):
        manifest["environment"] |= {"numpy": "1.0"}
        del manifest["environment"]["processor"]

    rewrite(altered, earlier)
    forge(altered, "history.jsonl", b'{"head":"rating","iteration":99}\n')
    text = first("reproduce", altered)
    assert f"Differs from {altered} in: rating_head.safetensors, history.jsonl.\n" in text
    assert "\nEnvironment changed: " in text
    assert "numpy 1.0 -> " in text
    assert "processor unknown -> " in text
    assert UNKNOWN not in text
    result = first.json("reproduce", altered)
    assert result["identical"] is False
    assert result["differing"] == ["rating_head.safetensors", "history.jsonl"]
    assert result["environment_changes"]["numpy"][0] == "1.0"


@pytest.mark.parametrize("damage", ["a byte", "gone", "cut short"])
def test_a_damaged_run_is_not_reproduced(first, altered, damage):
    names = ["rating_head.safetensors", "history.jsonl"]
    for name in names:
        content = (altered / name).read_bytes()
        (altered / name).unlink()
        if damage != "gone":
            last = bytes([content[-1] ^ 1]) if damage == "a byte" else b""
            (altered / name).write_bytes(content[:-1] + last)
    text = first("reproduce", altered)
    assert SAME not in text
    assert f"Differs from {altered} in: {', '.join(names)}." in text
    assert f"{altered} itself is corrupt or was changed: {', '.join(names)}." in text
    assert UNKNOWN not in text
    result = first.json("reproduce", altered)
    assert result["identical"] is False
    assert result["corrupt"] == result["differing"] == names


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("heads", lambda manifest: manifest["heads"]["rating"]["settings"].update(mean=3.0)),
        ("heads", lambda manifest: manifest["heads"]["ranking"].update(kind="ItemItemHead")),
        ("model", lambda manifest: manifest["model"].update(scale=[0, 5, 0.5])),
        ("metrics", lambda manifest: manifest["metrics"].update(rmse=0.1)),
        ("metrics", lambda manifest: manifest["metrics"]["ranking"].update(n_users=1)),
    ],
)
def test_what_stands_in_the_manifest_alone_is_compared_too(first, altered, section, change):
    rewrite(altered, change)
    text = first("reproduce", altered)
    assert SAME not in text
    assert f"Differs from {altered} in: {section} in manifest.json." in text


def test_other_genres_are_told(shell):
    write_generated(shell.folder / "mine", users=60, items=50, ratings=1500, seed=4)
    run = shell.json("train", "mine", "--factors", 2, "--ranker", "none")["run"]
    items = shell.folder / "mine" / "movies.csv"
    items.write_text(items.read_text().replace("Drama", "Comedy"))
    text = shell("reproduce", run)
    assert "items.safetensors" in text
    assert "Titles, years or genres in the data have changed." in text


def test_data_that_changed_are_refused_by_name(shell):
    write_generated(shell.folder / "changing", users=60, items=50, ratings=1500, seed=4)
    run = shell.json("train", "changing", "--model", "bias", "--ranker", "none")["run"]
    write_generated(shell.folder / "changing", users=60, items=50, ratings=1500, seed=5)
    message = shell("reproduce", run, "--run", "runs/refused", fails=True)
    assert "changing" in message
    assert not (shell.folder / "runs" / "refused").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cpu"], "--device is for models trained by gradients; this has none."),
        (["--checkpoint", "states"], "--checkpoint is for bayes and for models trained by"),
        (["--resume"], "--resume needs --checkpoint DIR."),
        (["--run", "runs/first"], "this is the run to reproduce; name another folder."),
        (["--seed", 0], "No such option: --seed"),
    ],
)
def test_what_makes_no_sense_is_refused(first, arguments, message):
    assert message in first("reproduce", "first", *arguments, fails=True)


def test_a_run_is_needed(shell):
    assert "Missing argument 'RUN'" in shell("reproduce", fails=True)
    assert "no run has this name" in shell("reproduce", "nowhere", fails=True)


def forget_the_estimator(manifest):
    manifest["heads"]["rating"]["estimator"] = {"name": "Magic"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.pop("split"), "split"),
        (lambda manifest: manifest["data"].pop("source"), "data"),
        (lambda manifest: manifest["data"].update(source=""), "table"),
        (lambda manifest: manifest.update(heads={}), "no estimators"),
        (forget_the_estimator, "its rating head cannot be reproduced."),
        (lambda manifest: manifest["heads"]["rating"].pop("estimator"), "its rating head cannot"),
        (lambda manifest: manifest["heads"].update(rating=3), "its rating head cannot"),
        (
            lambda manifest: manifest["metrics"]["ranking"].update(
                protocol="strong-generalization"
            ),
            "'strong-generalization'",
        ),
    ],
)
def test_a_run_whose_manifest_lacks_something_is_refused(first, altered, change, message):
    rewrite(altered, change)
    assert message in first("reproduce", altered, fails=True)


def test_a_run_evaluated_by_another_task_is_refused(tmp_path):
    write_generated(tmp_path / "data", users=60, items=50, ratings=1500, seed=4)
    data = matinee.read(tmp_path / "data")
    task = leave_one_out(data)
    result = train_and_evaluate(data, Bias(), Split("leave-last-out"), ranker=EASE(), task=task)
    with pytest.raises(RunError, match="leave-one-out"):
        reproduce(result.model.save(tmp_path / "run"))


def test_runs_with_other_heads_or_without_a_history_are_compared(tmp_path):
    data, _ = generate(users=60, items=50, ratings=1500, seed=4)
    runs = [
        train_and_evaluate(data, estimator, Split()).model.save(tmp_path / name)
        for name, estimator in {"a": Bias(), "b": Bias(iterations=3)}.items()
    ]
    ranking = train_and_evaluate(data, None, Split(), ranker=EASE()).model.save(tmp_path / "c")
    assert diff_runs(runs[0], runs[0]).differing == ()
    sections = ("heads in manifest.json", "metrics in manifest.json")
    assert diff_runs(*runs).differing == ("rating_head.safetensors", "history.jsonl", sections[1])
    files = ("ranking_head.safetensors", "rating_head.safetensors", "history.jsonl")
    assert diff_runs(runs[0], ranking).differing == (*files, *sections)
    forge(ranking, "history.jsonl", b"nonsense")
    with pytest.raises(RunError, match=r"history\.jsonl"):
        diff_runs(runs[0], ranking)
