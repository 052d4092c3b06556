"""`matinee retrain`: what users of a service have told goes into the run that it serves."""

from contextlib import closing

import pytest
from json_page import keys_on_page

import matinee
from matinee.service.store import Store, UserKey


@pytest.fixture
def told(own_shell):
    """The shell, with a store in which a page's user and user 7 have told something."""
    with closing(Store.open(own_shell.folder / "feedback.sqlite")) as store:
        for number, user in enumerate(("page-x", "7")):
            for item in range(1, 25):
                rating = 1.0 + (item + number) % 5
                store.put(UserKey("default", user), str(item), rating=rating, kind="rating")
            store.put(UserKey("default", user), "30", rating=None, kind="seen")
            store.put(UserKey("default", user), "31", rating=None, kind="later")
        store.put(UserKey("default", "7"), "nowhere", rating=4.0, kind="rating")
        store.put(UserKey("other", "page-y"), "1", rating=4.0, kind="rating")
    return own_shell


def test_the_run_learns_what_was_told(told):
    text = told("retrain", "als", "--margin", "0.9")
    assert "48 of them told by 2 users (1 of them new)" in text
    assert "1 were left out" in text
    assert "former     new" in text
    assert "The new model is now in runs/als, the former one in runs/als-before-retraining." in text
    model = matinee.load(told.folder / "runs" / "als")
    assert "page-x" in model.user_ids.values
    assert "page-y" not in model.user_ids.values
    assert told("retrain", "als") == (
        "runs/als is trained on all that its data and its users say; nothing was done.\n"
    )
    assert told("evaluate", "als")
    assert "Reproduced bit for bit." in told("reproduce", "als")


def test_as_json_for_programs(told):
    done = told.json("retrain", "als", "--margin", "0.9")
    assert done["replaced"] is True
    assert done["before"] == "runs/als-before-retraining"
    assert done["feedback"] == {"used": 48, "users": 2, "new_users": 1, "left_out": 1}
    assert done["new"]["rmse"] > 0
    assert done["compared_on"] > 0
    assert set(done) == keys_on_page("retrain")
    assert told.json("retrain", "als") == {"run": "runs/als", "replaced": False}


def test_a_run_of_rankings_alone(told):
    done = told.json("retrain", "popular", "--margin", "0.9")
    assert done["former"]["rmse"] is None
    assert done["replaced"] is True


def test_a_store_that_is_not_there_is_not_made(told):
    told("retrain", "als", "--store", "feedbak.sqlite", fails=True)
    assert "There is no store 'feedbak.sqlite'" in told.stderr
    assert not (told.folder / "feedbak.sqlite").exists()


def test_what_is_stated_when_the_new_model_is_worse(told, monkeypatch):
    from matinee.experiments import retraining

    monkeypatch.setattr(retraining, "_worse", lambda *_: True)
    text = told("retrain", "als")
    assert "The new model is worse by more than 1%; runs/als stays as it was." in text
    assert not (told.folder / "runs" / "als-before-retraining").exists()
