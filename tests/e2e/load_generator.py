"""Users on the Service from within the cluster, until SIGTERM: `python load_generator.py`, with these variables.

Each user acts sequentially on a list of their own, which no other user changes. So every answer is predictable: each
later read contains all earlier additions. Each user's second device only reads, so that lists get into the cache
while they change. Requests are not retried, so the generator counts every failure that a caller would notice.

    HOST, PORT  the Service
    RUN         a word that the user ids begin with: so each run has lists of its own
    USERS       how many at once
    TITLES      content ids of movies, as JSON

A network that enforces NetworkPolicies admits a new pod only after a moment, and each node by itself. So the generator
counts only from the first answer on a connection to the Service, which the first line of the output reports. The last
line is the result as JSON, or the reason why there is none. The generator needs the standard library only: a ConfigMap
brings it into an image that may have nothing but Python.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from random import Random

TIMEOUT_S = 10.0
"""Seconds; longer than every deadline within the service."""
PAUSE_S = (0.02, 0.12)
"""Seconds between two requests of a user: well below the service's SHUTDOWN_DELAY. Otherwise the service could close a
connection between two requests without notice to its client."""
REQUESTS_PER_CONNECTION = 40
"""A Service chooses a pod for each connection, so only new connections reach new pods."""
PATIENCE_S = 10.0
"""Seconds in which a pod that has just started may be refused."""
CONNECTIONS_IN_A_ROW = 30
"""This many connections in a row must be answered before the load counts: the Service chooses a pod for each."""
_REFUSED_PAUSE_S = 0.2
_LIST = "items?pageSize=100"
MAX_SHOWN = 20
"""Stale answers that are shown in full."""


class NoAnswerError(Exception):
    """The request may have had an effect; the message says why there is no answer."""


class NotLetInError(Exception):
    """The service does not answer this pod, or answers wrongly; the message is one line."""


@dataclass
class Seen:
    """The requests' outcomes; times are in seconds since the load began."""

    seconds: float = 0.0
    requests: int = 0
    hits: int = 0
    """Answers from the cache."""
    failed: list[tuple[float, str]] = field(default_factory=list)
    """Each failed request: when it failed, and why."""
    stale: list[str] = field(default_factory=list)
    """Answers that contradict an earlier acknowledgement."""
    stale_count: int = 0
    longest_refusal: float = 0.0
    """The longest time in which a user's changes failed in a row, in seconds.

    It begins when the first one was sent. It ends with the answer to the next success, or at the end of the load, also
    for a user whose titles have all failed.
    """
    latencies: list[float] = field(default_factory=list)
    """In seconds, of the requests that were answered."""

    def report(self) -> dict[str, object]:
        """Return it as JSON, with three figures instead of all latencies."""
        ordered = sorted(self.latencies) or [0.0]
        report = asdict(self) | {"p50": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100]}
        report["longest"] = ordered[-1]
        del report["latencies"]
        return report


@dataclass(frozen=True)
class Request:
    """A request: `status` is that of success, `impossible` that of an answer that contradicts the known state."""

    method: str
    path: str
    status: int
    impossible: int = 0
    body: object = None


class Connection:
    """Keep-alive requests, one at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._left = 0

    async def ask(self, request: Request, user: str) -> tuple[int, str, bytes]:
        """Return the status, the header X-Cache and the body.

        Raises:
            NoAnswerError: there is none.
        """
        content = b"" if request.body is None else json.dumps(request.body).encode()
        head = f"{request.method} /api/mylist/{request.path} HTTP/1.1\r\nhost: mylist\r\nuser-id: {user}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n" if content else ""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._exchange(head.encode() + b"\r\n" + content)
        except TimeoutError:
            self.close()
            raise NoAnswerError("no answer in time") from None
        except ConnectionRefusedError:
            self.close()
            raise NoAnswerError("connection refused") from None
        except socket.gaierror:
            self.close()
            raise NoAnswerError("name not resolved") from None
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            raise NoAnswerError("connection lost") from None

    async def _exchange(self, request: bytes) -> tuple[int, str, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
            self._left = REQUESTS_PER_CONNECTION
        reader, writer = self._streams
        writer.write(request)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self._left -= 1
        if self._left <= 0 or headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), headers.get("x-cache", ""), body

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class User:
    """A user with a list of their own."""

    def __init__(self, name: str, titles: list[str], address: tuple[str, int], seen: Seen, began: float) -> None:
        self._name = name
        self._dice = Random(name)
        self._titles = list(titles)
        self._connection = Connection(*address)
        self._other_device = Connection(*address)
        self._seen = seen
        self._began = began
        self._listed: set[str] = set()
        self._unknown = 0
        """Titles whose change was not answered: they may be on the list or not, now or later."""
        self._refused_since: float | None = None

    async def live(self, over: asyncio.Event) -> None:
        """Send requests until `over` is set."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self.act, over))
            group.create_task(self._repeat(self.look, over))
        self._end_refusal()
        self._connection.close()
        self._other_device.close()

    async def _repeat(self, deed: Callable[[], Awaitable[None]], over: asyncio.Event) -> None:
        while not over.is_set():
            await deed()
            await asyncio.sleep(self._dice.uniform(*PAUSE_S))

    async def act(self) -> None:
        """Read the list or its statistics, or add or remove a title."""
        kind = self._dice.random()
        title = self._dice.choice(self._titles) if self._titles else ""
        if kind < 0.6 or not title:
            await self._read()
        elif kind < 0.7:
            await self._count()
        elif title in self._listed:
            await self._remove(title)
        else:
            await self._add(title)

    async def look(self) -> None:
        """Read the list with the other device; its content depends on concurrent changes of the first device."""
        await self._ask(self._other_device, Request("GET", _LIST, 200))

    async def _read(self) -> None:
        answer = await self._ask(self._connection, Request("GET", _LIST, 200))
        if answer is not None:
            found = {each["contentId"] for each in json.loads(answer)["data"]["items"]}
            known = found & set(self._titles)
            if known != self._listed:
                self._stale(f"the list lacks {sorted(self._listed - known)}, has {sorted(known - self._listed)}")

    async def _count(self) -> None:
        answer = await self._ask(self._connection, Request("GET", "stats", 200))
        if answer is not None:
            total = json.loads(answer)["data"]["total"]
            if not len(self._listed) <= total <= len(self._listed) + self._unknown:
                self._stale(f"{total} items are counted, not {len(self._listed)} and {self._unknown} that may be")

    async def _add(self, title: str) -> None:
        body = {"contentId": title, "contentType": "movie"}
        if await self._change(Request("POST", "add", 201, impossible=409, body=body)):
            self._listed.add(title)
        else:
            self._forget(title)

    async def _remove(self, title: str) -> None:
        self._listed.remove(title)
        if not await self._change(Request("DELETE", f"remove/{title}", 200, impossible=404)):
            self._forget(title)

    async def _change(self, request: Request) -> bool:
        """Send a change; return whether it was answered."""
        began = time.monotonic()
        answered = await self._ask(self._connection, request) is not None
        if answered:
            self._end_refusal()
        elif self._refused_since is None:
            self._refused_since = began
        return answered

    def _end_refusal(self) -> None:
        if self._refused_since is not None:
            refusal = time.monotonic() - self._refused_since
            self._seen.longest_refusal = max(self._seen.longest_refusal, refusal)
            self._refused_since = None

    def _forget(self, title: str) -> None:
        # The change may still happen later, so this user does not check the title any more.
        self._titles.remove(title)
        self._unknown += 1

    async def _ask(self, connection: Connection, request: Request) -> bytes | None:
        """Return the answer's body, or nothing when the request failed."""
        began = time.monotonic()
        self._seen.requests += 1
        try:
            answered, cache, text = await connection.ask(request, self._name)
        except NoAnswerError as error:
            self._failed(str(error))
            return None
        self._seen.latencies.append(time.monotonic() - began)
        self._seen.hits += cache == "hit"
        if answered == request.impossible:
            self._stale(f"{request.method} {request.path} is answered with {answered}")
        elif answered != request.status:
            self._failed(f"{answered} {text[:200].decode(errors='replace')}")
            return None
        return text

    def _failed(self, reason: str) -> None:
        self._seen.failed.append((round(time.monotonic() - self._began, 3), reason))

    def _stale(self, what: str) -> None:
        self._seen.stale_count += 1
        if len(self._seen.stale) < MAX_SHOWN:
            self._seen.stale.append(f"{time.monotonic() - self._began:.3f} s, {self._name}: {what}")


async def wait_until_let_in(address: tuple[str, int], user: str) -> None:
    """Return once enough new connections in a row are answered.

    Raises:
        NotLetInError: they are not answered in time, or the service does not return the list.
    """
    began = time.monotonic()
    in_a_row = 0
    while in_a_row < CONNECTIONS_IN_A_ROW:
        connection = Connection(*address)
        try:
            status, _, text = await connection.ask(Request("GET", _LIST, 200), user)
        except NoAnswerError as error:
            if time.monotonic() - began > PATIENCE_S:
                raise NotLetInError(
                    f"GET /api/mylist/{_LIST} at {address[0]}:{address[1]}: {error} for {PATIENCE_S:g} s; see that its "
                    "pods are ready, and that a NetworkPolicy lets this pod reach them"
                ) from None
            in_a_row = 0
            await asyncio.sleep(_REFUSED_PAUSE_S)
        else:
            if status != 200:
                shown = " ".join(text[:200].decode(errors="replace").split())
                raise NotLetInError(
                    f"GET /api/mylist/{_LIST} at {address[0]}:{address[1]}: {status}, not 200, before the load: {shown}"
                )
            in_a_row += 1
        finally:
            connection.close()


async def load(address: tuple[str, int], users: list[str], titles: list[str], over: asyncio.Event) -> Seen:
    """Run the users until `over` is set; return their observations."""
    seen = Seen()
    began = time.monotonic()
    everybody = [User(name, titles, address, seen, began) for name in users]
    async with asyncio.TaskGroup() as group:
        for user in everybody:
            group.create_task(user.live(over))
    seen.seconds = time.monotonic() - began
    return seen


async def main() -> None:
    """Run the load with the settings of the environment."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    address = os.environ["HOST"], int(os.environ["PORT"])
    users = [f"{os.environ['RUN']}-{number}" for number in range(int(os.environ["USERS"]))]
    try:
        await wait_until_let_in(address, f"{os.environ['RUN']}-first")
    except NotLetInError as error:
        sys.exit(f"no load: {error}")
    sys.stdout.write("the load runs\n")
    sys.stdout.flush()
    seen = await load(address, users, json.loads(os.environ["TITLES"]), over)
    sys.stdout.write(json.dumps(seen.report()) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
