"""A run or checkpoint in which something is no file: refused at once, and left out of lists."""

import json
import sys

import pytest

import matinee
from matinee.errors import RunError
from matinee.experiments.reproduction import diff_runs
from matinee.storage.checkpoint import STATE, open_state
from matinee.storage.runs import FILES, MAX_MANIFEST, list_runs, remove_run, runs_and_others
from traps import TRAPS, make_trap

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


@pytest.fixture
def run(model, tmp_path):
    return model.save(tmp_path / "runs" / "run")


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("name", ["manifest.json", "rating_head.safetensors", *FILES])
def test_a_run_with_what_is_no_file_is_refused_in_one_line(run, name, kind):
    make_trap(run / name, kind)
    with pytest.raises(RunError, match=r"not a file|symbolic links") as refused:
        matinee.load(run)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", TRAPS)
def test_such_runs_are_left_out_of_lists_and_not_removed(model, run, kind):
    good = model.save(run.with_name("good"))
    make_trap(run / "manifest.json", kind)
    runs, others = runs_and_others(run.parent)
    assert [path for path, _ in runs] == [good]
    assert [path for path, _ in list_runs(run.parent)] == [good]
    assert all("manifest.json" in str(problem) for problem in others)
    with pytest.raises(RunError, match="not a run"):
        remove_run(run)


@pytest.mark.parametrize(
    "text",
    [
        '{"format": ' + "9" * 4000 + "}",
        '{"format": ' + "9" * 2_000_000 + "}",
        '{"format": 5, "notes": "' + "x" * MAX_MANIFEST + '"}',
        '{"format": 5, "heads": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
        '{"format": 1e999}',
        '{"format": 5, "created": "\\ud800"}',
    ],
)
def test_a_manifest_that_is_too_much_is_refused_in_a_short_line(run, text):
    (run / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=r"manifest|format") as refused:
        matinee.load(run)
    assert len(str(refused.value)) < 300 + len(str(run))
    assert list_runs(run.parent) == []


def test_a_manifest_of_gigabytes_is_not_read(run):
    with (run / "manifest.json").open("r+b") as file:
        file.truncate(2**36)  # which takes no disk
    with pytest.raises(RunError, match="on the disk"):
        matinee.load(run)
    with (run / "manifest.json").open("wb") as file:
        file.write(b" " * (MAX_MANIFEST + 1))
    with pytest.raises(RunError, match="larger than"):
        matinee.load(run)


@pytest.mark.parametrize("kind", TRAPS)
def test_two_runs_are_compared_whatever_stands_in_place_of_a_history(model, run, kind):
    other = model.save(run.with_name("other"))
    make_trap(run / "history.jsonl", kind)
    assert "history.jsonl" in diff_runs(run, other).corrupt


@pytest.mark.parametrize("kind", TRAPS)
def test_a_checkpoint_that_is_no_file_is_refused(tmp_path, kind):
    (tmp_path / "state").mkdir()
    make_trap(tmp_path / "state" / STATE, kind)
    refused = pytest.raises(RunError, match=r"cannot be read|not a checkpoint")
    with refused, open_state(tmp_path / "state", "mine"):
        pass


def test_other_programs_manifests_are_no_runs(run):
    (run / "manifest.json").write_text(json.dumps({"name": "an app"}))
    assert list_runs(run.parent) == []
