"""Peers to measure against, each in a virtual environment of its own under the cache folder."""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from matinee.storage.cache_folder import cache_folder

PINS = {
    "implicit": ["implicit==0.7.3", "numpy==2.4.6", "scipy==1.17.1"],
    "implicit-http": [
        "implicit==0.7.3",
        "numpy==2.4.6",
        "scipy==1.17.1",
        "fastapi==0.165.0",
        "uvicorn==0.54.0",
        "uvloop==0.23.0",
        "httptools==0.9.0",
        "pydantic==2.14.3",
    ],
    "libmf": ["libmf==0.9.2", "numpy==2.4.6"],
    "cmfrec": [
        "cmfrec==3.5.1.post14",
        "numpy==2.4.6",
        "scipy==1.17.1",
        "pandas==3.1.1",
        "threadpoolctl==3.8.0",
    ],
    "myfm": ["myfm==0.4.0", "numpy==2.4.6", "scipy==1.17.1", "pandas==3.1.1", "tqdm==4.70.1"],
    "lenskit": [
        "lenskit==2025.8.1",
        "torch==2.13.0",
        "numpy==2.4.6",
        "scipy==1.17.1",
        "pandas==2.3.3",
        "pyarrow==26.0.1",
        "pydantic==2.14.3",
        "structlog==26.1.0",
        "threadpoolctl==3.8.0",
    ],
    "rectools": [
        "rectools[torch]==0.19.0",
        "torch==2.13.0",
        "pytorch-lightning==2.5.2",
        "numpy==1.26.4; python_version < '3.13'",  # RecTools wants numpy 2 from Python 3.13
        "scipy==1.17.1",
        "pandas==2.3.3",
    ],
}
FLAGS = {"libmf-avx": "-O3 -march=native -DUSEAVX -mavx"}
"""Compiler flags of a peer that is built here, with vector instructions that its wheel does
without."""
PINS["libmf-avx"] = PINS["libmf"]


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for what peers are given, on the disk that the data are on."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=cache_folder())


def peer_python(name: str) -> Path:
    """The interpreter of a peer's environment, which is created at first use."""
    folder = cache_folder() / "peers" / name
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if not done.exists():
        print(f"Installing {', '.join(PINS[name])} ...", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        environment = dict(os.environ)
        if name in FLAGS:
            pip += ["--no-binary", "libmf", "--no-cache-dir"]
            environment |= {"CFLAGS": FLAGS[name], "CXXFLAGS": FLAGS[name]}
        subprocess.run([*pip, *PINS[name]], check=True, env=environment)
        done.touch()
    return python


def run_peer(name: str, script: str, *arguments: str) -> str:
    """Run a script of this folder with a peer's interpreter, and BLAS on one thread."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [peer_python(name), Path(__file__).with_name(script), *arguments]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, encoding="utf-8", env=environment
    )
    return done.stdout
