"""Places where nothing can be written are refused before any work, in a line; who may read."""

import os
import stat
import subprocess
import sys

import pytest

from matinee.experiments import reproduction, training

BAYES = ["--model", "bayes", "--ranker", "none"]


@pytest.fixture
def no_training(monkeypatch):
    """Fails a test that begins to train."""

    def train(*_, **__):
        pytest.fail("it was trained before the place was looked at")

    for module in (training, reproduction):  # imported ahead, so that nothing of this stays
        for name in ("train_and_evaluate", "fit_and_evaluate"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, train)


@pytest.mark.parametrize(
    "command",
    [
        ["train", "small", "--run", "afile/run"],
        ["train", "small", "--run", "afile/deep/er/run"],
        ["train", "small", *BAYES, "--checkpoint", "afile/state"],
        ["train", "small", "--run", "x" * 250],
        ["reproduce", "als", "--new-run", "afile/run"],
        ["recommend", "als", "--all", "--out", "afile/lists.csv"],
        ["export", "als", "afile/export"],
    ],
    ids=lambda command: " ".join(command)[:40],
)
def test_a_place_that_is_none_is_refused_before_the_work(own_shell, command, no_training):
    (own_shell.folder / "afile").write_text("in the way")
    if command[0] == "reproduce":
        command = ["reproduce", "als", "--run", "afile/run"]
    before = own_shell.files()
    message = own_shell(*command, fails=True)
    assert "not writable: " in message
    assert own_shell.files() == before


def test_a_new_run_is_refused_where_runs_is_a_file(own_shell, no_training):
    (own_shell.folder / "runs").rename(own_shell.folder / "others")
    (own_shell.folder / "runs").write_text("in the way")
    assert "a file is in the place of a folder" in own_shell("train", "small", fails=True)


@pytest.mark.slow
def test_a_study_is_refused_before_the_search(own_shell):
    pytest.importorskip("optuna")
    (own_shell.folder / "afile").write_text("in the way")
    for option in (["--study", "afile/study"], ["--run", "afile/run"]):
        message = own_shell("tune", "small", "--trials", 2, *option, fails=True)
        assert "not writable: a file is in the place of a folder" in message
    assert not (own_shell.folder / "studies").exists()


def test_memory_that_is_not_there_is_told_in_a_line(own_shell, monkeypatch):
    def allocate(*_, **__):
        raise MemoryError("Unable to allocate 7.45 TiB for an array")

    monkeypatch.setattr("matinee.models.loading.load", allocate)
    message = own_shell("similar", "als", "1", fails=True)
    assert message == (
        "matinee: This needs more memory than there is (Unable to allocate 7.45 TiB for an array). "
        "Fewer factors or data need less.\n"
    )


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_what_is_written_under_a_strict_umask_is_for_its_owner_alone(tmp_path):
    commands = [
        "data add source --name mine",
        "train mine --factors 2 --iterations 1 --run runs/mine",
        "train mine --model bayes --ranker none --iterations 4 --checkpoint state",
        "map mine --method pca --out deep/map.html",
        "recommend mine --all --out deep/lists.csv",
        "export mine deep/export",
    ]
    source = tmp_path / "source"
    source.mkdir()
    rows = [f"{u},{i},{(u * i) % 5 + 1}" for u in range(40) for i in range(30) if (u + i) % 3]
    (source / "ratings.csv").write_text("\n".join(["user_id,item_id,rating", *rows]))
    (tmp_path / "work").mkdir()
    code = "import os, sys; os.umask(0o077); from matinee.cli.app import main\n"
    for command in commands:
        words = ["matinee", *command.replace("source", str(source)).split()]
        code += f"sys.argv = {words}\ntry:\n    main()\nexcept SystemExit as end:\n"
        code += "    assert not end.code, sys.argv\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "work",
        env=os.environ | {"MATINEE_CACHE": str(tmp_path / "work" / "cache")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = list((tmp_path / "work").rglob("*"))
    assert len(written) > 20
    readable = [path for path in written if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert readable == []
