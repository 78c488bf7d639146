"""The request as routes see it: its user, its id, and its body, inflated and UTF-8 without a byte order mark.

Everything that the head decides is decided before the first byte of the body is read: a client that waits for
`100 Continue` gets it only if its body is wanted.
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
from mylist.http.sanic_overrides import StrictHttp, normalize_framing
from mylist.http.services import Services

# Names that are folded already: a header is found in half the time by them.
_HOST, _TRANSFER_ENCODING, _GIVEN_ID, _USER, _IF_NONE_MATCH = map(
    istr, ("host", "transfer-encoding", "x-request-id", "user-id", "if-none-match")
)
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

FORM = "application/x-www-form-urlencoded"
_CONTENT_ENCODING = istr("content-encoding")
_CHARSET = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?(utf-?16|utf-?32|ucs-?2|ucs-?4)', re.IGNORECASE)
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before that of UTF-16, which begins it
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_MAX_MARK_BYTES = 4
# ASCII as UTF-16 or UTF-32 has it. JSON begins with two ASCII characters or is one.
_WIDE_ASCII = re.compile(rb"([^\0]\0{3}|\0{3}[^\0])|[^\0]\0(?:[^\0]\0|\Z)|\0[^\0](?:\0[^\0]|\Z)")
_GZIP_MAGIC = b"\x1f\x8b"
# A page can send a form to any site without asking. Where a gateway knows users by their cookies, a page of another
# origin could change their lists with one.
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

    @property
    def media_type(self) -> str:
        """The media type of the body, without its parameters, in small letters."""
        return self.content_type.partition(";")[0].strip(" \t").lower()

    def has(self, etag: str) -> bool:
        """Return whether the client has the body of an ETag, by its `If-None-Match`."""
        known = self.headers.getone(_IF_NONE_MATCH, None)
        if known is None or known == etag:  # as most clients send it
            return known is not None
        every = ", ".join(self.headers.getall(_IF_NONE_MATCH))  # several lines are one list
        return names_etag_or_star(every, etag)

    async def receive(self, media_types: Container[str]) -> bytes:
        """Return the whole body; empty where there is none. It has as much time as the head may take.

        Raises:
            InvalidJsonError: it has another media type than these, or is a form from a page of another origin.
            UnsupportedContentEncodingError: its content coding is unknown, or there are several.
            UnsupportedCharsetError: it is text, but not UTF-8.
            InvalidContentEncodingError: it is not what its encoding says.
            PayloadTooLarge, RequestTimeout, BadRequest: it is too large, too late, or malformed.
        """
        if not self.stream.has_body:
            return b""
        media_type = self.media_type
        if media_type not in media_types:
            raise InvalidJsonError("The body must be JSON, with Content-Type: application/json")
        if media_type == FORM and self.headers.getone("sec-fetch-site", "none") not in _OWN_SITE:
            raise InvalidJsonError("A page of another origin must send JSON, with Content-Type: application/json")
        coding = self._coding()
        try:
            async with asyncio.timeout(self.app.config.REQUEST_TIMEOUT):
                await self.receive_body()  # type: ignore[no-untyped-call]
        except TimeoutError:
            raise self._too_late() from None
        body: bytes = self.body
        if coding:
            inflater = Inflater(coding, MAX_BODY_BYTES)
            body = b"".join(inflater.feed(body))
            inflater.finish()
        return _without_mark(body)

    async def parts(self, max_bytes: int, *, within: float) -> AsyncIterator[bytes]:
        """Yield the body as it arrives: each part in as much time as a whole one may take otherwise, all in `within` s.

        Args:
            max_bytes: maximum of bytes, as they are sent and as they are inflated.
            within: seconds for the whole body.

        Raises:
            UnsupportedContentEncodingError: its content coding is unknown, or there are several.
            UnsupportedCharsetError: it is text, but not UTF-8.
            InvalidContentEncodingError: it is not what its encoding says.
            PayloadTooLarge, RequestTimeout, BadRequest: it is too large, too late, or malformed.
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
                await asyncio.sleep(0)  # others have their turn, also when thousands of small chunks are here already

    def _too_late(self) -> RequestTimeout:
        """Return the error of a body that did not arrive in time, after whose answer the connection is closed."""
        self.stream.leave_body()
        return RequestTimeout("Request body timeout")

    def _coding(self) -> str:
        """Return the content coding of the body, by its head; empty for none.

        Raises:
            UnsupportedCharsetError, UnsupportedContentEncodingError: the service cannot read it.
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


async def _inflated(received: AsyncIterator[bytes], inflater: Inflater) -> AsyncIterator[bytes]:
    async for data in received:
        for piece in inflater.feed(data):
            yield piece
            await asyncio.sleep(0)  # let other requests run: a few bytes may inflate to many
    inflater.finish()


def _without_mark(start: bytes) -> bytes:
    """Return the start of a text without a byte order mark; `start` has four bytes or more, or is the whole text.

    Raises:
        UnsupportedCharsetError: it is UTF-16 or UTF-32, by its mark or because ASCII in it comes with NULs.
        InvalidContentEncodingError: it is compressed.
    """
    for mark, charset in _MARKS.items():
        if start.startswith(mark):
            raise UnsupportedCharsetError(charset)
    if wide := _WIDE_ASCII.match(start):
        raise UnsupportedCharsetError("UTF-32" if wide[1] else "UTF-16")
    if start.startswith(_GZIP_MAGIC):
        raise InvalidContentEncodingError("The body is gzip; Content-Encoding must say so")
    return start.removeprefix(codecs.BOM_UTF8)
