"""Splits a JSON array into its elements, one at a time, because a short text can represent a large value."""

import re
from collections.abc import Iterator

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},]', re.DOTALL)
_BLANK = b" \t\r\n"


class NoArrayError(ValueError):
    """A text is not a JSON array; the message says what it is, in one line."""


def elements(body: bytes | bytearray) -> Iterator[tuple[bytes, str]]:
    """Yield the text of each element. The last one has a problem if the array does not end, or text follows the array.

    The caller must check that each element is valid JSON.

    Raises:
        NoArrayError: the text does not begin with an array.
    """
    start = len(body) - len(body.lstrip(_BLANK))
    if body[start : start + 1] != b"[":
        raise NoArrayError(
            "it is JSON Lines or one object, and must be a JSON array; JSON Lines have "
            "Content-Type: application/x-ndjson"
            if body[start : start + 1] == b"{"
            else "it is not JSON"
        )
    depth, begin, is_first = 0, start + 1, True
    for match in _TOKEN.finditer(body, start):
        token = match[0]
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
            if not depth:
                last = bytes(body[begin : match.start()]).strip(_BLANK)
                if last or not is_first:
                    yield last, ""
                if rest := bytes(body[match.end() : match.end() + 200]).strip(_BLANK):
                    yield rest, "there is more after the end of the array"
                return
        elif token == b"," and depth == 1:
            yield bytes(body[begin : match.start()]).strip(_BLANK), ""
            begin, is_first = match.end(), False
    yield bytes(body[begin : begin + 200]), "the array does not end, so the file was cut"
