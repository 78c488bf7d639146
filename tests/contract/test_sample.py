"""Seeding the sample data while a service runs: its next answers show the new lists, even if it has cached the old."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from devtools.service_process import NO_TLS, Service, environment
from devtools.waiting import wait_until
from tests.conftest import PATIENT, Serve
from tests.contract.conftest import PATIENCE, PatientTransport, User

SAMPLE_USER = "507f1f77bcf86cd799439011"


@pytest.fixture
def served(serve: Serve) -> Service:
    """A service whose cached lists do not expire during the test."""
    return serve(CACHE_TTL="3600")


def seed(mongodb_uri: str, redis_url: str, folder: Path, *arguments: str) -> str:
    settings = environment({"MONGODB_URI": mongodb_uri, "REDIS_URL": redis_url, **PATIENT})
    command = [sys.executable, "-m", "mylist", "seed", *arguments]
    done = subprocess.run(command, check=True, env=settings, cwd=folder, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


def test_seeded_items_are_shown_at_once_and_a_reset_is_in_the_change_feed(
    served: Service, mongodb_uri: str, redis_url: str, tmp_path: Path
) -> None:
    with httpx.Client(
        base_url=served.url, transport=PatientTransport(), trust_env=False, verify=NO_TLS, timeout=PATIENCE
    ) as client:
        user = User(client, SAMPLE_USER)

        def cached_total() -> int:
            wait_until(lambda: user.items().headers["x-cache"] == "hit", within=PATIENCE)
            return int(user.items().json()["data"]["total"])

        assert cached_total() == 0

        assert seed(mongodb_uri, redis_url, tmp_path).startswith("Added 30 titles, 3 users and 29 items;")
        assert user.items().json()["data"]["total"] == 24
        at_first = client.get("/api/mylist/export", headers=user.headers).content
        token = client.get("/api/mylist/changes", headers=user.headers).json()["data"]["token"]

        client.delete("/api/mylist/items?confirm=true", headers=user.headers)
        user.add("507f1f77bcf86cd799439012")
        assert cached_total() == 1
        assert "24 items were removed by their users and stay removed" in seed(mongodb_uri, redis_url, tmp_path)
        assert cached_total() == 1

        assert seed(mongodb_uri, redis_url, tmp_path, "--reset").startswith("Reset 0 titles, 0 users and 25 items;")
        assert client.get("/api/mylist/export", headers=user.headers).content == at_first
        changes = client.get("/api/mylist/changes", params={"since": token}, headers=user.headers).json()["data"]
        told = {each["contentId"]: each["change"] for each in changes["changes"]}
        assert told.pop("507f1f77bcf86cd799439012") == "removed"
        assert not told, "the device has the others, which are as they were"
