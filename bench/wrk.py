"""wrk, the load generator: C, one thread, so that it is not what is measured."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_PERCENTILE = re.compile(r"^\s+(50|90|99)%\s+([\d.]+)(us|ms|s|m)$", re.MULTILINE)
_SCRIPT = Path(__file__).with_name("requests.lua")


class WrkMissingError(Exception):
    """wrk is not installed."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run of wrk showed: requests per second, latency in milliseconds, answers that were not 2xx or 3xx."""

    rate: float
    p50: float
    p90: float
    p99: float
    failed: int


def measure(url: str, kind: str, *, connections: int, seconds: float, users: int) -> Measurement:
    """Loads a server for so many seconds.

    Args:
        url: of the server, without a path.
        kind: of the requests; see `requests.lua`.
        connections: open at once.
        seconds: how long.
        users: how many there are to choose from.

    Raises:
        WrkMissingError: it is not installed.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise WrkMissingError("wrk is not installed; apt-get install wrk")
    shape = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds:g}s", "--latency"]
    command = [wrk, *shape, "--script", str(_SCRIPT), url, "--", kind, str(users)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)  # noqa: S603 - our own
    return read(done.stdout)


def read(printed: str) -> Measurement:
    """Reads what wrk printed."""
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", printed, re.MULTILINE)
    if rate is None:
        raise ValueError(f"wrk printed no rate:\n{printed}")
    latency = {int(percent): float(value) * _UNITS[unit] for percent, value, unit in _PERCENTILE.findall(printed)}
    failed = sum(
        int(count)
        for line in re.findall(r"^\s+(?:Non-2xx or 3xx responses|Socket errors): (.*)$", printed, re.MULTILINE)
        for count in re.findall(r"\d+", line)
    )
    return Measurement(float(rate[1]), latency[50], latency[90], latency[99], failed)
