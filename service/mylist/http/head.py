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
# The first letter comes first, because most headers begin with another one.
_SPECIAL = (
    rb"[CcTtEeUu](?i:ransfer-encoding:|xpect:|pgrade:|"
    rb"ontent-length:(?![\t ]*+[0-9]{1,18}+(?:\r\n|\Z))|onnection:(?![\t ]*+keep-alive(?:\r\n|\Z)))"
)
_PLAIN_HEADER = b"(?!" + _SPECIAL + b")" + TOKEN + rb":[\t ]*+(?!" + _FOREIGN_BLANK + b")" + _VALUE

HEAD = re.compile(TOKEN + b" " + _TARGET + rb" HTTP/1\.[01](?:\r\n" + _HEADER + b")*+")
"""A whole head, without the empty line at its end."""
PLAIN_HEAD = re.compile(b"(" + TOKEN + b") (" + _TARGET + rb") HTTP/1\.1((?:\r\n" + _PLAIN_HEADER + b")*+)")
"""A head like most: method, target, and headers that ask for nothing but an answer over a connection that goes on.

It is HTTP/1.1, and has no body of unknown length.
"""
FIELDS = re.compile(r"\r\n([^:]++):[\t ]*+([^\r]*+)")
"""Each header of a plain head: its name and its value, without the blanks before the value."""
