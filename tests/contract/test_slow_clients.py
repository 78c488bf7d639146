"""Clients that send or read slowly, or disappear without a word: each costs only a connection, and not for long."""

import asyncio
import resource
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from devtools.scrape import Metrics
from devtools.service_process import NO_TLS, Service
from devtools.waiting import wait_until
from mylist.domain.limits import IMPORT_TIMEOUT_S
from tests.conftest import Serve
from tests.contract.conftest import PATIENCE, connect
from tests.contract.raw_http import exchange, parse
from tests.contract.response_schemas import check_shape
from tests.requirements import skip_or_fail

pytestmark = pytest.mark.usefixtures("unharmed")

# The time limit for a head, for a body, and for the client to read an answer. The service checks it every 5 seconds.
TIMEOUT = 10
LOOKS_EVERY = 5
# On a busy machine, the service may check this much later.
LATE = 8
MOST_OF_A_HEAD = TIMEOUT + LOOKS_EVERY + LATE
# A body that is almost too slow, and then a head that is too slow.
MOST = 2 * TIMEOUT + LOOKS_EVERY + LATE
# An import may take longer, as long as parts of it keep arriving.
MOST_OF_AN_IMPORT = IMPORT_TIMEOUT_S + LOOKS_EVERY + LATE
# If the service still serves a client after this time, the test gives up.
GIVES_UP = MOST + LATE
IDLE = 2_000
# Meanwhile, the service may open up to this many more connections to its stores.
POOLED = 4

HEAD = b"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\nuser-id: slow\r\nContent-Type: application/json\r\n"
IMPORT = (
    b"POST /api/mylist/import HTTP/1.1\r\nHost: x\r\nuser-id: slow\r\nContent-Type: application/x-ndjson\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
LINE = b'{"contentId": "ffffffffffffffffffffff01", "contentType": "movie"}'
HUNDRED_LINES = b"c8\r\n" + b"{\n" * 100 + b"\r\n"
TOO_SLOW = {"code": "REQUEST_TIMEOUT", "error": "The request did not arrive in time"}
NOT_FOUND = b"POST /nowhere HTTP/1.1\r\nHost: x\r\n"


class Ended:
    """The end of a slow client: the bytes it received, and the seconds its connection lasted."""

    def __init__(self, received: bytes, seconds: float) -> None:
        self.received = received
        self.seconds = seconds

    def assert_in_time(self, *statuses: int, most: float) -> None:
        """Assert that the client got these statuses, with the documented error bodies, and was disconnected in time."""
        assert self.seconds < most
        answers = parse(self.received)
        for answer in answers:
            check_shape("", "", answer.status, answer.body)
            if answer.status == 408:
                assert answer.json().items() >= TOO_SLOW.items()
        assert [answer.status for answer in answers] == list(statuses)


async def drip(url: str, at_once: bytes, endless: bytes = b"") -> Ended:
    """Send `at_once`, then one byte of `endless` a second, over and over, until the service closes the connection."""
    began = time.monotonic()
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(at_once)
    received = asyncio.create_task(until_closed(reader))
    sent = 0
    while not (await asyncio.wait({received}, timeout=1))[0] and time.monotonic() < began + GIVES_UP:
        if endless:
            writer.write(endless[sent % len(endless) :][:1])
            sent += 1
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return Ended(received.result() if received.done() else b"", time.monotonic() - began)


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Receive until the service closes the connection; a byte in flight to it at that moment causes a reset."""
    received = b""
    with suppress(ConnectionError):
        while some := await reader.read(65_536):
            received += some
    return received


async def never_read(url: str) -> Ended:
    """Request more than all buffers on the way can hold, and read nothing, not even the end of the connection."""
    parts = urlsplit(url)
    began = time.monotonic()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((parts.hostname, parts.port))
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
        _, port = connection.getsockname()
        while established(parts.port, port) and time.monotonic() < began + GIVES_UP:
            await asyncio.sleep(0.5)
    return Ended(b"", time.monotonic() - began)


def established(service: int | None, client: int) -> bool:
    """Return whether the service still has its end of the connection between these ports open."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        skip_or_fail("only Linux tells the state of a connection")
    rows = (row.split() for row in table.read_text().splitlines()[1:])
    ends = (f":{service:04X}", f":{client:04X}")
    return any((local[-5:], remote[-5:], state) == (*ends, "01") for _, local, remote, state, *_ in rows)


SLOW: dict[str, Callable[[str], Coroutine[None, None, Ended]]] = {
    "first word": lambda url: drip(url, b"", b"GET /health HTTP/1.1"),
    "head": lambda url: drip(url, b"GET /health HTTP/1.1\r\nHost: x\r\n", b"X-Header: some text\r\n"),
    "second head": lambda url: drip(
        url, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\n", b"X-Header: some text\r\n"
    ),
    "body": lambda url: drip(url, HEAD + b"Content-Length: 5000\r\n\r\n", b"{ "),
    "chunks": lambda url: drip(url, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "body with an upgrade": lambda url: drip(url, HEAD + b"Upgrade: websocket\r\nContent-Length: 5000\r\n\r\n", b"{ "),
    "head after a body with an upgrade": lambda url: drip(
        url, HEAD + b"Upgrade: websocket\r\nContent-Length: 7\r\n\r\n", b"{     }GET /health HTTP/1.1"
    ),
    "body that nobody asked for": lambda url: drip(url, NOT_FOUND + b"Content-Length: 5000\r\n\r\n", b" "),
    "chunks that nobody asked for": lambda url: drip(
        url, NOT_FOUND + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"
    ),
    "word and no more": lambda url: drip(url, b"GET /hea"),
    "head and no more": lambda url: drip(url, b"GET /health HTTP/1.1\r\nHost:"),
    "body and no more": lambda url: drip(url, HEAD + b"Content-Length: 20\r\n\r\n{"),
    "chunk and no more": lambda url: drip(url, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
    "import": lambda url: drip(url, IMPORT, b"1\r\n \r\n"),
    "rest of an import": lambda url: drip(url, IMPORT + HUNDRED_LINES, b"1\r\n \r\n"),
    "TLS hello": lambda url: drip(url, b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(190), b"\x00"),
    "reader": never_read,
}
# The statuses that each client gets before its connection is closed. An unexpected body adds no status.
TOLD = {
    "first word": [408],
    "head": [408],
    "second head": [404, 408],
    "body": [408],
    "chunks": [408],
    "body with an upgrade": [408],
    "head after a body with an upgrade": [400, 408],
    "body that nobody asked for": [404],
    "chunks that nobody asked for": [404],
    "word and no more": [408],
    "head and no more": [408],
    "body and no more": [408],
    "chunk and no more": [408],
    "import": [408],
    "rest of an import": [408],
    "TLS hello": [408],
    "reader": [],
}


class TestSlowClient:
    @pytest.fixture(scope="class")
    @staticmethod
    def ended(service: Service) -> dict[str, Ended]:
        """The end of each slow client. All were connected at the same time, while the service served another client."""

        async def everybody() -> dict[str, Ended]:
            tasks = {name: asyncio.create_task(client(service.url)) for name, client in SLOW.items()}
            longest = 0.0
            async with httpx.AsyncClient(
                base_url=service.url, trust_env=False, verify=NO_TLS, timeout=TIMEOUT
            ) as client:
                while not all(task.done() for task in tasks.values()):
                    longest = max(longest, (await client.get("/health")).elapsed.total_seconds())
                    await asyncio.sleep(0.1)
            assert longest < TIMEOUT / 2, "somebody waited for one of them"
            return {name: task.result() for name, task in tasks.items()}

        before = open_files(service)
        ended = asyncio.run(everybody())
        wait_until(lambda: open_files(service) <= before + POOLED, within=PATIENCE)
        return ended

    @pytest.mark.parametrize("name", SLOW)
    def test_gets_its_answer_and_is_disconnected_in_time(self, ended: dict[str, Ended], name: str) -> None:
        most = {"first word": MOST_OF_A_HEAD, "head": MOST_OF_A_HEAD, "import": MOST_OF_AN_IMPORT}
        ended[name].assert_in_time(*TOLD[name], most=most.get(name.removeprefix("rest of an "), MOST))


def import_head(user: str, framing: bytes) -> bytes:
    head = f"POST /api/mylist/import HTTP/1.1\r\nHost: x\r\nuser-id: {user}\r\nContent-Type: application/x-ndjson\r\n"
    return head.encode() + framing + b"\r\n\r\n"


def imports_seen(service: Service) -> float:
    """Return the number of imports that are in flight or were refused."""
    metrics = Metrics(service)
    causes = ("too_many_imports", "overloaded")
    refused = sum(metrics.value("mylist_shed_total", cause=cause) for cause in causes)
    return refused + metrics.value("http_server_active_requests", http_route="/api/mylist/import")


WAITING: dict[str, Callable[[int], bytes]] = {
    "of one user, after the head": lambda _: import_head("slow", b"Content-Length: 100000"),
    "of one user, after the head, in chunks": lambda _: import_head("slow", b"Transfer-Encoding: chunked"),
    "of many users, after the head": lambda number: import_head(f"slow-{number}", b"Content-Length: 100000"),
    "of many users, after the head, asking to go on": lambda number: import_head(
        f"slow-{number}", b"Content-Length: 100000\r\nExpect: 100-continue"
    ),
    "of many users, within the body": lambda number: (
        import_head(f"slow-{number}", b"Content-Length: 100000") + b"{\n" * 500
    ),
}


@pytest.mark.parametrize("name", WAITING)
def test_imports_that_wait_for_slow_clients_do_not_block_other_users(serve: Serve, name: str) -> None:
    service = serve(MAX_CONCURRENT_REQUESTS="20")
    headers = {"user-id": "quick", "content-type": "application/x-ndjson"}
    with connect(service) as quick, ExitStack() as waiting:
        for number in range(55):
            slow = waiting.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            slow.sendall(WAITING[name](number))
        wait_until(lambda: imports_seen(service) >= 55, within=PATIENCE)

        for _ in range(5):
            assert quick.post("/api/mylist/import", headers=headers, content=LINE).status_code == 200
            assert quick.get("/api/mylist/stats", headers=headers).status_code == 200


def test_a_third_concurrent_import_of_one_user_is_429(serve: Serve) -> None:
    service = serve()
    with connect(service) as client, ExitStack() as waiting:
        for _ in range(2):
            slow = waiting.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            slow.sendall(import_head("slow", b"Transfer-Encoding: chunked") + HUNDRED_LINES)

        def third() -> httpx.Response:
            headers = {"user-id": "slow", "content-type": "application/x-ndjson"}
            return client.post("/api/mylist/import", headers=headers, content=LINE)

        wait_until(lambda: third().status_code == 429, within=PATIENCE)
        answer = third()
        assert (answer.json()["code"], answer.headers["retry-after"]) == ("TOO_MANY_IMPORTS", "1")
        check_shape("", "", answer.status_code, answer.content)
        assert client.get("/api/mylist/stats", headers={"user-id": "slow"}).status_code == 200
        metrics = Metrics(service)
        assert metrics.value("mylist_shed_total", cause="too_many_imports") >= 2
        assert metrics.value("mylist_in_use", resource="imports") == 0, "their bodies are not there yet"
        assert metrics.value("mylist_in_use", resource="import_bytes") == 400
    wait_until(lambda: Metrics(service).value("mylist_in_use", resource="import_bytes") == 0, within=PATIENCE)
    with connect(service) as client:
        headers = {"user-id": "slow", "content-type": "application/x-ndjson"}
        assert client.post("/api/mylist/import", headers=headers, content=LINE).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET",
        b"GET /health HTTP/1.1\r\nHost: x\r\n",
        HEAD + b"Content-Length: 10\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{",
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["nothing", "a word", "most of a head", "most of a body", "most of a chunk", "a request"],
)
def test_half_closed_connection_is_closed(service: Service, sent: bytes) -> None:
    """Even after a whole request: a client that closes early might not get the answer."""
    before = open_files(service)
    for _ in range(20):
        exchange(service.url, sent, closes_its_side=True)
    wait_until(lambda: open_files(service) <= before + POOLED, within=PATIENCE)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /hea", HEAD + b"Content-Length: 10\r\n\r\n{", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 50]
)
def test_connection_that_is_reset_leaks_no_file_descriptor(service: Service, sent: bytes) -> None:
    before = open_files(service)
    parts = urlsplit(service.url)
    for _ in range(20):
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(sent)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: open_files(service) <= before + POOLED, within=PATIENCE)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Raise the limit of open files for this process and the services that it starts, if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + 1_000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        skip_or_fail(f"a process may have {hard} files open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_thousands_of_idle_connections_do_not_delay_other_clients(serve: Serve) -> None:
    service = serve()
    parts = urlsplit(service.url)
    before = open_files(service)
    with ExitStack() as idle, connect(service) as client:
        for number in range(IDLE):
            connection = idle.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE))
            if number % 2:  # half of them were used before
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: open_files(service) >= IDLE, within=PATIENCE)
        for _ in range(200):
            assert client.get("/api/mylist/stats", headers={"user-id": "busy"}).elapsed.total_seconds() < TIMEOUT / 2
    wait_until(lambda: open_files(service) <= before + POOLED, within=PATIENCE)


def open_files(service: Service) -> int:
    """Return the number of files and sockets that the service has open."""
    folder = Path(f"/proc/{service.process.pid}/fd")
    if not folder.exists():
        skip_or_fail("only Linux tells what a process has open")
    return len(list(folder.iterdir()))
