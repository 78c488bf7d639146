"""With a part of the protocol switched off, the freshness checker must find violations."""

from pathlib import Path

import pytest

from tests.faults.checker_runs import check_freshness, run_checker

pytestmark = pytest.mark.extended


def test_the_checker_finds_stale_reads_without_the_fence(tmp_path: Path) -> None:
    status, figures, printed = check_freshness(tmp_path, "no-fence", "redis-flush")

    assert status == 0, printed
    assert figures["staleReads"] > 0, printed
    assert figures["lostWrites"] == 0, "the fence guards what is read, not what is written"
    histories = (tmp_path / "faults.histories.txt").read_text()
    assert "stale read of user-" in histories
    assert ">>>" in histories


def test_the_checker_finds_stale_reads_without_the_reign(tmp_path: Path) -> None:
    """Lost writes may occur as well, because a clear or a batch reads the list before it changes the list."""
    faults = ["mongodb-failover", "mongodb-cut-primary"]
    status, figures, printed = check_freshness(tmp_path, "no-reign", *faults, mongodb="replica-set")

    assert status == 0, printed
    assert figures["staleReads"] > 0, printed


def test_the_checker_finds_stale_reads_without_the_registry(tmp_path: Path) -> None:
    faults = ["cut-and-replaced", "redis-move", "link-cut"]
    status, figures, printed = check_freshness(tmp_path, "no-registry", *faults, seed=3)

    assert status == 0, printed
    assert figures["staleReads"] > 0, printed
    assert figures["lostWrites"] == 0, "the registry guards what is read, not what is written"


def test_the_checker_finds_lost_events_if_the_position_is_saved_too_early(tmp_path: Path) -> None:
    status, figures, printed = check_freshness(
        tmp_path, "strict", "mongodb-kill", duration=20, **{"events-fault": "early"}
    )

    assert status == 0, printed
    assert figures["events"]["lost"] > 0, printed
    assert f"{figures['events']['lost']} changes missing from events" in printed


def test_an_unknown_fault_is_refused() -> None:
    done = run_checker("--faults=earthquake")

    assert done.returncode == 2
    assert "there is no fault called earthquake where Redis is a server and MongoDB a server" in done.stderr
