"""Hostile inputs for minutes or hours, each target in processes of its own, which may die or hang.

    python tests/fuzz/run.py MINUTES [TARGET ...]

What goes wrong is kept in a folder with the very input, what was said, and the command that tries
it again. The exit status is 1 if anything was found.
"""

import argparse
import json
import queue
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
SLICE = 60  # seconds of one target, before it is the next one's turn
LIMIT = 60  # seconds of one input
START = 120  # seconds until the first input: imports, kernels, trainings
KEPT = 20  # inputs that are kept of each target


@dataclass
class Tally:
    """What one target has done so far."""

    executions: int = 0
    crashes: int = 0
    hangs: int = 0
    escapes: int = 0
    memory: int = 0
    seconds: float = 0.0
    places: set[str] = field(default_factory=set)  # where something has escaped

    @property
    def found(self) -> int:
        return self.crashes + self.hangs + self.escapes + self.memory


class Fuzzer:
    """Runs workers one after another, and keeps what they die of."""

    def __init__(self, kept: Path, worker: Path = HERE / "worker.py") -> None:
        self.kept, self.worker = kept, worker
        self.scratch = Path(tempfile.mkdtemp(prefix="matinee-fuzz-"))
        self.tallies: dict[str, Tally] = {}

    def spend(self, name: str, seconds: float) -> None:
        """Try inputs of a target for so many seconds, with as many workers as die."""
        tally = self.tallies.setdefault(name, Tally())
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            started = time.monotonic()
            self._watch(name, tally, left)
            tally.seconds += time.monotonic() - started

    def _watch(self, name: str, tally: Tally, seconds: float) -> None:
        """One worker from its start to its end, of whatever kind."""
        seed, place = secrets.randbelow(2**31), self.scratch / "input"
        stderr = (self.scratch / "stderr.txt").open("w+b")
        worker = subprocess.Popen(
            [sys.executable, str(self.worker), name, str(place),
             "--seed", str(seed), "--seconds", str(seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=self.scratch,
        )  # fmt: skip
        said: queue.Queue[dict[str, Any]] = queue.Queue()
        listener = threading.Thread(target=_listen, args=(worker.stdout, said), daemon=True)
        listener.start()
        doing, wait = {"seed": seed, "begin": 0}, START
        try:
            while True:
                line = said.get(timeout=wait)
                if "begin" in line:
                    doing, wait = line, LIMIT
                elif "end" in line:
                    tally.executions += 1
                elif "escape" in line:
                    tally.escapes += 1
                    if line["where"] not in tally.places:
                        tally.places.add(line["where"])
                        what = f"{line['where']} {line['escape']}"
                        self._keep(name, tally, doing, "escape", what)
                elif "memory" in line:
                    tally.memory += 1
                    self._keep(name, tally, doing, "memory", f"{line['memory']:,} bytes")
                elif "closed" in line and worker.wait():
                    tally.crashes += 1
                    self._keep(name, tally, doing, "crash", f"exit status {worker.returncode}")
                if "escape" in line or "memory" in line:
                    with suppress(BrokenPipeError):  # it has died meanwhile
                        worker.stdin.write(b"\n")  # the input is kept, the next one may come
                        worker.stdin.flush()
                if "done" in line or "closed" in line:
                    return
        except queue.Empty:
            tally.hangs += 1
            worker.send_signal(6)  # faulthandler tells where it is
            time.sleep(1)
            self._keep(name, tally, doing, "hang", f"more than {wait} s")
        finally:
            worker.kill()
            worker.wait()
            listener.join()
            for stream in (worker.stdin, worker.stdout, stderr):
                stream.close()

    def _keep(self, name: str, tally: Tally, doing: dict[str, Any], kind: str, what: str) -> None:
        """The input that is being tried, with what was said and how to try it again."""
        print(f"{name}: {kind}: {what}", flush=True)
        if tally.found > KEPT:
            return
        seed, number = doing["seed"], doing["begin"]
        folder = self.kept / f"{name}-{kind}-{seed}-{number}"
        shutil.copytree(self.scratch / "input", folder / "input", dirs_exist_ok=True)
        command = f"{sys.executable} {self.worker} {name} /tmp/fuzz --seed {seed} --only {number}"
        stderr = (self.scratch / "stderr.txt").read_text(errors="replace")[-20_000:]
        (folder / "found.txt").write_text(f"{kind}: {what}\n\n{command}\n\n{stderr}")

    def close(self) -> None:
        """Remove the temporary folder."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def table(self) -> str:
        """What was done and found, a line for each target."""
        columns = ("executions", "crashes", "hangs", "escapes", "memory", "seconds")
        lines = ["".join([f"{'target':14}", *(f"{column:>12}" for column in columns)])]
        for name, tally in self.tallies.items():
            cells = [f"{getattr(tally, column):12,.0f}" for column in columns]
            lines.append("".join([f"{name:14}", *cells]))
        totals = [sum(getattr(t, column) for t in self.tallies.values()) for column in columns]
        lines.append("".join([f"{'all':14}", *(f"{total:12,.0f}" for total in totals)]))
        return "\n".join(lines)


def _listen(lines: IO[bytes], said: "queue.Queue[dict[str, Any]]") -> None:
    for line in lines:
        try:
            said.put(json.loads(line))
        except ValueError:
            said.put({"escape": f"it printed {line[:200]!r}", "where": "stdout"})
    said.put({"closed": True})


def main() -> int:
    """Give each target its turns until the time is over; 1 if anything was found."""
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "data")]
    from targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=10)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--keep", type=Path, default=Path(".fuzz"), help="folder of what is found")
    options = parser.parse_args()
    options.targets = options.targets or list(TARGETS)
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    seconds = options.minutes * 60
    turns = max(1, round(seconds / (SLICE * len(options.targets))))
    fuzzer = Fuzzer(options.keep)
    try:
        for _ in range(turns):
            for name in options.targets:
                fuzzer.spend(name, seconds / turns / len(options.targets))
    except KeyboardInterrupt:
        pass
    finally:
        fuzzer.close()
    print(fuzzer.table())
    found = sum(tally.found for tally in fuzzer.tallies.values())
    if found:
        print(f"{found} found; inputs are kept in {options.keep}")
    return min(1, found)


if __name__ == "__main__":
    sys.exit(main())
