"""The titles that a line of an import may mean, if there are several."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType, content_key, split_content_key
from mylist.domain.found_title import FoundTitle
from mylist.lists.list_import import Unresolved


class TitlesById(Protocol):
    """Finds titles by content id; `mylist.mongodb.title_search.TitleSearch` finds them in MongoDB."""

    async def with_ids(self, content_type: ContentType, content_ids: Collection[ContentId]) -> list[FoundTitle]:
        """Return the titles of a type with these content ids."""


async def described(titles: TitlesById, keys: Collection[bytes]) -> dict[bytes, FoundTitle]:
    """Return the titles of content keys, without those that no longer exist, with one query per content type.

    Raises:
        UnavailableError: the catalogue does not answer.
    """
    found = {}
    for content_type in CONTENT_TYPES:
        ids = [split_content_key(key)[0] for key in keys if split_content_key(key)[1] == content_type]
        for each in await titles.with_ids(content_type, ids) if ids else ():
            found[content_key(each.content_id, content_type)] = each
    return found


def ambiguous(
    title: str, year: int | None, keys: Sequence[bytes], candidates: Mapping[bytes, FoundTitle]
) -> Unresolved:
    """Return the result for a line that matches several titles.

    Args:
        title: the title or the external id in the line.
        year: the year of release in the line; None if it has none.
        keys: the content keys of all titles that the line may mean.
        candidates: these titles by content key, as far as they are known.
    """
    return Unresolved(
        title,
        year,
        [candidates[key] for key in keys if key in candidates],
        may_mean=frozenset(split_content_key(key)[0] for key in keys),
        is_ambiguous=True,
    )
