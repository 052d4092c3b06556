"""The service as people run it: `matinee serve`, a process of its own that can be killed."""

import re
import signal
import subprocess
import sys
import time

import httpx

PATIENCE = 60  # seconds to start or to stop


class OwnProcess:
    """Starts when it is made; `address` is where its page is, once it is ready."""

    def __init__(self, run, store, log, *options):
        command = [sys.executable, "-m", "matinee", "serve", run, "--store", store, "--port", "0"]
        command += ["--rate", "100000", *options]
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(list(map(str, command)), stdout=file, stderr=file)
        found = self._wait(lambda: re.search(r"http://127\.0\.0\.1:\d+", self._said()))
        self.address = found[0]
        self._wait(self._is_ready)

    @property
    def pid(self):
        """Its process id."""
        return self._process.pid

    def kill(self):
        """As a crash, or a machine out of memory, would."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self):
        """Ask it to end; its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)

    def _said(self):
        return self.log.read_text(errors="replace")

    def _is_ready(self):
        try:
            return httpx.get(f"{self.address}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def _wait(self, ask):
        end = time.monotonic() + PATIENCE
        while not (found := ask()):
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < end, self._said()
            time.sleep(0.02)
        return found
