"""The freshness checker's findings in lines of `mylist events`: it counts each kind of fault."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from tests.faults.freshness.told_changes import compare

TROUBLES = ("lost", "unreal", "wrong", "disordered", "repeated", "cut", "misleading")


def change(number: int, user: str = "a", title: str = "1", *, is_added: bool = True) -> dict[str, Any]:
    line = {"userId": user, "contentId": title, "contentType": "movie", "at": f"at {number}", "token": f"{number:03}"}
    return line | ({"change": "added", "addedAt": f"day {number}"} if is_added else {"change": "removed"})


A1, A2, B3, A4 = change(1), change(2, is_added=False), change(3, "b"), change(4)
CHANGES = [A1, A2, B3, A4]


def written(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def findings(*processes: bytes) -> dict[str, int]:
    """Return the faults in the lines of processes."""
    told = asdict(compare(processes, CHANGES))
    assert told.pop("changes") == len(CHANGES)
    del told["lines"]
    return {name: count for name, count in told.items() if count}


@pytest.mark.parametrize(
    ("processes", "found"),
    [
        pytest.param([written(*CHANGES)], {}, id="all by one process"),
        pytest.param([written(A1, A2), b"", written(B3, A4)], {}, id="all by three processes"),
        pytest.param([written(A1, B3, A2, A4)], {}, id="users overtake each other"),
        pytest.param([written(A1, A2, B3), written(A2, B3, A4)], {"duplicates": 2}, id="told again after a restart"),
        pytest.param([written(A1, A2), written(A4)], {"lost": 1, "misleading": 1}, id="lost between two processes"),
        pytest.param([written(A1, B3, A4)], {"lost": 1}, id="lost in the middle"),
        pytest.param([written(A1, A2, B3)], {"lost": 1, "misleading": 1}, id="lost at the end"),
        pytest.param([], {"lost": 4, "misleading": 2}, id="nothing told"),
        pytest.param([written(A2, A1, B3, A4)], {"disordered": 1}, id="out of order by one process"),
        pytest.param(
            [written(A1, A4), written(A2, B3)], {"disordered": 1, "misleading": 1}, id="out of order by two processes"
        ),
        pytest.param(
            [written(A1, A2, B3), written(A2, A1, B3, A4)],
            {"duplicates": 3, "disordered": 1},
            id="told again out of order",
        ),
        pytest.param(
            [written(A1, A2, B3, A1, A2, B3, A4)], {"duplicates": 3, "repeated": 3}, id="told again without a restart"
        ),
        pytest.param([written(*CHANGES, change(5, "b"))], {"unreal": 1, "misleading": 1}, id="what never was"),
        pytest.param(
            [written(A1, A2, B3, A4 | {"addedAt": "day 5"})], {"wrong": 1, "misleading": 1}, id="another date"
        ),
        pytest.param(
            [written(A1, A2)[:-5], written(A2, B3, A4)], {"cut": 1}, id="cut, and told as a whole after the restart"
        ),
        pytest.param([written(*CHANGES)[:-1]], {"cut": 1, "lost": 1, "misleading": 1}, id="cut before the line feed"),
    ],
)
def test_each_kind_of_fault_is_counted(processes: list[bytes], found: dict[str, int]) -> None:
    assert findings(*processes) == found


def test_the_copy_of_a_consumer_is_compared_with_the_lists() -> None:
    before = {("a", "2"): "day 0", ("a", "1"): "day 0"}
    after = {("a", "1"): "day 4", ("b", "1"): "day 3", ("a", "2"): "day 0"}
    assert compare([written(*CHANGES)], CHANGES, before=before, after=after).troubles == []
    of_another_date = after | {("a", "1"): "day 5"}
    of_one_more = after | {("c", "1"): "day 1"}
    for lists in (of_another_date, of_one_more):
        told = compare([written(*CHANGES)], CHANGES, before=before, after=lists)
        assert told.troubles == ["events: 1 items of whoever applied the lines differ from MongoDB's lists"]


def test_each_kind_of_fault_except_duplicates_counts_as_trouble() -> None:
    """The service promises that duplicates after a restart are harmless."""
    told = compare([written(A4, A4 | {"userId": "b"}, A1, change(5)) + b"{"], CHANGES, after={})
    found = {name for name, count in asdict(told).items() if count} - {"changes", "lines"}
    assert found == {"duplicates", *TROUBLES}
    assert len(told.troubles) == len(TROUBLES)
