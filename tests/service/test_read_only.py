"""The service as in a container: kernels compiled beforehand, nothing to write to but a store, and
one thread of the BLAS for each request.

A file system that can only be read is made of folders without the right to write; whoever runs this
as root gives up the rights that root has over them.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

pytest.importorskip("threadpoolctl")

CONTAINERFILE = Path(__file__).parents[2] / "deploy" / "Containerfile"
# kernels that nothing else has compiled yet
PROCESSOR = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
WATCHED = """
import json, os, sys

written = set()

def watch(event, arguments):
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.add(path)
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink", "sqlite3.connect"):
        written.add(str(arguments[0]))

sys.addaudithook(watch)
from matinee.cli.app import main

try:
    main()
finally:
    from threadpoolctl import threadpool_info

    from matinee.kernels.cache import compiled_here

    blas = [library["num_threads"] for library in threadpool_info()]
    told = {"written": sorted(written), "compiled": compiled_here, "blas": blas}
    print(json.dumps(told), file=sys.stderr)
"""

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of Unix"),
    pytest.mark.skipif(
        hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("setpriv") is None,
        reason="root can write everywhere, and there is no setpriv",
    ),
]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """A cache folder with compiled kernels, which can only be read."""
    folder = tmp_path_factory.mktemp("kernels")
    environment = {**os.environ, **PROCESSOR, "MATINEE_CACHE": str(folder)}
    command = [sys.executable, "-m", "matinee", "warm-up"]
    subprocess.run(command, env=environment, cwd=folder, capture_output=True, check=True)
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for each in folders:
        each.chmod(0o555)
    yield folder
    for each in folders:
        each.chmod(0o755)


@pytest.fixture
def places(kernels, tmp_path):
    """Folders that can only be read, the one with kernels among them, and one for the store."""
    folders = {name: tmp_path / name for name in ("home", "work", "temporary", "store")}
    for name, folder in folders.items():
        folder.mkdir(mode=0o755 if name == "store" else 0o555)
    yield {**folders, "cache": kernels}
    for folder in folders.values():
        folder.chmod(0o755)


def started(run, places, *options):
    """The service as a process; its output is read through pipes."""
    command = [sys.executable, "-B", "-c", WATCHED, "serve", str(run), "--port", "0", *options]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--", *command]
    environment = {
        **os.environ,
        **PROCESSOR,
        "HOME": str(places["home"]),
        "TMPDIR": str(places["temporary"]),
        "MATINEE_CACHE": str(places["cache"]),
        "MATINEE_STORE": str(places["store"] / "feedback.sqlite"),
    }
    environment.pop("OMP_NUM_THREADS", None)
    return subprocess.Popen(
        command,
        cwd=places["work"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def health_check(port):
    """The status of the command by which a container says whether it is healthy."""
    (command,) = re.findall(r"CMD (\[.*urlopen.*\])", CONTAINERFILE.read_text(encoding="utf-8"))
    _, *words = json.loads(command.replace(":8000/", f":{port}/"))
    done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
    return done.returncode


def test_it_serves_and_writes_nothing_but_the_store(run, places):
    compiled = files(places["cache"])
    assert len(compiled) > 100
    process = started(run, places)
    try:
        address = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        with httpx.Client(base_url=address[0]) as client:
            while (ready := client.get("/health/ready")).status_code == 503:
                time.sleep(0.05)
            assert ready.json() == {"status": "ready", "run": run.name}
            assert health_check(address[1]) == 0
            ask_everything(client)
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert health_check(address[1]) != 0
    told = json.loads(log.splitlines()[-1])
    assert told["compiled"] == []
    assert set(told["blas"]) == {1}
    written = [Path(path) for path in told["written"]]
    assert written
    assert all(places["store"] in (path, *path.parents) for path in written)
    assert files(places["store"]) == ["feedback.sqlite"]
    assert files(places["cache"]) == compiled
    assert not any(files(places[name]) for name in ("home", "work", "temporary"))


def ask_everything(client):
    """Each kind of answer, and something to write."""
    for path in ("/users/5/recommendations", "/items?q=a", "/model", "/map", "/users/5/feedback"):
        assert client.get(f"/api/v1{path}").status_code == 200
    rating = client.put("/api/v1/users/ann/feedback/3", json={"rating": 4})
    assert rating.status_code == 200
    posted = {"ratings": [{"item_id": 3, "rating": 4}], "n": 5}
    assert client.post("/api/v1/recommendations", json=posted).status_code == 200
    assert client.get("/").status_code == 200


def test_a_store_that_cannot_be_written_is_told_in_a_line(run, places):
    places["store"].chmod(0o555)
    process = started(run, places)
    output, log = process.communicate(timeout=60)
    message, _ = log.splitlines()
    assert (process.returncode, output) == (2, "")
    assert message.startswith("matinee: ")
    assert "feedback.sqlite: not writable: no permission to write there" in message
    assert files(places["store"]) == []
