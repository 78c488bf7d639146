"""The counts of a run of `mylist adopt`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from mylist.client.terminal import counts_table


class LeftOut(NamedTuple):
    """A document that is not carried because it is not a valid item.

    Attributes:
        collection: its collection.
        document_id: its `_id`.
        reason: why it is not a valid item.
    """

    collection: str
    document_id: object
    reason: str


@dataclass(slots=True)
class Counts:
    """How many documents a run read, and their outcomes; in a dry run, the expected outcomes.

    Attributes:
        read: documents read, of both collections.
        adopted: items copied to the other collection.
        already_there: items that the other collection already had, from an earlier run or from a user.
        lowered: ids of content put in lower case.
        merged: duplicates merged into the item of the same user and content.
        tombstones: tombstones of the former format that were converted to changes.
        reformed: items whose fields of a former format were removed.
        removed: copies removed because the originals were removed.
        stay_removed: items not copied, because the other side removed them after they were added here.
        left_out: invalid documents.
        changed_meanwhile: documents that changed during the run; the next run processes them.
        tell: called for each invalid document.
    """

    read: int = 0
    adopted: int = 0
    already_there: int = 0
    lowered: int = 0
    merged: int = 0
    tombstones: int = 0
    reformed: int = 0
    removed: int = 0
    stay_removed: int = 0
    left_out: int = 0
    changed_meanwhile: int = 0
    tell: Callable[[LeftOut], None] = field(default=lambda _: None, repr=False, compare=False)

    def leave_out(self, left_out: LeftOut) -> None:
        """Count an invalid document, and report it."""
        self.left_out += 1
        self.tell(left_out)

    def table(self) -> str:
        """Return the counts as lines of text: a name, and a number."""
        return counts_table(
            [
                ("documents read", self.read),
                ("items copied", self.adopted),
                ("items already there", self.already_there),
                ("ids put in lower case", self.lowered),
                ("duplicates merged", self.merged),
                ("tombstones carried over", self.tombstones),
                ("items freed of former fields", self.reformed),
                ("removals carried over", self.removed),
                ("items that stay removed", self.stay_removed),
                ("changed meanwhile, for the next run", self.changed_meanwhile),
                ("not items, left unchanged", self.left_out),
            ]
        )
