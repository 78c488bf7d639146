"""Fenced code blocks of a document, with the expectations in their info strings.

A forge shows "```bash expect=201" as it shows "```bash": only the first word counts there. Here `expect` has the
statuses that the commands of the block get from curl, in order. Without it each must be 2xx. With `expect=output` the
next block is what the commands print on a terminal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_SHELL = {"bash", "sh", "shell", "console", "zsh"}
_EXPECTATION = re.compile(r"expect=(?:output|\d{3}(?:,\d{3})*)")
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
    shows_output: bool = False

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
    """Return the fenced blocks of a document, those in lists too.

    Raises:
        ExpectationError: a block has more after its language than an expectation, or has one and is not a shell block.
    """
    return [_block(found) for found in _BLOCK.finditer(document)]


def _block(found: re.Match[str]) -> Block:
    language, *words = found["info"].split() or [""]
    text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
    block = Block(language, text)
    if not words:
        return block
    if len(words) > 1 or not block.is_shell or not _EXPECTATION.fullmatch(words[0]):
        raise ExpectationError(
            f"```{found['info']}: only expect=STATUS,STATUS or expect=output may follow, and only a shell's language"
        )
    expected = words[0].partition("=")[2]
    if expected == "output":
        return Block(language, text, shows_output=True)
    return Block(language, text, tuple(map(int, expected.split(","))))
