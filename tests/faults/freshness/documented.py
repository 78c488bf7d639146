"""When a read may be stale: the one case that the service documents.

By default a process that has lost its link to Redis, while the others have not, lets writes through without telling
them. They read what was before until the link heals and the process delivers the invalidations that it owes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.freshness.faults import LINK_CUT, Struck
from tests.faults.freshness.history import Operation

GRACE = 3.0
"""Seconds after the link has healed in which a stale read still belongs to the cut: until the process has noticed, has
delivered what it owes, and the last read before that is answered."""


@dataclass(frozen=True, slots=True)
class Window:
    """The times in which reads may be stale; none unless there are cuts."""

    cuts: tuple[Struck, ...] = ()

    @classmethod
    def of(cls, struck: Iterable[Struck]) -> "Window":
        """Gives the window of the links that were cut."""
        return cls(tuple(fault for fault in struck if fault.name == LINK_CUT))

    def cut_of(self, operation: Operation) -> Struck | None:
        """Gives the cut that an operation falls into."""
        for cut in self.cuts:
            if cut.began <= operation.ended and operation.began <= cut.healed + GRACE:
                return cut
        return None
