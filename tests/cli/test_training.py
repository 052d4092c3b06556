"""`matinee train` beyond ALS: gradients, known set-ups, checkpoints, pictures, missing extras."""

import json
import os
import re
import signal
import subprocess
import time

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file
from shell import BROKEN, MATINEE, Shell

import matinee
from matinee.data.synthetic import write_generated
from matinee.experiments import PRESETS, get_preset

torch = pytest.importorskip("torch")
pytest.importorskip("altair")
pytest.importorskip("vl_convert")

QUICK = ["--epochs", 2, "--device", "cpu"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny tensors: on a busy machine threads would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A folder with data `small` in the cache."""
    folder, cache = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("cache")
    write_generated(cache / "small", users=60, items=50, ratings=1500, seed=2)
    return Shell(folder, cache)


@pytest.fixture(scope="module")
def both(shell):
    """A run with two neural heads that watched a validation part, and its picture."""
    return shell.json("train", "small", "--model", "mf", "--ranker", "bpr", "--factors", 4,
                      "--ranker-factors", 3, "--epochs", 3, "--batch-size", 256,
                      "--learning-rate", 0.02, "--optimizer", "adagrad", "--device", "cpu",
                      "--patience", 2, "--seed", 4, "--plot", "--run", "runs/both")  # fmt: skip


@pytest.fixture(scope="module")
def lists(shell):
    """A run that predicts no stars."""
    return shell.json("train", "small", "--model", "none", "--ranker", "bpr", *QUICK,
                      "--run", "runs/lists")  # fmt: skip


# --- known set-ups


def step_of(name):
    """The only step of a set-up."""
    (step,) = get_preset(name).steps
    return step


def test_estimators_lists_every_set_up_with_its_source(shell):
    text = shell("recipes")
    for preset in PRESETS:
        for part in (preset.name, preset.what, preset.source, preset.made_for):
            assert part in text
    assert "--recipe NAME" in text
    listed = shell.json("recipes")
    assert [entry["name"] for entry in listed] == [preset.name for preset in PRESETS]
    for entry, preset in zip(listed, PRESETS, strict=True):
        assert entry["source"] == preset.source
        assert [step["rating"] for step in entry["steps"]] == [s.rating_head for s in preset.steps]
        assert entry["split"]["method"] == preset.split.method


def test_a_set_up_of_three_steps_shows_them_all_and_saves_the_last(shell):
    text = shell("train", "small", "--recipe", "bias-genres-als", "--seed", 3, "--run", "runs/3")
    places = [text.index(f"\n{step}\n") for step in ("biases", "and factors", "and genres")]
    assert places == sorted(places)
    assert text.count("Stars: RMSE") == 3
    assert text.count("Lists: NDCG") == 1
    assert "Saved in runs/3" in text
    heads = shell.manifest("runs/3")["heads"]
    assert heads["rating"]["estimator"]["name"] == "ALS"
    assert heads["rating"]["estimator"]["features"] == "genres"
    assert heads["rating"]["estimator"]["seed"] == heads["ranking"]["estimator"]["seed"] == 3
    listed = {run["run"]: run for run in shell.json("runs")}["runs/3"]
    assert (listed["stars_by"], listed["lists_by"]) == ("ALS", "ImplicitALS")
    assert f"{listed['rmse']:.4f}" in text[places[2] :]
    assert len(shell.json("recommend", "3", "--user", 7)) == 10


def test_a_set_up_in_json_has_its_steps_and_is_trained_on_the_device_asked_for(shell):
    found = shell.json("train", "small", "--recipe", "embedding-adam-tuned", "--device", "cpu")
    assert found["estimator"] == "embedding-adam-tuned"
    assert found["run"].startswith("runs/small-embedding-adam-tuned-")
    assert found["plot"] is None
    (step,) = found["steps"]
    assert step["step"] == "with biases and weight decay"
    assert {name: found[name] for name in step if name != "step"} == {
        name: value for name, value in step.items() if name != "step"
    }
    recorded = shell.manifest(found["run"])["heads"]["rating"]["estimator"]
    assert recorded == found["estimators"]["rating"]
    assert (recorded["name"], recorded["device"], recorded["epochs"]) == (
        "MatrixFactorization",
        "auto",
        5,
    )
    assert recorded["weight_decay"] == step_of("embedding-adam-tuned").rating_head["weight_decay"]
    assert found["run"] in [run["run"] for run in shell.json("runs")]


def test_every_set_up_without_and_with_steps_has_the_same_keys(shell, both):
    found = shell.json("train", "small", "--recipe", "bias-genres-als", "--threads", 1)
    assert set(found) - {"estimator", "steps"} == set(both) - {"model", "ranker"}
    assert [list(step["estimators"]) for step in found["steps"]] == [
        ["rating"],
        ["rating"],
        ["rating", "ranking"],
    ]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--model", "mf"),
        ("--ranker", "none"),
        ("--factors", 4),
        ("--regularization", 0),
        ("--iterations", 3),
        ("--features", "none"),
        ("--solver", "cg"),
        ("--patience", 0),
        ("--ranker-factors", 4),
        ("--liked", 4),
        ("--epochs", 3),
        ("--batch-size", 0),
        ("--learning-rate", 0.1),
        ("--optimizer", "sgd"),
        ("--weight-decay", 0),
        ("--split", "leave-last-out"),
        ("--test-fraction", 0.2),
    ],
)
def test_a_set_up_says_what_to_train_and_options_may_not(shell, option, value):
    message = shell("train", "small", "--recipe", "embedding-adam", option, value, fails=True)
    assert f"leave out {option}." in message


def test_an_unknown_set_up_is_refused_with_the_known_ones(shell):
    message = shell("train", "small", "--recipe", "magic", fails=True)
    assert "'magic'" in message
    assert all(preset.name in message for preset in PRESETS)


# --- models and their options


@pytest.mark.parametrize(
    ("model", "options", "wanted"),
    [
        ("mf", ["--factors", 4, "--regularization", 2], {"factors": 4, "regularization": 2}),
        ("gmf", ["--factors", 4], {"factors": 4, "feedback": "explicit"}),
        ("mlp", ["--weight-decay", 0.1], {"weight_decay": 0.1, "feedback": "explicit"}),
        ("neumf", ["--factors", 4], {"factors": 4, "feedback": "explicit"}),
    ],
)
def test_options_reach_the_model_for_values(shell, model, options, wanted):
    run = f"runs/stars-{model}"
    found = shell.json("train", "small", "--model", model, "--ranker", "none", *QUICK, *options,
                       "--batch-size", 200, "--learning-rate", 0.01, "--optimizer", "adam",
                       "--seed", 6, "--run", run)  # fmt: skip
    wanted |= {"epochs": 2, "batch_size": 200, "learning_rate": 0.01, "optimizer": "adam",
               "device": "auto", "seed": 6}  # fmt: skip
    heads = shell.manifest(run)["heads"]
    assert set(heads) == {"rating"}
    recorded = heads["rating"]["estimator"]
    assert {name: recorded[name] for name in wanted} == wanted
    assert (found["model"], found["ranker"], found["estimators"]) == (
        model,
        "none",
        {"rating": recorded},
    )
    assert shell.history(run)["iteration"].to_list() == [1, 2]
    assert len(shell.json("recommend", run, "--user", 7, "-n", 3)) == 3


@pytest.mark.parametrize("ranker", ["bpr", "gmf", "mlp", "neumf"])
def test_options_reach_the_model_for_lists(shell, ranker):
    run, factors = f"runs/lists-{ranker}", [] if ranker == "mlp" else ["--ranker-factors", 4]
    found = shell.json("train", "small", "--model", "none", "--ranker", ranker, *QUICK, *factors,
                       "--liked", 3, "--weight-decay", 0.2, "--run", run)  # fmt: skip
    heads = shell.manifest(run)["heads"]
    assert set(heads) == {"ranking"}
    recorded = heads["ranking"]["estimator"]
    wanted = {"epochs": 2, "min_rating": 3, "weight_decay": 0.2, "device": "auto"}
    wanted |= {"factors": 4} if factors else {}
    wanted |= {} if ranker == "bpr" else {"feedback": "implicit"}
    assert {name: recorded[name] for name in wanted} == wanted
    assert found["rmse"] is None
    assert found["estimators"] == {"ranking": recorded}


def test_gradient_options_go_to_both_heads_and_others_to_their_own(shell, both):
    heads = shell.manifest("runs/both")["heads"]
    rating, ranking = (heads[name]["estimator"] for name in ("rating", "ranking"))
    assert (rating["name"], ranking["name"]) == ("MatrixFactorization", "BPR")
    shared = {"epochs": 3, "batch_size": 256, "learning_rate": 0.02, "optimizer": "adagrad",
              "device": "auto", "seed": 4}  # fmt: skip
    for recorded in (rating, ranking):
        assert {name: recorded[name] for name in shared} == shared
    assert (rating["factors"], ranking["factors"]) == (4, 3)


def test_gradient_options_go_to_the_one_head_that_has_them(shell):
    found = shell.json("train", "small", "--model", "bias", "--ranker", "bpr", *QUICK)
    assert found["estimators"]["rating"]["name"] == "Bias"
    assert "epochs" not in found["estimators"]["rating"]
    assert found["estimators"]["ranking"]["epochs"] == 2


def test_patience_holds_a_validation_part_out_of_both_heads(shell, both):
    assert shell.manifest("runs/both")["split"]["holdout_validation"] is True
    history = shell.history("runs/both")
    values = history.filter(pl.col("head") == "rating")
    assert values["validation_rmse"].null_count() == 0
    evaluated_lists = shell.history("runs/both").filter(pl.col("head") == "ranking")
    assert evaluated_lists["validation_hit_rate"].null_count() == 0
    assert both["train_ratings"] == round(0.9 * 1350)
    assert both["estimators"]["rating"]["patience"] == 2


def test_without_patience_all_of_the_training_part_is_learned_from(shell, lists):
    split = shell.manifest("runs/lists")["split"]
    assert split["holdout_validation"] is False
    assert split["train_ratings"] == lists["train_ratings"] == 1350


def test_a_run_without_values_answers_what_it_can(shell, lists):
    assert lists["rmse"] is None
    assert lists["ranking"]["metrics"]["ndcg@10"]["value"] > 0
    assert lists["fit_seconds"] == 0 < lists["ranking_seconds"]
    text = shell("train", "small", "--model", "none", "--ranker", "bpr", *QUICK)
    assert "RMSE" not in text
    assert "Lists: NDCG@10" in text
    assert "on cpu" in text
    ranking, popular = shell.json("evaluate", "ranking")
    assert (ranking["estimator"], ranking["rating"]) == ("BPR", None)
    assert popular["estimator"] == "Popularity"
    assert "RMSE" not in shell("evaluate", "ranking")
    listed = shell.json("recommend", "ranking", "--user", 7, "-n", 3)
    assert set(listed[0]) == {"item_id", "title", "genres", "score"}
    assert len(shell.json("recommend", "ranking", "--rated", "1=5", "--rated", "2=4")) == 10
    assert shell("recommend", "ranking", "--user", 7)
    assert len(shell.json("similar", "ranking", listed[0]["title"], "-n", 3)) == 3
    row = {run["run"]: run for run in shell.json("runs")}["runs/lists"]
    assert (row["stars_by"], row["lists_by"], row["rmse"]) == (None, "BPR", None)
    assert row["ndcg@10"] == lists["ranking"]["metrics"]["ndcg@10"]["value"]
    assert "BPR" in shell("runs")
    assert "no rating head" in shell(
        "recommend", "ranking", "--user", 7, "--by", "rating", fails=True
    )
    assert "ALS" in shell("explain", "ranking", "1", "--user", 7, fails=True)


def test_values_of_mf_can_be_explained(shell, both):
    (first,) = shell.json("recommend", "both", "--user", 7, "-n", 1, "--by", "rating")
    found = shell.json("explain", "both", first["title"], "--user", 7, "--by", "rating")
    assert sum(part["contribution"] for part in found["parts"]) == pytest.approx(
        first["score"], abs=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "none", "--ranker", "none"], "nothing to train"),
        (["--model", "als", "--ranker", "ease", "--epochs", 3], "--epochs"),
        (["--model", "bias", "--ranker", "popularity", "--device", "cpu"], "--device"),
        (["--model", "bias", "--factors", 4], "--model bias has no --factors"),
        (["--ranker", "ease", "--ranker-factors", 4], "--ranker ease has no --ranker-factors"),
        (["--model", "mf", "--solver", "cg"], "--model mf has no --solver"),
        (["--model", "mf", "--iterations", 4], "--model mf has no --iterations"),
        (["--model", "mf", "--features", "none"], "--model mf has no --features"),
        (["--model", "gmf", "--regularization", 1], "--model gmf has no --regularization"),
        (["--model", "mlp", "--factors", 4], "--model mlp has no --factors"),
        (["--ranker", "mlp", "--ranker-factors", 4], "--ranker mlp has no --ranker-factors"),
        (["--model", "none", "--factors", 4], "--model none has no --factors"),
        (["--model", "magic"], "als, bayes, bias, mf, gmf, mlp, neumf or none, not 'magic'"),
        (["--ranker", "magic"], "bpr, gmf, mlp, neumf or none, not 'magic'"),
        (["--model", "bpr"], "not 'bpr'"),
        (["--model", "mf", "--epochs", 0], "epochs is at least 1"),
        (["--model", "mf", "--batch-size", -1], "batch_size is at least 0"),
        (["--model", "mf", "--learning-rate", 0], "learning_rate is above 0"),
        (["--model", "mf", "--learning-rate", "nan"], "learning_rate is above 0"),
        (["--model", "mf", "--optimizer", "magic"], "'adam', 'sgd', 'adagrad', 'sparse-adam'"),
        (["--model", "mf", "--weight-decay", -1], "weight_decay is 0 or more"),
        (["--model", "mf", "--patience", -1], "patience is at least 0"),
        (["--model", "mf", "--device", "quantum"], "not 'quantum'"),
        (["--ranker", "neumf", "--device", "quantum"], "not 'quantum'"),
        (["--recipe", "embedding-adam", "--device", "quantum"], "not 'quantum'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    run = shell.folder / "runs" / "refused"
    assert message in shell("train", "small", *arguments, "--run", run, fails=True)
    assert not run.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_with_the_reason(shell):
    message = shell("train", "small", "--model", "mf", "--device", "cuda", fails=True)
    assert "'cuda' cannot be used here (" in message
    assert "matinee doctor" in message
    assert any(word in message for word in ("CUDA enabled", "NVIDIA driver", "No CUDA GPUs"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_reason_and_the_advice_are_two_sentences(shell):
    message = shell("train", "small", "--model", "mf", "--device", "cuda", fails=True)
    assert re.search(r"\); matinee doctor", message)


def test_a_loss_that_explodes_at_once_leaves_no_run(shell):
    message = shell("train", "small", "--model", "mf", "--learning-rate", 1e9, *QUICK,
                    "--run", "runs/diverged", fails=True)  # fmt: skip
    assert "diverged in the first epoch with learning rate 1e+09" in message
    assert "1e+08" in message
    assert not (shell.folder / "runs" / "diverged").exists()


def test_a_loss_that_explodes_later_is_said_and_the_last_good_weights_are_saved(shell):
    text = shell("train", "small", "--model", "mf", "--ranker", "none", "--optimizer", "sgd",
                 "--batch-size", 0, "--learning-rate", 30, "--epochs", 40, "--device", "cpu",
                 "--run", "runs/later")  # fmt: skip
    assert "diverged in epoch" in shell.warned
    assert "learning rate 30" in shell.warned
    assert shell.warned.strip().count("\n") == 0
    assert "Saved in runs/later" in text
    history = shell.history("runs/later")
    assert 1 <= len(history) < 40
    assert f"weights of epoch {len(history)}" in shell.warned
    assert shell.json("recommend", "later", "--user", 7, "-n", 1)


# --- what is trained again


@pytest.mark.parametrize("protocol", ["leave-one-out", "strong-generalization"])
def test_neural_runs_are_trained_again_for_another_protocol(shell, both, lists, protocol):
    rows = shell.json("evaluate", "both", "--protocol", protocol)
    assert [(row["estimator"], row["head"]) for row in rows] == [
        ("MatrixFactorization", "rating"),
        ("BPR", "ranking"),
        ("Popularity", "ranking"),
    ]
    assert {row["protocol"] for row in rows} == {protocol}
    assert [
        row["estimator"] for row in shell.json("evaluate", "ranking", "--protocol", protocol)
    ] == [
        "BPR",
        "Popularity",
    ]


# --- checkpoints

LONG = ["train", "small", "--model", "mf", "--ranker", "none", "--factors", 4, "--epochs", 1000,
        "--learning-rate", 0.002, "--device", "cpu", "--threads", 1]  # fmt: skip


def test_a_training_that_was_killed_goes_on_and_ends_the_same(shell):
    state = shell.folder / "state" / "matrixfactorization" / "state.safetensors"
    command = [*LONG, "--checkpoint", "state", "--checkpoint-every", 50]
    killed = subprocess.Popen(
        [MATINEE, *map(str, command), "--run", "runs/killed"],
        cwd=shell.folder,
        env={**os.environ, "MATINEE_DATA": str(shell.cache), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while not state.exists() and killed.poll() is None:
            time.sleep(0.005)
    finally:
        killed.kill()
        said = killed.communicate()[1]
    assert killed.returncode == -signal.SIGKILL, said
    assert not (shell.folder / "runs" / "killed").exists()
    kept = json.loads(texts_beside(state)["state"])["history"]
    assert 50 <= len(kept) < 1000
    shell(*command, "--run", "runs/went-on")
    shell(*LONG, "--run", "runs/at-once")
    went_on, at_once = (shell.history(f"runs/{name}") for name in ("went-on", "at-once"))
    assert went_on["seconds"][: len(kept)].to_list() == [row["seconds"] for row in kept]
    assert went_on.drop("seconds").equals(at_once.drop("seconds"))
    first, second = (
        load_file(shell.folder / "runs" / name / "rating_head.safetensors")
        for name in ("went-on", "at-once")
    )
    assert set(first) == set(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], strict=True)


def texts_beside(path):
    """The text beside the tensors of a safetensors file: a length, then JSON."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


def test_each_head_has_a_checkpoint_of_its_own_and_a_finished_one_is_not_trained_again(shell):
    command = ["train", "small", "--model", "neumf", "--ranker", "neumf", *QUICK, "--factors", 2,
               "--ranker-factors", 2, "--checkpoint", "two", "--checkpoint-every", 2]  # fmt: skip
    shell(*command, "--run", "runs/first")
    states = list((shell.folder / "two").rglob("*.safetensors"))
    assert sorted(path.parent.name for path in states) == ["neumf-explicit", "neumf-implicit"]
    shell(*command, "--run", "runs/second")
    assert shell.history("runs/first").equals(shell.history("runs/second"))  # seconds, too


@pytest.mark.parametrize(
    "change",
    [["--epochs", 3], ["--learning-rate", 0.1], ["--factors", 3], ["--seed", 1],
     ["--test-fraction", 0.2], ["--patience", 1]],
    ids=lambda change: change[0],
)  # fmt: skip
def test_a_checkpoint_of_other_settings_or_data_is_refused(shell, change):
    command = ["train", "small", "--model", "mf", "--ranker", "none", *QUICK, "--factors", 2,
               "--checkpoint", "other"]  # fmt: skip
    if not (shell.folder / "other").exists():
        shell(*command, "--run", "runs/other")
    run = shell.folder / "runs" / "changed"
    message = shell(*command, *change, "--run", run, fails=True)
    assert "other/matrixfactorization: a checkpoint of other settings or other data" in message
    assert not run.exists()


def test_a_damaged_checkpoint_is_refused(shell):
    state = shell.folder / "damaged" / "matrixfactorization" / "state.safetensors"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"no state")
    message = shell("train", "small", "--model", "mf", "--ranker", "none", *QUICK,
                    "--checkpoint", "damaged", fails=True)  # fmt: skip
    assert "cannot be read" in message
    assert state.read_bytes() == b"no state"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "als", "--ranker", "ease", "--checkpoint", "unused"],
        ["--recipe", "bias-genres-als", "--checkpoint", "unused"],
        ["--recipe", "bias-genres-als", "--device", "cpu"],
        ["--model", "mf", "--ranker", "none", *QUICK, "--checkpoint-every", 5],
    ],
    ids=["checkpoint", "checkpoint-recipe", "device-recipe", "every"],
)
def test_an_option_that_nothing_listens_to_is_refused(shell, arguments):
    message = shell("train", "small", *arguments, fails=True)
    assert "--checkpoint" in message or "--device" in message


# --- pictures


def test_curves_are_drawn_into_the_run(shell, both):
    assert both["plot"] == "runs/both/history.png"
    content = (shell.folder / both["plot"]).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(content[16:20], "big") > 600
    assert shell.json("recommend", "both", "--user", 7, "-n", 1)  # a run may hold a picture
    text = shell("train", "small", "--model", "bias", "--plot", "--run", "runs/drawn")
    assert "Curves in runs/drawn/history.png." in text
    assert (shell.folder / "runs" / "drawn" / "history.png").exists()
    text = shell("train", "small", "--model", "bias", "--run", "runs/drawn")
    assert "history.png" not in text
    assert not (shell.folder / "runs" / "drawn" / "history.png").exists()


def test_a_picture_of_nothing_is_refused_before_the_training_or_left_out(shell):
    """What has no steps has no curves: either there is no run, or one is told that there is."""
    status, out, _ = shell.ended("train", "small", "--model", "none", "--ranker", "ease",
                                 "--plot", "--run", "runs/nothing")  # fmt: skip
    assert (shell.folder / "runs" / "nothing").exists() == (status == 0) == ("Saved in" in out)


# --- doctor, and extras that are not there


def test_doctor_shows_torch_and_the_device_it_picks(shell):
    found = shell.json("doctor")
    assert found["torch"] == torch.__version__
    assert found["device"] in ("cpu", "mps", "cuda")
    text = shell("doctor")
    assert torch.__version__ in text
    assert f"\ndevice                {found['device']}\n" in text


def test_without_torch_everything_else_works(shell):
    def run(*arguments, **how):
        return shell.apart(*arguments, without="torch", problem=BROKEN, **how)

    assert "Saved in runs/plain" in run("train", "small", "--factors", 2, "--run", "runs/plain")
    message = run("train", "small", "--model", "mf", "--run", "runs/no", fails=True)
    assert "pip install 'matinee[torch]'" in message
    message = run("train", "small", "--recipe", "embedding-dot", "--run", "runs/no", fails=True)
    assert "pip install 'matinee[torch]'" in message
    assert not (shell.folder / "runs" / "no").exists()
    assert "not installed" in json.loads(run("doctor", "--json"))["torch"]


def test_without_torch_saved_neural_runs_answer(shell, both):
    asked = ["both", "--user", 7, "-n", 3]
    found = json.loads(shell.apart("recommend", *asked, "--json", without="torch", problem=BROKEN))
    assert found == shell.json("recommend", *asked)
    new = ["recommend", "both", "--rated", "1=5", "--rated", "2=2", "--json"]
    assert json.loads(shell.apart(*new, without="torch", problem=BROKEN)) == json.loads(shell(*new))
    holdout = json.loads(shell.apart("evaluate", "both", "--json", without="torch", problem=BROKEN))
    assert holdout == shell.json("evaluate", "both")
    again = ["evaluate", "both", "--protocol", "strong-generalization"]
    assert "matinee[torch]" in shell.apart(*again, without="torch", problem=BROKEN, fails=True)


@pytest.mark.parametrize("package", ["altair", "vl_convert"])
def test_without_altair_a_picture_is_refused_before_the_training(shell, package):
    train = ["train", "small", "--model", "bias", "--ranker", "none"]
    message = shell.apart(
        *train, "--plot", "--run", "runs/bare", without=package, problem=BROKEN, fails=True
    )
    assert "pip install 'matinee[charts]'" in message
    assert not (shell.folder / "runs" / "bare").exists()


def test_a_training_user_is_asked_about_by_their_trained_vector(shell):
    """Not by one that is solved anew from their ratings, which gradients do not end at."""
    shell("train", "small", "--model", "mf", "--ranker", "bpr", *QUICK, "--run", "runs/own")
    model = matinee.load(shell.folder / "runs" / "own")
    listed = shell.json("recommend", "runs/own", "--user", 7, "-n", 5)
    wanted = model.recommend(7, n=5)
    assert [row["item_id"] for row in listed] == wanted["item_id"].to_list()
    assert [row["score"] for row in listed] == pytest.approx(wanted["score"].to_list(), abs=1e-6)
    title = wanted["title"][0]
    parts = shell.json("explain", "runs/own", title, "--user", 7, "--by", "rating")
    assert "training" in [part["part"] for part in parts["parts"]]
    assert parts["score"] == pytest.approx(
        float(model.scores(7, head="rating")[model.item_index(title)])
    )
