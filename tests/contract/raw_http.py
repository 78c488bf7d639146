"""HTTP as raw bytes, for messages that no HTTP library would send and for tests that send a lot."""

import json
from collections.abc import Mapping
from typing import Any

from devtools import http_client
from devtools.http_client import Answer, Client, exchange, parse
from tests.contract.response_schemas import check_shape

__all__ = ["Answer", "Connection", "answers", "exchange", "parse", "send"]

_TIMEOUT_S = 5.0


def send(url: str, sent: bytes, *, timeout_s: float = _TIMEOUT_S) -> Answer:
    """Send exactly these bytes on a connection of their own and return the answer."""
    with Client(url, timeout_s=timeout_s) as client:
        return client.ask(sent)


def answers(url: str, sent: bytes, *, timeout_s: float = _TIMEOUT_S) -> list[Answer]:
    """Send the bytes as `exchange` does, and return the parsed answers."""
    return parse(exchange(url, sent, timeout_s=timeout_s))


class Connection(http_client.Connection):
    """A keep-alive connection: it sends one request at a time, and checks the shape of every answer."""

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        kind = {"content-type": "application/json"} if content else {}
        answer = await self.ask(http_client.request(method, target, {**headers, **kind}, content))
        check_shape(method, target, answer.status, answer.body)
        return answer
