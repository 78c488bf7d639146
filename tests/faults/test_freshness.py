"""Short runs of the freshness checker, as `make faults` starts it: what it promises in each mode, under some faults."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 600


def check_freshness(folder: Path, mode: str, *faults: str, **others: object) -> tuple[int, dict[str, Any], str]:
    """Gives the exit status, the figures, and what was printed."""
    output = folder / "faults.json"
    chosen = {"mode": mode, "faults": ",".join(faults), "duration": 8, "seed": 1, "output": output} | others
    options = [f"--{name}={value}" for name, value in chosen.items()]
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


def test_nothing_is_stale_or_lost_when_a_service_or_redis_dies(tmp_path: Path) -> None:
    assert_nothing_is_stale_or_lost(tmp_path, "strict", "service-kill", "redis-kill", duration=0, users=24)


@pytest.mark.extended
@pytest.mark.parametrize(
    ("mode", "redis", "faults"),
    [
        ("strict", "server", ["service-kill", "redis-kill", "link-cut", "redis-move"]),
        ("default", "server", ["redis-freeze", "link-cut", "mongodb-kill"]),
        ("default", "server", ["cut-and-replaced", "redis-move"]),
        ("strict", "sentinel", ["redis-failover", "redis-kill"]),
        ("default", "cluster", ["redis-failover", "redis-kill"]),
    ],
)
def test_nothing_is_stale_or_lost_whatever_fails(tmp_path: Path, mode: str, redis: str, faults: list[str]) -> None:
    assert_nothing_is_stale_or_lost(tmp_path, mode, *faults, redis=redis)


def test_nothing_is_stale_or_lost_when_mongodb_elects_another_primary(tmp_path: Path) -> None:
    assert_nothing_is_stale_or_lost(
        tmp_path, "strict", "mongodb-stepdown", "mongodb-cut-primary", mongodb="replica-set", duration=0, users=24
    )


@pytest.mark.extended
def test_nothing_is_stale_or_lost_whatever_happens_to_a_replica_set(tmp_path: Path) -> None:
    faults = ["mongodb-stepdown", "mongodb-failover", "mongodb-frozen-primary", "mongodb-cut-primary", "mongodb-lag"]
    assert_nothing_is_stale_or_lost(tmp_path, "default", *faults, mongodb="replica-set")


def assert_nothing_is_stale_or_lost(folder: Path, mode: str, *faults: str, **others: object) -> None:
    status, figures, printed = check_freshness(folder, mode, *faults, **others)

    assert status == 0, printed
    assert (figures["staleReads"], figures["lostWrites"], figures["otherViolations"]) == (0, 0, {})
    assert {name: of["times"] > 0 for name, of in figures["faults"].items()} == dict.fromkeys(faults, True)
    assert "PASSED: no violation" in printed


@pytest.mark.extended
def test_without_the_fence_it_finds_stale_reads(tmp_path: Path) -> None:
    status, figures, printed = check_freshness(tmp_path, "no-fence", "redis-flush")

    assert status == 0, printed
    assert figures["staleReads"] > 0, printed
    assert figures["lostWrites"] == 0, "the fence guards what is read, not what is written"
    histories = (tmp_path / "faults.histories.txt").read_text()
    assert "stale read of user-" in histories
    assert ">>>" in histories


@pytest.mark.extended
def test_without_the_reign_it_finds_stale_reads(tmp_path: Path) -> None:
    faults = ["mongodb-failover", "mongodb-cut-primary"]
    status, figures, printed = check_freshness(tmp_path, "no-reign", *faults, mongodb="replica-set", duration=40)

    assert status == 0, printed
    assert figures["staleReads"] > 0, printed
    assert figures["lostWrites"] == 0, "the reign guards what is read, not what is written"


@pytest.mark.extended
def test_without_the_registry_it_finds_stale_reads(tmp_path: Path) -> None:
    faults = ["cut-and-replaced", "redis-move", "link-cut"]
    status, figures, printed = check_freshness(tmp_path, "no-registry", *faults, duration=20, seed=3)

    assert status == 0, printed
    assert figures["staleReads"] > 0, printed
    assert figures["lostWrites"] == 0, "the registry guards what is read, not what is written"


def test_a_fault_that_there_is_not_is_refused() -> None:
    command = [sys.executable, "-m", "tests.faults.freshness", "--faults=earthquake"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2
    assert "there is no fault called earthquake where Redis is a server and MongoDB a server" in done.stderr
