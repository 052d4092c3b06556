"""What the service measures of itself, for Prometheus."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names the folder in which workers put their measures together."""
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Measures:
    """Latencies by route, time of a fold-in, feedback, and the age of the model."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "matinee_request_seconds", "Seconds of a request", ("route", "method", "status"),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.lists = Histogram(
            "matinee_list_seconds", "Seconds of making one list, the fold-in included",
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.feedback = Counter(
            "matinee_feedback", "Ratings and marks that were written", ("kind",),
            registry=self.registry,
        )  # fmt: skip
        self.trained = Gauge(
            "matinee_model_trained_timestamp_seconds", "When the served model was trained",
            registry=self.registry, multiprocess_mode="mostrecent",
        )  # fmt: skip

    @contextmanager
    def list_made(self) -> Iterator[None]:
        """Measure the making of a list."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.lists.observe(time.perf_counter() - started)

    def exposition(self) -> bytes:
        """All of it, as Prometheus reads it; of all workers, where there are several."""
        registry = self.registry
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
