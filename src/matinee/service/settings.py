"""What a service is told when it starts."""

import ipaddress
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from matinee.errors import SettingError, check_number, check_whole, shortened

MOST_WORKERS = 256
LOCAL_NAMES = ("localhost",)


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """Where the run and the feedback are, who may ask, and how much.

    Parameters
    ----------
    run : Path
        The folder of the run that is served.
    store : str
        A path (SQLite) or a URL ``postgresql://...`` of what users tell.
    host, port : str, int
        Where to listen. Any other address than this machine's own needs a `token`.
    token : str, optional
        What callers of the API must send: ``Authorization: Bearer TOKEN``. The page needs none.
    tenant : str
        Whose feedback this is, where several services share a store.
    behind_proxy : bool
        Whether all requests come through a reverse proxy, which decides who may ask, so that no
        token is needed, and says what address and scheme they came from.
    rate : float
        Requests per second of one address, over time; four times as many at once. Each worker
        counts for itself.
    workers : int
        Processes that answer. They are spawned, and share the memory of the run's files.
    """

    run: Path
    store: str
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    tenant: str = "default"
    behind_proxy: bool = False
    rate: float = 50.0
    workers: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.port < 2**16):
            raise SettingError(f"port must be 0 to 65535, got {shortened(self.port)}.")
        check_number("rate", self.rate, lambda rate: 0 < rate < math.inf, "> 0 and finite")
        check_whole("workers", self.workers, 1, MOST_WORKERS)
        if self.token is not None and len(self.token) < 16:
            raise SettingError(
                "token must have 16 letters or more; openssl rand -hex 16 makes some."
            )
        if not (is_local(self.host) or self.token or self.behind_proxy):
            raise SettingError(
                f"{shortened(self.host)} is reached from other machines: give --token, or "
                "--behind-proxy where a reverse proxy decides who may ask."
            )


@lru_cache(maxsize=64)  # it is asked of the host of each request
def is_local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOCAL_NAMES
