"""The receipt of an erasure: what kind of data, how much, when and by which version, without the data itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from mylist import __version__
from mylist.domain.timestamps import iso_format
from mylist.mongodb.collections import USERS


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of a run of `mylist erase`.

    Attributes:
        subject: whom it was about.
        dry: whether it only counted.
        users: the users that had data or were named.
        erased: number of documents per collection that it erased, or would erase.
        cached: number of lists found in Redis.
        left: number of documents per collection at the end, which were written meanwhile.
        of_platform: number of their documents in `users`, which are not erased.
        began, ended: start and end of the run.
        where: MongoDB's address.
    """

    subject: Mapping[str, str]
    dry: bool
    users: Sequence[str]
    erased: Mapping[str, int]
    cached: int
    left: Mapping[str, int]
    of_platform: int
    began: datetime
    ended: datetime
    where: str

    @property
    def problem(self) -> str:
        """Why the run must be repeated, in one line; empty if it need not be."""
        left = ", ".join(f"{number:,} of `{name}`" for name, number in self.left.items() if number)
        if self.dry or not left:
            return ""
        return f"documents were written meanwhile: {left}; end the user's sessions, then run the command again"

    def json(self) -> str:
        """Return it as JSON over several lines."""
        document: dict[str, Any] = {
            "erased": dict(self.subject),
            "dryRun": self.dry,
            "complete": not self.dry and not self.problem,
            "began": iso_format(self.began),
            "ended": iso_format(self.ended),
            "version": __version__,
            "mongodb": self.where,
            "users": list(self.users),
            "documents": dict(self.erased),
            "cachedLists": self.cached,
            "writtenMeanwhile": dict(self.left),
            "leftToThePlatform": {USERS: self.of_platform},
        }
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
