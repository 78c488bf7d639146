"""The position that a run keeps: the resume token of the last change that its consumer has."""

from pathlib import Path
from typing import Protocol

import pymongo
from pymongo.asynchronous.database import AsyncDatabase

from mylist.events.event_lines import parse_token, token_text
from mylist.mongodb.collections import EVENT_POSITIONS
from mylist.mongodb.database import Document
from mylist.replaced_file import replace_file

_TIMEOUT_S = 5.0


class PositionFileError(Exception):
    """The file of a position cannot be used; the message is one line."""


class Position(Protocol):
    """Where a run resumes.

    Attributes:
        name: name of the position in messages.
    """

    name: str

    async def load(self) -> Document | None:
        """Return the kept resume token; None if there is none."""

    async def save(self, token: Document) -> None:
        """Keep a resume token."""


class PositionInMongoDB:
    """A position in its own document in MongoDB, acknowledged by a majority. So it needs no volume.

    Its methods raise the driver's errors.
    """

    def __init__(self, database: AsyncDatabase[Document], name: str) -> None:
        self.name = f"{name!r} in {EVENT_POSITIONS}"
        self._collection = database[EVENT_POSITIONS]
        self._id = name

    async def load(self) -> Document | None:
        """Return the kept resume token; None if there is none."""
        with pymongo.timeout(_TIMEOUT_S):
            document = await self._collection.find_one({"_id": self._id})
        return parse_token(document["token"]) if document else None

    async def save(self, token: Document) -> None:
        """Keep a resume token."""
        change = {"$set": {"token": token_text(token)}, "$currentDate": {"savedAt": True}}
        with pymongo.timeout(_TIMEOUT_S):
            await self._collection.update_one({"_id": self._id}, change, upsert=True)


class PositionInFile:
    """A position in a file, which is replaced atomically, once the new content is on disk.

    Its methods raise `PositionFileError`.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"in {path}"
        self._path = path

    async def load(self) -> Document | None:
        """Return the kept resume token; None if there is none."""
        try:
            return parse_token(self._path.read_text().strip())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PositionFileError(
                f"cannot read {self._path}: {error.strerror}; name a readable file with --position"
            ) from error
        except ValueError:
            raise PositionFileError(
                f"{self._path} has no valid position; delete it, and start over with --snapshot (docs/events.md)"
            ) from None

    async def save(self, token: Document) -> None:
        """Keep a resume token."""
        try:
            replace_file(self._path, f"{token_text(token)}\n".encode())
        except OSError as error:
            raise PositionFileError(
                f"cannot write {self._path}: {error.strerror}; name a writable file with --position"
            ) from error
