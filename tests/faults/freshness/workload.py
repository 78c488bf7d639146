"""The load: users with several clients each, all at once, through whichever process the round robin gives them."""

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random

import msgspec

from tests.faults.freshness.answers import (
    UnexpectedAnswerError,
    code_of,
    read_add,
    read_contains,
    read_page,
    read_put,
    read_remove,
    read_selection,
    read_stats,
    title_id,
    title_type,
)
from tests.faults.freshness.deployment import Deployment, Replica, now
from tests.faults.freshness.exchange import Answer, NotAnsweredError, NotSentError
from tests.faults.freshness.history import Action, Add, Observation, Operation, Page, Remove
from tests.faults.freshness.measure import Tally
from tests.waiting import eventually

TITLES = 24
USERS = 60
CLIENTS_OF_EACH = 3
LARGEST_PAGE = 100

_KINDS = ("items", "stats", "contains", "selection", "add", "put", "remove")
_READS = {"items", "stats", "contains", "selection"}
_QUIET = (500, 180, 140, 150, 9, 8, 13)
_BUSY = (340, 130, 110, 120, 90, 70, 140)
"""How often somebody does each kind. Most read, as people do; some change so much that changes and loads collide."""
_BUSY_EVERY = 6
Question = tuple[str, str, bytes]
"""Method, path and body."""
_STATS: Question = ("GET", "stats", b"")
_CONTAINS: Question = (
    "POST",
    "contains",
    msgspec.json.encode({"contentIds": [title_id(title) for title in range(TITLES)]}),
)
_SELECTIONS = (
    ("view=ids&cursor=", 10),
    ("sort=title", LARGEST_PAGE),
    ("sort=releaseDate&order=asc", LARGEST_PAGE),
    ("order=asc&view=ids", LARGEST_PAGE),
)
"""The first newest items, or all of them in another order."""
_PAGE_SIZES = (5, 10, 20, LARGEST_PAGE, LARGEST_PAGE)
_THINKING = 0.12
"""Seconds that a client thinks at most; half of the time it goes on at once."""
_BACKOFF = (0.4, 1.2)
"""Seconds until a client goes on after a failure; Retry-After says one."""
_KNOWN_BODIES = 64


class User:
    """Somebody with a list, and the history of it."""

    def __init__(self, number: int) -> None:
        self.id = f"user-{number}"
        self.weights = _QUIET if number % _BUSY_EVERY else _BUSY
        self.history: list[Operation] = []
        self._read: dict[tuple[int, int, bytes], Observation] = {}

    def observation(self, kind: str, answer: Answer, page: int, size: int) -> Observation:
        """Reads the answer to a read; those that are the same share what was read.

        Raises:
            UnexpectedAnswerError: it is not what was asked for.
        """
        key = page, size, answer.body
        read = self._read.get(key)
        if read is None:
            if len(self._read) >= _KNOWN_BODIES:
                self._read.clear()
            if kind == "contains":
                read = read_contains(answer, TITLES)
            elif kind == "selection":
                read = read_selection(answer, self.id, size)
            else:
                read = read_page(answer, self.id, page, size) if kind == "items" else read_stats(answer)
            self._read[key] = read
        return read


class Client:
    """One device of a user: does one random thing after the other."""

    def __init__(self, user: User, dice: Random, deployment: Deployment, tally: Tally) -> None:
        self._user = user
        self._dice = dice
        self._deployment = deployment
        self._tally = tally

    async def live(self, is_over: Callable[[], bool]) -> None:
        """Goes on until it is over."""
        dice = self._dice
        while not is_over():
            [kind] = dice.choices(_KINDS, self._user.weights)
            if kind == "items":
                size = dice.choice(_PAGE_SIZES)
                done = await self.read_page(1 if size == LARGEST_PAGE else dice.randint(1, 3), size)
            elif kind == "selection":
                query, size = dice.choice(_SELECTIONS)
                done = await self._read(kind, ("GET", f"items?{query}&pageSize={size}", b""), size=size)
            elif kind in _READS:
                done = await self._read(kind, _STATS if kind == "stats" else _CONTAINS)
            else:
                done = await self._change(kind, dice.randrange(TITLES))
            if not done:
                await asyncio.sleep(dice.uniform(*_BACKOFF))
            elif dice.random() < 0.5:
                await asyncio.sleep(dice.uniform(0, _THINKING))

    async def read_page(self, page: int, size: int, replica: Replica | None = None) -> bool:
        """Reads a page through a process or any; says whether it was answered."""
        return await self._read("items", ("GET", f"items?page={page}&pageSize={size}", b""), page, size, replica)

    async def _read(
        self, kind: str, question: Question, page: int = 0, size: int = 0, replica: Replica | None = None
    ) -> bool:
        method, path, body = question
        began = now()
        answer, process = await self._ask(kind, _request(method, path, self._user.id, body), replica)
        if answer is None or answer.status >= 500:
            return False
        self._note(kind, began, process, lambda: self._user.observation(kind, answer, page, size))
        return True

    async def _change(self, kind: str, title: int) -> bool:
        if kind == "add":
            body = msgspec.json.encode({"contentId": title_id(title), "contentType": title_type(title)})
            request = _request("POST", "add", self._user.id, body)
        elif kind == "put":
            body = msgspec.json.encode({"contentType": title_type(title)})
            request = _request("PUT", f"items/{title_id(title)}", self._user.id, body)
        else:
            request = _request("DELETE", f"remove/{title_id(title)}", self._user.id)
        began = now()
        answer, process = await self._ask(kind, request, None)
        if process is None:
            return False  # nobody got it
        if answer is None or answer.status >= 500:
            unknown = Remove(title) if kind == "remove" else Add(title, None)
            self._user.history.append(Operation(began, now(), process.number, unknown, acknowledged=False))
            return False
        self._note(kind, began, process, lambda: self._decided(kind, answer, title))
        return True

    def _decided(self, kind: str, answer: Answer, title: int) -> Action:
        if kind == "remove":
            return read_remove(answer, title)
        return (read_add if kind == "add" else read_put)(answer, self._user.id, title)

    async def _ask(self, kind: str, request: bytes, replica: Replica | None) -> tuple[Answer | None, Replica | None]:
        """Gives the answer if there is one, and the process that was asked if one took the request."""
        for _ in self._deployment.replicas:
            process = replica or self._deployment.next_replica()
            process.writing += kind not in _READS
            try:
                answer = await process.exchange.ask(request)
            except NotSentError:
                process.ready = False
                continue
            except NotAnsweredError as error:
                self._tally.failed(kind, str(error))
                return None, process
            finally:
                process.writing -= kind not in _READS
            if answer.status >= 500:
                self._tally.failed(kind, code_of(answer))
            else:
                process.hits += answer.cache == "hit"
                self._tally.served(kind, now(), answer.cache)
            return answer, process
        self._tally.failed(kind, "no process accepts")
        return None, None

    def _note(self, kind: str, began: float, process: Replica | None, read: Callable[[], Action]) -> None:
        assert process is not None
        ended = now()
        try:
            action = read()
        except UnexpectedAnswerError as error:
            self._tally.unexpected.append(f"{kind} of {self._user.id} by process {process.number}: {error}")
            return
        self._user.history.append(Operation(began, ended, process.number, action))


class Crowd:
    """All users and their clients."""

    def __init__(self, seed: int, deployment: Deployment, tally: Tally) -> None:
        self.users = [User(number) for number in range(USERS)]
        self._deployment = deployment
        self._clients = {
            user: [
                Client(user, Random(f"{seed} {user.id} {number}"), deployment, tally)
                for number in range(CLIENTS_OF_EACH)
            ]
            for user in self.users
        }

    async def live(self, is_over: Callable[[], bool]) -> None:
        """Has everybody go on until it is over."""
        async with asyncio.TaskGroup() as group:
            for clients in self._clients.values():
                for client in clients:
                    group.create_task(client.live(is_over))

    async def read_everything(self, *, within: float) -> None:
        """Reads each list through each process."""
        await asyncio.gather(*(self._read_list(clients[0], within) for clients in self._clients.values()))

    async def _read_list(self, client: Client, within: float) -> None:
        for replica in self._deployment.replicas:
            await eventually(partial(client.read_page, 1, LARGEST_PAGE, replica), within=within)


def as_page(items: list[tuple[int, str]]) -> Page:
    """Gives a whole list as the page that shows it."""
    return Page(1, LARGEST_PAGE, len(items), tuple(items))


def _request(method: str, path: str, user_id: str, body: bytes = b"") -> bytes:
    head = f"{method} /api/mylist/{path} HTTP/1.1\r\nhost: mylist\r\nuser-id: {user_id}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
