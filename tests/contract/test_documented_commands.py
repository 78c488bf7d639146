"""The documents work as written: every shell block of `PAGES` is run, in order, and every answer shown is compared.

The expected statuses of curl are in the block's info string: "```bash expect=201" has the statuses, in order; a block
without it expects success, 2xx, of every curl in it. A forge renders both the same. The JSON block after a shell block
is the answer to its last command; the block after "```bash expect=output" is its output on a terminal. See
tests/markdown.py.

All pages are run on one `make run`, like a reader who goes through them in order. It runs in a copy of the files that
make reads, so that the tests do not touch `.data` and port 3000 of this folder. Only the port is changed in the
commands. The environment there is that of the tests; every run of the continuous integration shows that make can build
one from nothing.

Blocks that begin with `make` cannot be run inside the tests, and those of other pages need a cluster or other servers:
tests/unit/test_documents.py holds their commands against what there is.
"""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import httpx
import pytest

from devtools.ports import free_port
from devtools.service_process import environment
from devtools.waiting import wait_until
from tests.markdown import blocks

pytestmark = pytest.mark.extended  # it runs curl, which no package registry has

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/api.md",
    "docs/commands.md",
    "docs/configuration.md",
    "docs/operations.md",
    "docs/lists-from-elsewhere.md",
)
"""In the order in which they are run: what a page does to the sample, the next one meets."""
# What is different every time. Everything else that an answer shows must be so.
VARYING = {"addedAt", "changedAt", "timestamp", "requestId", "token"}

BLOCKS = {page: blocks((ROOT / page).read_text()) for page in PAGES}
[MAKE_RUN] = [block for block in BLOCKS["README.md"] if block.text == "make run\n"]


@dataclass(frozen=True)
class Place:
    """A folder in which make finds what it needs, and a port to serve on."""

    folder: Path
    port: int

    def environment(self) -> dict[str, str]:
        # curl reads .curlrc there, which prints the status of each answer without a change to the command.
        client = {"MYLIST_URL": f"http://localhost:{self.port}", "MYLIST_TOKEN": ""}
        return environment({"PORT": str(self.port), "CURL_HOME": str(self.folder), **client})

    def bash(self, script: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start a block as written, except for the port."""
        return subprocess.Popen(
            ["bash", "-eu", "-c", script.replace("localhost:3000", f"localhost:{self.port}")],
            cwd=self.folder,
            env=self.environment(),
            stdout=stdout,
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

    def on_terminal(self, script: str) -> str:
        """Runs a block on a terminal; gives what it printed there."""
        ours, its = pty.openpty()
        with open(ours, "rb") as screen:  # noqa: PTH123 - a descriptor
            process = self.bash(script, stdout=its)
            os.close(its)
            _, told = process.communicate(timeout=30)
            assert process.returncode == 0, told
            return screen.read1().decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("documents") / "mylist"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / "locks", folder / "locks")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    for stamp in (".local", ".test", ".development"):
        (folder / ".venv" / stamp).touch()
    (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "%{stderr}%{http_code}\\n"\n')
    return Place(folder, free_port())


@pytest.fixture(scope="module")
def served(place: Place) -> Iterator[Place]:
    """The place, while the first block runs in it; ended as Ctrl-C in a terminal does."""
    process = place.bash(MAKE_RUN.text)

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


def test_every_command_is_answered_as_shown(served: Place) -> None:
    for page, found in BLOCKS.items():
        for block, after in zip_longest(found, found[1:]):
            if not block.is_shell or block.text.startswith("make "):
                continue
            where = f"{page}: {block.text}"
            if block.shows_output:
                assert served.on_terminal(block.text) == after.text, where
                continue
            printed, got = served.request(block.text)
            assert block.accepts(got), (where, got, printed)
            if after and after.language == "json":
                answer = json.loads(after.text)
                assert without_varying(json.loads(printed)) == without_varying(answer), where
                assert keys(json.loads(printed)) == keys(answer), where


def test_every_page_has_commands() -> None:
    assert [page for page, found in BLOCKS.items() if not any(block.is_shell for block in found)] == []


def test_data_stays_in_the_folder(served: Place) -> None:
    assert (served.folder / ".data").is_dir()


def without_varying(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: without_varying(value) for name, value in answer.items() if name not in VARYING}
    return [without_varying(each) for each in answer] if isinstance(answer, list) else answer


def keys(answer: Any) -> Any:
    """The names in an answer, in their order."""
    if isinstance(answer, dict):
        return [(name, keys(value)) for name, value in answer.items()]
    return [keys(each) for each in answer] if isinstance(answer, list) else None
