"""The content of a line: a title, nothing for this catalogue, or an error."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mylist.catalogue_files.text_lines import MAX_LINE_BYTES
from mylist.catalogue_files.title_schema import InvalidTitleError
from mylist.csv_rows import TextLine, encoding_problem


@dataclass(slots=True)
class Record:
    """One title of a file, on one line or, in CSV, on several.

    Attributes:
        number: number of its first line, from 1.
        raw: its bytes.
        title: what `title_schema.validate` returned; None without a title.
        error: why it is not a valid title, in one line; empty if it is valid, or of a kind that this catalogue does not
            keep.
        keeps_title: whether `title` applies to new titles only; an existing title keeps its own.
    """

    number: int
    raw: bytes
    title: dict[str, Any] | None = None
    error: str = ""
    keeps_title: bool = False


def read(line: TextLine, parse: Callable[[], dict[str, Any] | None]) -> Record:
    """Return the record of one line.

    Args:
        line: the line.
        parse: returns the title of the line, or None if it is not for this catalogue; raises `InvalidTitleError`.
    """
    if line.is_too_long:
        return Record(line.number, line.raw, error=f"it is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        return Record(line.number, line.raw, parse())
    except InvalidTitleError as error:
        return Record(line.number, line.raw, error=str(error))


def not_blank(rows: Iterable[TextLine]) -> Iterator[TextLine]:
    """Yield the lines that are not blank."""
    return (line for line in rows if line.raw.strip())


def decoded(raw: bytes) -> str:
    """Return bytes as text.

    Raises:
        InvalidTitleError: the bytes are not UTF-8.
    """
    if problem := encoding_problem(raw):
        raise InvalidTitleError(problem)
    return raw.decode()
