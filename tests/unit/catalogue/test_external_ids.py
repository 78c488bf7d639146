import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pytest

from mylist.catalogue.catalogue import Catalogue
from mylist.domain.content import CONTENT_TYPES, ContentId, ContentType, content_key
from mylist.domain.errors import DatabaseUnavailableError
from mylist.domain.external_id import DEFAULT_EXTERNAL_ID_RULES, ExternalId, ExternalIdRules
from tests.content_ids import content_id, records_with

MATRIX, LOST, OTHER = ExternalId("imdb", "tt0133093"), ExternalId("imdb", "tt0411008"), ExternalId("tmdb", "603")
MAX_AGE_S = 60


class Titles:
    """Documents of titles by content key. Records each look-up of external ids."""

    def __init__(self) -> None:
        self.documents: dict[tuple[ContentId, ContentType], dict[str, Any]] = {}
        self.asked: list[tuple[list[ExternalId], tuple[ContentType, ...]]] = []
        self.unavailable = False

    def put(self, number: int, *external_ids: ExternalId, content_type: ContentType = "movie") -> bytes:
        document = {"_id": content_id(number), "title": str(number), "externalIds": dict(external_ids)}
        self.documents[content_id(number), content_type] = document
        return content_key(content_id(number), content_type)

    async def fetch(
        self, content_type: ContentType, content_ids: Iterable[ContentId]
    ) -> Mapping[ContentId, Mapping[str, Any]]:
        keys = ((each, content_type) for each in content_ids)
        return {key[0]: self.documents[key] for key in keys if key in self.documents}

    async def find_by_external_ids(
        self, external_ids: Collection[ExternalId], content_types: Collection[ContentType]
    ) -> Mapping[ExternalId, list[tuple[ContentId, ContentType]]]:
        if self.unavailable:
            raise DatabaseUnavailableError
        self.asked.append((list(external_ids), tuple(content_types)))
        await asyncio.sleep(0)
        return {
            each: [
                key
                for key, document in self.documents.items()
                if key[1] in content_types and document["externalIds"].get(each.name) == each.value
            ]
            for each in external_ids
        }

    async def genres(self) -> list[Any]:
        return []


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def titles() -> Titles:
    return Titles()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def catalogue(titles: Titles, clock: Clock) -> Catalogue:
    return catalogue_of(titles, clock)


def catalogue_of(
    titles: Titles, clock: Clock, *, capacity: int = 100, rules: ExternalIdRules = DEFAULT_EXTERNAL_ID_RULES
) -> Catalogue:
    return Catalogue(titles, max_age=MAX_AGE_S, capacity=capacity, external_ids=rules, clock=clock)


async def test_external_ids_are_looked_up_together_and_cached_until_the_maximum_age(
    catalogue: Catalogue, titles: Titles, clock: Clock
) -> None:
    movie, show = titles.put(1, MATRIX, OTHER), titles.put(2, LOST, content_type="tvshow")

    for _ in range(2):
        assert await catalogue.resolve([MATRIX, LOST]) == {MATRIX: (movie,), LOST: (show,)}
    assert titles.asked == [([MATRIX, LOST], CONTENT_TYPES)]

    clock.now += MAX_AGE_S - 0.1
    del titles.documents[content_id(1), "movie"]
    assert await catalogue.resolve([MATRIX]) == {MATRIX: (movie,)}
    clock.now += 0.1
    assert await catalogue.resolve([MATRIX]) == {MATRIX: ()}


async def test_only_requested_types_that_are_not_cached_are_looked_up(catalogue: Catalogue, titles: Titles) -> None:
    movie, show = titles.put(1, OTHER), titles.put(2, OTHER, content_type="tvshow")

    assert await catalogue.resolve([OTHER], ["movie"]) == {OTHER: (movie,)}
    assert await catalogue.resolve([OTHER]) == {OTHER: (movie, show)}
    assert await catalogue.resolve([OTHER], ["tvshow"]) == {OTHER: (show,)}
    assert titles.asked == [([OTHER], ("movie",)), ([OTHER], ("tvshow",))]


async def test_an_external_id_without_a_title_is_looked_up_each_time(catalogue: Catalogue, titles: Titles) -> None:
    movie = titles.put(1, MATRIX)
    assert await catalogue.resolve([MATRIX, LOST]) == {MATRIX: (movie,), LOST: ()}
    assert await catalogue.resolve([MATRIX], ["tvshow"]) == {MATRIX: ()}

    show, other = titles.put(2, LOST, content_type="tvshow"), titles.put(3, MATRIX, content_type="tvshow")
    assert await catalogue.resolve([LOST]) == {LOST: (show,)}
    assert await catalogue.resolve([MATRIX], ["tvshow"]) == {MATRIX: (other,)}


async def test_external_ids_without_a_title_do_not_evict_known_ones(titles: Titles, clock: Clock) -> None:
    catalogue = catalogue_of(titles, clock, capacity=2)
    movie = titles.put(1, MATRIX)
    await catalogue.resolve([MATRIX])
    for number in range(9):
        await catalogue.resolve([ExternalId("imdb", f"tt{number}")])
    titles.asked.clear()

    assert await catalogue.resolve([MATRIX]) == {MATRIX: (movie,)}
    assert titles.asked == []


async def test_a_title_found_by_external_id_exists_without_another_look_up(
    catalogue: Catalogue, titles: Titles
) -> None:
    movie = titles.put(1, MATRIX)
    await catalogue.resolve([MATRIX])
    titles.documents.clear()

    assert await catalogue.existing([movie]) == {movie}


async def test_an_expired_answer_is_used_only_if_allowed_and_the_store_is_unavailable(
    catalogue: Catalogue, titles: Titles, clock: Clock
) -> None:
    movie = titles.put(1, MATRIX)
    await catalogue.resolve([MATRIX])
    clock.now += MAX_AGE_S
    titles.unavailable = True

    assert await catalogue.resolve([MATRIX], even_old=True) == {MATRIX: (movie,)}
    for asked, even_old in (([MATRIX], False), ([MATRIX, LOST], True)):
        with pytest.raises(DatabaseUnavailableError):
            await catalogue.resolve(asked, even_old=even_old)
    titles.unavailable = False
    titles.documents.clear()
    assert await catalogue.resolve([MATRIX], even_old=True) == {MATRIX: ()}


async def test_all_titles_with_the_external_id_are_returned(catalogue: Catalogue, titles: Titles) -> None:
    movies = titles.put(1, MATRIX), titles.put(2, MATRIX)

    assert await catalogue.resolve([MATRIX]) == {MATRIX: movies}
    assert await catalogue.resolve([MATRIX]) == {MATRIX: movies}


async def test_unregistered_names_are_not_looked_up(catalogue: Catalogue, titles: Titles) -> None:
    titles.put(1, ExternalId("eidr", "1"))

    assert await catalogue.resolve([ExternalId("eidr", "1")]) == {ExternalId("eidr", "1"): ()}
    assert titles.asked == []


@pytest.mark.parametrize(
    "rules", [ExternalIdRules(unique=frozenset({"imdb"})), ExternalIdRules(unique_by_type=frozenset({"imdb"}))]
)
async def test_a_cached_entry_resolves_its_external_id_if_no_other_title_may_have_it(
    titles: Titles, clock: Clock, rules: ExternalIdRules
) -> None:
    catalogue = catalogue_of(titles, clock, rules=rules)
    movie = titles.put(1, MATRIX, OTHER)
    await catalogue.entries(records_with(movie))

    assert await catalogue.resolve([MATRIX], ["movie"]) == {MATRIX: (movie,)}
    assert titles.asked == []
    # A show may have the first external id, and another movie the second.
    await catalogue.resolve([MATRIX])
    await catalogue.resolve([OTHER], ["movie"])
    assert titles.asked == [([MATRIX], ("tvshow",)), ([OTHER], ("movie",))]


async def test_a_cached_entry_does_not_resolve_an_external_id_that_others_may_have(
    catalogue: Catalogue, titles: Titles
) -> None:
    movies = titles.put(1, MATRIX), titles.put(2, MATRIX)
    await catalogue.entries(records_with(movies[0]))

    assert await catalogue.resolve([MATRIX], ["movie"]) == {MATRIX: movies}


async def test_malformed_external_ids_of_a_document_are_ignored(titles: Titles, clock: Clock) -> None:
    catalogue = catalogue_of(titles, clock, rules=ExternalIdRules(unique=frozenset({"imdb"})))
    keys = [titles.put(number) for number in range(3)]
    for number, value in enumerate([["imdb"], {"imdb": ["tt1"]}, None]):
        titles.documents[content_id(number), "movie"]["externalIds"] = value

    assert len((await catalogue.entries(records_with(*keys)))[0]) == 3


async def test_the_oldest_external_id_is_evicted_beyond_the_capacity(titles: Titles, clock: Clock) -> None:
    catalogue = catalogue_of(titles, clock, capacity=2)
    ids = [ExternalId("imdb", f"tt{number}") for number in range(3)]
    for number, each in enumerate(ids):
        titles.put(number, each)
        await catalogue.resolve([each], ["movie"])
    titles.asked.clear()

    for each in reversed(ids):
        await catalogue.resolve([each], ["movie"])
    assert titles.asked == [([ids[0]], ("movie",))]


async def test_only_cached_external_ids_are_found_while_the_store_is_unavailable(
    catalogue: Catalogue, titles: Titles
) -> None:
    movie = titles.put(1, MATRIX)
    await catalogue.resolve([MATRIX])
    titles.unavailable = True

    assert await catalogue.resolve([MATRIX]) == {MATRIX: (movie,)}
    with pytest.raises(DatabaseUnavailableError):
        await catalogue.resolve([MATRIX, LOST])
