"""The grammar of a request's head (RFC 9112). Sanic mostly does not check it.

Python strips more characters as blanks than HTTP, which knows only space and tab. It also reads digits of every script.
So the headers that name the user or frame a body have rules of their own.
"""

import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TARGET = rb"(?:\*|(?:(?i:https?)://[!-.0->@-~]+)?/[!\"$-~]*+)"
_FOREIGN_BLANK = rb"(?:\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2(?:\x80[\x80-\x8a\xa8\xa9\xaf]|\x81\x9f)|\xe3\x80\x80)"
_VALUE = rb"[\t -~\x80-\xff]*+"
_HEADER = (
    rb"(?!(?i:content-length|transfer-encoding):[^\r\n]*[\x80-\xff])"
    rb"(?!(?i:user-id|authorization):[\t ]*+" + _FOREIGN_BLANK + rb")" + _TOKEN + b":" + _VALUE
)
_HEAD = re.compile(_TOKEN + b" " + _TARGET + rb" HTTP/1\.[01](?:\r\n" + _HEADER + b")*+")

# Headers after which a head is not plain. The first letter comes first, because most headers begin with another one.
_SPECIAL = (
    rb"[CcTtEeUu](?i:ransfer-encoding:|xpect:|pgrade:|"
    rb"ontent-length:(?![\t ]*+[0-9]{1,18}+(?:\r\n|\Z))|onnection:(?![\t ]*+keep-alive(?:\r\n|\Z)))"
)
_PLAIN_HEADER = b"(?!" + _SPECIAL + b")" + _TOKEN + rb":[\t ]*+(?!" + _FOREIGN_BLANK + b")" + _VALUE
_PLAIN_HEAD = re.compile(b"(" + _TOKEN + b") (" + _TARGET + rb") HTTP/1\.1((?:\r\n" + _PLAIN_HEADER + b")*+)")
_FIELD = re.compile(r"\r\n([^:]++):[\t ]*+([^\r]*+)")


def is_valid(head: bytes) -> bool:
    """Return whether a head, without the empty line at its end, follows the grammar."""
    return _HEAD.fullmatch(head) is not None


def parse_plain(head: bytes) -> tuple[str, bytes, list[tuple[str, str]]] | None:
    """Return the method, the target and the headers of a plain head, without the empty line at its end.

    Most heads are plain. None for a head that is malformed or HTTP/1.0, that has a body of unknown length, or that asks
    for something other than a response over a connection that goes on.
    """
    match = _PLAIN_HEAD.fullmatch(head)
    if match is None:
        return None
    method, target, headers = match.groups()
    return method.decode(), target, _FIELD.findall(headers.decode(errors="surrogateescape"))
