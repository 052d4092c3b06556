"""Where tensors live: a GPU if there is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from matinee.errors import SettingError


def choose_device(wanted: str = "auto") -> torch.device:
    """The device of that name; ``"auto"`` is CUDA, else MPS, else the CPU.

    Parameters
    ----------
    wanted : str
        ``"auto"``, ``"cpu"``, ``"mps"``, ``"cuda"`` or ``"cuda:1"`` and so on.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')

    Raises
    ------
    SettingError
        If it cannot be used, with the reason.
    """
    if wanted == "auto":
        kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        wanted = next((kind for kind, there in kinds.items() if there), "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        known = "auto, cpu, cuda, cuda:N or mps"
        raise SettingError(f"device is one of {known}, not {wanted!r}.") from None
    try:
        torch.zeros(1, device=device).add_(1).item()
    except Exception as problem:  # each backend has errors of its own
        reason = str(problem).strip().splitlines()[0].rstrip(".")
        raise SettingError(
            f"device {wanted!r} cannot be used here ({reason}); matinee doctor shows what can."
        ) from None
    return device


def device_report() -> dict[str, str]:
    """What torch sees, by name: its version, each GPU, and what ``"auto"`` picks."""
    found = {"torch": str(torch.__version__)}
    for number in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(number)
        found[f"cuda:{number}"] = f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        found["mps"] = "available"
    found["device"] = str(choose_device())
    return found


def torch_environment(device: str, threads: int | None) -> dict[str, Any]:
    """What the bits of a training by gradients depend on: version, device, number of threads."""
    threads = threads or torch.get_num_threads()
    return {
        "torch": str(torch.__version__),
        "device": str(choose_device(device)),
        "threads": threads,
    }


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads; None leaves it alone."""
    if threads is not None and threads < 1:
        raise SettingError(f"At least 1 thread is needed, not {threads}.")
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
