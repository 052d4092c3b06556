"""Where tensors live: a GPU if there is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from matinee.errors import SettingError, shortened

MOST_THREADS = 1024  # torch keeps so many ready, asked for more it ends the process


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; ``"auto"`` is CUDA, else MPS, else the CPU."""
    if name == "auto":
        available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        name = next((device for device, is_there in available.items() if is_there), "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        choices = "'auto', 'cpu', 'cuda', 'cuda:N', 'mps'"
        raise SettingError(f"device must be one of {choices}, got {shortened(name)}.") from None
    try:
        torch.zeros(1, device=device).add_(1).item()
    except Exception as problem:  # each backend has errors of its own
        reason = str(problem).strip().splitlines()[0].rstrip(".")
        raise SettingError(
            f"device {shortened(name)} cannot be used here ({reason}); matinee doctor shows what "
            "can."
        ) from None
    return device


def device_report() -> dict[str, str]:
    """What torch sees, by name: its version, each GPU, and what ``"auto"`` picks."""
    report = {"torch": str(torch.__version__)}
    for number in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(number)
        report[f"cuda:{number}"] = f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        report["mps"] = "available"
    report["device"] = str(choose_device())
    return report


def torch_environment(device: str, threads: int | None) -> dict[str, Any]:
    """What the bits of a training depend on: torch's version, the device, the number of threads."""
    return {
        "torch": str(torch.__version__),
        "device": str(choose_device(device)),
        "threads": threads or torch.get_num_threads(),
    }


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch use this many threads; None changes nothing."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(min(threads, MOST_THREADS))
    try:
        yield
    finally:
        torch.set_num_threads(before)
