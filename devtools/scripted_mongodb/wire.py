"""MongoDB's wire protocol, as far as today's drivers speak it: OP_MSG, and OP_QUERY for the first `hello`.

A message that passes through unchanged keeps its exact bytes.
"""

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

Document = dict[str, Any]

_HEADER = struct.Struct("<iiii")
"""Length of the message with the header, its id, the id that it answers, its kind."""
_FLAGS = struct.Struct("<I")
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_CHECKSUM_PRESENT, _MORE_TO_COME = 1, 2
_BODY, _DOCUMENT_SEQUENCE = 0, 1
# Values that Python cannot hold come back as they went in.
_OPTIONS: CodecOptions[Document] = CodecOptions(document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_MS)


class ProtocolError(Exception):
    """A message that no driver should send here."""


@dataclass(frozen=True)
class Request:
    """One message of a client.

    Attributes:
        number: its id, which the reply names.
        command: the command, with its document sequences as lists.
        message: the bytes that came.
        is_query: whether it is an OP_QUERY, which has a reply of its own kind.
        wants_reply: whether the client waits for one: not after a write with `w: 0`.
    """

    number: int
    command: Document
    message: bytes
    is_query: bool
    wants_reply: bool


async def read_message(stream: asyncio.StreamReader) -> bytes:
    """Return one whole message.

    Raises:
        asyncio.IncompleteReadError: the connection ended.
    """
    header = await stream.readexactly(_HEADER.size)
    length: int = _HEADER.unpack(header)[0]
    return header + await stream.readexactly(length - _HEADER.size)


def parse_request(message: bytes) -> Request:
    """Return the content of a client's message.

    Raises:
        ProtocolError: it is not a command, is compressed, or has a checksum.
    """
    _, number, _, kind = _HEADER.unpack_from(message)
    if kind == _OP_QUERY:
        # Flags, the collection's name, how many to skip and to return; then the command.
        start = message.index(b"\0", _HEADER.size + 4) + 1 + 8
        return Request(number, bson.decode(message[start:], _OPTIONS), message, is_query=True, wants_reply=True)
    if kind != _OP_MSG:
        raise ProtocolError(f"message of kind {kind}")
    (flags,) = _FLAGS.unpack_from(message, _HEADER.size)
    if flags & _CHECKSUM_PRESENT:
        raise ProtocolError("message with a checksum")
    return Request(number, _sections(message), message, is_query=False, wants_reply=not flags & _MORE_TO_COME)


def parse_reply(message: bytes) -> Document:
    """Return the content of a server's OP_MSG."""
    return _sections(message)


def set_request(reply: bytes, number: int) -> bytes:
    """Return a server's reply as one to another request."""
    length, own, _, kind = _HEADER.unpack_from(reply)
    return _HEADER.pack(length, own, number, kind) + reply[_HEADER.size :]


def encode_request(number: int, command: Mapping[str, Any]) -> bytes:
    """Return a command as one message."""
    return _encode(number, 0, _OP_MSG, _FLAGS.pack(0) + bytes([_BODY]) + bson.encode(command, codec_options=_OPTIONS))


def encode_reply(request: Request, reply: Mapping[str, Any]) -> bytes:
    """Return the reply to a request, in the form that its client expects."""
    body = bson.encode(reply, codec_options=_OPTIONS)
    if request.is_query:
        # Flags, cursor, position, and the number of documents.
        return _encode(0, request.number, _OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + body)
    return _encode(0, request.number, _OP_MSG, _FLAGS.pack(0) + bytes([_BODY]) + body)


def _encode(number: int, answers: int, kind: int, content: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(content), number, answers, kind) + content


def _sections(message: bytes) -> Document:
    body: Document = {}
    sequences: Document = {}
    position = _HEADER.size + _FLAGS.size
    while position < len(message):
        section, position = message[position], position + 1
        (size,) = struct.unpack_from("<i", message, position)
        content = message[position : position + size]
        position += size
        if section == _BODY:
            body = bson.decode(content, _OPTIONS)
        elif section == _DOCUMENT_SEQUENCE:
            end = content.index(b"\0", 4)
            sequences[content[4:end].decode()] = bson.decode_all(content[end + 1 :], _OPTIONS)
        else:
            raise ProtocolError(f"section of kind {section}")
    return body | sequences
