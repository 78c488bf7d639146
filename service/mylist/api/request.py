"""The request as handlers see it: who asks, and under which id."""

import asyncio
import os
import re
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from sanic import Request, Sanic
from sanic.config import Config
from sanic.exceptions import RequestTimeout
from sanic.http import Http

from mylist.api.context import Context
from mylist.errors import InvalidUserIdError, UserIdRequiredError

_USER_ID = re.compile(r"[A-Za-z0-9._~:@|/+=-]{1,128}", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:@|/+=-]{1,128}", re.ASCII)
_ID_PREFIX = os.urandom(6).hex()
_ids = count(1)

if TYPE_CHECKING:
    _Request = Request[Sanic[Config, Context], Any]
else:
    _Request = Request


class ApiRequest(_Request):
    """A request to the API."""

    __slots__ = ()

    @property
    def id(self) -> str:
        """What ties log lines, traces and answers together: the client's X-Request-ID if usable, else a new one."""
        if self._id is None:
            given = self.headers.getone("x-request-id", "")
            self._id = given if _REQUEST_ID.fullmatch(given) else f"{_ID_PREFIX}-{next(_ids):x}"
        return str(self._id)

    async def receive_body(self) -> None:
        """Receives the body, in as much time as the head may take.

        Raises:
            RequestTimeout: it did not arrive; the connection is closed then.
        """
        try:
            async with asyncio.timeout(self.app.config.REQUEST_TIMEOUT):
                await super().receive_body()  # type: ignore[no-untyped-call]
        except TimeoutError:
            # Sanic would wait for the rest before it closes.
            connection = cast("Http", self.stream)
            connection.keep_alive = False
            connection.request_body = None
            raise RequestTimeout("Request body timeout") from None

    @property
    def user_id(self) -> str:
        """Who asks.

        Raises:
            UserIdRequiredError: the header is missing or empty.
            InvalidUserIdError: it is malformed, or there are several.
        """
        given = self.headers.getall("user-id", ())
        if len(given) > 1:
            raise InvalidUserIdError
        user_id = given[0].strip() if given else ""
        if not user_id:
            raise UserIdRequiredError
        if not _USER_ID.fullmatch(user_id):
            raise InvalidUserIdError
        return user_id
