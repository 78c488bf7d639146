"""The README works as it stands: every shell block is run, in order, and every answer it shows is compared.

`make run` is run in a folder with a copy of what make reads, so that nobody's `.data` and port 3000 are touched: the
one thing changed in what is run is the port. The environment there is the one that the tests run in; that make can make
one from nothing is what every run of the continuous integration shows.

What makes a cluster is no shell block here, for it takes kind and Docker; `make e2e` tries the chart on one. And
`make test` cannot be run inside itself. What is held instead: it runs pytest on everything, this file included, and the
check that every change has to pass is made of it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from devtools.ports import free_port
from devtools.service_process import environment
from devtools.waiting import wait_until

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = {"bash", "sh", "shell", "console", "zsh"}
# What is different every time. Everything else that an answer of the README shows must be so.
VARYING = {"addedAt", "changedAt", "timestamp", "requestId", "token"}


@dataclass(frozen=True)
class Block:
    """One shell block, and the answer that the README shows for its last command, if any."""

    script: str
    answer: Any = None


def blocks() -> list[Block]:
    found: list[Block] = []
    for language, text in BLOCK.findall((ROOT / "README.md").read_text()):
        if language in SHELL:
            found.append(Block(text))
        elif language == "json":
            found[-1] = Block(found[-1].script, json.loads(text))
    return found


# The statuses that curl gets in each block, in order.
STATUSES: list[list[int]] = [
    [],  # make run
    [200],  # the first answer
    [],  # make test
    [201],  # add The Matrix
    [409],  # once more
    [200, 200],  # default and custom pagination
    [200],  # the first item
    [200],  # filtered and sorted, as ids
    [200],  # and on by cursor
    [200],  # statistics
    [200, 304],  # HEAD, then GET with what it told
    [200],  # remove The Matrix
    [404],  # once more
    [201],  # put The Matrix
    [200],  # which are there
    [204],  # see to it that it is not
    [200],  # a batch
    [200],  # what changed
    [200, 200, 200],  # export, clear, import
    [200],  # the limits
    [200],  # health
    [],  # a list from a terminal, where curl takes no part
    [],  # and whether things are on it
    [200],  # the first answer of a cluster
]


@dataclass(frozen=True)
class Place:
    """A folder in which make finds what it needs, and a port to serve on."""

    folder: Path
    port: int

    def environment(self) -> dict[str, str]:
        # curl reads .curlrc there; it tells the status of each answer without a change to the command.
        client = {"MYLIST_URL": f"http://localhost:{self.port}", "MYLIST_TOKEN": ""}
        return environment({"PORT": str(self.port), "CURL_HOME": str(self.folder), **client})

    def bash(self, script: str) -> subprocess.Popen[str]:
        """Starts a block as it stands, but for the port."""
        return subprocess.Popen(
            ["bash", "-eu", "-c", script.replace("localhost:3000", f"localhost:{self.port}")],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def request(self, script: str) -> tuple[str, list[int]]:
        """Runs a block of commands that ask; gives what it printed and the statuses that curl got."""
        process = self.bash(script)
        printed, told = process.communicate(timeout=30)
        assert process.returncode == 0, told
        return printed, [int(status) for status in told.split()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("readme") / "mylist"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / "locks", folder / "locks")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    for stamp in (".local", ".development"):
        (folder / ".venv" / stamp).touch()
    (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "%{stderr}%{http_code}\\n"\n')
    return Place(folder, free_port())


@pytest.fixture(scope="module")
def served(place: Place) -> Iterator[Place]:
    """The place, while the first block runs in it; ended as Ctrl-C in a terminal does."""
    process = place.bash(blocks()[0].script)

    def is_ready() -> bool:
        assert process.poll() is None, process.communicate()
        try:
            return httpx.get(f"http://localhost:{place.port}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(is_ready, within=60)
        yield place
    finally:
        os.killpg(process.pid, signal.SIGINT)
        printed, told = process.communicate(timeout=60)
    assert f"http://localhost:{place.port}" in printed
    assert "Traceback" not in told


def test_every_block_is_known() -> None:
    assert blocks()[0].script == "make run\n"
    assert blocks()[2].script == "make test\n"
    assert len(blocks()) == len(STATUSES)


def test_every_request_is_answered_as_shown(served: Place) -> None:
    for block, statuses in zip(blocks(), STATUSES, strict=True):
        if block.script.startswith("make "):
            continue
        printed, got = served.request(block.script)
        assert got == statuses, (block.script, printed)
        if block.answer:
            assert without_varying(json.loads(printed)) == without_varying(block.answer), block.script
            assert keys(json.loads(printed)) == keys(block.answer), block.script


def test_data_stays_in_the_folder(served: Place) -> None:
    assert (served.folder / ".data").is_dir()


def test_make_test_runs_everything(place: Place) -> None:
    script = blocks()[2].script.replace("make", "make --dry-run")
    printed, told = place.bash(script).communicate(timeout=30)
    assert told == ""
    assert ".venv/bin/python -m coverage run -m pytest \n" in printed + "\n"
    assert re.search(r"\bmake\b.*\btest\b", (ROOT / ".ci" / "run").read_text())


def without_varying(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: without_varying(value) for name, value in answer.items() if name not in VARYING}
    return [without_varying(each) for each in answer] if isinstance(answer, list) else answer


def keys(answer: Any) -> Any:
    """The names in an answer, in their order."""
    if isinstance(answer, dict):
        return [(name, keys(value)) for name, value in answer.items()]
    return [keys(each) for each in answer] if isinstance(answer, list) else None
