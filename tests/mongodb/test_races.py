"""Concurrent changes of the same items: every answer is true, and afterwards the list matches the answers."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from tests.contract.conftest import User
from tests.contract.titles import MATRIX_ID, MOVIE_IDS
from tests.mongodb.copies import Copy

Documents = Database[dict[str, Any]]
AT_ONCE = 50
CHANGES_OF_EACH = 60
IDS = [MATRIX_ID, *MOVIE_IDS[:4]]


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield pool


def answers(pool: ThreadPoolExecutor, ask: Callable[[User], httpx.Response], users: list[User]) -> Counter[int]:
    """Send a request from every thread at once, to both processes in turn; return how often each status came."""
    asked = [pool.submit(ask, users[number % len(users)]) for number in range(AT_ONCE)]
    return Counter(each.result().status_code for each in asked)


def test_exactly_one_of_several_concurrent_adds_or_removals_of_an_item_succeeds(
    pool: ThreadPoolExecutor, users: list[User]
) -> None:
    for _ in range(3):
        assert served(answers(pool, lambda user: user.add(MATRIX_ID), users)) == {201: 1, 409: AT_ONCE - 1}
        assert served(answers(pool, lambda user: user.remove(MATRIX_ID), users)) == {200: 1, 404: AT_ONCE - 1}


def served(counted: Counter[int]) -> dict[int, int]:
    """Return the counts; a client that was limited (429) counts as a loser, and all other errors fail the test."""
    loser = next((status for status in counted if status in {404, 409}), 409)
    counted[loser] += counted.pop(429, 0)
    return dict(counted)


def test_after_concurrent_changes_the_list_matches_the_answers(
    pool: ThreadPoolExecutor, users: list[User], database: Documents
) -> None:
    added, removed = Counter[str](), Counter[str]()

    def change(number: int) -> list[tuple[str, str]]:
        random, done = Random(number), []
        for _ in range(CHANGES_OF_EACH):
            user, content_id = random.choice(users), random.choice(IDS)
            adds = random.random() < 0.5
            status = (user.add if adds else user.remove)(content_id).status_code
            assert status in ({201, 409} if adds else {200, 404}), status
            if status in {200, 201}:
                done.append((("added" if adds else "removed"), content_id))
        return done

    copy = Copy(users[1])
    for each in [pool.submit(change, number) for number in range(8)]:
        while not each.done():
            copy.catch_up()  # a device asks meanwhile
        for what, content_id in each.result():
            (added if what == "added" else removed)[content_id] += 1

    there = set(users[0].contents())
    assert sum(added.values()) > 50
    assert {each: added[each] - removed[each] for each in IDS} == {each: int(each in there) for each in IDS}
    documents = list(database["mylist"].find({"userId": users[0].id}))
    assert sorted(each["contentId"] for each in documents if "addedAt" in each) == sorted(there)
    assert set(users[1].contents()) == there
    copy.catch_up()
    assert set(copy.items) == there
