"""What says that something was erased: what, how much, when and by which version, without what it was."""

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
    """What a run of `mylist erase` did.

    Attributes:
        subject: whom it was about.
        dry: whether it only counted.
        users: the users of whom something was kept, or who were named.
        erased: how many documents of each collection it erased, or would.
        cached: how many lists it found in Redis.
        left: how many documents each collection has of them at the end, as they were written meanwhile.
        of_platform: how many documents `users` has of them, which are not erased.
        began, ended: when.
        where: the address of MongoDB.
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
        """Why the run has to be repeated, in one line; empty if it has not."""
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
