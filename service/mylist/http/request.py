"""The request as routes see it: its user, its id, and its body, inflated and UTF-8 without a byte order mark.

All checks of the head precede the first byte of the body. So a client that waits for `100 Continue` gets it only if the
service wants the body.
"""

import asyncio
import codecs
import os
import re
from collections.abc import AsyncIterator, Container
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from multidict import istr
from sanic import Request, Sanic
from sanic.compat import Header
from sanic.config import Config
from sanic.exceptions import BadRequest, RequestTimeout, ServerError
from sanic.models.protocol_types import TransportProtocol

from mylist.domain.errors import (
    InvalidContentEncodingError,
    InvalidJsonError,
    InvalidUserIdError,
    UnsupportedCharsetError,
    UserIdRequiredError,
)
from mylist.domain.etags import names_etag_or_star
from mylist.domain.limits import MAX_BODY_BYTES
from mylist.domain.user_id import USER_ID
from mylist.http.content_coding import Inflater, coding_of
from mylist.http.head import HEAD
from mylist.http.sanic_overrides import HOST, StrictHttp, normalize_framing
from mylist.http.services import Services

# Names in lower case, which halve the time of a header lookup.
_TRANSFER_ENCODING, _GIVEN_ID, _USER, _IF_NONE_MATCH = map(
    istr, ("transfer-encoding", "x-request-id", "user-id", "if-none-match")
)
REQUEST_ID_PATTERN = r"[A-Za-z0-9._~:@|/+=-]{1,128}"
"""A client's request id that the service accepts."""
_REQUEST_ID = re.compile(REQUEST_ID_PATTERN, re.ASCII)
_ID_PREFIX = os.urandom(6).hex()
_ids = count(1)

FORM = "application/x-www-form-urlencoded"
_CONTENT_ENCODING = istr("content-encoding")
_CHARSET = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?(utf-?16|utf-?32|ucs-?2|ucs-?4)', re.IGNORECASE)
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # checked before the mark of UTF-16, which is a prefix of this one
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_MAX_MARK_BYTES = 4
# ASCII in UTF-16 or UTF-32. JSON begins with two ASCII characters or is a single one.
_WIDE_ASCII = re.compile(rb"([^\0]\0{3}|\0{3}[^\0])|[^\0]\0(?:[^\0]\0|\Z)|\0[^\0](?:\0[^\0]|\Z)")
_JSON_START = b'{"'
"""The start of most bodies. A text that begins like this has no mark, and is not UTF-16, UTF-32 or gzip."""
_GZIP_MAGIC = b"\x1f\x8b"
# A web page can send a form to any site without a preflight. If a gateway identifies users by cookies, a page of
# another origin could change their lists with a form.
_OWN_SITE = frozenset({"none", "same-origin"})

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
        """Create the request of a head that arrived, and check it. Without a `head` there is nothing to check.

        Raises:
            BadRequest: the head violates the grammar.
        """
        if head:
            hosts = len(headers.getall(HOST, ()))
            old = version == "1.0"  # HTTP/1.0 has no chunks, and need not name a host
            if hosts > 1 or hosts + old == 0 or not HEAD.fullmatch(head) or (old and _TRANSFER_ENCODING in headers):
                raise BadRequest("Malformed head")
            normalize_framing(headers, version)
        super().__init__(url_bytes, headers, version, method, transport, app, head)

    @property
    def id(self) -> str:
        """The id of log lines, traces and answers: the client's X-Request-ID if it is valid, else a new one."""
        if self._id is None:
            given = self.headers.getone(_GIVEN_ID, None)
            self._id = given if given and _REQUEST_ID.fullmatch(given) else f"{_ID_PREFIX}-{next(_ids):x}"
        return str(self._id)

    @property
    def media_type(self) -> str:
        """The media type of the body, without its parameters, in lower case."""
        return self.content_type.partition(";")[0].strip(" \t").lower()

    def has(self, etag: str) -> bool:
        """Return whether the client has the body of an ETag, according to its `If-None-Match`."""
        known = self.headers.getone(_IF_NONE_MATCH, None)
        if known is None or known == etag:  # the form that most clients send
            return known is not None
        every = ", ".join(self.headers.getall(_IF_NONE_MATCH))  # several header lines form one list
        return names_etag_or_star(every, etag)

    async def receive(self, media_types: Container[str]) -> bytes:
        """Return the whole body, empty without one. It must arrive within the time that a head may take.

        Raises:
            InvalidJsonError: the body has a different media type, or is a form from a page of another origin.
            UnsupportedContentEncodingError: the content coding is unknown, or there are several.
            UnsupportedCharsetError: the body is text, but not UTF-8.
            InvalidContentEncodingError: the body does not match its content coding.
            PayloadTooLarge, RequestTimeout, BadRequest: the body is too large, too late, or malformed.
        """
        if not self.stream.has_body:
            return b""
        media_type = self.media_type
        if media_type not in media_types:
            raise InvalidJsonError("The body must be JSON, with Content-Type: application/json")
        if media_type == FORM and self.headers.getone("sec-fetch-site", "none") not in _OWN_SITE:
            raise InvalidJsonError("A page of another origin must send JSON, with Content-Type: application/json")
        coding = self._coding()
        body = self.stream.take_body()
        if body is None:
            try:
                async with asyncio.timeout(self.app.config.REQUEST_TIMEOUT):
                    await self.receive_body()  # type: ignore[no-untyped-call]
            except TimeoutError:
                raise self._too_late() from None
            body = self.body
        if coding:
            inflater = Inflater(coding, MAX_BODY_BYTES)
            body = b"".join(inflater.feed(body))
            inflater.finish()
        return _without_mark(body)

    async def parts(self, max_bytes: int, *, within: float) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Each part has the usual time of a whole body; all parts have `within` s.

        Args:
            max_bytes: maximum size in bytes, both as sent and after inflating.
            within: seconds for the whole body.

        Raises:
            UnsupportedContentEncodingError: the content coding is unknown, or there are several.
            UnsupportedCharsetError: the body is text, but not UTF-8.
            InvalidContentEncodingError: the body does not match its content coding.
            PayloadTooLarge, RequestTimeout, BadRequest: the body is too large, too late, or malformed.
        """
        if not self.stream.has_body:
            return
        coding = self._coding()
        received = self._received(max_bytes, within=within)
        start, is_begun = b"", False
        async for part in _inflated(received, Inflater(coding, max_bytes)) if coding else received:
            if is_begun:
                yield part
                continue
            start += part
            if len(start) >= _MAX_MARK_BYTES:
                is_begun = True
                yield _without_mark(start)
        if not is_begun:
            yield _without_mark(start)

    async def _received(self, max_bytes: int, *, within: float) -> AsyncIterator[bytes]:
        http = self.stream
        http.request_max_size = max_bytes
        now = asyncio.get_running_loop().time
        end = now() + within
        while http.request_body:
            try:
                async with asyncio.timeout_at(min(now() + self.app.config.REQUEST_TIMEOUT, end)):
                    part = await http.read()
            except TimeoutError:
                raise self._too_late() from None
            if part:
                yield part
                await asyncio.sleep(0)  # give others a turn, even if thousands of small chunks have already arrived

    def _too_late(self) -> RequestTimeout:
        """Return the error for a body that did not arrive in time. The connection is closed after this answer."""
        self.stream.leave_body()
        return RequestTimeout("Request body timeout")

    def _coding(self) -> str:
        """Return the content coding of the body, from the head; empty for none.

        Raises:
            UnsupportedCharsetError, UnsupportedContentEncodingError: the service cannot read such a body.
        """
        if charset := _CHARSET.search(self.content_type):
            raise UnsupportedCharsetError(charset[1].upper())
        given = self.headers.getall(_CONTENT_ENCODING, ())
        return coding_of(given) if given else ""

    def close_connection(self) -> None:
        """Close the connection after the answer."""
        self.stream.keep_alive = False

    @property
    def user_id(self) -> str:
        """The user of the request.

        Raises:
            UserIdRequiredError: the `user-id` header is missing or empty.
            InvalidUserIdError: the user id is malformed, or there are several.
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
    """Return the id of the request in flight; None without one."""
    try:
        return str(Request.get_current().id)
    except ServerError:
        return None


async def _inflated(received: AsyncIterator[bytes], inflater: Inflater) -> AsyncIterator[bytes]:
    async for data in received:
        for piece in inflater.feed(data):
            yield piece
            await asyncio.sleep(0)  # give other requests a turn: a few bytes may inflate to many
    inflater.finish()


def _without_mark(start: bytes) -> bytes:
    """Return the start of a text without its byte order mark. `start` has at least four bytes, or is the whole text.

    Raises:
        UnsupportedCharsetError: the text is UTF-16 or UTF-32: it has such a mark, or its ASCII characters come with
            NULs.
        InvalidContentEncodingError: the text is compressed.
    """
    if start.startswith(_JSON_START):
        return start
    for mark, charset in _MARKS.items():
        if start.startswith(mark):
            raise UnsupportedCharsetError(charset)
    if wide := _WIDE_ASCII.match(start):
        raise UnsupportedCharsetError("UTF-32" if wide[1] else "UTF-16")
    if start.startswith(_GZIP_MAGIC):
        raise InvalidContentEncodingError("The body is gzip; Content-Encoding must say so")
    return start.removeprefix(codecs.BOM_UTF8)
