"""The API does what its OpenAPI document says, whatever it is asked: Schemathesis, all checks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from own_process import OwnProcess

TOKEN = "t" * 20
LEAST = 1000  # cases of a run
ALL = "examples,coverage,fuzzing,stateful"

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize(
    ("which", "options", "phases"),
    [
        ("run", [], ALL),
        ("run", ["--token", TOKEN], "coverage"),
        ("text_served", [], "coverage"),
        ("unrated_run", [], "coverage"),
    ],
)
def test_the_document_holds(which, options, phases, request, tmp_path):
    run = request.getfixturevalue(which)
    run = getattr(run, "run", run)  # of what is served
    service = OwnProcess(run, tmp_path / "feedback.sqlite", tmp_path / "log", *options)
    try:
        first = httpx.get(f"{service.address}/api/v1/me/first")
        cookie = first.headers["set-cookie"].partition(";")[0]
        headers = ["X-Matinee: page", f"Cookie: {cookie}"]
        if options:
            headers.append(f"Authorization: Bearer {TOKEN}")
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{service.address}/openapi.json",
        ]
        command += ["--checks", "all", "--phases", phases, "--max-examples", "40", "--seed", "1"]
        command += [
            "--continue-on-failure",
            "--report",
            "json",
            "--report-json-path",
            "report.json",
        ]
        command += [part for header in headers for part in ("-H", header)]
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "contract_hooks",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        }
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        service.kill()
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert report["test_cases"]["generated"] > LEAST
