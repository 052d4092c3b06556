"""The name of a run that nobody has named: listed, found, and inside runs/."""

from dataclasses import replace

import pytest

from matinee.models.loading import save_run
from matinee.storage.runs import list_runs


@pytest.mark.parametrize(
    ("data", "start"),
    [
        (".hidden", "hidden-als-"),
        ("-n", "n-als-"),
        ("--json", "json-als-"),
        ("../../etc", "etc-als-"),
        ("a/b", "a-b-als-"),
        ("...", "data-als-"),
        ("\x1b[31m", "[31m-als-"),
        ("\u00e9" * 500, "\u00e9" * 60 + "-als-"),
    ],
)
def test_runs_of_oddly_named_data_are_listed(model, tmp_path, monkeypatch, data, start):
    monkeypatch.chdir(tmp_path)
    run = save_run(replace(model, metadata={"data": {"name": data}}), None, "ALS")
    assert run.name.startswith(start)
    assert [path for path, _ in list_runs()] == [run]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
