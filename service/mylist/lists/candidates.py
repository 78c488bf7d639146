"""What a line of an import may mean, where that is more than one title."""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType, content_key, split_content_key
from mylist.domain.found_title import FoundTitle
from mylist.lists.list_import import Unresolved


class TitlesById(Protocol):
    """Tells of titles by their ids; `mylist.mongodb.title_search.TitleSearch` is the one on MongoDB."""

    async def with_ids(self, content_type: ContentType, content_ids: Collection[ContentId]) -> list[FoundTitle]:
        """Return the titles of a type with some ids."""


async def described(titles: TitlesById, keys: Collection[bytes]) -> dict[bytes, FoundTitle]:
    """Return the titles of content keys; one that is gone is left out. There is a query for each type.

    Raises:
        UnavailableError: the catalogue cannot be asked.
    """
    found = {}
    for content_type in CONTENT_TYPES:
        ids = [split_content_key(key)[0] for key in keys if split_content_key(key)[1] == content_type]
        for each in await titles.with_ids(content_type, ids) if ids else ():
            found[content_key(each.content_id, content_type)] = each
    return found


def ambiguous(
    title: str, year: int | None, keys: Iterable[bytes], candidates: Mapping[bytes, FoundTitle]
) -> Unresolved:
    """Return what stands for a line that fits several titles.

    Args:
        title: what the line names.
        year: of release; None if the line does not say.
        keys: the content keys of all that it may mean.
        candidates: what is known of these, by content key.
    """
    keys = list(keys)
    return Unresolved(
        title,
        year,
        [candidates[key] for key in keys if key in candidates],
        may_mean=frozenset(split_content_key(key)[0] for key in keys),
        is_ambiguous=True,
    )
