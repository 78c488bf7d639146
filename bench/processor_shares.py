"""Which packages take the processor time of the service, by the samples of py-spy."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path

from redis import Redis

from bench import py_spy, wrk
from bench.client import Client, request
from bench.environment import USERS, Environment
from bench.groups import ITEMS, RENDERED, RENDERING, UNTRACED
from bench.redis_fill import key_of
from bench.throughput import Case
from bench.throughput import load as load_of
from devtools.ports import free_port
from devtools.service_process import answers
from devtools.service_process import environment as variables_of
from devtools.waiting import wait_until
from mylist.seeding.synthetic_data import user_id

Shares = dict[str, float]
"""Shares of the processor time, from 0 to 1, by the name of the package."""

_RAW = ("--format", "raw", "--full-filenames")
_DURATION_S = 10
_MARGIN_S = 4
"""Seconds by which a load outlasts the recording."""
_START_TIMEOUT_S = 60.0
STANDARD_LIBRARY, EVENT_LOOP, OTHER = "the standard library", "the event loop and system calls", "other packages"
_NAMES = {
    "mylist": "this service",
    "sanic": "Sanic",
    "sanic_routing": "Sanic",
    "pymongo": "PyMongo",
    "bson": "PyMongo",
    "gridfs": "PyMongo",
    "redis": "redis-py",
    "opentelemetry": "OpenTelemetry",
    "google": "OpenTelemetry",
    "asyncio": EVENT_LOOP,
    "uvloop": EVENT_LOOP,
}
_FRAME = re.compile(r"\((?P<file>.*?)(?::\d+)?\)$")
_INSTALLED = re.compile(r"/(?:site|dist)-packages/([^/.]+)")
_OWN = re.compile(r"/(mylist)/")
_STANDARD = re.compile(rf"{re.escape(sysconfig.get_path('stdlib'))}/(\w+)")
_IMPORT_SYSTEM = "<frozen importlib"


def measure(environment: Environment, folder: Path) -> dict[str, Shares]:
    """Return the shares of each kind of work. The files in between go into the folder.

    Raises:
        ProfileError: py-spy has no permission to read another process here.
        WrkError: wrk is not installed.
    """
    kinds: Mapping[str, Callable[[Path], None]] = {
        "items, 20": lambda output: _reads(environment, ITEMS, output),
        "items, 20, rendered each time": lambda output: _reads(environment, RENDERED, output),
        "a list that Redis does not have": lambda output: _loads(environment, output),
        "the start of a process": lambda output: _start(environment, folder, output),
    }
    shares = {}
    for kind, record in kinds.items():
        output = folder / "stacks.txt"
        record(output)
        shares[kind] = shares_of(output.read_text())
    return shares


def shares_of(stacks: str) -> Shares:
    """Return the share of each package in lines of stacks, the largest first.

    A sample counts for the package of the innermost function. A sample of the import system counts for the package that
    imports.

    Args:
        stacks: of `py-spy record --format raw --full-filenames`: frames with `;` between them, a blank and a count.
    """
    counts: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        counts[_package_of(stack.split(";"))] += int(count)
    total = counts.total()
    return {name: count / total for name, count in counts.most_common()}


def _package_of(stack: list[str]) -> str:
    for frame in reversed(stack):
        found = _FRAME.search(frame)
        file = found["file"] if found else ""
        if file.startswith(_IMPORT_SYSTEM):
            continue
        if package := _INSTALLED.search(file) or _OWN.search(file):
            return _NAMES.get(package[1], OTHER)
        if package := _STANDARD.match(file):
            return _NAMES.get(package[1], STANDARD_LIBRARY)
        break
    return OTHER


def _reads(environment: Environment, case: Case, output: Path) -> None:
    """Record reads that wrk sends."""
    load = wrk.start(load_of(environment, case), seconds=_DURATION_S + _MARGIN_S)
    try:
        py_spy.finish(_spy_on(environment.pid(case.server), output))
    finally:
        load.terminate()
        load.communicate()


def _loads(environment: Environment, output: Path) -> None:
    """Record reads of lists that are removed from Redis before."""
    users = cycle(user_id(number) for number in range(1, USERS + 1))
    with Client(environment.url(RENDERING)) as client, Redis.from_url(environment.redis(RENDERING.redis)) as redis:
        spy = _spy_on(environment.pid(RENDERING), output)
        while spy.poll() is None:
            user = next(users)
            redis.unlink(key_of(user))
            client.measure(request("GET", "/api/mylist/items", user=user), status=200, cache="miss")
        py_spy.finish(spy)


def _start(environment: Environment, folder: Path, output: Path) -> None:
    """Record a process from its first instruction until it is ready."""
    port = free_port()
    settings = environment.settings_of(UNTRACED) | {"HOST": "127.0.0.1", "PORT": str(port)}
    serve = ["--", sys.executable, "-m", "mylist", "serve"]
    spy = py_spy.start(output, *_RAW, of=serve, variables=variables_of(settings), folder=folder)
    try:
        url = f"http://127.0.0.1:{port}/readyz"
        wait_until(lambda: spy.poll() is not None or answers(url), within=_START_TIMEOUT_S)
    finally:
        for child in Path(f"/proc/{spy.pid}/task/{spy.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)
    py_spy.finish(spy)


def _spy_on(pid: int, output: Path) -> subprocess.Popen[str]:
    return py_spy.start(output, *_RAW, "--duration", str(_DURATION_S), of=["--pid", str(pid)])
