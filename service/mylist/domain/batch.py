"""Batches: many changes of one list at once, and the outcome of each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from mylist.domain.content import ContentId, ContentType, RequestedId, content_key
from mylist.domain.item import Item

AddOutcome = Literal["added", "existing", "not_found", "removed_since"]
RemoveOutcome = Literal["removed", "missing"]
MergeOutcome = Literal["added", "dated", "existing", "not_found", "full", "removed_since"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Removals and additions of one request; the removals are made first."""

    add: Sequence[tuple[RequestedId, ContentType]]
    remove: Sequence[RequestedId]

    def to_add(self) -> dict[ContentId, ContentType]:
        """Return the well-formed ids to add; the first occurrence of a duplicate wins."""
        wanted: dict[ContentId, ContentType] = {}
        for each, content_type in self.add:
            if each.content_id:
                wanted.setdefault(each.content_id, content_type)
        return wanted

    def to_remove(self) -> set[ContentId]:
        """Return the well-formed ids to remove."""
        return {each.content_id for each in self.remove if each.content_id}


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcome of each id of a batch, in the order of the request."""

    add: list[tuple[str, AddOutcome]]
    remove: list[tuple[str, RemoveOutcome]]


def batch_result(
    batch: Batch,
    existing: set[ContentId],
    added: set[ContentId],
    removed: set[ContentId],
    removed_since: Collection[ContentId] = (),
) -> BatchResult:
    """Return the outcome of each id of a batch. A duplicate counts as done by its first occurrence.

    Args:
        batch: the request.
        existing: the ids to add that are a movie or show.
        added: those of them that this batch put on the list.
        removed: the ids that this batch took off the list.
        removed_since: those of `existing` that were not added because they were removed.
    """
    added, removed = set(added), set(removed)
    additions: list[tuple[str, AddOutcome]] = []
    for (text, content_id), _ in batch.add:
        if content_id in added:
            added.remove(content_id)
            additions.append((text, "added"))
        elif content_id in removed_since:
            additions.append((text, "removed_since"))
        else:
            additions.append((text, "existing" if content_id in existing else "not_found"))
    removals: list[tuple[str, RemoveOutcome]] = []
    for text, content_id in batch.remove:
        if content_id in removed:
            removed.remove(content_id)
            removals.append((text, "removed"))
        else:
            removals.append((text, "missing"))
    return BatchResult(additions, removals)


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge did: the ids of each outcome.

    Attributes:
        known: the content keys of those that are a movie or show.
        existing: the ids of those of them that were on the list already.
        added: the ids of those of them that this merge put on the list.
        dated: the ids of those of `existing` that this merge gave another date.
        removed_since: the ids of those of them that were not added because they were removed.
    """

    known: Collection[bytes] = ()
    existing: Collection[ContentId] = ()
    added: Collection[ContentId] = ()
    dated: Collection[ContentId] = ()
    removed_since: Collection[ContentId] = ()

    def outcomes(self, items: Sequence[Item]) -> list[MergeOutcome]:
        """Return the outcome of each item of the merge. A duplicate counts as done by its first occurrence."""
        new, redated = set(self.added), set(self.dated)
        outcomes: list[MergeOutcome] = []
        for item in items:
            content_id = item.content_id
            if content_key(content_id, item.content_type) not in self.known:
                outcomes.append("not_found")
            elif content_id in new:
                new.remove(content_id)
                outcomes.append("added")
            elif content_id in redated:
                redated.remove(content_id)
                outcomes.append("dated")
            elif content_id in self.removed_since:
                outcomes.append("removed_since")
            else:
                outcomes.append("existing" if content_id in self.existing or content_id in self.added else "full")
        return outcomes
