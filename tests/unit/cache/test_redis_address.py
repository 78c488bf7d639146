"""The address of Redis in log lines: two processes with different databases must not seem to use the same one."""

import pytest

from mylist.cache.clients import address
from mylist.config.settings import Settings


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"REDIS_HOST": "cache", "REDIS_PORT": "6380"}, "cache:6380"),
        ({"REDIS_HOST": "cache", "REDIS_DB": "1"}, "cache:6379/1"),
        ({"REDIS_HOST": "cache", "REDIS_URL": "redis://:secret@other:6379/2"}, "redis://:********@other:6379/2"),
    ],
    ids=["host and port", "database", "URL"],
)
def test_the_address_names_the_server_and_the_database_but_no_password(settings: dict[str, str], shown: str) -> None:
    assert address(Settings.load(settings)) == shown
