"""The source of the keys that tokens are verified with."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mylist.auth.keys import Key


class KeySource:
    """Keys that never change; none in the mode that has no tokens.

    Attributes:
        keys: the keys in force; another tuple object whenever they change.
        problem: why the last fetch brought none, in one line; empty if it did.
    """

    def __init__(self, keys: "tuple[Key, ...]" = ()) -> None:
        self.keys = keys
        self.problem = ""

    @property
    def available(self) -> bool:
        """Whether there is anything to verify tokens with, or no need to."""
        return True

    async def keep_fresh(self) -> None:
        """Renew the keys at intervals until cancelled; return at once where they never change."""

    async def renew(self) -> bool:
        """Look for new keys because a token names one that is unknown; return whether there are any."""
        return False

    async def close(self) -> None:
        """End a fetch in flight."""
