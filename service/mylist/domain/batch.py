"""Batches: many changes of one list at once, and the outcome of each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mylist.domain.content import ContentId, ContentType, RequestedId, content_key, split_content_key
from mylist.domain.item import Item

AddOutcome = Literal["added", "existing", "not_found", "removed_since", "ambiguous"]
RemoveOutcome = Literal["removed", "missing", "ambiguous"]
MergeOutcome = Literal["added", "dated", "existing", "not_found", "full", "removed_since"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Removals and additions of one request. The removals are applied first.

    Attributes:
        add: the ids to add, with their types.
        remove: the ids to remove.
        ambiguous: the external ids of both that several titles have. They are skipped.
    """

    add: Sequence[tuple[RequestedId, ContentType]]
    remove: Sequence[RequestedId]
    ambiguous: Collection[tuple[str, ContentType | None]] = ()

    @property
    def external_ids(self) -> set[tuple[str, ContentType | None]]:
        """The external ids, with the types of the request; None for removals."""
        named: set[tuple[str, ContentType | None]] = {
            (each.text, content_type) for each, content_type in self.add if each.is_external
        }
        return named | {(each.text, None) for each in self.remove if each.is_external}

    def with_titles(self, keys: Mapping[tuple[str, ContentType | None], Sequence[bytes]]) -> "Batch":
        """Return the batch with its external ids resolved, given the content keys of the titles that have each.

        An external id of several titles is not resolved.
        """

        def found(each: RequestedId, content_type: ContentType | None) -> RequestedId:
            titles = keys.get((each.text, content_type), ())
            return each._replace(content_id=split_content_key(titles[0])[0]) if len(titles) == 1 else each

        return Batch(
            [(found(each, content_type), content_type) for each, content_type in self.add],
            [found(each, None) for each in self.remove],
            {named for named, titles in keys.items() if len(titles) > 1},
        )

    def to_add(self) -> dict[ContentId, ContentType]:
        """Return the content ids to add; the first occurrence of a duplicate wins."""
        wanted: dict[ContentId, ContentType] = {}
        for each, content_type in self.add:
            if each.content_id:
                wanted.setdefault(each.content_id, content_type)
        return wanted

    def to_remove(self) -> set[ContentId]:
        """Return the content ids to remove."""
        return {each.content_id for each in self.remove if each.content_id}


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcome of each id of a batch, in the order of the request."""

    add: list[tuple[RequestedId, AddOutcome]]
    remove: list[tuple[RequestedId, RemoveOutcome]]


def batch_result(
    batch: Batch,
    existing: set[ContentId],
    added: set[ContentId],
    removed: set[ContentId],
    removed_since: Collection[ContentId] = (),
) -> BatchResult:
    """Return the outcome of each id of a batch. Duplicates count as done by the first occurrence.

    Args:
        batch: the request.
        existing: the ids to add that belong to a movie or show.
        added: the ids of `existing` that this batch added to the list.
        removed: the ids that this batch removed from the list.
        removed_since: the ids of `existing` that were not added because they had been removed.
    """
    added, removed = set(added), set(removed)
    additions: list[tuple[RequestedId, AddOutcome]] = []
    for each, content_type in batch.add:
        if each.content_id in added:
            added.remove(each.content_id)
            additions.append((each, "added"))
        elif each.content_id in removed_since:
            additions.append((each, "removed_since"))
        elif each.content_id in existing:
            additions.append((each, "existing"))
        else:
            additions.append((each, "ambiguous" if (each.text, content_type) in batch.ambiguous else "not_found"))
    removals: list[tuple[RequestedId, RemoveOutcome]] = []
    for each in batch.remove:
        if each.content_id in removed:
            removed.remove(each.content_id)
            removals.append((each, "removed"))
        else:
            removals.append((each, "ambiguous" if (each.text, None) in batch.ambiguous else "missing"))
    return BatchResult(additions, removals)


@dataclass(frozen=True, slots=True)
class Merge:
    """The result of a merge: the ids of each outcome.

    Attributes:
        known: the content keys that belong to a movie or show.
        existing: the ids of `known` that were already on the list.
        added: the ids of `known` that this merge added to the list.
        dated: the ids of `existing` whose date this merge changed.
        removed_since: the ids of `known` that were not added because they had been removed.
    """

    known: Collection[bytes] = ()
    existing: Collection[ContentId] = ()
    added: Collection[ContentId] = ()
    dated: Collection[ContentId] = ()
    removed_since: Collection[ContentId] = ()

    def outcomes(self, items: Sequence[Item]) -> list[MergeOutcome]:
        """Return the outcome of each item of the merge. Duplicates count as done by the first occurrence."""
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
