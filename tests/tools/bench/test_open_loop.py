"""The open loop of wrk, against servers that answer by a schedule of their own."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import wrk
from bench.samples import Sample, quantity
from bench.wrk import Load, Workload

pytestmark = pytest.mark.usefixtures("generator")
RATE = 200.0


@contextmanager
def answering_after(seconds: float) -> Iterator[str]:
    """Run a server that answers each request this many seconds after its arrival."""

    class Answers(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            asked.append(data)
            loop.call_later(seconds, self.transport.write, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    asked: list[bytes] = []
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Answers, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert all(each.startswith(b"GET /livez ") for each in asked)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


def measured(url: str, *, connections: int, rate: float | None = RATE) -> Sample:
    workload = Workload("livez", "user-", 1, Path("etags"))
    (sample,) = wrk.measure(Load(url, workload, connections, server=os.getpid(), rate=rate))
    return sample


def test_requests_keep_their_rate_however_long_the_answers_take() -> None:
    # In a closed loop these would be 1,600 a second.
    with answering_after(0.02) as url:
        sample = measured(url, connections=32)

    assert 0.2 * RATE < quantity(sample, "rate") < 1.1 * RATE
    assert quantity(sample, "p50") >= 20


def test_requests_that_wait_for_a_free_connection_are_reported_as_late() -> None:
    # Two connections have ten answers a second; 200 are due.
    with answering_after(0.2) as url:
        sample = measured(url, connections=2)

    assert quantity(sample, "rate") < 0.1 * RATE
    assert quantity(sample, "late") > 0.5


def test_a_closed_loop_is_never_late() -> None:
    with answering_after(0) as url:
        sample = measured(url, connections=2, rate=None)

    assert sample.late is None
    assert quantity(sample, "rate") > 0
