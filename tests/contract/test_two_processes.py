"""Two service processes on the same stores, as in a cluster: no duplicate gets through, and no answer is stale."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from pymongo.database import Database

from devtools.service_process import Service
from tests.conftest import Serve
from tests.contract.conftest import PatientTransport, User, connect
from tests.contract.raw_http import Answer, Connection
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID

pytestmark = pytest.mark.own_logic

USERS = 50
OPERATIONS_OF_EACH = 120
TITLES = [(content_id, "movie") for content_id in MOVIE_IDS[:15]] + [(SHOW_ID, "tvshow")]

REFUSED = 503
WITHOUT_EFFECT = {"DATABASE_UNAVAILABLE", "DATABASE_BUSY", "OVERLOADED", "CACHE_UNAVAILABLE"}

Processes = tuple[Service, Service]


@pytest.fixture(scope="module")
def processes(serve: Serve, titles: None) -> Processes:  # noqa: ARG001 - inserted before the first call
    """Two processes that trust their cache; a process that has just started does not yet.

    Their timeout for MongoDB is the longest possible, so that no change has an unknown outcome on a busy machine.
    """
    pair = serve(MONGODB_TIMEOUT="5"), serve(MONGODB_TIMEOUT="5")
    for service in pair:
        with connect(service, transport=PatientTransport()) as client:
            User(client, "warming-up").stats()
    return pair


class TestFiftyConcurrent:
    @pytest.fixture
    @staticmethod
    async def connections(processes: Processes) -> AsyncIterator[list[Connection]]:
        opened = [await Connection.open(processes[number % 2].url) for number in range(50)]
        yield opened
        for connection in opened:
            connection.close()

    async def test_adds_of_one_item_add_it_once(
        self, connections: list[Connection], user_id: str, database: Database[dict[str, object]]
    ) -> None:
        headers = {"user-id": user_id}
        for content_id in (MATRIX_ID, *MOVIE_IDS[:4]):
            body = {"contentId": content_id, "contentType": "movie"}
            answers = await asyncio.gather(
                *(each.request("POST", "/api/mylist/add", headers, body) for each in connections)
            )
            assert Counter(answer.status for answer in answers) == {201: 1, 409: 49}
            assert database["mylist"].count_documents({"userId": user_id, "contentId": content_id}) == 1

        totals = [(await each.request("GET", "/api/mylist/stats", headers)).json()["data"] for each in connections]
        assert totals == [{"total": 5, "byType": {"movie": 5, "tvshow": 0}}] * 50

    async def test_removes_of_one_item_remove_it_once(self, connections: list[Connection], user_id: str) -> None:
        headers = {"user-id": user_id}
        body = {"contentId": MATRIX_ID, "contentType": "movie"}
        await connections[0].request("POST", "/api/mylist/add", headers, body)
        answers = await asyncio.gather(
            *(each.request("DELETE", f"/api/mylist/remove/{MATRIX_ID}", headers) for each in connections)
        )
        assert Counter(answer.status for answer in answers) == {200: 1, 404: 49}


Listed = list[tuple[str, str, str]]


@dataclass
class Someone:
    """A user with one request at a time, each to a random process, and with a copy of the expected list.

    While a change is in flight, a second device may read. It must see the list from before or after the change.
    """

    id: str
    devices: list[tuple[Connection, Connection]]
    dice: random.Random
    items: dict[str, tuple[str, str]] = field(default_factory=dict)
    caches: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    written_through: int | None = None
    reads_of_the_other: int = 0

    @classmethod
    async def arrive(cls, number: int, processes: Processes) -> Self:
        first, second = processes
        devices = [(await Connection.open(first.url), await Connection.open(second.url)) for _ in range(2)]
        return cls(f"someone-{number}", devices, random.Random(number))

    async def act(self) -> None:
        """Send one random request and check its answer."""
        process = self.dice.randrange(2)
        match self.dice.choices(("add", "remove", "items", "stats"), (15, 10, 50, 25)):
            case ["add"]:
                await self._add(process)
            case ["remove"]:
                await self._remove(process)
            case ["items"]:
                self._note_read(process, answer := await self._call(process, "GET", "/api/mylist/items?pageSize=100"))
                assert listed(answer) == self._listed()
                assert answer.json()["data"]["total"] == len(self.items)
            case _:
                self._note_read(process, answer := await self._call(process, "GET", "/api/mylist/stats"))
                types = Counter(content_type for _, content_type in self.items.values())
                by_type = {"movie": types["movie"], "tvshow": types["tvshow"]}
                assert answer.json()["data"] == {"total": len(self.items), "byType": by_type}

    async def leave(self) -> None:
        for device in self.devices:
            for connection in device:
                connection.close()

    async def _add(self, process: int) -> None:
        content_id, content_type = self.dice.choice(TITLES)
        before = self._listed()
        body = {"contentId": content_id, "contentType": content_type}
        answer, seen = await self._change(process, "POST", "/api/mylist/add", body)
        assert answer.status == (409 if content_id in self.items else 201)
        if answer.status == 201:
            self.items[content_id] = (answer.json()["data"]["addedAt"], content_type)
        assert seen in (None, before, self._listed())

    async def _remove(self, process: int) -> None:
        content_id, _ = self.dice.choice(TITLES)
        before = self._listed()
        answer, seen = await self._change(process, "DELETE", f"/api/mylist/remove/{content_id}")
        assert answer.status == (200 if self.items.pop(content_id, None) else 404)
        assert seen in (None, before, self._listed())

    async def _change(
        self, process: int, method: str, target: str, body: dict[str, str] | None = None
    ) -> tuple[Answer, Listed | None]:
        self.written_through = process
        if self.dice.random() < 0.5:
            return await self._call(process, method, target, body), None
        answer, meanwhile = await asyncio.gather(
            self._call(process, method, target, body),
            self._call(self.dice.randrange(2), "GET", "/api/mylist/items?pageSize=100", device=1),
        )
        return answer, listed(meanwhile)

    async def _call(
        self, process: int, method: str, target: str, body: dict[str, str] | None = None, *, device: int = 0
    ) -> Answer:
        connection = self.devices[device][process]
        while (answer := await connection.request(method, target, {"user-id": self.id}, body)).status == REFUSED:
            # On a busy machine. The client may retry a request that had no effect.
            assert answer.json()["code"] in WITHOUT_EFFECT, answer.body
        self.statuses[answer.status] += 1
        return answer

    def _note_read(self, process: int, answer: Answer) -> None:
        self.caches[answer.headers["x-cache"]] += 1
        self.reads_of_the_other += self.written_through == 1 - process
        self.written_through = None

    def _listed(self) -> Listed:
        by_id = sorted((content_id, *item) for content_id, item in self.items.items())
        return sorted(by_id, key=lambda item: item[1], reverse=True)


def listed(answer: Answer) -> Listed:
    """Return the content id, date and type of each item of an answer."""
    items: list[dict[str, Any]] = answer.json()["data"]["items"]
    return [(item["contentId"], item["addedAt"], item["contentType"]) for item in items]


async def test_no_read_is_stale_whichever_process_answers(processes: Processes) -> None:
    people = [await Someone.arrive(number, processes) for number in range(USERS)]

    async def live(someone: Someone) -> None:
        for _ in range(OPERATIONS_OF_EACH):
            await someone.act()

    await asyncio.gather(*map(live, people))
    await asyncio.gather(*(someone.leave() for someone in people))

    caches = sum((someone.caches for someone in people), Counter[str]())
    statuses = sum((someone.statuses for someone in people), Counter[int]())
    assert caches["hit"] > USERS * OPERATIONS_OF_EACH / 8, f"too few reads were served from the cache: {caches}"
    assert sum(someone.reads_of_the_other for someone in people) > 500, "too few reads followed a write elsewhere"
    assert set(statuses) == {200, 201, 404, 409}
