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
from mylist.http.sanic_overrides import StrictHttp, normalize_framing
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
# What Python takes for a blank, and strips, where HTTP knows space and tab alone.
_FOREIGN_BLANK = rb"(?:\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2(?:\x80[\x80-\x8a\xa8\xa9\xaf]|\x81\x9f)|\xe3\x80\x80)"
_VALUE = rb"[\t -~\x80-\xff]*+"
_OF_BODY = rb"(?![CcTtEe](?i:ontent-length|ransfer-encoding|xpect):)"
_PLAIN_HEADER = _OF_BODY + _TOKEN + rb":[\t ]*+(?!" + _FOREIGN_BLANK + rb")" + _VALUE
# In the lines that say where the body ends, Python would take another script's digits for its own, too.
_HEADER = (
    rb"(?!(?i:content-length|transfer-encoding):[^\r\n]*[\x80-\xff])"
    rb"(?!(?i:user-id|authorization):[\t ]*+" + _FOREIGN_BLANK + rb")" + _TOKEN + b":" + _VALUE
)
_REQUEST_LINE = _TOKEN + b" " + _TARGET + rb" HTTP/1\.[01]"
_PLAIN_HEAD = re.compile(_REQUEST_LINE + rb"(?:\r\n" + _PLAIN_HEADER + b")*+")
"""The head of most requests: without a body, and without what has to be looked at more closely."""
_HEAD = re.compile(_REQUEST_LINE + rb"(?:\r\n" + _HEADER + b")*+")

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
            if hosts > 1 or hosts + old == 0:
                raise BadRequest("Malformed head")
            if not _PLAIN_HEAD.fullmatch(head):
                if not _HEAD.fullmatch(head) or (old and _TRANSFER_ENCODING in headers):
                    raise BadRequest("Malformed head")
                normalize_framing(headers, version)
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
                http.leave_body()
                raise RequestTimeout("Request body timeout") from None
            if part:
                yield part
                await asyncio.sleep(0)  # others have their turn, also when thousands of small chunks are here already

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
        user_id = given[0].strip(" \t") if given else ""
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
