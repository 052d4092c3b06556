"""How the command starts, fails and ends, much of it as a process of its own."""

import importlib.abc
import os
import subprocess
import sys

import pytest
from shell import MATINEE

import matinee.__main__
from matinee.cli.app import COMMANDS


@pytest.mark.slow
def test_without_a_command_it_prints_help(shell):
    text = shell()
    assert text.startswith("Usage: matinee [OPTIONS] COMMAND [ARGS]...")
    assert text == shell("--help") == shell("-h")
    for command in (*COMMANDS, "data", "runs"):
        assert f"  {command} " in text


@pytest.mark.slow
def test_it_runs_as_a_module_too(shell):
    done = subprocess.run(
        [sys.executable, "-m", "matinee"],
        env=shell.environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.startswith("Usage: matinee ")
    assert done.stdout == shell.process()


def test_the_version_is_that_of_the_package(shell):
    assert shell("--version") == f"matinee {matinee.__version__}\n"


def test_no_line_of_the_help_is_cut(shell):
    assert not [line for line in shell(columns=80).splitlines() if line.endswith("...")][1:]


@pytest.mark.parametrize("command", [*COMMANDS, "data list", "data add", "runs", "runs remove"])
def test_help_fits_80_columns_and_names_every_option(shell, command):
    text = shell(*command.split(), "--help", columns=80)
    assert text.startswith(f"Usage: matinee {command} ")
    assert max(map(len, text.splitlines())) <= 80
    assert "--json" in text or command in ("demo", "serve")


@pytest.mark.slow
def test_a_traceback_only_with_debug(shell):
    for arguments in (["--debug", "train", "nowhere"], ["train", "nowhere", "--debug"]):
        done = subprocess.run(
            [MATINEE, *arguments], env=shell.environment(), capture_output=True, check=False
        )
        assert b"Traceback" in done.stderr
        assert done.returncode != 0
    assert "nowhere" in shell.process("train", "nowhere", fails=True)


def test_a_bug_is_one_line_that_asks_for_a_report(shell, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("matinee.cli.recommend.open_run", fail)
    status, out, err = shell.status_and_output("recommend", "--user", 1)
    assert (status, out) == (2, "")
    assert err == (
        "matinee: internal error (ZeroDivisionError: division by zero). Please report it; "
        "--debug shows the traceback.\n"
    )


def test_what_the_system_refuses_is_one_line(shell):
    assert "/dev/null" in shell("train", "small", "--run", "/dev/null/x", fails=True)


def test_ctrl_c_is_one_line_and_its_own_status(shell, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("matinee.cli.recommend.open_run", interrupt)
    status, out, err = shell.status_and_output("recommend", "--user", 1)
    assert (status, out, err.strip()) == (130, "", "matinee: stopped.")


def test_interrupted_while_it_is_imported(monkeypatch, capsys):
    class Interrupted(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "matinee.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "matinee.cli.app")
    monkeypatch.delattr(matinee.cli, "app")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        matinee.__main__.main()
    assert end.value.code == 130
    assert capsys.readouterr() == ("", "\nmatinee: stopped.\n")


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 70], ids=["short", "long"])
def test_a_pipe_that_is_closed_ends_it_quietly(shell, n):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [MATINEE, "recommend", "als", "--user", "7", "--include-seen", "-n", str(n), "--json"],
        cwd=shell.folder,
        env=shell.environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 128 + 13  # as if SIGPIPE had ended it


def test_an_unknown_command_is_named(shell):
    assert "No such command 'nonsense'" in shell("nonsense", fails=True)


def test_doctor_shows_versions_and_folders(shell):
    facts = shell.json("doctor")
    assert facts["matinee"] == matinee.__version__
    assert facts["threads"] >= 1
    assert facts["data_sets"] == ["other", "small"]
    assert f"\ndata folder           {shell.cache}\n" in shell("doctor")
