"""What a run of `mylist adopt` counts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from mylist.client.terminal import counts_table


class LeftOut(NamedTuple):
    """A document that stays where it is, as it is no item.

    Attributes:
        collection: where it is.
        document_id: its `_id`.
        reason: why it is no item.
    """

    collection: str
    document_id: object
    reason: str


@dataclass(slots=True)
class Counts:
    """How many documents a run met, and what became of them; of a dry run: what would become of them.

    Attributes:
        read: documents read, of both collections.
        adopted: items copied to the other collection.
        already_there: items that were there, by an earlier run or by themselves.
        lowered: ids of content put in lower case.
        merged: duplicates merged into the item of the same user and content.
        tombstones: tombstones of the former form that were carried over to the collection of changes.
        reformed: items whose fields of a former form were taken off.
        removed: items removed where they were copied to, because they were removed where they came from.
        stay_removed: items not copied, because they were removed there after they were added here.
        left_out: documents that are no items.
        changed_meanwhile: documents that somebody changed during the run; the next run sees to them.
        tell: called for each document that is no item.
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
        """Count a document that is no item, and tell of it."""
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
