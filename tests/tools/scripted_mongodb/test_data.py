"""A member's answer to a retried write."""

import asyncio
import time
from uuid import uuid4

import pytest
from bson.binary import Binary

from devtools.scripted_mongodb.command import Command
from devtools.scripted_mongodb.connections import ServerConnection
from devtools.scripted_mongodb.data import Data
from devtools.scripted_mongodb.wire import encode_request, parse_request


class SlowServer(ServerConnection):
    """A server that answers when the test allows it, and counts requests."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0)
        self.asked = 0
        self.may_answer = asyncio.Event()

    async def ask(self, message: bytes, *, wants_reply: bool) -> bytes | None:  # noqa: ARG002 - as the real one has them
        self.asked += 1
        await self.may_answer.wait()
        return b"done"


@pytest.mark.parametrize("goes_away", [True, False])
async def test_a_retried_write_is_applied_once_even_if_its_first_client_goes_away(goes_away: bool) -> None:
    server, data = SlowServer(), Data()
    document = {"insert": "mylist", "lsid": {"id": Binary.from_uuid(uuid4())}, "txnNumber": 1, "$db": "mylist-ott"}
    command = Command(document, member=0, site=0, at=time.monotonic())
    request = parse_request(encode_request(1, document))

    first = asyncio.create_task(data.ask(command, request, server))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if goes_away:
        first.cancel()
        await asyncio.wait({first})
    again = asyncio.create_task(data.ask(command, request, server))
    await asyncio.sleep(0)
    server.may_answer.set()

    assert await again == b"done"
    assert server.asked == 1
