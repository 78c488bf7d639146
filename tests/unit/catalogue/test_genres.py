"""The genres of the catalogue, while the store does not answer."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mylist.catalogue.catalogue import Catalogue
from mylist.domain.content import ContentId, ContentType
from mylist.domain.errors import DatabaseUnavailableError
from mylist.domain.external_id import ExternalId


class SilentStore:
    """A store that does not answer. Counts the requests for genres."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(
        self, content_type: ContentType, content_ids: Iterable[ContentId]
    ) -> Mapping[ContentId, Mapping[str, Any]]:
        raise NotImplementedError

    async def find_by_external_ids(
        self, external_ids: Collection[ExternalId], content_types: Collection[ContentType]
    ) -> Mapping[ExternalId, list[tuple[ContentId, ContentType]]]:
        raise NotImplementedError

    async def genres(self) -> list[Any]:
        self.asked += 1
        raise DatabaseUnavailableError


async def test_after_a_failure_any_genre_is_accepted_and_the_store_is_asked_again_after_5_s() -> None:
    store, now = SilentStore(), 0.0
    catalogue = Catalogue(store, max_age=60, capacity=10, clock=lambda: now)

    assert [await catalogue.has_genre(genre) for genre in ("crime", "war", "drama")] == [True] * 3
    assert store.asked == 1
    now = 5
    assert await catalogue.has_genre("crime")
    assert store.asked == 2
