"""The load: users with several clients each, concurrently, through the processes that the round robin selects."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

import msgspec

from devtools.http_client import Answer, NotAnsweredError, NotSentError, request
from devtools.waiting import eventually
from mylist.domain.timestamps import iso_format
from tests.faults.freshness.answers import (
    UnexpectedAnswerError,
    code_of,
    read_contains,
    read_export,
    read_page,
    read_selection,
    read_stats,
    title_id,
)
from tests.faults.freshness.deployment import Deployment, Replica, now
from tests.faults.freshness.history import LARGEST_PAGE, Action, Item, Observation, Operation
from tests.faults.freshness.sync_client import SyncClient
from tests.faults.freshness.tally import KINDS, READS, Tally
from tests.faults.freshness.writes import Write, add, batch, clear, discard, merge, merge_foreign, put, remove, replace

TITLES = 24
CLIENTS_PER_USER = 3

# In the order of `KINDS`: items, stats, contains, selection, export, changes, then add, put, remove, discard, batch,
# merge, foreign, replace, clear.
_QUIET = (440, 160, 120, 130, 50, 70, 8, 7, 8, 4, 2, 1, 1, 0, 0)
_BUSY = (300, 110, 90, 100, 50, 70, 80, 60, 80, 40, 14, 6, 6, 0, 0)
_FICKLE = (300, 110, 90, 100, 50, 70, 80, 60, 70, 30, 14, 8, 8, 8, 8)
_READING = (440, 160, 120, 130, 50, 70, 0, 0, 0, 0, 0, 0, 0, 0, 0)
"""The weights of each kind. Most users read, like real ones; some change so much that changes and loads collide."""
_BUSY_EVERY = 6
_FEW = 4
"""Titles of users who change whole lists at once: a longer list could become empty in too many ways."""
_MOVES = 2
"""Lists that an operator moves to another user id and back."""
_FORGETTING = 0.02
"""How often a sync client begins again instead of asking for what changed."""
_MAX_AGE = timedelta(days=30)
"""How long ago an imported item was added, at most: it comes between those that are there."""
Question = tuple[str, str, bytes]
"""Method, path and body."""
_QUESTIONS: dict[str, Question] = {
    "stats": ("GET", "stats", b""),
    "contains": (
        "POST",
        "contains",
        msgspec.json.encode({"contentIds": [title_id(title) for title in range(TITLES)]}),
    ),
    "export": ("GET", "export", b""),
}
_SELECTIONS = (
    ("view=ids&cursor=", 10),
    ("sort=title", LARGEST_PAGE),
    ("sort=releaseDate&order=asc", LARGEST_PAGE),
    ("order=asc&view=ids", LARGEST_PAGE),
)
"""The first newest items, or all of them in another order."""
_PAGE_SIZES = (5, 10, 20, LARGEST_PAGE, LARGEST_PAGE)
_MAX_THINK_TIME_S = 0.12
"""The most seconds that a client thinks; half of the time it continues at once."""
_BACKOFF_S = (0.4, 1.2)
"""Seconds until a client continues after a failure; Retry-After asks for one."""
_KNOWN_BODIES = 64
_POLL_S = 0.01
_NOTHING_CHANGED = {
    *("CACHE_UNAVAILABLE", "DATABASE_UNAVAILABLE", "DATABASE_REFUSED", "DATABASE_BUSY", "OVERLOADED"),
    *("TOO_MANY_IMPORTS", "TOO_MANY_REQUESTS"),
}
"""The codes of a change that was refused before anything took effect."""
_TOO_MANY = 429


def _is_refusal(answer: Answer) -> bool:
    return answer.status >= 500 or answer.status == _TOO_MANY


class User:
    """A user with a list and its history.

    Args:
        user_id: who it is.
        titles: those that may be on the list.
        first: how many are on it at first.
        weights: how often each of `KINDS` is done.
    """

    def __init__(self, user_id: str, titles: Sequence[int], first: int, weights: Sequence[int]) -> None:
        self.id = user_id
        self.titles = titles
        self.first = first
        self.weights = weights
        self.history: list[Operation] = []
        self.first_items: list[Item] = []
        """What is on it at first."""
        self.is_signed_out = False
        """Whether no device follows the list by its token."""
        self.following = 0
        """How many devices are just asking what changed."""
        self._read: dict[tuple[int, int, bytes], Observation] = {}

    def observation(self, kind: str, answer: Answer, page: int, size: int) -> Observation:
        """Read the answer to a read; equal answers share the parsed result.

        Raises:
            UnexpectedAnswerError: it is not an answer to this request.
        """
        key = page, size, answer.body
        read = self._read.get(key)
        if read is None:
            if len(self._read) >= _KNOWN_BODIES:
                self._read.clear()
            match kind:
                case "contains":
                    read = read_contains(answer, TITLES)
                case "selection":
                    read = read_selection(answer, self.id, size)
                case "export":
                    read = read_export(answer, self.id)
                case "stats":
                    read = read_stats(answer)
                case _:
                    read = read_page(answer, self.id, page, size)
            self._read[key] = read
        return read


@dataclass(slots=True)
class Move:
    """A list that an operator moves to another user id, and back; no other client changes it.

    Attributes:
        source: who has it.
        target: who gets it next.
        may_be_partly_done: whether a run of the move has failed.
        rests_until: the end of its rest, during which a failed operation may still happen.
    """

    source: User
    target: User
    may_be_partly_done: bool = False
    rests_until: float = 0.0

    @property
    def items(self) -> Sequence[Item]:
        """Return its items: the first items of either user, because one of the two had none."""
        return self.source.first_items or self.target.first_items


class Client:
    """One device of a user: does one random thing after the other."""

    def __init__(self, user: User, dice: Random, deployment: Deployment, tally: Tally) -> None:
        self._user = user
        self._dice = dice
        self._deployment = deployment
        self._tally = tally
        self._sync_client = SyncClient()

    def begin_anew(self) -> None:
        """Drop the copy of the list that it keeps by a token."""
        self._sync_client.forget()

    async def live(self, is_over: Callable[[], bool]) -> None:
        """Go on until it is over."""
        dice = self._dice
        while not is_over():
            [kind] = dice.choices(KINDS, self._user.weights)
            match kind:
                case "items":
                    size = dice.choice(_PAGE_SIZES)
                    done = await self.read_page(1 if size == LARGEST_PAGE else dice.randint(1, 3), size)
                case "selection":
                    query, size = dice.choice(_SELECTIONS)
                    done = await self._read(kind, ("GET", f"items?{query}&pageSize={size}", b""), size=size)
                case "changes" if self._user.is_signed_out:
                    done = False
                case "changes":
                    if dice.random() < _FORGETTING:
                        self._sync_client.forget()
                    done = await self.read_changes()
                case _ if kind in _QUESTIONS:
                    done = await self._read(kind, _QUESTIONS[kind])
                case _:
                    done = await self._change(kind, self._write(kind))
            if not done:
                await asyncio.sleep(dice.uniform(*_BACKOFF_S))
            elif dice.random() < 0.5:
                await asyncio.sleep(dice.uniform(0, _MAX_THINK_TIME_S))

    async def read_page(self, page: int, size: int, replica: Replica | None = None) -> bool:
        """Read a page through a process or any; return whether it was answered."""
        return await self._read("items", ("GET", f"items?page={page}&pageSize={size}", b""), page, size, replica)

    async def read_changes(self) -> bool:
        """Bring the sync client's copy up to date through any process; return whether that was answered."""
        self._user.following += 1
        try:
            return await self._read("changes", ("GET", self._sync_client.path, b""))
        finally:
            self._user.following -= 1

    async def _read(
        self, kind: str, question: Question, page: int = 0, size: int = 0, replica: Replica | None = None
    ) -> bool:
        method, path, body = question
        began = now()
        answer, process = await self._ask(kind, _request(method, path, self._user.id, body), replica)
        if answer is None or _is_refusal(answer):
            return False
        if kind == "changes":
            self._note(kind, began, process, lambda: [self._sync_client.read(answer)])
        else:
            self._note(kind, began, process, lambda: [self._user.observation(kind, answer, page, size)])
        return True

    def _write(self, kind: str) -> Write:
        dice, user = self._dice, self._user
        match kind:
            case "batch":
                titles = dice.sample(user.titles, k=4)
                return batch(titles[:2], titles[2:])
            case "merge" | "foreign":
                return (merge if kind == "merge" else merge_foreign)(self._imported())
            case "replace":
                items = self._imported()
                return replace(items, [title for title in user.titles if title not in dict(items)])
            case "clear":
                return clear(user.titles)
        title = dice.choice(user.titles)
        if kind in {"add", "put"}:
            return (add if kind == "add" else put)(user.id, title)
        return (remove if kind == "remove" else discard)(title)

    def _imported(self) -> list[Item]:
        dice, moment = self._dice, datetime.now(UTC)
        titles = dice.sample(self._user.titles, k=dice.randint(1, 3))
        return [(title, iso_format(moment - dice.random() * _MAX_AGE)) for title in titles]

    async def _change(self, kind: str, write: Write) -> bool:
        asked = _request(write.method, write.path, self._user.id, write.body, write.content_type)
        began = now()
        answer, process = await self._ask(kind, asked, None)
        if process is None:
            return False  # no process received it
        if answer is None or _is_refusal(answer):
            if answer and code_of(answer) in _NOTHING_CHANGED:
                return False
            ended = now()
            self._user.history += (
                Operation(began, ended, process.number, change, acknowledged=False, request=kind)
                for change in write.possible
            )
            return False
        self._note(kind, began, process, lambda: write.told(answer))
        return True

    async def _ask(self, kind: str, asked: bytes, replica: Replica | None) -> tuple[Answer | None, Replica | None]:
        """Return the answer if there is one, and the process that took the request, if one did."""
        for _ in self._deployment.replicas:
            process = replica or self._deployment.next_replica()
            process.writing += kind not in READS
            try:
                answer = await process.pool.ask(asked)
            except NotSentError:
                process.ready = False
                continue
            except NotAnsweredError as error:
                self._tally.failed(kind, str(error))
                return None, process
            finally:
                process.writing -= kind not in READS
            if _is_refusal(answer):
                self._tally.failed(kind, code_of(answer))
            else:
                cache = answer.headers.get("x-cache", "")
                process.hits += cache == "hit"
                self._tally.served(kind, now(), cache)
            return answer, process
        self._tally.failed(kind, "no process accepts")
        return None, None

    def _note(self, kind: str, began: float, process: Replica | None, read: Callable[[], Sequence[Action]]) -> None:
        assert process is not None
        ended = now()
        try:
            actions = read()
        except UnexpectedAnswerError as error:
            self._tally.unexpected.append(f"{kind} of {self._user.id} by process {process.number}: {error}")
            return
        self._user.history += (Operation(began, ended, process.number, action, request=kind) for action in actions)


class Crowd:
    """All users and their clients."""

    def __init__(self, seed: int, users: int, deployment: Deployment, tally: Tally) -> None:
        clients = [_user(number) for number in range(users)]
        self.fickle = [user for user in clients if user.weights is _FICKLE]
        """Users who change their whole lists at once, and whom an operator erases."""
        self.moves = [
            Move(
                User(f"moved-{number}", range(_FEW), _FEW, _READING),
                User(f"moved-{number}/to", range(_FEW), 0, _READING),
            )
            for number in range(_MOVES)
        ]
        self.users = clients + [user for move in self.moves for user in (move.source, move.target)]
        self._deployment = deployment
        self._clients = {
            user: [
                Client(user, Random(f"{seed} {user.id} {number}"), deployment, tally)
                for number in range(CLIENTS_PER_USER)
            ]
            for user in self.users
        }

    async def live(self, is_over: Callable[[], bool]) -> None:
        """Run all clients until it is over."""
        async with asyncio.TaskGroup() as group:
            for clients in self._clients.values():
                for client in clients:
                    group.create_task(client.live(is_over))

    @asynccontextmanager
    async def signed_out(self, user: User) -> AsyncIterator[None]:
        """Keep the user's devices from following the list by its token; afterwards each begins again."""
        user.is_signed_out = True
        try:
            while user.following:
                await asyncio.sleep(_POLL_S)
            yield
        finally:
            for client in self._clients[user]:
                client.begin_anew()
            user.is_signed_out = False

    async def read_everything(self, *, within: float) -> None:
        """Read each list through each process, and what changed by each sync client."""
        await asyncio.gather(*(self._read_list(clients, within) for clients in self._clients.values()))

    async def _read_list(self, clients: Sequence[Client], within: float) -> None:
        for replica in self._deployment.replicas:
            await eventually(partial(clients[0].read_page, 1, LARGEST_PAGE, replica), within=within)
        for client in clients:
            await eventually(client.read_changes, within=within)


def _user(number: int) -> User:
    titles, weights = range(TITLES), _QUIET
    if number % _BUSY_EVERY == 0:
        weights = _BUSY
    elif number % _BUSY_EVERY == 1:
        titles, weights = range(_FEW), _FICKLE
    return User(f"user-{number}", titles, len(titles) // 2, weights)


def _request(method: str, path: str, user_id: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    headers = {"user-id": user_id, "content-type": content_type} if body else {"user-id": user_id}
    return request(method, f"/api/mylist/{path}", headers, body)
