"""The source of the keys that verify tokens."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mylist.auth.keys import Key


class KeySource:
    """Keys that never change, or no keys in a mode without tokens.

    Attributes:
        keys: the keys in force; a new tuple object whenever they change.
        problem: why the last fetch returned no keys, in one line; empty if it returned some.
    """

    def __init__(self, keys: "tuple[Key, ...]" = ()) -> None:
        self.keys = keys
        self.problem = ""

    @property
    def available(self) -> bool:
        """Whether tokens can be verified, or need not be."""
        return True

    async def keep_fresh(self) -> None:
        """Renew the keys at intervals until cancelled; return at once if they never change."""

    async def renew(self) -> bool:
        """Look for new keys because a token names an unknown key; return whether there are any."""
        return False

    async def close(self) -> None:
        """End a fetch in flight."""
