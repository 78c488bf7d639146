"""The body of a request, as routes parse it: inflated, and UTF-8 without a byte order mark.

Everything that the head decides is decided before the first byte is read: a client that waits for `100 Continue` gets
it only if its body is wanted.
"""

import asyncio
import codecs
import re
from collections.abc import AsyncIterator, Container

from multidict import istr

from mylist.domain.errors import InvalidContentEncodingError, InvalidJsonError, UnsupportedCharsetError
from mylist.domain.limits import MAX_BODY_BYTES
from mylist.http.content_coding import Inflater, coding_of
from mylist.http.request import ApiRequest

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


async def receive(request: ApiRequest, media_types: Container[str]) -> bytes:
    """Return the whole body of a request; empty where there is none.

    Raises:
        InvalidJsonError: it has another media type than these, or is a form from a page of another origin.
        UnsupportedContentEncodingError: its content coding is unknown, or there are several.
        UnsupportedCharsetError: it is text, but not UTF-8.
        InvalidContentEncodingError: it is not what its encoding says.
        PayloadTooLarge, RequestTimeout, BadRequest: it is too large, too late, or malformed.
    """
    if not request.stream.has_body:
        return b""
    if media_type_of(request) not in media_types:
        raise InvalidJsonError("The body must be JSON, with Content-Type: application/json")
    if media_type_of(request) == FORM and request.headers.getone("sec-fetch-site", "none") not in _OWN_SITE:
        raise InvalidJsonError("A page of another origin must send JSON, with Content-Type: application/json")
    coding = _coding(request)
    await request.receive_body()
    body: bytes = request.body
    if coding:
        inflater = Inflater(coding, MAX_BODY_BYTES)
        body = b"".join(inflater.feed(body))
        inflater.finish()
    return _without_mark(body)


async def parts(request: ApiRequest, max_bytes: int, *, within: float) -> AsyncIterator[bytes]:
    """Yield the body of a request as it arrives; its time is limited as that of `ApiRequest.body_parts`.

    Args:
        request: whose body it is.
        max_bytes: maximum of bytes, as they are sent and as they are inflated.
        within: seconds for the whole body.

    Raises:
        UnsupportedContentEncodingError: its content coding is unknown, or there are several.
        UnsupportedCharsetError: it is text, but not UTF-8.
        InvalidContentEncodingError: it is not what its encoding says.
        PayloadTooLarge, RequestTimeout, BadRequest: it is too large, too late, or malformed.
    """
    if not request.stream.has_body:
        return
    coding = _coding(request)
    received = request.body_parts(max_bytes, within=within)
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


def media_type_of(request: ApiRequest) -> str:
    """Return the media type of a body, without its parameters, in small letters."""
    return request.content_type.partition(";")[0].strip(" \t").lower()


def _coding(request: ApiRequest) -> str:
    """Return the content coding of a body, by its head; empty for none.

    Raises:
        UnsupportedCharsetError, UnsupportedContentEncodingError: the service cannot read it.
    """
    if charset := _CHARSET.search(request.content_type):
        raise UnsupportedCharsetError(charset[1].upper())
    return coding_of(request.headers.getall(_CONTENT_ENCODING, ()))


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
