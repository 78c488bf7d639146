"""The counts of an import, and the errors that it reports."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import msgspec

from mylist.client.terminal import counts_table

_MAX_OTHERS = 20
"""Names of fields that are counted individually."""


class LineError(msgspec.Struct, frozen=True):
    """A line that was not imported, or a file that could not be read to its end.

    Attributes:
        file: the name of the file.
        line: the first line of the record, from 1; None for the file itself.
        error: why, in one line.
        text: the record as in the file, so that it can be fixed and imported separately.
    """

    file: str
    line: int | None
    error: str
    text: str = ""

    def told(self) -> str:
        """Return it as one line of text."""
        return f"{self.file}:{self.line}: {self.error}" if self.line else f"{self.file}: {self.error}"


@dataclass(slots=True)
class Counts:
    """How many titles of the files had which outcome; in a dry run, would have.

    Each line that is read counts once more below, up to `invalid`.

    Attributes:
        read: titles read, valid or not.
        inserted: new in the catalogue.
        updated: changed in the catalogue.
        unchanged: in the catalogue as they were.
        not_taken: titles of a kind that this catalogue does not have, such as episodes.
        duplicates: titles that an earlier line of the same run names.
        invalid: lines that are not valid titles, or that MongoDB refused.
        withdrawn: titles removed from the catalogue, because no line names them.
        cut_files: files that could not be read to their end.
        others: number of titles per field that the schema does not name.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    not_taken: int = 0
    duplicates: int = 0
    invalid: int = 0
    withdrawn: int = 0
    cut_files: int = 0
    others: dict[str, int] = field(default_factory=dict)

    def add(self, more: "Counts") -> None:
        """Add the counts of another part of the run."""
        for each in fields(self):
            if each.name != "others":
                setattr(self, each.name, getattr(self, each.name) + getattr(more, each.name))
        for name, number in more.others.items():
            self._count_other(name, number)

    def count_others(self, names: Iterable[str]) -> None:
        """Count the fields of one title that the schema does not name."""
        for name in names:
            self._count_other(name, 1)

    def _count_other(self, name: str, number: int) -> None:
        if name in self.others or len(self.others) < _MAX_OTHERS:
            self.others[name] = self.others.get(name, 0) + number

    @property
    def failures(self) -> int:
        """Number of lines that should have been imported but were not."""
        return self.duplicates + self.invalid

    def table(self) -> str:
        """Return the counts as lines of text: a name, and a number."""
        return counts_table(
            [
                ("titles read", self.read),
                ("inserted", self.inserted),
                ("updated", self.updated),
                ("unchanged", self.unchanged),
                ("not taken, such as episodes", self.not_taken),
                ("named by an earlier line", self.duplicates),
                ("invalid", self.invalid),
                ("withdrawn", self.withdrawn),
            ]
        )
