"""Fenced code blocks of a document, with what the words after their language expect of them.

A forge shows "```bash expect=201" as it shows "```bash": only the first word counts there. Here `expect` has the
statuses that the commands of the block get from curl, in order. Without it each must be 2xx.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = {"bash", "sh", "shell", "console", "zsh"}
_EXPECTATION = re.compile(r"expect=\d{3}(?:,\d{3})*")
_CURL = re.compile(r"\bcurl\b")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)


class ExpectationError(Exception):
    """A block expects what cannot be understood."""


@dataclass(frozen=True)
class Block:
    """A block; `expected` are the statuses of its curls, or None for any success."""

    language: str
    text: str
    expected: tuple[int, ...] | None = None

    @property
    def is_shell(self) -> bool:
        """Whether its text is commands."""
        return self.language in _SHELL

    def accepts(self, statuses: Sequence[int]) -> bool:
        """Return whether these statuses, of all its curls in order, are as expected."""
        if self.expected is not None:
            return tuple(statuses) == self.expected
        asked = len(_CURL.findall(_COMMENT.sub("", self.text)))
        return len(statuses) == asked and all(200 <= status < 300 for status in statuses)


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document.

    Raises:
        ExpectationError: one has more after its language than what is expected, or is no shell's and expects something.
    """
    return [_block(found["info"], found["text"]) for found in _BLOCK.finditer(document)]


def _block(info: str, text: str) -> Block:
    language, *words = info.split() or [""]
    block = Block(language, text)
    if not words:
        return block
    if len(words) > 1 or not block.is_shell or not _EXPECTATION.fullmatch(words[0]):
        raise ExpectationError(f"```{info}: expect=STATUS,STATUS is all that may follow, and only a shell's language")
    return Block(language, text, tuple(map(int, words[0].partition("=")[2].split(","))))
