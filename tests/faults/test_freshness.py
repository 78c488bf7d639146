"""Nothing is stale or lost while a process, Redis or MongoDB fails: one server each."""

from pathlib import Path

import pytest

from tests.faults.checker_runs import assert_nothing_is_stale_or_lost


def test_nothing_is_stale_or_lost_when_a_service_or_redis_dies(tmp_path: Path) -> None:
    assert_nothing_is_stale_or_lost(tmp_path, "strict", "service-kill", "redis-kill", duration=0)


@pytest.mark.extended
@pytest.mark.parametrize(
    ("mode", "faults"),
    [
        ("strict", ["service-kill", "redis-kill", "link-cut", "redis-move"]),
        ("default", ["redis-freeze", "link-cut", "mongodb-kill"]),
        ("default", ["cut-and-replaced", "redis-move"]),
    ],
)
def test_nothing_is_stale_or_lost_whatever_fails(tmp_path: Path, mode: str, faults: list[str]) -> None:
    assert_nothing_is_stale_or_lost(tmp_path, mode, *faults)
