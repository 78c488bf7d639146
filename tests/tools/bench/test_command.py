"""The command line of the benchmark, without measurements."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.__main__ import measure_again_once
from bench.wrk import WrkError
from tests.tools.bench.runs import complete

ROOT = Path(__file__).parents[3]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("held", [None, b"", b'{"cases": {}}'], ids=["no file", "an empty one", "another's"])
def test_without_a_run_there_is_nothing_to_publish(tmp_path: Path, held: bytes | None) -> None:
    if held is not None:
        (tmp_path / "build").mkdir()
        (tmp_path / "build" / "bench.json").write_bytes(held)

    done = run(tmp_path, "--publish")

    assert (done.returncode, done.stderr) == (1, "bench: build/bench.json holds no run; make bench writes it\n")


def test_the_latest_complete_run_is_published(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "bench.json").write_bytes(msgspec.json.encode(complete()))
    (tmp_path / "build" / "profile.svg").write_text("<svg/>")
    (tmp_path / "docs").mkdir()
    document = tmp_path / "docs" / "performance.md"
    document.write_text((ROOT / "docs" / "performance.md").read_text())

    done = run(tmp_path, "--publish")

    assert (done.returncode, done.stderr) == (0, "")
    assert "### Reads of cached lists" in document.read_text()
    assert (tmp_path / "docs" / "performance" / "reads.svg").exists()


def test_the_group_original_requires_the_folder_of_a_built_original(tmp_path: Path) -> None:
    nowhere = run(tmp_path, "--groups", "reads", "original")
    not_built = run(tmp_path, "--groups", "original", "--original", ".")

    assert nowhere.returncode == 2
    assert nowhere.stderr.endswith("error: the group original needs --original FOLDER\n")
    told = "bench: . has no dist/server.js: build the original service there (npm ci && npm run build)\n"
    assert (not_built.returncode, not_built.stderr) == (1, told)


def test_an_unknown_group_is_refused_with_the_names_of_the_known_ones(tmp_path: Path) -> None:
    done = run(tmp_path, "--groups", "writes")

    assert done.returncode == 2
    assert "'reads'" in done.stderr


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ([], ""),
        ([WrkError("5 requests failed")], "5 requests failed"),
        (
            [subprocess.TimeoutExpired("an import", 120)],
            "Command 'an import' timed out after 120 seconds",
        ),
    ],
    ids=["no failure", "wrk", "a process"],
)
def test_a_group_that_fails_once_is_measured_again(
    failures: list[Exception], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [*failures, None]

    def measure() -> str:
        if error := outcomes.pop(0):
            raise error
        return "figures"

    assert measure_again_once("reads", measure) == "figures"
    assert not outcomes
    assert capsys.readouterr().err == (f"bench: reads failed, and is measured again: {told}\n" if told else "")


def test_a_group_that_fails_twice_fails_the_run() -> None:
    def measure() -> str:
        raise WrkError("5 requests failed")

    with pytest.raises(WrkError):
        measure_again_once("reads", measure)
