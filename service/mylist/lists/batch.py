"""Many changes of one list at once, and what became of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mylist.lists.item import ContentType, Item, parse_content_id
from mylist.lists.value import content_key

AddOutcome = Literal["added", "existing", "not_found"]
RemoveOutcome = Literal["removed", "missing"]
MergeOutcome = Literal["added", "existing", "not_found", "full"]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is asked for; removals come before additions.

    Attributes:
        add: content ids as they were written, with their types.
        remove: content ids as they were written.
    """

    add: Sequence[tuple[str, ContentType]]
    remove: Sequence[str]

    def wanted(self) -> dict[bytes, ContentType]:
        """Gives the content ids (12 bytes) to add that are some; of one that is there twice, the first."""
        wanted: dict[bytes, ContentType] = {}
        for text, content_type in self.add:
            if content_id := parse_content_id(text):
                wanted.setdefault(content_id, content_type)
        return wanted

    def unwanted(self) -> set[bytes]:
        """Gives the content ids (12 bytes) to remove that are some."""
        return {content_id for content_id in map(parse_content_id, self.remove) if content_id}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of a batch, in the order of the question."""

    add: list[tuple[str, AddOutcome]]
    remove: list[tuple[str, RemoveOutcome]]


def outcomes(batch: Batch, existing: set[bytes], added: set[bytes], removed: set[bytes]) -> Outcomes:
    """Puts together what became of each id; one that is there twice was done the first time.

    Args:
        batch: what was asked for.
        existing: content ids to add that are a movie or show.
        added: those of them that are on the list by this batch.
        removed: content ids that are off the list by this batch.
    """
    added, removed = set(added), set(removed)
    of_additions: list[tuple[str, AddOutcome]] = []
    for text, _ in batch.add:
        content_id = parse_content_id(text)
        if content_id in added:
            added.remove(content_id)
            of_additions.append((text, "added"))
        else:
            of_additions.append((text, "existing" if content_id in existing else "not_found"))
    of_removals: list[tuple[str, RemoveOutcome]] = []
    for text in batch.remove:
        content_id = parse_content_id(text)
        of_removals.append((text, "removed" if content_id in removed else "missing"))
        removed.discard(content_id or b"")
    return Outcomes(of_additions, of_removals)


def merge_outcomes(
    items: Sequence[Item], known: set[bytes], there: set[bytes], added: set[bytes]
) -> list[MergeOutcome]:
    """Says what became of each item; one that is there twice was done the first time.

    Args:
        items: what was asked for.
        known: content keys of those that are a movie or show.
        there: content ids (12 bytes) of those of them that were on the list already.
        added: content ids of those of them that are on the list by this.
    """
    new = set(added)
    said: list[MergeOutcome] = []
    for item in items:
        content_id = item.content_id
        if content_key(content_id, item.content_type) not in known:
            said.append("not_found")
        elif content_id in new:
            new.remove(content_id)
            said.append("added")
        else:
            said.append("existing" if content_id in there or content_id in added else "full")
    return said
