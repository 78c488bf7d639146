"""The request as handlers see it: its user, its id and its body."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from multidict import istr
from sanic import Request, Sanic
from sanic.compat import Header
from sanic.config import Config
from sanic.exceptions import BadRequest, RequestTimeout, ServerError
from sanic.models.protocol_types import TransportProtocol

from mylist.domain.errors import InvalidUserIdError, UserIdRequiredError
from mylist.domain.user_id import USER_ID
from mylist.http.sanic_overrides import StrictHttp
from mylist.http.services import Services

# Names that are folded already: a header is found in half the time by them.
_HOST, _TRANSFER_ENCODING, _GIVEN_ID, _USER = map(istr, ("host", "transfer-encoding", "x-request-id", "user-id"))
REQUEST_ID_PATTERN = r"[A-Za-z0-9._~:@|/+=-]{1,128}"
"""A request id of a client that is adopted."""
_REQUEST_ID = re.compile(REQUEST_ID_PATTERN, re.ASCII)
_ID_PREFIX = os.urandom(6).hex()
_ids = count(1)

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TARGET = rb"(?:\*|(?:(?i:https?)://[!-.0->@-~]+)?/[!\"$-~]*+)"
# In the lines that say where the body ends, Python would take another script's blanks and digits for its own.
_HEADER = rb"(?!(?i:content-length|transfer-encoding):[^\r\n]*[\x80-\xff])" + _TOKEN + rb":[\t -~\x80-\xff]*+"
_HEAD = re.compile(_TOKEN + b" " + _TARGET + rb" HTTP/1\.[01](?:\r\n" + _HEADER + b")*+")

if TYPE_CHECKING:
    _Request = Request[Sanic[Config, Services], Any]
else:
    _Request = Request


class ApiRequest(_Request):
    """A request to the API."""

    __slots__ = ()
    stream: StrictHttp
    """The connection's reader and writer of requests."""
    identified_by: ClassVar[str] = "user-id"
    """The header that names the user."""

    def __init__(  # noqa: PLR0913 - as Sanic calls it
        self,
        url_bytes: bytes,
        headers: Header,
        version: str,
        method: str,
        transport: TransportProtocol,
        app: Sanic[Config, Services],
        head: bytes = b"",
    ) -> None:
        """Make the request of a head that arrived, or the empty one of a `head` that could not be parsed.

        Raises:
            BadRequest: the head departs from the grammar, which Sanic largely trusts it to keep.
        """
        if head:
            hosts = len(headers.getall(_HOST, ()))
            old = version == "1.0"  # has no chunks, and may name no host
            misframed = old and _TRANSFER_ENCODING in headers
            if misframed or hosts > 1 or hosts + old == 0 or not _HEAD.fullmatch(head):
                raise BadRequest("Malformed head")
        super().__init__(url_bytes, headers, version, method, transport, app, head)

    @property
    def id(self) -> str:
        """What ties log lines, traces and answers together: the client's X-Request-ID if usable, else a new one."""
        if self._id is None:
            given = self.headers.getone(_GIVEN_ID, "")
            self._id = given if _REQUEST_ID.fullmatch(given) else f"{_ID_PREFIX}-{next(_ids):x}"
        return str(self._id)

    async def receive_body(self) -> None:
        """Receive the body, in as much time as the head may take.

        Raises:
            RequestTimeout: it did not arrive; the connection is closed then.
        """
        try:
            async with asyncio.timeout(self.app.config.REQUEST_TIMEOUT):
                await super().receive_body()  # type: ignore[no-untyped-call]
        except TimeoutError:
            self.stream.leave_body()
            raise RequestTimeout("Request body timeout") from None

    async def body_parts(self, max_bytes: int, *, within: float) -> AsyncIterator[bytes]:
        """Yield the body as it arrives: each part in as much time as a whole one may take otherwise, all in `within` s.

        Raises:
            RequestTimeout: a part did not arrive in time; the connection is closed then.
            PayloadTooLarge: there are more than `max_bytes` bytes.
            BadRequest: it is malformed.
        """
        http = self.stream
        http.request_max_size = max_bytes
        now = asyncio.get_running_loop().time
        end = now() + within
        while http.request_body:
            try:
                async with asyncio.timeout_at(min(now() + self.app.config.REQUEST_TIMEOUT, end)):
                    part = await http.read()
            except TimeoutError:
                self.leave_body()
                raise RequestTimeout("Request body timeout") from None
            if part:
                yield part
                await asyncio.sleep(0)  # others have their turn, also when thousands of small chunks are here already

    def leave_body(self) -> None:
        """Do without what has not arrived of the body, and close the connection after the answer."""
        self.stream.leave_body()

    def close_connection(self) -> None:
        """Close the connection after the answer."""
        self.stream.keep_alive = False

    @property
    def user_id(self) -> str:
        """The user of the request.

        Raises:
            UserIdRequiredError: the header is missing or empty.
            InvalidUserIdError: it is malformed, or there are several.
        """
        given = self.headers.getall(_USER, ())
        if len(given) > 1:
            raise InvalidUserIdError
        user_id = given[0].strip() if given else ""
        if not user_id:
            raise UserIdRequiredError
        if not USER_ID.fullmatch(user_id):
            raise InvalidUserIdError
        return user_id


def current_request_id() -> str | None:
    """Return the id of the request that is being served; None if none is."""
    try:
        return str(Request.get_current().id)
    except ServerError:
        return None
