"""The faults of a run of the freshness checker."""

import pytest

from tests.faults.freshness.faults import faults_of, usual_faults
from tests.faults.freshness.mongodb import MongoTopology
from tests.faults.freshness.redis import Topology


@pytest.mark.parametrize("redis", Topology)
@pytest.mark.parametrize("mongodb", MongoTopology)
def test_by_default_a_single_mongodb_gets_all_faults_and_a_replica_set_only_those_of_mongodb(
    redis: Topology, mongodb: MongoTopology
) -> None:
    usual, possible = set(usual_faults(redis, mongodb)), set(faults_of(redis, mongodb))

    assert usual <= possible
    assert (usual == possible) == (mongodb is MongoTopology.SERVER)
    if mongodb is MongoTopology.REPLICA_SET:
        assert usual == {name for name in possible if name.startswith("mongodb-")}
