"""Nothing is stale or lost while members of a Sentinel group, a Redis Cluster or a replica set fail."""

from pathlib import Path

import pytest

from tests.faults.checker_runs import assert_nothing_is_stale_or_lost


def test_nothing_is_stale_or_lost_when_mongodb_elects_another_primary(tmp_path: Path) -> None:
    faults = ["mongodb-stepdown", "mongodb-cut-primary"]
    assert_nothing_is_stale_or_lost(tmp_path, "strict", *faults, mongodb="replica-set", duration=0)


@pytest.mark.extended
@pytest.mark.parametrize(("mode", "redis"), [("strict", "sentinel"), ("default", "cluster")])
def test_nothing_is_stale_or_lost_when_redis_fails_over(tmp_path: Path, mode: str, redis: str) -> None:
    assert_nothing_is_stale_or_lost(tmp_path, mode, "redis-failover", "redis-kill", redis=redis)


@pytest.mark.extended
def test_nothing_is_stale_or_lost_whatever_happens_to_a_replica_set(tmp_path: Path) -> None:
    faults = ["mongodb-stepdown", "mongodb-failover", "mongodb-frozen-primary", "mongodb-cut-primary", "mongodb-lag"]
    assert_nothing_is_stale_or_lost(tmp_path, "default", *faults, mongodb="replica-set")
