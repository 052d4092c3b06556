"""The package as others get it: a wheel of this working tree, in an environment of its own."""

import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def install(folder):
    """Make an environment with the wheel in it that nothing can be written to; its Python.

    What the package needs comes from the running environment, but not what that has by way of
    `.pth` files, so the sources of the working tree are out of reach.
    """
    environment = folder / "python"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    _run("install", "--no-deps", "--no-index", wheel(folder), python=python)
    packages = [path for path in sys.path if path.endswith("-packages")]
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "beside.pth").write_text("\n".join(packages) + "\n")
    for path in [environment, *environment.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    return python


def wheel(folder):
    """Build the wheel of the working tree; its path."""
    here = ["--no-build-isolation"] if find_spec("hatchling") else []
    _run("wheel", "--no-deps", *here, "--wheel-dir", folder, ROOT)
    return next(folder.glob("matinee-*.whl"))


def _run(command, *arguments, python=sys.executable):
    line = [*PIP, "--python", python, command, *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
