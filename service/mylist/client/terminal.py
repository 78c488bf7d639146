"""Text and tables for a terminal, from untrusted text."""

import unicodedata
from collections.abc import Sequence
from itertools import accumulate

from wcwidth import wcswidth, wcwidth

_GAP = "  "
_MIN_CUT_COLUMNS = 8


def plain(text: str) -> str:
    """Return text as one line that is safe to print: without controls and without changes of the writing direction."""
    return "".join(map(_plain, text))


def table(rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Return rows of one length as aligned lines; the first row names the columns.

    With `width`, the last column is truncated so that a line fits that many terminal columns, but never to fewer than
    8.
    """
    columns = [[plain(cell) for cell in column] for column in zip(*rows, strict=True)]
    if width is not None:
        room = width - sum(max(map(wcswidth, column)) + len(_GAP) for column in columns[:-1])
        columns[-1] = [_cut(cell, max(room, _MIN_CUT_COLUMNS)) for cell in columns[-1]]
    aligned = [_align(column) for column in columns]
    return "\n".join(_GAP.join(line).rstrip() for line in zip(*aligned, strict=True))


def counts_table(counts: Sequence[tuple[str, int]]) -> str:
    """Return counts as lines of text: a name, and a number."""
    numbers = [f"{number:,}" for _, number in counts]
    name_width, number_width = max(len(name) for name, _ in counts), max(map(len, numbers))
    return "\n".join(
        f"{name:<{name_width}}{_GAP}{number:>{number_width}}" for (name, _), number in zip(counts, numbers, strict=True)
    )


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category.startswith("Z"):
        return " "
    if category == "Cf":  # invisible; some of these change the writing direction
        return ""
    return "\N{REPLACEMENT CHARACTER}" if category.startswith("C") else character


def _align(column: list[str]) -> list[str]:
    widest = max(map(wcswidth, column))
    return [cell + " " * (widest - wcswidth(cell)) for cell in column]


def _cut(text: str, room: int) -> str:
    if wcswidth(text) <= room:
        return text
    kept = sum(end < room for end in accumulate(map(wcwidth, text)))
    return f"{text[:kept]}…"
