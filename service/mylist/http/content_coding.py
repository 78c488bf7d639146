"""Content codings of requests: compressed bodies (RFC 9110, section 8.4)."""

import zlib
from collections.abc import Iterable, Iterator

from sanic.exceptions import PayloadTooLarge

from mylist.domain.errors import InvalidContentEncodingError, UnsupportedContentEncodingError

_GZIP, _DEFLATE = "gzip", "deflate"
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _DEFLATE}
_WINDOW_BITS = {_GZIP: 16 + zlib.MAX_WBITS, _DEFLATE: zlib.MAX_WBITS}
_MAX_PIECE_BYTES = 64 * 1024
_MAX_MEMBERS = 100
"""Maximum number of members of one gzip body.

Tools that compress in parallel write several; thousands of empty members only cost time.
"""


def coding_of(fields: Iterable[str]) -> str:
    """Return the coding of a body whose `Content-Encoding` lines are `fields`; empty for none.

    Raises:
        UnsupportedContentEncodingError: the coding is unknown, or there are several.
    """
    names = [each.strip(" \t") for field in fields for each in field.split(",")]
    named = [each for each in names if each and each.lower() != "identity"]
    if not named:
        return ""
    coding = _CODINGS.get(named[0].lower())
    if coding is None or len(named) > 1:
        raise UnsupportedContentEncodingError(", ".join(named))
    return coding


class Inflater:
    """Inflates a body as it arrives.

    Args:
        coding: as `coding_of` returns it.
        max_bytes: maximum size of the inflated body, in bytes.
    """

    def __init__(self, coding: str, max_bytes: int) -> None:
        self._coding = coding
        self._bytes_left = max_bytes
        self._members = 0
        self._member: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Inflate a part of the body; yield the result in pieces of limited size.

        Raises:
            InvalidContentEncodingError: the data is corrupt.
            PayloadTooLarge: it inflates to more than `max_bytes`.
        """
        while data:
            member = self._member = self._member or self._next_member()
            piece = b""
            while data or len(piece) == _MAX_PIECE_BYTES:  # after a full piece, zlib may have more output
                try:
                    piece = member.decompress(data, _MAX_PIECE_BYTES)
                except zlib.error:
                    raise self._invalid() from None
                self._bytes_left -= len(piece)
                if self._bytes_left < 0:
                    raise PayloadTooLarge("The body exceeds its limit")
                if piece:
                    yield piece
                data = member.unconsumed_tail
                if member.eof:
                    data, self._member = member.unused_data, None
                    break

    def finish(self) -> None:
        """Note the end of the body.

        Raises:
            InvalidContentEncodingError: the data is truncated.
        """
        if self._member:
            raise self._invalid()

    def _invalid(self) -> InvalidContentEncodingError:
        return InvalidContentEncodingError(
            f"Content-Encoding is {self._coding}, but the body is not valid {self._coding}, or is cut short"
        )

    def _next_member(self) -> "zlib._Decompress":
        if self._members == (_MAX_MEMBERS if self._coding == _GZIP else 1):
            raise self._invalid()
        self._members += 1
        return zlib.decompressobj(_WINDOW_BITS[self._coding])
