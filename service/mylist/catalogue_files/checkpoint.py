"""How far an import is, in a file from which the next run of the same files goes on."""

from pathlib import Path

import msgspec
from xxhash import xxh3_64

from mylist.catalogue_files.counts import Counts
from mylist.replaced_file import replace_file


class CheckpointError(Exception):
    """The file of the position cannot be used; the message is one line."""


class Position(msgspec.Struct, frozen=True):
    """How much of the files is in the catalogue.

    Attributes:
        records: how many of their records.
        digest: of these records.
        counts: what the run has counted up to there.
        errors_size: bytes of the file of errors up to there.
    """

    records: int = 0
    digest: str = xxh3_64().hexdigest()
    counts: Counts = msgspec.field(default_factory=Counts)
    errors_size: int = 0


def load(path: Path) -> Position:
    """Return the position that a run left behind, or the beginning.

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
    """Keep a position, so that there is either this one or the one before, whatever happens.

    Raises:
        CheckpointError: the file cannot be written.
    """
    try:
        replace_file(path, msgspec.json.encode(position))
    except OSError as error:
        raise CheckpointError(f"--checkpoint: {path}: {error.strerror}; name another file") from None


def remove(path: Path) -> None:
    """Forget the position: all is done."""
    path.unlink(missing_ok=True)
