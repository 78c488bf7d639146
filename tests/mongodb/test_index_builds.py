"""The start of the service if an index build fails temporarily, or if data violates the unique index."""

from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from devtools.service_process import Service
from tests.conftest import PATIENT, NewDatabase
from tests.mongodb.deployment import Deployment

HEALS = (6, 7, 89, 117, 133, 211, 276)
"""HostUnreachable, HostNotFound, NetworkTimeout, ConflictingOperationInProgress, FailedToSatisfyReadPreference,
KeyNotFound, IndexBuildAborted: what clusters answer in failovers and right after their start."""
ENDED_WITHIN_S = 60.0


@pytest.mark.needs("failures")
@pytest.mark.parametrize("code", HEALS)
def test_the_start_retries_index_builds_after_temporary_errors(
    deployment: Deployment, new_database: NewDatabase, redis_url: str, tmp_path: Path, code: int
) -> None:
    with new_database() as uri, deployment.failing("createIndexes", times=2, code=code):
        service = Service(tmp_path, {"MONGODB_URI": uri, "REDIS_URL": redis_url, **PATIENT})
        try:
            service.wait_until_ready()
            assert is_unique(uri)
        finally:
            service.stop()


def test_the_start_fails_with_one_line_if_data_violates_the_unique_index(
    new_database: NewDatabase, redis_url: str, tmp_path: Path
) -> None:
    with new_database() as uri:
        with MongoClient[dict[str, Any]](uri) as client:
            item = {"userId": "a", "contentId": "507f1f77bcf86cd799439011", "contentType": "movie"}
            client.get_default_database()["mylist"].insert_many([{**item}, {**item}])
        service = Service(tmp_path, {"MONGODB_URI": uri, "REDIS_URL": redis_url, **PATIENT})
        try:
            status = service.process.wait(ENDED_WITHIN_S)
        finally:
            service.kill()

    assert status == 1
    complaints = [line for line in service.log.read_text().splitlines() if "mylist" in line and "index" in line]
    assert len(complaints) == 1, service.log.read_text()
    assert "traceback" not in service.log.read_text().lower()


def is_unique(uri: str) -> bool:
    with MongoClient[dict[str, Any]](uri) as client:
        indexes = client.get_default_database()["mylist"].index_information().values()
    return any(each.get("unique") and dict(each["key"]) == {"userId": 1, "contentId": 1} for each in indexes)
