"""Reads a file line by line, plain or gzip, in bounded memory. Each failure becomes one clear error."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from mylist.csv_rows import TextLine

MAX_LINE_BYTES = 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_GZIP = b"\x1f\x8b"
_MAGIC_BYTES = 8
"""Longer than any of the signatures below."""
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_FORMS = {
    b"PK\x03\x04": "a ZIP archive, as a spreadsheet is: unpack it, or save it as CSV",
    b"BZh": "compressed by bzip2: unpack it, or compress it by gzip",
    b"\xfd7zXZ": "compressed by xz: unpack it, or compress it by gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it, or compress it by gzip",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
}
"""The first bytes of files that are not UTF-8 text, and the kind of each file."""


class UnreadableFileError(Exception):
    """A file cannot be read, or not to its end; the message is one line with the problem and the remedy."""


def lines(file: BinaryIO) -> Iterator[TextLine]:
    """Yield the lines of a file. If a file is truncated, all lines before that place are yielded.

    Raises:
        UnreadableFileError: the file is not UTF-8 text (plain or gzip), or is truncated.
    """
    number, rest, skipping = 0, b"", False
    for chunk in _text_chunks(file):
        *complete, tail = (rest + chunk).split(b"\n")
        for raw in complete:
            if skipping:
                skipping = False
                continue
            number += 1
            yield _line(number, raw)
        rest = tail
        if len(rest) > MAX_LINE_BYTES:
            if not skipping:
                number += 1
                yield _line(number, rest)
            rest, skipping = b"", True
    if rest and not skipping:
        yield _line(number + 1, rest)


def _line(number: int, raw: bytes) -> TextLine:
    if len(raw) > MAX_LINE_BYTES:
        return TextLine(number, raw[:200], is_too_long=True)
    return TextLine(number, raw.removesuffix(b"\r"))


def _text_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the text of a file in parts, without a byte order mark."""
    chunks = _chunks(file)
    first = next(chunks, b"")
    _require_text(first)
    yield first.removeprefix(_BYTE_ORDER_MARK)
    yield from chunks


def _require_text(first: bytes) -> None:
    for magic, form in _OTHER_FORMS.items():
        if first.startswith(magic):
            raise UnreadableFileError(f"it is {form}")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file in parts, unpacked; the first has at least the first few bytes."""
    try:
        chunk = _first_chunk(file)
        if chunk.startswith(_GZIP):
            yield from _unpacked(file, chunk)
            return
        while chunk:
            yield chunk
            chunk = file.read(_CHUNK_BYTES)
    except OSError as error:
        raise UnreadableFileError(f"it cannot be read: {error.strerror or error}") from error


def _first_chunk(file: BinaryIO) -> bytes:
    """Return the beginning of a file. A pipe may deliver a byte at a time."""
    chunk = b""
    while len(chunk) < _MAGIC_BYTES and (more := file.read(_CHUNK_BYTES)):
        chunk += more
    return chunk


def _unpacked(file: BinaryIO, packed: bytes) -> Iterator[bytes]:
    """Yield the inflated members of a gzip file, in parts of at most `_CHUNK_BYTES`."""
    member = zlib.decompressobj(_GZIP_WINDOW)
    while True:
        try:
            text = member.decompress(packed, _CHUNK_BYTES)
        except zlib.error as error:
            raise UnreadableFileError(f"its gzip data is damaged ({error}): get the file again") from error
        if text:
            yield text
        packed = member.unused_data if member.eof else member.unconsumed_tail
        if not packed:
            packed = file.read(_CHUNK_BYTES)
        if member.eof:
            packed = packed.lstrip(b"\0")  # padding, as on tapes
            if not packed and not (packed := file.read(_CHUNK_BYTES).lstrip(b"\0")):
                return
            member = zlib.decompressobj(_GZIP_WINDOW)
        elif not packed and not text:
            raise UnreadableFileError("its gzip data ends too early, so the file was cut: get it again")
