"""A process of its own that tries inputs of one target until its time is over.

It says on its output what it is about to try, so that whoever watches it knows which input killed
it, or never ended.
"""

import argparse
import faulthandler
import json
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "data")]

BATCH = 200  # inputs that are drawn from one seed
MAX_GROWTH = 2**31  # bytes of memory that all inputs together may take at their height
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in which the system says how much it was
ADDRESS_SPACE = 2**35  # bytes, so that the machine survives whatever is asked for


class Worker:
    """Tries inputs, each in the folder `place`, which is left as it is if the process dies."""

    def __init__(self, name: str, place: Path, until: float, watched: bool) -> None:
        from targets import TARGETS

        self.target, self.place = TARGETS[name], place
        self.until, self.watched = until, watched
        self.number = 0
        self.height = 0

    def run(self, seed: int, only: int | None) -> None:
        """One batch: all inputs that a seed gives, or only that of a number."""
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import seed as seeded

        self.number = 0

        @seeded(seed)
        @settings(
            max_examples=BATCH,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(self.target.cases)
        def try_all(case: Any) -> None:
            self.number += 1
            if (only is None and time.monotonic() < self.until) or only == self.number:
                self.one(case, seed)

        try_all()

    def one(self, case: Any, seed: int) -> None:
        """Try one input, and tell of what escapes and of memory."""
        from questions import EscapeError
        from targets import attempt

        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        say(begin=self.number, seed=seed)
        try:
            attempt(self.target, case, self.place)
        except EscapeError as escaped:
            place = traceback.extract_tb((escaped.__cause__ or escaped).__traceback__)
            ours = [step for step in place if "/matinee/" in step.filename] or place
            traceback.print_exception(escaped)
            sys.stderr.flush()
            self.tell(escape=str(escaped), where=f"{ours[-1].filename}:{ours[-1].lineno}")
        height = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
        if self.height and height - self.height > MAX_GROWTH:
            self.tell(memory=height - self.height)
            self.height = height
        self.height = self.height or height
        say(end=self.number)

    def tell(self, **what: Any) -> None:
        """Tell of what was found, and wait until the input is kept."""
        say(**what)
        if self.watched:
            sys.stdin.readline()


def say(**what: Any) -> None:
    """A line of JSON for the one who watches."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Try batches until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("place", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--only", type=int)
    parser.add_argument("--seconds", type=float, default=3600)
    options = parser.parse_args()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    until = time.monotonic() + options.seconds
    worker = Worker(options.target, options.place, until, watched=options.only is None)
    seed = options.seed
    while time.monotonic() < until:
        worker.run(seed, options.only)
        seed += 1
        if options.only:
            break
    say(done=True)


if __name__ == "__main__":
    main()
