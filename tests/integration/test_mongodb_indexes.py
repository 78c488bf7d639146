"""The service needs one index to start. All others are optional: a warning says how to create a missing one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from pymongo import ASCENDING, IndexModel, MongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database as SyncDatabase
from pymongo.errors import DuplicateKeyError

from devtools.scripted_mongodb import ScriptedMongoDB, Topology
from devtools.stores import with_database
from mylist.cli import main
from mylist.config.settings import Settings
from mylist.domain.errors import DatabaseUnavailableError
from mylist.domain.external_id import DEFAULT_EXTERNAL_ID_RULES, ExternalIdRules
from mylist.mongodb import index_build
from mylist.mongodb.database import Document, MongoRefusedError, connect, database_of
from mylist.mongodb.indexes import INDEXES, create_indexes, indexes_of
from tests.conftest import PATIENT

NEEDED = "mylist.userId_1_contentId_1"
ITEM = [("userId", ASCENDING), ("contentId", ASCENDING)]

FINAL = [2, 13, 18, 67, 72, 85, 86, 115, 197, 238, 8000, 11000]
TRANSIENT = [6, 7, 24, 46, 50, 89, 91, 100, 112, 117, 133, 189, 202, 211, 262, 276, 462, 9001, 10107, 11601, 13388]


@pytest.fixture(scope="module")
def deployment(mongodb_server: str) -> Iterator[ScriptedMongoDB]:
    with ScriptedMongoDB(mongodb_server) as mongodb:
        yield mongodb


@pytest.fixture
async def mongodb(deployment: ScriptedMongoDB) -> AsyncIterator[ScriptedMongoDB]:
    yield deployment
    deployment.mend()


@pytest.fixture
async def database(mongodb: ScriptedMongoDB) -> AsyncIterator[AsyncDatabase[Document]]:
    """A new database behind the scripted MongoDB."""
    async with connect(settings(mongodb)) as client:
        yield database_of(client)
        mongodb.mend()
        await client.drop_database(database_of(client))


def settings(mongodb: ScriptedMongoDB) -> Settings:
    return Settings.load({"MONGODB_URI": mongodb.uri(f"mylist-test-{uuid4().hex[:12]}"), **PATIENT})


async def names(database: AsyncDatabase[Document], collection: str) -> set[str]:
    return {index["name"] for index in await (await database[collection].list_indexes()).to_list()}


class TestRequiredIndex:
    @pytest.mark.parametrize("code", FINAL)
    async def test_that_can_never_be_created_raises_a_one_line_error(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document], code: int
    ) -> None:
        mongodb.fail_command("createIndexes", code=code, count=None, collection="mylist")

        with pytest.raises(MongoRefusedError) as refused:
            await create_indexes(database)
        assert str(refused.value).startswith("the unique index userId_1_contentId_1 of mylist is needed and cannot be ")
        assert f"db.getSiblingDB('{database.name}').getCollection('mylist')." in str(refused.value)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize("code", TRANSIENT)
    async def test_that_fails_transiently_is_created_by_the_next_attempt(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document], code: int
    ) -> None:
        mongodb.fail_command("createIndexes", code=code, collection="mylist")

        with pytest.raises(DatabaseUnavailableError):
            await create_indexes(database)
        assert not [each for each in await create_indexes(database) if each.problem]

    async def test_that_duplicates_prevent_is_reported_with_the_query_that_lists_them(
        self, database: AsyncDatabase[Document]
    ) -> None:
        await database["mylist"].insert_many([{"userId": "u", "contentId": "c"} for _ in range(2)])

        with pytest.raises(MongoRefusedError, match=r"in these fields; .* in mongosh: .*\.aggregate\(\[\{\$group"):
            await create_indexes(database)

    @pytest.mark.parametrize("options", [{"name": "other"}, {"name": "other", "sparse": True, "background": True}])
    async def test_under_another_name_counts_and_needs_no_right_to_create_indexes(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document], options: Document
    ) -> None:
        await database["mylist"].create_indexes([IndexModel(ITEM, unique=True, **options)])
        mongodb.fail_command("createIndexes", code=13, count=None)

        states = await create_indexes(database)

        assert not next(each for each in states if each.full_name == NEEDED).problem
        assert await names(database, "mylist") == {"_id_", "other"}

    async def test_that_is_not_unique_raises_an_error_with_the_remedy(self, database: AsyncDatabase[Document]) -> None:
        await database["mylist"].create_indexes([IndexModel(ITEM)])

        with pytest.raises(MongoRefusedError, match=r"dropIndex\('userId_1_contentId_1'\); .*unique: true"):
            await create_indexes(database)

    @pytest.mark.parametrize("code", [13, 6, 50, 8000])
    async def test_is_created_if_the_existing_indexes_cannot_be_listed(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document], code: int
    ) -> None:
        await create_indexes(database)
        mongodb.fail_command("listIndexes", code=code, count=None)

        if code == 50:
            with pytest.raises(DatabaseUnavailableError):
                await create_indexes(database)
            return
        assert not [each for each in await create_indexes(database) if each.problem]


class TestOptionalIndex:
    @pytest.mark.parametrize("code", [*FINAL, *sorted({*TRANSIENT} - {91, 189, 10107}), 166, 303])
    async def test_that_cannot_be_created_is_reported_with_the_command_to_create_it(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document], code: int
    ) -> None:
        mongodb.fail_command("createIndexes", code=code, count=None, collection="movies")

        missing = {each.full_name: each.problem for each in await create_indexes(database) if each.is_missing}

        has_collations = code not in {115, 238, 303}
        collated = {"movies.title_folded", "movies.originalTitle_folded"} if has_collations else set()
        assert set(missing) == {"movies.title_1", "movies.genres_1"} | collated
        line = "getCollection('movies').createIndex({title: 1}, {name: 'title_1'})"
        assert line in missing["movies.title_1"] or code == 11000
        assert "\n" not in missing["movies.title_1"]

    @pytest.mark.parametrize(
        ("collection", "key", "options"),
        [
            ("movies", "title", {"collation": {"locale": "de"}}),
            ("movies", "genres", {"partialFilterExpression": {"year": {"$gt": 1}}}),
            ("tvshows", "title", {"expireAfterSeconds": 7}),
        ],
    )
    async def test_whose_name_a_different_index_has_is_reported_with_a_way_out(
        self, database: AsyncDatabase[Document], collection: str, key: str, options: Document
    ) -> None:
        await database[collection].create_indexes([IndexModel([(key, ASCENDING)], **options)])

        [missing] = [each for each in await create_indexes(database) if each.problem]

        assert missing.full_name == f"{collection}.{key}_1"
        way_out = "name: 'mylist_title_1'" if "collation" in options else f"dropIndex('{key}_1'); "
        assert way_out in missing.problem

    async def test_on_a_read_only_catalogue_is_reported_as_a_problem_but_not_as_missing(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document]
    ) -> None:
        for collection in ("movies", "tvshows"):
            for command in ("createIndexes", "listIndexes"):
                mongodb.fail_command(command, code=13, count=None, collection=collection)

        states = await create_indexes(database)

        assert {each.collection for each in states if each.problem} == {"movies", "tvshows"}
        assert not any(each.is_missing for each in states), "nobody knows"

    async def test_is_never_created_on_users(self, database: AsyncDatabase[Document]) -> None:
        await database["users"].insert_many([{"phone": 1}, {"phone": 2}])

        assert not [each for each in await create_indexes(database) if each.problem]
        assert await names(database, "users") == {"_id_"}

    async def test_that_becomes_possible_is_created_by_the_next_attempt(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document]
    ) -> None:
        mongodb.fail_command("createIndexes", code=13, count=1, collection="movies")

        assert [each.full_name for each in await create_indexes(database) if each.is_missing] == ["movies.title_1"]
        assert not [each for each in await create_indexes(database) if each.problem]


class TestExternalIds:
    RULES = ExternalIdRules(("imdb", "tmdb"))
    UNIQUE = ExternalIdRules(("imdb", "tmdb"), unique=frozenset({"imdb"}))

    async def test_each_registered_name_gets_an_index_on_movies_and_on_shows(
        self, database: AsyncDatabase[Document]
    ) -> None:
        assert not [each for each in await create_indexes(database, indexes_of(self.RULES)) if each.problem]

        for collection in ("movies", "tvshows"):
            found = {each for each in await names(database, collection) if "externalIds" in each}
            assert found == {"externalIds.imdb_1", "externalIds.tmdb_1"}
            await database[collection].insert_many([{"externalIds": {"imdb": "tt1"}} for _ in range(2)])

    async def test_a_unique_index_replaces_the_plain_one_and_ignores_titles_without_the_id(
        self, database: AsyncDatabase[Document]
    ) -> None:
        for _ in range(2):
            assert not [each for each in await create_indexes(database, indexes_of(self.UNIQUE)) if each.problem]

        found = {each for each in await names(database, "movies") if "externalIds" in each}
        assert found == {"externalIds.imdb_unique", "externalIds.tmdb_1"}
        await database["movies"].insert_many([{}, {}, {"externalIds": {"tmdb": "1"}}, {"externalIds": {"imdb": "tt1"}}])
        await database["tvshows"].insert_one({"externalIds": {"imdb": "tt1"}})
        with pytest.raises(DuplicateKeyError):
            await database["movies"].insert_one({"externalIds": {"imdb": "tt1"}})

    async def test_a_name_may_become_unique_later(self, database: AsyncDatabase[Document]) -> None:
        await create_indexes(database, indexes_of(self.RULES))

        assert not [each for each in await create_indexes(database, indexes_of(self.UNIQUE)) if each.problem]
        assert {"externalIds.imdb_1", "externalIds.imdb_unique"} < await names(database, "movies")

    async def test_a_unique_index_that_titles_violate_is_reported_and_a_plain_one_created(
        self, database: AsyncDatabase[Document]
    ) -> None:
        titles = [{"_id": each, "externalIds": {"imdb": "tt1"}} for each in (1, 2)]
        await database["movies"].insert_many([*titles, {"_id": 3}, {"_id": 4}])

        [missing] = [each for each in await create_indexes(database, indexes_of(self.UNIQUE)) if each.problem]

        assert (missing.full_name, missing.is_missing, missing.is_unique) == (
            "movies.externalIds.imdb_unique",
            True,
            True,
        )
        assert "keep the external id in only one of the titles that share it; to list them in" in missing.problem
        assert "$match: {'externalIds.imdb': {$exists: true}}" in missing.problem
        assert "externalIds.imdb_1" in await names(database, "movies")

    def test_the_command_creates_the_indexes_of_the_settings(
        self, mongodb: ScriptedMongoDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("MONGODB_URI", settings(mongodb).mongodb_uri)
        monkeypatch.setenv("EXTERNAL_ID_NAMES", "imdb, tmdb")
        monkeypatch.setenv("UNIQUE_EXTERNAL_IDS", "imdb,tmdb:type")
        main(["indexes"])

        made = capsys.readouterr().out.splitlines()
        assert {f"{of}.externalIds.{name}_unique" for of in ("movies", "tvshows") for name in ("imdb", "tmdb")} < {
            *made
        }


class TestBuild:
    async def test_has_the_commit_quorum_majority(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document]
    ) -> None:
        mongodb.forget_commands()
        await create_indexes(database)

        commands = [each.document for each in mongodb.commands("createIndexes")]
        assert len(commands) == sum(map(len, INDEXES.values()))
        assert {each.get("commitQuorum") for each in commands} == {"majority"}

    @pytest.mark.parametrize(
        "message",
        ["Standalones cannot specify commitQuorum", "Field 'commitQuorum' is currently not supported"],
    )
    async def test_has_no_commit_quorum_if_mongodb_does_not_support_one(
        self, mongodb: ScriptedMongoDB, database: AsyncDatabase[Document], message: str
    ) -> None:
        mongodb.fail_command("createIndexes", code=2, message=message, count=1, collection="mylist")

        assert not [each for each in await create_indexes(database) if each.problem]
        assert {"userId_1_contentId_1"} <= await names(database, "mylist")

    async def test_that_takes_long_is_logged_repeatedly_until_it_ends(
        self,
        mongodb: ScriptedMongoDB,
        database: AsyncDatabase[Document],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(index_build, "_REPORT_INTERVAL_S", 0.05)
        caplog.set_level("INFO", "mylist")
        mongodb.fail_command("createIndexes", delay_s=1, count=1, collection="mylist")

        await create_indexes(database)

        lines = [each.getMessage() for each in caplog.records if "has been building" in each.getMessage()]
        assert len(lines) >= 2
        assert lines[0].startswith("MongoDB has been building index userId_1_contentId_1 of mylist for ")
        before = len(caplog.records)
        await asyncio.sleep(0.2)
        assert len(caplog.records) == before, "an index that is there is told of no more"


class TestCommand:
    """`mylist indexes`, the step before a rollout."""

    @pytest.fixture
    def of_command(self, mongodb_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncDatabase[Document]]:
        """The database that the command finds in its settings."""
        name = f"mylist-test-{uuid4().hex[:12]}"
        monkeypatch.setenv("MONGODB_URI", with_database(mongodb_server, name))
        with MongoClient[Document](mongodb_server) as client:
            yield client[name]
            client.drop_database(name)

    def test_creates_and_prints_all_indexes(
        self, of_command: SyncDatabase[Document], capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["indexes"])

        printed = capsys.readouterr()
        assert len(printed.out.splitlines()) == sum(map(len, indexes_of(DEFAULT_EXTERNAL_ID_RULES).values()))
        assert NEEDED in printed.out.splitlines()
        assert printed.err == ""
        assert "userId_1_contentId_1" in of_command["mylist"].index_information()

    def test_exits_with_1_and_prints_the_remedy_for_a_missing_index(
        self, of_command: SyncDatabase[Document], capsys: pytest.CaptureFixture[str]
    ) -> None:
        of_command["movies"].create_index("title", expireAfterSeconds=7)

        with pytest.raises(SystemExit) as ended:
            main(["indexes"])

        printed = capsys.readouterr()
        assert ended.value.code == 1
        assert NEEDED in printed.out.splitlines()
        assert "movies.title_1" not in printed.out
        [line] = printed.err.splitlines()
        assert line.startswith("mylist: movies.title_1: ")
        assert "dropIndex('title_1'); " in line


@pytest.mark.parametrize("topology", list(Topology))
async def test_every_topology_gets_all_indexes(mongodb_server: str, topology: Topology) -> None:
    with ScriptedMongoDB(mongodb_server, topology) as mongodb:
        async with connect(settings(mongodb)) as client:
            database = database_of(client)
            assert not [each for each in await create_indexes(database) if each.problem]
            await client.drop_database(database)
