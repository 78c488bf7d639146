"""Many changes of one list at once, and what became of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mylist.lists.item import ContentType, parse_content_id

AddOutcome = Literal["added", "existing", "not_found"]
RemoveOutcome = Literal["removed", "missing"]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is asked for, no id twice.

    Attributes:
        add: content ids as they were written, with their types.
        remove: content ids as they were written.
    """

    add: Sequence[tuple[str, ContentType]]
    remove: Sequence[str]

    def wanted(self) -> dict[bytes, ContentType]:
        """Gives the content ids (12 bytes) to add that are some."""
        parsed = ((parse_content_id(text), content_type) for text, content_type in self.add)
        return {content_id: content_type for content_id, content_type in parsed if content_id}

    def unwanted(self) -> list[bytes]:
        """Gives the content ids (12 bytes) to remove that are some."""
        return [content_id for content_id in map(parse_content_id, self.remove) if content_id]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of a batch, in the order of the question."""

    add: list[tuple[str, AddOutcome]]
    remove: list[tuple[str, RemoveOutcome]]


def outcomes(batch: Batch, added: Mapping[bytes, AddOutcome], removed: set[bytes]) -> Outcomes:
    """Puts together what became of each id; one that is none was not found, and is missing."""
    return Outcomes(
        [(text, added.get(parse_content_id(text) or b"", "not_found")) for text, _ in batch.add],
        [(text, "removed" if parse_content_id(text) in removed else "missing") for text in batch.remove],
    )
