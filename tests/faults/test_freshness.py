"""Short runs of the freshness checker, as `make faults` starts it: what it promises in each mode, under some faults."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 150


def check_freshness(folder: Path, mode: str, *faults: str, redis: str = "server") -> tuple[int, dict[str, Any], str]:
    """Gives the exit status, the figures, and what was printed."""
    output = folder / "faults.json"
    what = [f"--mode={mode}", f"--redis={redis}", f"--faults={','.join(faults)}"]
    options = [*what, "--duration=8", "--seed=1", f"--output={output}"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.freshness", *options],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    printed = done.stdout + done.stderr
    assert output.exists(), printed
    return done.returncode, json.loads(output.read_text()), printed


@pytest.mark.parametrize(
    ("mode", "redis", "faults"),
    [
        ("strict", "server", ["service-kill", "redis-kill", "link-cut"]),
        ("default", "server", ["redis-freeze", "link-cut", "mongodb-kill"]),
        ("strict", "sentinel", ["redis-failover", "redis-kill"]),
        ("default", "cluster", ["redis-failover", "redis-kill"]),
    ],
)
def test_nothing_is_stale_or_lost_whatever_fails(tmp_path: Path, mode: str, redis: str, faults: list[str]) -> None:
    status, figures, printed = check_freshness(tmp_path, mode, *faults, redis=redis)

    assert status == 0, printed
    assert (figures["staleReads"], figures["lostWrites"], figures["otherViolations"]) == (0, 0, {})
    assert {name: of["times"] > 0 for name, of in figures["faults"].items()} == dict.fromkeys(faults, True)
    assert figures["operations"] > 2000
    assert "PASSED: no violation" in printed


def test_without_the_fence_it_finds_stale_reads(tmp_path: Path) -> None:
    status, figures, printed = check_freshness(tmp_path, "no-fence", "redis-flush")

    assert status == 0, printed
    assert figures["staleReads"] > 0, printed
    assert figures["lostWrites"] == 0, "the fence guards what is read, not what is written"
    histories = (tmp_path / "faults.histories.txt").read_text()
    assert "stale read of user-" in histories
    assert ">>>" in histories


def test_a_fault_that_there_is_not_is_refused() -> None:
    command = [sys.executable, "-m", "tests.faults.freshness", "--faults=earthquake"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2
    assert "there is no fault called earthquake where Redis is a server" in done.stderr
