"""Runs `matinee` as a person would, and looks at how it ends."""

import io
import json
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import polars as pl
import pytest

from matinee.cli.app import main
from matinee.errors import DivergedWarning

MATINEE = Path(sys.executable).with_name("matinee")
MISSING = "ModuleNotFoundError('No module named {0}', name={0!r})"
BROKEN = "ImportError('No module named {0}')"


class Shell:
    """Runs `matinee` in a folder of its own: in this process, which has everything imported."""

    def __init__(self, folder, cache):
        self.folder, self.cache, self.stderr = folder, cache, ""

    def __call__(self, *arguments, fails=False, columns=100):
        """What it prints on so many columns; what it prints on stderr is kept as `stderr`."""
        status, out, self.stderr = self.status_and_output(*arguments, columns=columns)
        return checked(out, self.stderr, status, fails)

    def status_and_output(self, *arguments, columns=100):
        """(status, stdout, stderr)"""
        out, err, status = io.StringIO(), io.StringIO(), 0
        with (
            pytest.MonkeyPatch.context() as patch,
            warnings.catch_warnings(),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            warnings.simplefilter("always", DivergedWarning)
            patch.chdir(self.folder)
            patch.setenv("MATINEE_CACHE", str(self.cache))
            patch.setenv("COLUMNS", str(columns))
            patch.setattr(sys, "argv", ["matinee", *map(str, arguments)])
            try:
                main()
            except SystemExit as end:
                status = end.code or 0
        return status, out.getvalue(), err.getvalue()

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json"))

    def manifest(self, run):
        return json.loads((self.folder / run / "manifest.json").read_text())

    def history(self, run):
        return pl.read_ndjson(self.folder / run / "history.jsonl")

    def files(self, folder="."):
        """Every file below, hidden ones too, but for what SQLite keeps while a study is open."""
        below = (path for path in (self.folder / folder).rglob("*") if path.is_file())
        return {path for path in below if path.suffix not in (".sqlite3-shm", ".sqlite3-wal")}

    def environment(self, **variables):
        """The environment of a process of its own."""
        return {**os.environ, "MATINEE_CACHE": str(self.cache), "OMP_NUM_THREADS": "1", **variables}

    def process(self, *arguments, fails=False, **variables):
        """The same as a process of its own, with these variables in its environment."""
        done = subprocess.run(
            [MATINEE, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return checked(done.stdout, done.stderr, done.returncode, fails)

    def without(self, package, *arguments, problem=MISSING, fails=False):
        """The same as a process for which a package is not installed, or broken."""
        fake = self.folder.with_name(f"{self.folder.name}-fakes") / package / package
        fake.mkdir(parents=True, exist_ok=True)
        (fake / "__init__.py").write_text(f"raise {problem.format(package)}\n")
        paths = [str(fake.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        return self.process(*arguments, fails=fails, PYTHONPATH=os.pathsep.join(paths))


def checked(out, err, status, fails):
    """What a command printed, after a look at how it ended."""
    assert status == (2 if fails else 0), err
    assert "Traceback" not in err
    assert "internal error" not in err
    if fails:
        assert out == ""
        is_usage = err.startswith("Usage: matinee")  # what typer refuses itself
        assert is_usage or (err.startswith("matinee: ") and err.strip().count("\n") == 0)
    return err if fails else out
