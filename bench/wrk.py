"""wrk, the load generator: written in C, with one thread, so that it does not limit the measurement."""

import re
import resource
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processor_time import processor_time
from bench.samples import MICROSECONDS, Sample

DURATION_S = 1
"""Seconds of one run by default; wrk knows whole seconds only."""
_TIMEOUT_S = 30
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_BYTES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
_PERCENTILE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m) ?$", re.MULTILINE)
_TRANSFER = re.compile(r"^\s+(\d+) requests in [\d.]+\w+, ([\d.]+)([KMG]?B) read$", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
_LATE = re.compile(r"^Sent late: (\d+) of (\d+)$", re.MULTILINE)
_FAILURES = re.compile(r"^\s+(?:Non-2xx or 3xx responses|Socket errors): (.*)$", re.MULTILINE)
_SCRIPT = Path(__file__).with_name("requests.lua")


class WrkError(Exception):
    """wrk is not installed, or its requests failed; the message is one line."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The requests of wrk.

    Attributes:
        requests: their kind; see `requests.lua`.
        prefix: of the names of the users.
        users: how many there are to choose from.
        etags: a file with users and the ETags of their pages, for requests that name one.
    """

    requests: str
    prefix: str
    users: int
    etags: Path


@dataclass(frozen=True, slots=True)
class Load:
    """A load that wrk makes.

    Attributes:
        url: of the server, without a path.
        workload: its requests.
        connections: open at once.
        server: the process that answers.
        rate: how many requests are due each second, at even intervals; None for a closed loop, in which the next one
            of a connection is due when its last is answered.
    """

    url: str
    workload: Workload
    connections: int
    server: int
    rate: float | None = None


def measure(*loads: Load, seconds: int = DURATION_S) -> list[Sample]:
    """Load servers, all at the same time; return a sample for each, in the same order.

    Raises:
        WrkError: wrk is not installed, or a request failed.
    """
    before, servers_before = _processor_time(), [processor_time(load.server) for load in loads]
    running = [start(load, seconds=seconds) for load in loads]
    printed = [each.communicate(timeout=seconds + _TIMEOUT_S)[0] for each in running]
    generator = (_processor_time() - before) / seconds / len(loads)
    servers = [processor_time(load.server) - began for load, began in zip(loads, servers_before, strict=True)]
    return [read(each, generator=generator, server=server) for each, server in zip(printed, servers, strict=True)]


def start(load: Load, *, seconds: int) -> subprocess.Popen[str]:
    """Begin to load a server.

    Raises:
        WrkError: wrk is not installed.
    """
    workload = load.workload
    words = [workload.requests, workload.prefix, str(workload.users), str(workload.etags)]
    words += [f"{load.rate:.1f}"] if load.rate else []
    asked = command(load.url, _SCRIPT, words, connections=load.connections, seconds=seconds)
    return subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def command(url: str, script: Path, words: Sequence[str], *, connections: int, seconds: int) -> list[str]:
    """Return the command line of wrk with a script, which is given the words.

    Raises:
        WrkError: wrk is not installed.
    """
    program = shutil.which("wrk")
    if program is None:
        raise WrkError("wrk is not installed; apt-get install wrk")
    shape = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--latency"]
    return [program, *shape, "--script", str(script), url, "--", *words]


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(printed: str, *, generator: float, server: float) -> Sample:
    """Parse the output of wrk.

    Args:
        printed: with `--latency`.
        generator: the share of a core that wrk took.
        server: the seconds of processor time that the server took.

    Raises:
        WrkError: the output is not a result, or requests failed.
    """
    rate, transfer = _RATE.search(printed), _TRANSFER.search(printed)
    if rate is None or transfer is None:
        raise WrkError(f"wrk printed no result: {printed.strip()}")
    failed = sum(int(count) for line in _FAILURES.findall(printed) for count in re.findall(r"\d+", line))
    if failed:
        raise WrkError(f"{failed} requests failed")
    latency = {percent: float(value) * _MILLISECONDS[unit] for percent, value, unit in _PERCENTILE.findall(printed)}
    requests, late = int(transfer[1]), _LATE.search(printed)
    return Sample(
        rate=float(rate[1]),
        p50=latency["50"],
        p99=latency["99"],
        size=float(transfer[2]) * _BYTES[transfer[3]] / requests,
        generator=generator,
        processor=server / requests * MICROSECONDS,
        late=int(late[1]) / int(late[2]) if late else None,
    )
