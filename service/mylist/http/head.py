"""The grammar of a request's head (RFC 9112), as patterns. Sanic mostly does not check it.

Python strips more characters as blanks than HTTP, which knows only space and tab. It also reads digits of every script.
So the headers that name the user or frame a body have rules of their own.
"""

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
"""A method, or the name of a header."""
_TARGET = rb"(?:\*|(?:(?i:https?)://[!-.0->@-~]+)?/[!\"$-~]*+)"
_FOREIGN_BLANK = rb"(?:\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2(?:\x80[\x80-\x8a\xa8\xa9\xaf]|\x81\x9f)|\xe3\x80\x80)"
_VALUE = rb"[\t -~\x80-\xff]*+"
_HEADER = (
    rb"(?!(?i:content-length|transfer-encoding):[^\r\n]*[\x80-\xff])"
    rb"(?!(?i:user-id|authorization):[\t ]*+" + _FOREIGN_BLANK + rb")" + TOKEN + b":" + _VALUE
)
# The first letters come first, because most headers begin with another one.
_SPECIAL = (
    rb"(?=[CcTtEeUu])(?i:transfer-encoding:|expect:|upgrade:|"
    rb"content-length:(?![\t ]*+[0-9]{1,18}+(?:\r\n|\Z))|connection:(?![\t ]*+keep-alive(?:\r\n|\Z)))"
)
_PLAIN_HEADER = b"(?!" + _SPECIAL + b")" + TOKEN + rb":[\t ]*+(?!" + _FOREIGN_BLANK + b")" + _VALUE

HEAD = re.compile(TOKEN + b" " + _TARGET + rb" HTTP/1\.[01](?:\r\n" + _HEADER + b")*+")
"""A whole head, without the empty line at its end."""
_PLAIN_HEAD = re.compile(b"(" + TOKEN + b") (" + _TARGET + rb") HTTP/1\.1((?:\r\n" + _PLAIN_HEADER + b")*+)")
_FIELDS = re.compile(r"\r\n([^:]++):[\t ]*+([^\r]*+)")

PlainHead = tuple[str, bytes, list[tuple[str, str]]]
"""Method, target, and each header: its name and its value, without the blanks before the value."""


def parse_plain_head(buffer: bytearray, end: int) -> PlainHead | None:
    """Parse a head like most: its headers ask for nothing but an answer over a connection that goes on.

    It is HTTP/1.1, and has no body of unknown length. `mylist.http.plain_head` has the form of this function that runs.

    Args:
        buffer: the bytes that arrived, from the start of the head.
        end: the length of the head, without the empty line at its end.

    Returns:
        The parts of the head; None if it is not plain. Bytes that are not UTF-8 become lone surrogates.

    Raises:
        ValueError: `end` is negative or outside of the buffer.
    """
    if not 0 <= end <= len(buffer):
        raise ValueError("the end of the head is not in the buffer")
    match = _PLAIN_HEAD.fullmatch(buffer, 0, end)
    if match is None:
        return None
    return match[1].decode(), match[2], _FIELDS.findall(match[3].decode(errors="surrogateescape"))
