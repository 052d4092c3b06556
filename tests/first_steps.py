"""What a new user does first, with the package installed in an environment of its own.

    python tests/first_steps.py dist/matinee-0.2.0-py3-none-any.whl

installs a wheel with the extras charts, tuning and service, and takes all steps.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
EXTRAS = "charts,tuning,service"
NOWHERE = "http://127.0.0.1:9"  # a proxy that is not there: the demo generates its data
PATIENCE = 120  # seconds to start or to stop


def installed(environment, *arguments):
    """Make an environment and install into it; its folder of programs."""
    venv.create(environment, symlinks=os.name != "nt")
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    line = [*PIP, "--python", environment, "install", "--quiet", *arguments]
    subprocess.run(line, check=True)
    return programs


def first_recommendation(programs, folder):
    """`matinee demo` and `recommend` in this folder; the list that is printed."""
    text = said(programs, folder, "demo")
    assert "SYNTHETIC" in text
    (user,) = re.findall(r"explain .* --user (\d+)", text)
    listed = said(programs, folder, "recommend", "--user", user)
    assert listed.count("\n") == 12, listed
    return listed


def further_steps(programs, folder):
    """Report, search and page of the run that the first steps have left in this folder."""
    said(programs, folder, "report", "demo", "--out", "report.html")
    assert (folder / "report.html").stat().st_size > 100_000
    assert "Saved in" in said(programs, folder, "tune", "generated", "--trials", "2")
    with serving(programs, folder) as address:
        page = answer(address)
        assert "<title>" in page
        assert "matinee" in page


@contextmanager
def serving(programs, folder):
    """`matinee serve` on a free port of this machine, once it is ready; its address."""
    command = [programs / "matinee", "serve", "demo", "--port", "0"]
    log = folder / "serve.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, cwd=folder, env=surroundings(folder)
        )
    try:
        yield _ready(process, log)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _ready(process, log):
    """The address of the service, once GET /health/ready is answered."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text(errors="replace")):
            try:
                answer(f"{found[0]}/health/ready")
            except URLError:  # not yet, or 503
                pass
            else:
                return found[0]
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace"))


def answer(address):
    """The text of an answer, past any proxy of this machine."""
    with closing(build_opener(ProxyHandler({})).open(address, timeout=10)) as response:
        return response.read().decode()


def said(programs, folder, *arguments):
    """What the command `matinee` of these programs prints in this folder."""
    line = [programs / "matinee", *arguments]
    done = subprocess.run(
        line,
        cwd=folder,
        env=surroundings(folder),
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def surroundings(folder):
    """No network, no cache but in this folder, and nothing of the checkout."""
    ours = ("PYTHONPATH", "NUMBA_CACHE_DIR", "MATINEE_STORE", "MATINEE_TOKEN")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    cache = {"MATINEE_CACHE": str(folder / "cache"), "PYTHONUTF8": "1"}
    return {**kept, **cache, "https_proxy": NOWHERE, "HTTPS_PROXY": NOWHERE}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        wheel = Path(sys.argv[1]).resolve()
        programs = installed(Path(temporary) / "python", f"{wheel}[{EXTRAS}]")
        print(first_recommendation(programs, Path(temporary)))
        further_steps(programs, Path(temporary))
        print("Installed from nothing: demo, recommend, report, tune and serve work.")
