"""The effect of a greedy user on others: their reads, alone and beside that user's load."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from bench import wrk
from bench.client import Client
from bench.environment import Environment, Server
from bench.samples import Sample
from devtools import http_client
from mylist.seeding.synthetic_data import title_id, title_type

ALONE = "others' reads, alone"
BESIDE_SELECTIONS = "beside 700 connections of one user"
BESIDE_IMPORTS = "beside 8 imports of one user"
_SCRIPT = Path(__file__).with_name("greedy.lua")
_DURATION_S = 3
_HEAD_START_S = 1
_TIMEOUT_S = 60
_ITEMS_PER_IMPORT = 500


@dataclass(frozen=True, slots=True)
class _Greedy:
    """The load of one user: a kind of requests of `greedy.lua`, the number of connections, and the size of the list."""

    requests: str
    connections: int
    items: int


_LOADS = {BESIDE_SELECTIONS: _Greedy("selections", 700, 600), BESIDE_IMPORTS: _Greedy("imports", 8, 3_000)}


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Eight users who read their cached pages a hundred times a second each (`bench.neighbours_process`).

    Attributes:
        server: where.
    """

    server: Server

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        return {ALONE: None, BESIDE_SELECTIONS: ALONE, BESIDE_IMPORTS: ALONE}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:  # noqa: ARG002 - all rounds are alike
        """Measure one round."""
        url = environment.url(self.server)
        samples = {ALONE: _read(url)}
        for name, greedy in _LOADS.items():
            with _running(url, greedy, _filled(url, greedy, environment.etags.parent)):
                samples[name] = _read(url)
        return samples


def _read(url: str) -> Sample:
    command = [sys.executable, "-m", "bench.neighbours_process", url, str(_DURATION_S)]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S).stdout
    return msgspec.json.decode(printed, type=Sample)


@cache
def _filled(url: str, greedy: _Greedy, folder: Path) -> Path:
    """Fill the user's list, once; return a file with the imported lines."""
    numbers = range(1, greedy.items + 1)
    lines = [{"contentId": title_id(number), "contentType": title_type(number)} for number in numbers]
    encode_lines = msgspec.json.Encoder().encode_lines
    headers = {"user-id": greedy.requests, "content-type": "application/x-ndjson"}
    with Client(url, timeout_s=_TIMEOUT_S) as client:
        for start in range(0, greedy.items, _ITEMS_PER_IMPORT):
            part = encode_lines(lines[start : start + _ITEMS_PER_IMPORT])
            client.measure(http_client.request("POST", "/api/mylist/import", headers, part), status=200)
    file = folder / f"{greedy.requests}.jsonl"
    file.write_bytes(encode_lines(lines))
    return file


@contextmanager
def _running(url: str, greedy: _Greedy, body: Path) -> Iterator[None]:
    """Surround what is measured with a user's load, which begins a second before."""
    words = [greedy.requests, greedy.requests, str(body)]
    seconds = _HEAD_START_S + _DURATION_S + _HEAD_START_S
    command = wrk.command(url, _SCRIPT, words, connections=greedy.connections, seconds=seconds)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL):
        time.sleep(_HEAD_START_S)
        yield
