"""Which faults a run of the freshness checker has."""

import pytest

from tests.faults.freshness.faults import faults_of, usual_faults
from tests.faults.freshness.mongodb import MongoTopology
from tests.faults.freshness.redis import Topology


@pytest.mark.parametrize("redis", Topology)
@pytest.mark.parametrize("mongodb", MongoTopology)
def test_a_run_has_all_or_those_of_a_replica_set_alone(redis: Topology, mongodb: MongoTopology) -> None:
    usual, possible = set(usual_faults(redis, mongodb)), set(faults_of(redis, mongodb))

    assert usual <= possible
    assert (usual == possible) == (mongodb is MongoTopology.SERVER)
    if mongodb is MongoTopology.REPLICA_SET:
        assert usual == {name for name in possible if name.startswith("mongodb-")}
