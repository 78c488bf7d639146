"""The progress of an import, kept in a file from which the next run of the same files goes on."""

from pathlib import Path

import msgspec
from xxhash import xxh3_64

from mylist.catalogue_files.counts import Counts
from mylist.replaced_file import replace_file


class CheckpointError(Exception):
    """The file of the position cannot be used; the message is one line."""


class Position(msgspec.Struct, frozen=True):
    """How much of the files has been imported.

    Attributes:
        records: number of records imported.
        digest: of these records.
        counts: the counts of the run up to there.
        errors_size: size of the file of errors up to there, in bytes.
    """

    records: int = 0
    digest: str = xxh3_64().hexdigest()
    counts: Counts = msgspec.field(default_factory=Counts)
    errors_size: int = 0


def load(path: Path) -> Position:
    """Return the position that an earlier run kept, or the beginning.

    Raises:
        CheckpointError: the file cannot be read, or holds something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Position)
    except FileNotFoundError:
        return Position()
    except msgspec.DecodeError:
        raise CheckpointError(f"--checkpoint: {path} is not the position of an import: name another file") from None
    except OSError as error:
        raise CheckpointError(f"--checkpoint: {path}: {error.strerror}; name another file") from None


def save(path: Path, position: Position) -> None:
    """Keep a position. The replacement is atomic: the file always holds the old or the new position.

    Raises:
        CheckpointError: the file cannot be written.
    """
    try:
        replace_file(path, msgspec.json.encode(position))
    except OSError as error:
        raise CheckpointError(f"--checkpoint: {path}: {error.strerror}; name another file") from None


def remove(path: Path) -> None:
    """Delete the position, because everything is done."""
    path.unlink(missing_ok=True)
