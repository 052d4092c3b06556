"""Whoever watches the workers of `make fuzz` notices every end that they may come to."""

import sys

import pytest
import run
from run import Fuzzer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]
WORKER = """
import json, os, pathlib, signal, sys, time
place, seed = pathlib.Path(sys.argv[2]), int(sys.argv[4])
place.mkdir(exist_ok=True)
say = lambda **what: print(json.dumps(what), flush=True)
for number in (1, 2):
    (place / "input.txt").write_text(f"input {number}")
    say(begin=number, seed=seed)
    if number == 2:
        END
    say(end=number)
say(done=True)
time.sleep(10)
"""
ENDS = {
    "crashes": "os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "time.sleep(60)",
    "escapes": "say(escape='ValueError: x', where='here:1'); sys.stdin.readline()",
    "memory": "say(memory=10**10); sys.stdin.readline()",
}


def fuzz(tmp_path, monkeypatch, end):
    """The tally of one worker with such an end."""
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER.replace("END", end))
    monkeypatch.setattr(run, "LIMIT", 1)
    fuzzer = Fuzzer(tmp_path / "kept", worker)
    fuzzer.spend("mine", 0.01)
    fuzzer.close()
    return fuzzer, fuzzer.tallies["mine"]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ENDS)
def test_an_end_is_counted_and_its_input_kept(tmp_path, monkeypatch, kind):
    fuzzer, tally = fuzz(tmp_path, monkeypatch, ENDS[kind])
    assert {name: getattr(tally, name) for name in ENDS} == {
        name: int(name == kind) for name in ENDS
    }
    assert tally.executions == (1 if kind in ("crashes", "hangs") else 2)
    assert tally.found == 1
    (kept,) = (tmp_path / "kept").iterdir()
    assert (kept / "input" / "input.txt").read_text() == "input 2"
    seed = kept.name.split("-")[-2]
    assert f"mine /tmp/fuzz --seed {seed} --only 2" in (kept / "found.txt").read_text()
    assert f"{tally.executions:>12}" in fuzzer.table()


def test_a_worker_that_finds_nothing(tmp_path, monkeypatch):
    _, tally = fuzz(tmp_path, monkeypatch, "pass")
    assert (tally.executions, tally.found) == (2, 0)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("found", [0, 1])
def test_the_exit_status_says_whether_anything_was_found(tmp_path, monkeypatch, capsys, found):
    def spend(fuzzer, name, seconds):
        tally = run.Tally(executions=3, crashes=found)
        fuzzer.tallies[name] = tally

    monkeypatch.setattr(Fuzzer, "spend", spend)
    monkeypatch.setattr(sys, "argv", ["run.py", "0.01", "runs", "text"])
    monkeypatch.chdir(tmp_path)
    assert run.main() == found
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == [
        "target", "executions", "crashes", "hangs", "escapes", "memory", "seconds",
    ]  # fmt: skip
    assert [line.split()[0] for line in table[1:4]] == ["runs", "text", "all"]
