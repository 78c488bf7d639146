"""Requests whose latency is measured: one connection, one request at a time."""

import time

from devtools import http_client
from devtools.http_client import Answer, NotAnsweredError


class UnexpectedAnswerError(Exception):
    """The answer is not of the kind that is measured."""


def request(method: str, path: str, *, user: str = "", body: bytes = b"") -> bytes:
    """Return a request as it is sent; a body is JSON."""
    headers = ({"user-id": user} if user else {}) | ({"content-type": "application/json"} if body else {})
    return http_client.request(method, path, headers, body)


class Client(http_client.Client):
    """A connection to a server.

    Attributes:
        answer: the latest.
    """

    answer: Answer

    def measure(self, asked: bytes, *, status: int, cache: str | None = None) -> float:
        """Send a request, receive the answer, and return the seconds that took.

        Raises:
            UnexpectedAnswerError: there is none, it has another status, or the cache took another part in it.
        """
        began = time.perf_counter()
        try:
            answer = self.ask(asked)
        except NotAnsweredError as error:
            raise UnexpectedAnswerError(str(error)) from None
        took = time.perf_counter() - began
        self.answer = answer
        answered = answer.status, answer.headers.get("x-cache")
        if answered != (status, cache or answered[1]):
            wanted, got = f"{status}, {cache or 'any'}", f"{answered[0]}, {answered[1]}"
            raise UnexpectedAnswerError(f"{got} in place of {wanted}: {answer.body[:300].decode(errors='replace')}")
        return took
