"""The documents work as written: a test runs every shell block of `PAGES`, in order, and compares every answer shown.

The info string of a block has the expected statuses of curl, in order: "```bash expect=201". In a block without it,
every curl must succeed (2xx). GitHub renders both in the same way. The JSON block after a shell block is the answer to
its last command; the block after "```bash expect=output" is its output on a terminal. See tests/markdown.py.

One `make run` serves all pages, as for a reader who follows them in order. It runs in a copy of the files that make
reads, so that the tests do not touch `.data` and port 3000 of this folder. The tests change only the port in the
commands. The copy uses the environment of the tests; every run of the continuous integration shows that make can build
one from nothing.

The tests cannot run blocks that begin with `make`, and blocks of other pages need a cluster or other servers.
tests/unit/test_documents.py checks that these commands exist.
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
"""In the order in which they run: each page finds the sample data as the pages before it left them."""
# The fields whose values differ in every run. All other values must be as the page shows them.
VARYING = {"addedAt", "changedAt", "timestamp", "requestId", "token"}

BLOCKS = {page: blocks((ROOT / page).read_text()) for page in PAGES}
[MAKE_RUN] = [block for block in BLOCKS["README.md"] if block.text == "make run\n"]


@dataclass(frozen=True)
class Place:
    """A folder in which make finds what it needs, and a port to serve on."""

    folder: Path
    port: int

    def environment(self) -> dict[str, str]:
        # curl reads .curlrc in CURL_HOME, and so prints the status of each answer without a change to the command.
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
        """Run a block of commands; return its output and the statuses that curl received."""
        process = self.bash(script)
        printed, told = process.communicate(timeout=30)
        assert process.returncode == 0, told
        return printed, [int(status) for status in told.split()]

    def on_terminal(self, script: str) -> str:
        """Run a block on a terminal; return its output."""
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
    """The place, while `make run` runs in it. At the end, the fixture interrupts it, as Ctrl-C in a terminal does."""
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


def test_make_run_keeps_its_data_in_the_folder(served: Place) -> None:
    assert (served.folder / ".data").is_dir()


def without_varying(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: without_varying(value) for name, value in answer.items() if name not in VARYING}
    return [without_varying(each) for each in answer] if isinstance(answer, list) else answer


def keys(answer: Any) -> Any:
    """Return the names of the fields of an answer, in their order."""
    if isinstance(answer, dict):
        return [(name, keys(value)) for name, value in answer.items()]
    return [keys(each) for each in answer] if isinstance(answer, list) else None
