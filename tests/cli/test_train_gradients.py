"""`matinee train` with models that are trained by gradients, and the presets."""

import json
import re

import polars as pl
import pytest
from shell import BROKEN
from test_train import KEYS

import matinee
from matinee.experiments import PRESETS, get_preset

torch = pytest.importorskip("torch")

QUICK = ["--set", "epochs=2", "--device", "cpu"]  # a rating model
QUICK_RANKER = ["--set", "ranker.epochs=2", "--device", "cpu"]


def settings(prefix="", **values):
    """`--set` for each of these."""
    return [word for name, value in values.items() for word in ("--set", f"{prefix}{name}={value}")]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny tensors: on a busy machine threads would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def both(shell):
    """The result of a run `both` with two gradient models and a validation set."""
    shared = {"epochs": 3, "batch_size": 256, "learning_rate": 0.02, "optimizer": "adagrad"}
    return shell.json("train", "small", "--model", "mf", "--ranker", "bpr", "--factors", 4,
                      *settings(**shared), *settings("ranker.", **shared, factors=3),
                      "--device", "cpu", "--patience", 2, "--seed", 4,
                      "--run", "runs/both")  # fmt: skip


@pytest.fixture(scope="module")
def ranker(shell):
    """The result of a run `ranker` without a rating head."""
    return shell.json("train", "small", "--model", "none", "--ranker", "bpr", *QUICK_RANKER,
                      "--run", "runs/ranker")  # fmt: skip


# --- presets


def test_presets_are_listed_with_their_sources(shell):
    text = shell("presets")
    for preset in PRESETS:
        for part in (preset.name, preset.description, preset.source, preset.dataset):
            assert part in text
    assert "--preset NAME" in text
    listed = shell.json("presets")
    assert [entry["name"] for entry in listed] == [preset.name for preset in PRESETS]
    for entry, preset in zip(listed, PRESETS, strict=True):
        assert entry["source"] == preset.source
        assert [stage["rating"] for stage in entry["stages"]] == [s.rating for s in preset.stages]
        assert entry["split"]["method"] == preset.split.method


def test_a_preset_of_three_stages_shows_them_all_and_saves_the_last(shell):
    text = shell("train", "small", "--preset", "bias-genres-als", "--seed", 3, "--run", "runs/3")
    labels = [stage.description for stage in get_preset("bias-genres-als").stages]
    places = [text.index(f"\n{label}\n") for label in labels]
    assert places == sorted(places)
    assert text.count("Rating prediction: RMSE") == 3
    assert text.count("Top-10 ranking: NDCG") == 1
    assert "Saved in runs/3" in text
    heads = shell.manifest("runs/3")["heads"]
    assert heads["rating"]["estimator"]["name"] == "ALS"
    assert heads["rating"]["estimator"]["features"] == "genres"
    assert heads["rating"]["estimator"]["seed"] == heads["ranking"]["estimator"]["seed"] == 3
    listed = {run["run"]: run for run in shell.json("runs")}["runs/3"]
    assert (listed["model"], listed["ranker"]) == ("als", "ials")
    assert f"{listed['rmse']:.4f}" in text[places[2] :]
    assert len(shell.json("recommend", "3", "--user", 7)) == 10


def test_a_preset_in_json_has_its_stages_and_is_trained_on_the_device_asked_for(shell):
    found = shell.json("train", "small", "--preset", "embedding-adam-tuned", "--device", "cpu")
    assert found["preset"] == "embedding-adam-tuned"
    assert found["run"].startswith("runs/small-embedding-adam-tuned-")
    assert found["plot"] is None
    (stage,) = found["stages"]
    (wanted,) = get_preset("embedding-adam-tuned").stages
    assert stage["stage"] == wanted.description
    assert {name: found[name] for name in stage if name != "stage"} == {
        name: value for name, value in stage.items() if name != "stage"
    }
    recorded = shell.manifest(found["run"])["heads"]["rating"]["estimator"]
    assert recorded == found["estimators"]["rating"]
    assert (recorded["name"], recorded["epochs"]) == ("MatrixFactorization", 5)
    assert recorded["weight_decay"] == wanted.rating["weight_decay"]
    assert found["run"] in [run["run"] for run in shell.json("runs")]


def test_with_and_without_a_preset_the_keys_are_the_same(shell):
    found = shell.json("train", "small", "--preset", "bias-genres-als", "--threads", 1)
    assert set(found) - {"preset", "stages"} == KEYS - {"model", "ranker"}
    heads = [list(stage["estimators"]) for stage in found["stages"]]
    assert heads == [["rating"], ["rating"], ["rating", "ranking"]]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--model", "als"),
        ("--ranker", "none"),
        ("--factors", 4),
        ("--regularization", 0),
        ("--iterations", 3),
        ("--patience", 0),
        ("--set", "epochs=3"),
        ("--split", "leave-last-out"),
        ("--test-fraction", 0.2),
    ],
)
def test_a_preset_decides_what_is_trained_and_options_may_not(shell, option, value):
    message = shell("train", "small", "--preset", "embedding-adam", option, value, fails=True)
    assert f"leave out {option}." in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--checkpoint", "unused"], "--checkpoint is for bayes"),
        (["--device", "cpu"], "--device is for models trained by gradients"),
    ],
)
def test_what_no_estimator_of_a_preset_supports_is_refused(shell, options, message):
    assert message in shell("train", "small", "--preset", "bias-genres-als", *options, fails=True)


def test_an_unknown_preset_is_refused_with_the_known_ones(shell):
    message = shell("train", "small", "--preset", "magic", fails=True)
    assert "'magic'" in message
    assert all(preset.name in message for preset in PRESETS)


# --- models and their hyperparameters


@pytest.mark.parametrize(
    ("model", "options", "wanted"),
    [
        ("mf", ["--factors", 4, "--regularization", 2], {"factors": 4, "regularization": 2}),
        ("gmf", ["--factors", 4], {"factors": 4, "feedback": "explicit"}),
        ("mlp", settings(weight_decay=0.1), {"weight_decay": 0.1, "feedback": "explicit"}),
        ("neumf", ["--factors", 4], {"factors": 4, "feedback": "explicit"}),
    ],
)
def test_hyperparameters_reach_the_rating_model(shell, model, options, wanted):
    run = f"runs/rating-{model}"
    training = {"batch_size": 200, "learning_rate": 0.01, "optimizer": "adam"}
    found = shell.json("train", "small", "--model", model, "--ranker", "none", *QUICK, *options,
                       *settings(**training), "--seed", 6, "--run", run)  # fmt: skip
    wanted |= training | {"epochs": 2, "seed": 6}
    heads = shell.manifest(run)["heads"]
    assert set(heads) == {"rating"}
    recorded = heads["rating"]["estimator"]
    assert {name: recorded[name] for name in wanted} == wanted
    assert (found["model"], found["ranker"]) == (model, "none")
    assert found["estimators"] == {"rating": recorded}
    assert shell.history(run)["iteration"].to_list() == [1, 2]
    assert len(shell.json("recommend", run, "--user", 7, "-n", 3)) == 3


@pytest.mark.parametrize("ranker", ["bpr", "gmf", "mlp", "neumf"])
def test_hyperparameters_reach_the_ranker(shell, ranker):
    run, factors = f"runs/ranking-{ranker}", {} if ranker == "mlp" else {"factors": 4}
    wanted = {"epochs": 2, "min_rating": 3, "weight_decay": 0.2, **factors}
    found = shell.json("train", "small", "--model", "none", "--ranker", ranker,
                       *settings("ranker.", **wanted), "--device", "cpu", "--run", run)  # fmt: skip
    heads = shell.manifest(run)["heads"]
    assert set(heads) == {"ranking"}
    recorded = heads["ranking"]["estimator"]
    wanted |= {} if ranker == "bpr" else {"feedback": "implicit"}
    assert {name: recorded[name] for name in wanted} == wanted
    assert found["rmse"] is None
    assert found["estimators"] == {"ranking": recorded}


def test_each_head_has_its_own(shell, both):
    heads = shell.manifest("runs/both")["heads"]
    rating, ranking = (heads[name]["estimator"] for name in ("rating", "ranking"))
    assert (rating["name"], ranking["name"]) == ("MatrixFactorization", "BPR")
    for recorded in (rating, ranking):
        assert (recorded["epochs"], recorded["optimizer"], recorded["seed"]) == (3, "adagrad", 4)
    assert (rating["factors"], ranking["factors"]) == (4, 3)


def test_patience_takes_a_validation_set_for_both_heads(shell, both):
    assert shell.manifest("runs/both")["split"]["validation_fraction"] == 0.1
    history = shell.history("runs/both")
    for head, column in (("rating", "validation_rmse"), ("ranking", "validation_hit_rate")):
        assert history.filter(pl.col("head") == head)[column].null_count() == 0
    assert both["train_ratings"] == round(0.9 * 2160)
    assert both["estimators"]["rating"]["patience"] == both["estimators"]["ranking"]["patience"]


def test_without_patience_the_whole_training_set_is_learned_from(shell, ranker):
    split = shell.manifest("runs/ranker")["split"]
    assert split["validation_fraction"] == 0
    assert split["train_ratings"] == ranker["train_ratings"] == 2160


@pytest.mark.slow
def test_a_run_without_a_rating_head_answers_what_it_can(shell, ranker):
    assert ranker["rmse"] is None
    assert ranker["ranking"]["metrics"]["ndcg@10"]["value"] > 0
    assert ranker["fit_seconds"] == 0 < ranker["ranker_fit_seconds"]
    text = shell("train", "small", "--model", "none", "--ranker", "bpr", *QUICK_RANKER)
    assert "RMSE" not in text
    assert "Top-10 ranking: NDCG@10" in text
    assert " s on cpu)" in text
    own, popular = shell.json("evaluate", "ranker")
    assert (own["estimator"], own["rating"]) == ("BPR", None)
    assert popular["estimator"] == "Popularity"
    assert "RMSE" not in shell("evaluate", "ranker")
    listed = shell.json("recommend", "ranker", "--user", 7, "-n", 3)
    assert set(listed[0]) == {"item_id", "title", "genres", "score"}
    assert len(shell.json("recommend", "ranker", "--rating", "1=5", "--rating", "2=4")) == 10
    assert "score" in shell("recommend", "ranker", "--user", 7)
    assert len(shell.json("similar", "ranker", listed[0]["title"], "-n", 3)) == 3
    row = {run["run"]: run for run in shell.json("runs")}["runs/ranker"]
    assert (row["model"], row["ranker"], row["rmse"]) == (None, "bpr", None)
    assert row["ndcg@10"] == ranker["ranking"]["metrics"]["ndcg@10"]["value"]
    by_rating = ["recommend", "ranker", "--user", 7, "--head", "rating"]
    assert "no rating head" in shell(*by_rating, fails=True)
    assert "ALS" in shell("explain", "ranker", "1", "--user", 7, fails=True)


def test_a_training_user_has_their_trained_factors(shell, both):
    """Not those solved from their ratings, which gradients do not end at."""
    model = matinee.load(shell.folder / "runs" / "both")
    listed = shell.json("recommend", "both", "--user", 7, "-n", 5)
    wanted = model.recommend(7, n=5)
    assert [row["item_id"] for row in listed] == wanted["item_id"].to_list()
    assert [row["score"] for row in listed] == pytest.approx(wanted["score"].to_list(), abs=1e-6)
    title = wanted["title"][0]
    found = shell.json("explain", "both", title, "--user", 7, "--head", "rating")
    assert "residual" in [part["component"] for part in found["components"]]
    score = float(model.scores(7, head="rating")[model.item_index(title)])
    assert found["score"] == pytest.approx(score)
    contributions = [part["contribution"] for part in found["components"]]
    assert sum(contributions) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (["mf", *settings(epochs=0)], "epochs must be >= 1"),
        (["mf", *settings(batch_size=-1)], "batch_size must be >= 0"),
        (["mf", *settings(learning_rate=0)], "learning_rate must be > 0"),
        (["mf", *settings(learning_rate="nan")], "learning_rate must be > 0"),
        (["mf", *settings(optimizer="magic")], "'adam', 'sgd', 'adagrad', 'sparse-adam'"),
        (["mf", *settings(weight_decay=-1)], "weight_decay must be >= 0"),
        (["mf", "--patience", -1], "patience must be >= 0"),
        (["mf", "--device", "quantum"], "'quantum'"),
        (["als", "--ranker", "neumf", "--device", "quantum"], "'quantum'"),
        (["mf", "--checkpoint-every", 5], "--checkpoint-every needs --checkpoint DIR"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, model, message):
    command = ["train", "small", "--model", *model, "--run", "runs/refused"]
    assert message in shell(*command, fails=True)
    assert not (shell.folder / "runs" / "refused").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_with_the_reason(shell):
    message = shell("train", "small", "--model", "mf", "--device", "cuda", fails=True)
    assert "cuda" in message
    assert re.search(r"\)[.;] .*matinee doctor", message)
    assert any(word in message for word in ("CUDA enabled", "NVIDIA driver", "No CUDA GPUs"))


def test_a_loss_that_explodes_at_once_leaves_no_run(shell):
    message = shell("train", "small", "--model", "mf", *settings(learning_rate=1e9), *QUICK,
                    "--run", "runs/diverged", fails=True)  # fmt: skip
    assert "1e+09" in message
    assert "1e+08" in message
    assert not (shell.folder / "runs" / "diverged").exists()


def test_a_loss_that_explodes_later_is_told_and_the_last_good_weights_are_saved(shell):
    text = shell("train", "small", "--model", "mf", "--ranker", "none",
                 *settings(optimizer="sgd", batch_size=0, learning_rate=50, epochs=40),
                 "--device", "cpu", "--run", "runs/later")  # fmt: skip
    assert "Saved in runs/later" in text
    warning = shell.stderr
    assert warning.startswith("matinee: ")
    assert warning.strip().count("\n") == 0
    assert "learning rate 50" in warning
    history = shell.history("runs/later")
    assert 1 <= len(history) < 40
    assert f"epoch {len(history)}" in warning
    assert shell.json("recommend", "later", "--user", 7, "-n", 1)


@pytest.mark.parametrize("protocol", ["leave-one-out", "strong-generalization"])
def test_estimators_are_trained_once_more_for_another_protocol(shell, both, ranker, protocol):
    rows = shell.json("evaluate", "both", "--protocol", protocol)
    assert [(row["estimator"], row["head"]) for row in rows] == [
        ("MatrixFactorization", "rating"),
        ("BPR", "ranking"),
        ("Popularity", "ranking"),
    ]
    assert {row["protocol"] for row in rows} == {protocol}
    rows = shell.json("evaluate", "ranker", "--protocol", protocol)
    assert [row["estimator"] for row in rows] == ["BPR", "Popularity"]


# --- without PyTorch


def test_doctor_shows_torch_and_the_device_it_picks(shell):
    facts = shell.json("doctor")
    assert facts["torch"] == torch.__version__
    assert facts["device"] in ("cpu", "mps", "cuda")
    assert f"\ndevice                {facts['device']}\n" in shell("doctor")


@pytest.mark.thorough
@pytest.mark.slow
def test_without_torch_saved_gradient_models_answer(shell, both):
    def run(*arguments, **how):
        return shell.without("torch", *arguments, problem=BROKEN, **how)

    recommended = ["recommend", "both", "--user", 7, "-n", 3]
    assert json.loads(run(*recommended, "--json")) == shell.json(*recommended)
    new = ["recommend", "both", "--rating", "1=5", "--rating", "2=2"]
    assert json.loads(run(*new, "--json")) == shell.json(*new)
    assert json.loads(run("evaluate", "both", "--json")) == shell.json("evaluate", "both")
    trained = ["evaluate", "both", "--protocol", "strong-generalization"]
    assert "matinee[torch]" in run(*trained, fails=True)
