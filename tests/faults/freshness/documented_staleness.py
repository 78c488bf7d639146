"""When a read may be stale: the one case that the service documents.

By default a process that has lost its link to Redis, while the others have not, lets writes through without telling
them. They read what was before until the link heals and the process delivers the invalidations that it owes. It serves
from the cache again only afterwards, which is how the end is known from outside; the report says when the last stale
read was.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.freshness.faults import InjectedFault
from tests.faults.freshness.history import Operation
from tests.faults.freshness.redis import LINK_CUT


@dataclass(frozen=True, slots=True)
class StalenessWindow:
    """The times in which reads may be stale; none unless there are cuts."""

    cuts: tuple[InjectedFault, ...] = ()

    @classmethod
    def of(cls, injected: Iterable[InjectedFault]) -> "StalenessWindow":
        """Return the window of the links that were cut."""
        return cls(tuple(fault for fault in injected if fault.name == LINK_CUT))

    def cut_of(self, operation: Operation) -> InjectedFault | None:
        """Return the cut that an operation falls into."""
        for cut in self.cuts:
            if cut.began <= operation.ended and (cut.recovered is None or operation.began <= cut.recovered):
                return cut
        return None
