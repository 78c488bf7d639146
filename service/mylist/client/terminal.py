"""Text and tables for a terminal, of words that come from elsewhere."""

import unicodedata
from collections.abc import Sequence
from itertools import accumulate

_GAP = "  "
_NARROWEST = 8  # columns of what is cut


def plain(text: str) -> str:
    """Makes one line of `text` that can do nothing to a terminal: no control, no change of the writing's direction."""
    return "".join(map(_plain, text))


def table(rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Writes rows of one length as aligned lines; the first names the columns.

    The last column is cut for lines of `width` columns, if the others leave it some.
    """
    columns = [[plain(cell) for cell in column] for column in zip(*rows, strict=True)]
    if width is not None:
        room = width - sum(max(map(_width, column)) + len(_GAP) for column in columns[:-1])
        columns[-1] = [_cut(cell, max(room, _NARROWEST)) for cell in columns[-1]]
    aligned = [_align(column) for column in columns]
    return "\n".join(_GAP.join(line).rstrip() for line in zip(*aligned, strict=True))


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category.startswith("Z"):
        return " "
    if category == "Cf":  # shows nothing; among these are the ones that turn the direction
        return ""
    return "\N{REPLACEMENT CHARACTER}" if category.startswith("C") else character


def _width(text: str) -> int:
    """Counts the columns that plain text takes."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:  # goes on top of the one before
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _align(column: list[str]) -> list[str]:
    widest = max(map(_width, column))
    return [cell + " " * (widest - _width(cell)) for cell in column]


def _cut(text: str, room: int) -> str:
    if _width(text) <= room:
        return text
    kept = sum(end < room for end in accumulate(map(_columns, text)))
    return f"{text[:kept]}…"
