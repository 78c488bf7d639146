"""Owed stamps: the process keeps a limited number, and writes them in order as soon as MongoDB accepts them."""

import asyncio
import logging
from collections.abc import Mapping

import pytest

from devtools.waiting import eventually
from mylist.domain.errors import DatabaseUnavailableError
from mylist.mongodb import owed_stamps
from mylist.mongodb.owed_stamps import OwedStamps


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed_stamps, "_RETRY_INTERVAL_S", 0.01)
    monkeypatch.setattr(owed_stamps, "_FINISH_TIMEOUT_S", 0.05)


class MongoDB:
    """Accepts stamps while it is available."""

    def __init__(self) -> None:
        self.available = True
        self.made: list[tuple[str, list[int]]] = []
        self.tried = 0

    async def make(self, user_id: str, contents: Mapping[int, None], _: object) -> None:
        self.tried += 1
        await asyncio.sleep(0)
        if not self.available:
            raise DatabaseUnavailableError
        self.made.append((user_id, list(contents)))


async def test_owed_stamps_are_written_oldest_first_once_mongodb_is_back(caplog: pytest.LogCaptureFixture) -> None:
    mongodb = MongoDB()
    mongodb.available = False
    owed = OwedStamps(mongodb.make)
    owed.add("ada", {1: None, 2: None}, "removed")
    owed.add("grace", {3: None}, "dated")

    async def was_tried() -> bool:
        return mongodb.tried > 2

    await eventually(was_tried, within=60)
    assert mongodb.made == []
    mongodb.available = True
    await owed.finish()

    assert mongodb.made == [("ada", [1, 2]), ("grace", [3])]
    owed.add("linus", {4: None}, "removed")
    await owed.finish()
    assert mongodb.made[2:] == [("linus", [4])]
    assert caplog.text == ""


async def test_finishing_without_owed_stamps_does_not_wait() -> None:
    await OwedStamps(MongoDB().make).finish()


async def test_stamps_that_cannot_be_written_before_the_shutdown_are_logged_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mongodb = MongoDB()
    mongodb.available = False
    owed = OwedStamps(mongodb.make)
    owed.add("ada", {1: None, 2: None}, "removed")
    with caplog.at_level(logging.ERROR):
        await owed.finish()

    [line] = caplog.records
    assert "devices may miss 2 changes of unknown outcome" in line.getMessage()
    mongodb.available = True
    await asyncio.sleep(0.05)
    assert mongodb.made == []


async def test_above_the_limit_the_oldest_owed_stamps_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed_stamps, "MAX_OWED", 3)
    mongodb = MongoDB()
    mongodb.available = False
    owed = OwedStamps(mongodb.make)
    for number in range(6):
        owed.add("ada", {number: None}, "removed")
    mongodb.available = True
    await owed.finish()

    assert mongodb.made == [("ada", [number]) for number in (3, 4, 5)]
