"""The conclusions of a process from the reigns that it sees and receives."""

import math

import pytest

from mylist.domain.reign import BELIEVED_FOR_S, NO_REIGN, Reigns

FIRST, SECOND, THIRD = (f"7fffffff{term:016x}" for term in (9, 10, 16))
HANDOVER_S = 0.6


class Place:
    """A primary of Redis."""


class Process:
    """A process: its knowledge of reigns, and its clock."""

    def __init__(self, sees: str = FIRST) -> None:
        self.now = 1000.0
        self.sees = sees
        self.place = Place()
        self.reigns = Reigns(handover_s=HANDOVER_S, seen=lambda: self.sees, clock=lambda: self.now)

    def heartbeat(self, found: str | None) -> None:
        self.reigns.note_answer(self.place, self.sees, found)

    def is_replaced(self) -> bool:
        return self.reigns.is_replaced

    def is_told(self) -> bool:
        return self.reigns.is_told

    def left(self, place: Place | None = None) -> float:
        return self.reigns.seconds_until_known(place or self.place, self.sees)


@pytest.fixture
def process() -> Process:
    return Process()


def test_later_reigns_are_higher() -> None:
    assert NO_REIGN < FIRST < SECOND < THIRD


class TestAReplacedPrimary:
    def test_is_known_from_the_announcement_of_another_process(self, process: Process) -> None:
        process.heartbeat(FIRST)
        assert not process.is_replaced()

        process.heartbeat(SECOND)
        assert process.is_replaced()
        assert process.reigns.replaces(FIRST)
        assert not process.reigns.replaces(SECOND)
        assert not process.reigns.replaces(THIRD)

    def test_is_still_known_after_redis_has_lost_the_later_reign(self, process: Process) -> None:
        process.heartbeat(SECOND)
        for found in (None, FIRST, NO_REIGN):
            process.heartbeat(found)
            assert process.is_replaced()

    def test_is_no_longer_assumed_once_the_driver_sees_the_latest_reign(self, process: Process) -> None:
        process.heartbeat(SECOND)
        process.sees = SECOND
        assert not process.is_replaced()

    def test_is_believed_again_if_no_later_reign_was_announced_for_a_long_time(self, process: Process) -> None:
        process.heartbeat(SECOND)
        process.now += BELIEVED_FOR_S
        assert process.is_replaced()
        process.heartbeat(FIRST)
        assert process.is_replaced()

        process.now += 0.1
        assert not process.is_replaced()
        process.heartbeat(FIRST)
        process.sees = THIRD
        assert not process.is_replaced()

    def test_is_not_believed_while_a_later_reign_is_announced(self, process: Process) -> None:
        for _ in range(10):
            process.heartbeat(SECOND)
            process.now += BELIEVED_FOR_S / 2
            assert process.is_replaced()


class TestAnAnnouncement:
    def test_is_known_to_all_after_the_handover(self, process: Process) -> None:
        assert process.left() == math.inf
        process.heartbeat(None)
        assert process.left() == pytest.approx(HANDOVER_S)
        process.now += HANDOVER_S
        assert process.left() <= 0

    def test_counts_only_for_its_own_reign(self, process: Process) -> None:
        process.heartbeat(None)
        process.now += 10
        process.sees = SECOND
        assert process.left() == math.inf
        process.heartbeat(FIRST)
        assert process.left() == pytest.approx(HANDOVER_S)

    def test_counts_only_at_the_redis_primary_where_it_was_made(self, process: Process) -> None:
        process.heartbeat(None)
        assert process.left(Place()) == math.inf

    def test_does_not_restart_its_handover_with_each_heartbeat(self, process: Process) -> None:
        process.heartbeat(None)
        for _ in range(6):
            process.now += HANDOVER_S / 6
            process.heartbeat(FIRST)
        assert process.left() <= 0

    def test_restarts_its_handover_when_redis_returns_a_lower_reign(self, process: Process) -> None:
        process.sees = SECOND
        process.heartbeat(FIRST)
        process.now += HANDOVER_S
        process.heartbeat(FIRST)  # after Redis was flushed
        assert process.left() == pytest.approx(HANDOVER_S)

    def test_does_not_restart_its_handover_when_redis_returns_no_reign(self, process: Process) -> None:
        process.heartbeat(None)
        process.now += HANDOVER_S
        process.heartbeat(None)
        assert process.left() <= 0


def test_without_elections_no_primary_is_replaced_and_no_handover_is_needed() -> None:
    process = Process(sees=NO_REIGN)
    process.heartbeat(SECOND)
    assert not process.is_replaced()
    assert process.left() == 0


def test_the_highest_reign_counts_as_known_only_until_its_expiry() -> None:
    process = Process()
    assert process.is_told(), "nothing sends heartbeats yet"
    process.reigns.is_alone = False
    assert not process.is_told()
    process.reigns.told_until = process.now + 0.45
    assert process.is_told()
    process.now += 0.5
    assert not process.is_told()
