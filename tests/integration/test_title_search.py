"""The search of titles by their names."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from mylist.config.settings import Settings
from mylist.domain.content import ContentId
from mylist.mongodb.database import Database, Document
from mylist.mongodb.indexes import create_indexes
from mylist.mongodb.title_search import TitleSearch


class Queries(CommandListener):
    """The filters of the queries that the driver sent."""

    def __init__(self) -> None:
        self.filters: list[dict[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.filters.append(event.command["filter"])

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


@pytest.fixture
def queries() -> Queries:
    return Queries()


@pytest.fixture
async def database(settings: Settings, queries: Queries) -> AsyncIterator[Database]:
    async with AsyncMongoClient[Document](settings.mongodb_uri, event_listeners=[queries], tz_aware=True) as client:
        database = Database(client, settings)
        await database.check()
        await create_indexes(database.handle)
        yield database


async def test_a_search_asks_for_at_most_50_names_at_once_and_finds_each_title_once(
    database: Database, queries: Queries
) -> None:
    names = [f"Title {number}" for number in range(101)]
    ids = [ObjectId() for _ in names]
    await database.handle["movies"].insert_many(
        {"_id": each, "title": name, "originalTitle": name.upper()} for each, name in zip(ids, names, strict=True)
    )
    queries.filters.clear()
    found = await TitleSearch(database).named("movie", names)

    assert sorted(each.content_id for each in found) == sorted(ContentId(each.binary) for each in ids)
    asked = [(field, len(names["$in"])) for each in queries.filters for field, names in each.items()]
    assert asked == [(field, size) for field in ("title", "originalTitle") for size in (50, 50, 1)]
