"""`mylist show`, `erase`, `move` and `withdraw`: which data they leave, and that no outdated list stays cached."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.uri_parser import parse_uri

from devtools.ports import free_port
from devtools.service_process import environment
from devtools.tcp_proxy import TcpProxy
from devtools.waiting import eventually
from mylist.adoption.adopt import adopt
from mylist.cli import main
from mylist.config.settings import Settings
from mylist.domain.cache_result import CacheResult
from mylist.http.services import Services
from mylist.lists.change_feed import ChangeFeed
from mylist.mongodb.lists import ListStore
from mylist.seeding.open_database import open_database
from mylist.seeding.running_service import service_parts
from mylist.support import erase as erasing
from mylist.support import move as moving
from mylist.support import show as showing
from mylist.support import withdraw as withdrawing
from mylist.support.fenced_services import CacheOutOfReachError
from mylist.support.kept_documents import Subject
from mylist.support.receipt import Receipt
from tests.conftest import PATIENT
from tests.content_ids import content_id
from tests.unit.fakes import FakeCatalogue

Document = dict[str, Any]
Lists = Database[Document]
MONDAY = datetime(2024, 1, 15, 10, 30, 0, 123_000, tzinfo=UTC)
COLLECTIONS = ("mylist", "mylist_changes", "mylists", "mylist_adopted", "users")


@pytest.fixture
def lists(own_uri: str) -> Iterator[Lists]:
    """This test's own database, with the unique index."""
    with MongoClient[Document](own_uri, tz_aware=True) as client:
        database = client.get_default_database()
        database["mylist"].create_index([("userId", 1), ("contentId", 1)], unique=True)
        yield database


@pytest.fixture
def account() -> str:
    """An account that only this test uses, because all tests share one Redis."""
    return f"account-{random.randbytes(6).hex()}"


def item(user: str, number: int, days: int = 0, kind: str = "movie") -> Document:
    return {
        "_id": ObjectId(),
        "userId": user,
        "contentId": content_id(number).hex(),
        "contentType": kind,
        "addedAt": MONDAY + timedelta(days=days),
    }


def stamp(user: str, number: int) -> Document:
    content = content_id(number).hex()
    now = datetime.now(UTC).replace(microsecond=0)
    return {
        "_id": f"{user}/{content}",
        "userId": user,
        "contentId": content,
        "change": "removed",
        "changedAt": now,
        "stamps": 1,
    }


def contents(lists: Lists, user: str) -> dict[str, datetime]:
    return {each["contentId"]: each["addedAt"] for each in lists["mylist"].find({"userId": user})}


def everything(lists: Lists) -> dict[str, list[Document]]:
    return {name: sorted(lists[name].find(), key=lambda each: str(each["_id"])) for name in COLLECTIONS}


async def erase(*, dry: bool = False, **subject: str) -> Receipt:
    settings = Settings.from_environment()
    async with open_database(settings) as database:
        return await erasing.erase(database, settings, Subject(**subject), dry=dry)


async def show(**subject: str) -> Document:
    settings = Settings.from_environment()
    async with open_database(settings) as database:
        shown = await showing.show(database, settings, Subject(**subject))
    assert shown.problem == ""
    document: Document = json.loads(shown.json)
    return document


async def move(source: str, target: str, *, merges: bool = False, dry: bool = False) -> moving.Move:
    return await moving.move(Settings.from_environment(), source, target, merges=merges, dry=dry)


async def withdraw(number: int, *, dry: bool = False) -> withdrawing.Withdrawal:
    settings = Settings.from_environment()
    async with open_database(settings) as database:
        return await withdrawing.withdraw(database, settings, content_id(number).hex(), dry=dry)


def somebody(lists: Lists, account: str) -> list[str]:
    """Insert documents in every collection for the profiles of an account, and for users with similar names."""
    profiles = [account, f"{account}/kids", f"{account}/a/b"]
    others = [f"{account}0", f"{account}.kids", f"{account}-", account[:-1]]
    for user in (*profiles, *others):
        own = item(user, 1)
        lists["mylist"].insert_many([own, item(user, 2), {"userId": user, "contentId": "stray"}])
        lists["mylist_changes"].insert_one(stamp(user, 3))
        theirs = item(user, 4)
        lists["mylists"].insert_many([{**own, "__v": 0}, {**theirs, "__v": 0}])
        lists["mylist_adopted"].insert_many(
            [{"_id": own["_id"], "addedAt": MONDAY}, {"_id": ObjectId(), "addedAt": MONDAY, "into": theirs["_id"]}]
        )
        lists["users"].insert_one({"_id": user, "email": "ada@example.com"})
    return profiles


def of(users: list[str], documents: dict[str, list[Document]]) -> dict[str, list[Document]]:
    """Return the documents of all users but these."""
    kept = [each["_id"] for name in ("mylist", "mylists") for each in documents[name] if each["userId"] in users]
    return {
        name: [
            each
            for each in found
            if name == "users"
            or (each.get("userId") not in users and each["_id"] not in kept and each.get("into") not in kept)
        ]
        for name, found in documents.items()
    }


class TestErase:
    async def test_leaves_nothing_of_an_account_and_everything_of_others(self, lists: Lists, account: str) -> None:
        profiles = somebody(lists, account)
        before = everything(lists)
        dry = await erase(account=account, dry=True)
        assert everything(lists) == before

        done = await erase(account=account)

        assert everything(lists) == of(profiles, before)
        assert done.users == dry.users == sorted(profiles)
        assert done.erased == dry.erased == {"mylist": 9, "mylist_changes": 3, "mylists": 6, "mylist_adopted": 6}
        assert (set(done.left.values()), done.of_platform, done.problem) == ({0}, 3, "")

    async def test_of_a_user_leaves_the_other_profiles(self, lists: Lists, account: str) -> None:
        somebody(lists, account)
        before = everything(lists)
        await erase(user=f"{account}/kids")
        assert everything(lists) == of([f"{account}/kids"], before)

    async def test_again_finds_nothing(self, lists: Lists, account: str) -> None:
        somebody(lists, account)
        await erase(account=account)
        again = await erase(account=account)
        assert (again.users, set(again.erased.values()), again.problem) == ([account], {0}, "")

    async def test_is_not_undone_by_a_later_adoption(self, lists: Lists, account: str) -> None:
        lists["mylists"].insert_many([item(account, 1), item(account, 2), item(f"{account}0", 1)])
        settings = Settings.from_environment()
        async with open_database(settings) as database:
            await adopt(database, settings, back=False, dry=False, report=None)
            await erase(user=account)
            await adopt(database, settings, back=False, dry=False, report=None)
        assert {each["userId"] for each in lists["mylist"].find()} == {f"{account}0"}

    @pytest.mark.usefixtures("lists")
    def test_prints_a_receipt_that_names_no_item(
        self, lists: Lists, account: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lists["mylist"].insert_one(item(account, 0xABC))
        main(["erase", "--user", account])

        printed, told = capsys.readouterr()
        receipt = json.loads(printed)
        assert (receipt["erased"], receipt["complete"], receipt["dryRun"]) == ({"user": account}, True, False)
        assert receipt["documents"] == {"mylist_adopted": 0, "mylists": 0, "mylist": 1, "mylist_changes": 0}
        assert receipt["began"] <= receipt["ended"]
        assert "version" in receipt
        assert content_id(0xABC).hex() not in printed
        assert told == ""

    async def test_reports_documents_that_were_written_during_the_run(
        self, lists: Lists, account: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The user adds an item right after the last deletion, in a session that is still open."""
        lists["mylist"].insert_one(item(account, 1))
        counted = erasing._counted  # noqa: SLF001 - what follows the deletions

        async def add_then_count(*arguments: Any) -> Any:
            lists["mylist"].insert_one(item(account, 2))
            return await counted(*arguments)

        monkeypatch.setattr(erasing, "_counted", add_then_count)
        done = await erase(user=account)
        assert done.problem == (
            "documents were written meanwhile: 1 of `mylist`; end the user's sessions, then run the command again"
        )
        assert '"complete": false' in done.json()


class TestShow:
    async def test_includes_every_document_of_an_account(self, lists: Lists, account: str) -> None:
        profiles = somebody(lists, account)
        before = everything(lists)

        shown = await show(account=account)

        assert [each["user"] for each in shown["users"]] == sorted(profiles)
        gone = of(profiles, before)
        for name in COLLECTIONS:
            found = [str(document["_id"]) for each in shown["users"] for document in each["mongodb"][name]]
            expected = [str(each["_id"]) for each in before[name] if each not in gone[name]]
            if name == "users":
                expected = profiles
            assert sorted(found) == sorted(expected)
        assert everything(lists) == before

    async def test_includes_every_field_and_the_cached_list(self, lists: Lists, account: str) -> None:
        own = item(account, 1)
        lists["mylist"].insert_one(own)
        async with running() as services:
            await until_cached(services, account)
            shown = await show(user=account)
        [user] = shown["users"]
        assert user["mongodb"]["mylist"] == [
            {**own, "_id": str(own["_id"]), "addedAt": "2024-01-15T10:30:00.123Z"},
        ]
        cached = user["redis"]
        assert (cached["key"], cached["holds"], cached["items"]) == (f"mylist:{{{account}}}", "list", 1)
        assert 0 < cached["expiresInSeconds"] <= 330

    @pytest.mark.usefixtures("lists")
    async def test_of_an_unknown_user_is_empty(self, account: str) -> None:
        [user] = (await show(user=account))["users"]
        assert user == {"user": account, "mongodb": {name: [] for name in COLLECTIONS}, "redis": None}


class TestMove:
    async def test_moves_all_items_and_keeps_their_dates(self, lists: Lists, account: str) -> None:
        target = f"{account}/main"
        lists["mylist"].insert_many([item(account, number, days=number) for number in range(250)])
        before = contents(lists, account)
        assert await move(account, target, dry=True) == moving.Move(moved=250)
        assert contents(lists, account) == before

        assert await move(account, target) == moving.Move(moved=250)

        assert (contents(lists, account), contents(lists, target)) == ({}, before)

    async def test_is_refused_if_the_target_has_other_items(self, lists: Lists, account: str) -> None:
        lists["mylist"].insert_many([item(account, 1), item(account, 2), item("other", 2), item("other", 3)])
        before = everything(lists)
        for dry in (True, False):
            with pytest.raises(
                moving.NotMovedError, match=r"other has 2 items, and .* does not have all of them: add --merge"
            ):
                await move(account, "other", dry=dry)
        assert everything(lists) == before

    async def test_with_merge_keeps_the_earlier_date_of_each_item(self, lists: Lists, account: str) -> None:
        target = f"{account}/main"
        lists["mylist"].insert_many([item(account, 1, days=1), item(account, 2, days=1), item(account, 3, days=1)])
        lists["mylist"].insert_many([item(target, 2, days=0), item(target, 3, days=2), item(target, 4)])

        done = await move(account, target, merges=True)

        assert done == moving.Move(moved=3, already_there=2, redated=1)
        days = {content: (added_at - MONDAY).days for content, added_at in contents(lists, target).items()}
        assert days == {content_id(number).hex(): day for number, day in ((1, 1), (2, 0), (3, 1), (4, 0))}
        assert contents(lists, account) == {}

    async def test_leaves_an_item_that_the_target_has_with_the_other_type(self, lists: Lists, account: str) -> None:
        target = f"{account}/main"
        lists["mylist"].insert_many([item(account, 1), item(account, 2), item(target, 2, kind="tvshow")])
        assert await move(account, target, merges=True) == moving.Move(moved=1, left=1)
        assert set(contents(lists, account)) == {content_id(2).hex()}

    async def test_is_refused_if_the_target_would_exceed_max_list_size(
        self, lists: Lists, account: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lists["mylist"].insert_many([item(account, number) for number in range(4)])
        monkeypatch.setenv("MAX_LIST_SIZE", "3")
        with pytest.raises(moving.NotMovedError, match="would have 4 items, but MAX_LIST_SIZE is 3"):
            await move(account, f"{account}/main")
        assert len(contents(lists, account)) == 4

    @pytest.mark.parametrize("copied", [1, 3])
    async def test_continues_an_interrupted_run(self, lists: Lists, account: str, copied: int) -> None:
        """The run was interrupted while it copied items, or while it removed the copied items from the source."""
        target = f"{account}/main"
        items = [item(account, number, days=number) for number in range(3)]
        lists["mylist"].insert_many(items if copied < 3 else items[:1])
        lists["mylist"].insert_many([{**each, "_id": ObjectId(), "userId": target} for each in items[:copied]])

        await move(account, target)

        assert (len(contents(lists, account)), len(contents(lists, target))) == (0, 3)


class TestWithdraw:
    async def test_removes_a_title_from_all_lists_even_with_an_uppercase_id(self, lists: Lists, account: str) -> None:
        users = [f"{account}/{number}" for number in range(450)]
        lists["mylist"].insert_many([item(user, 0xAB) for user in users] + [item(user, 2) for user in users])
        upper = item(account, 0xAB)
        lists["mylist"].insert_one({**upper, "contentId": upper["contentId"].upper()})
        assert await withdraw(0xAB, dry=True) == withdrawing.Withdrawal(lists=451)
        assert lists["mylist"].count_documents({}) == 901

        assert await withdraw(0xAB) == withdrawing.Withdrawal(lists=451, removed=451)

        assert {each["contentId"] for each in lists["mylist"].find()} == {content_id(2).hex()}
        assert lists["mylist_changes"].count_documents({"change": "removed"}) == 451
        assert await withdraw(0xAB) == withdrawing.Withdrawal()

    async def test_warns_if_the_title_is_still_in_the_catalogue(self, lists: Lists) -> None:
        lists["tvshows"].insert_one({"_id": ObjectId(content_id(1)), "title": "Dark"})
        done = await withdraw(1, dry=True)
        assert "remove it from there" in withdrawing.told(done, dry=True)
        assert "remove it from there" not in withdrawing.told(await withdraw(2), dry=False)

    async def test_reports_the_removals_in_the_change_feed(self, lists: Lists, account: str) -> None:
        lists["mylist"].insert_many([item(account, 1), item(account, 2)])
        async with running() as services:
            feed = ChangeFeed(ListStore(services.database), FakeCatalogue({}))
            _, state = await feed.changes(account, None, max_changes=10)
            await withdraw(1)
            changes, _ = await feed.changes(account, state, max_changes=10)
        assert [(each.content_id, each.added_at) for each in changes if each.added_at is None] == [
            (content_id(1), None)
        ]


# --- While the service runs.


@asynccontextmanager
async def running() -> AsyncIterator[Services]:
    """The parts of a running service."""
    async with service_parts(Settings.from_environment()) as services:
        yield services


async def until_cached(services: Services, user: str) -> None:
    async def is_cached() -> bool:
        return (await services.cache.read(user))[1] is CacheResult.HIT

    await eventually(is_cached, within=30)


CHANGES: dict[str, tuple[Callable[[str], Awaitable[object]], dict[str, int]]] = {
    "erase": (lambda user: erase(user=user), {"": 0}),
    "withdraw": (lambda _: withdraw(1), {"": 1}),
    "move": (lambda user: move(user, f"{user}/main"), {"": 0, "/main": 2}),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_invalidates_the_cached_list_and_any_load_in_flight(
    lists: Lists, account: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A reader has loaded the list and is about to cache it when the change is made; then it continues."""
    lists["mylist"].insert_many([item(account, 1), item(account, 2)])
    change, totals = CHANGES[name]
    load, loaded, may_fill = ListStore.load, asyncio.Event(), asyncio.Event()

    async def load_and_wait(self: ListStore, user: str) -> Any:
        items = await load(self, user)
        if self is reader:
            loaded.set()
            await may_fill.wait()
        return items

    async with running() as services:
        await until_cached(services, account)
        await until_cached(services, f"{account}/main")
        async with services.cache.writing(account):
            pass  # so that nothing is cached, and the next read loads the list
        reader = services.writer._store  # noqa: SLF001 - the one of these services
        monkeypatch.setattr(ListStore, "load", load_and_wait)
        reading = asyncio.create_task(services.cache.read(account))
        await loaded.wait()
        await change(account)
        may_fill.set()
        assert (await reading)[0].total == 2
        monkeypatch.setattr(ListStore, "load", load)
        for suffix, total in totals.items():
            for _ in range(2):
                assert (await services.cache.read(f"{account}{suffix}"))[0].total == total


@pytest.mark.parametrize("name", CHANGES)
async def test_a_command_without_redis_changes_nothing(
    lists: Lists, account: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    lists["mylist"].insert_many([item(account, 1), item(account, 2)])
    before = everything(lists)
    port = free_port()
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{port}")
    with pytest.raises(
        CacheOutOfReachError, match=f"Redis at redis://127.0.0.1:{port} does not answer, .* nothing was"
    ):
        await CHANGES[name][0](account)
    assert everything(lists) == before


async def test_a_redis_other_than_that_of_the_service_is_refused(lists: Lists, account: str) -> None:
    lists["mylist"].insert_one(item(account, 1))
    entry = {"cache": "another", "unfenced": [], "heeds": 0, "host": "api-1:3000", "redis": "redis-b:6379"}
    registry = lists["mylist_processes"]
    registry.insert_one({"_id": "registry", "entries": {"a": {**entry, "beat": 1}}})

    async def live() -> None:
        while True:
            registry.update_one({"_id": "registry"}, {"$inc": {"entries.a.beat": 1}})
            await asyncio.sleep(0.2)

    living = asyncio.create_task(live())
    with pytest.raises(CacheOutOfReachError, match="but the service at api-1:3000 uses redis-b:6379"):
        await erase(user=account)
    living.cancel()
    with suppress(asyncio.CancelledError):
        await living
    assert len(contents(lists, account)) == 1


@pytest.mark.extended
async def test_the_registry_entry_of_a_killed_process_does_not_block_a_command(lists: Lists, account: str) -> None:
    lists["mylist"].insert_one(item(account, 1))
    entry = {"cache": "another", "unfenced": [], "heeds": 0, "host": "api-1:3000", "redis": "redis-b:6379", "beat": 1}
    lists["mylist_processes"].insert_one({"_id": "registry", "entries": {"a": entry}})
    await erase(user=account)
    assert contents(lists, account) == {}


@pytest.mark.extended
async def test_commands_wait_longer_for_mongodb_than_requests_do(
    lists: Lists, own_uri: str, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists["mylist"].insert_many([item(account, 1), item(account, 2), item(account, 3)])
    [(host, port)] = parse_uri(own_uri)["nodelist"]
    with TcpProxy(port, host=host) as proxy:
        slow = f"mongodb://127.0.0.1:{proxy.ports[0]}/{lists.name}?directConnection=true"
        monkeypatch.setenv("MONGODB_URI", slow)
        settings = Settings.from_environment()
        impatient = replace(settings, mongodb_timeout=0.2)
        async with open_database(settings) as database:
            proxy.delay(0, 0.3)
            await withdrawing.withdraw(database, impatient, content_id(1).hex(), dry=False)
            await moving.move(impatient, account, f"{account}/main", merges=False, dry=False)
            assert len(contents(lists, f"{account}/main")) == 2
            await erasing.erase(database, impatient, Subject(account=account), dry=False)
    assert lists["mylist"].count_documents({}) == 0


# --- Interrupted, and run again.


@pytest.mark.parametrize(
    "name", ["move", *(pytest.param(each, marks=pytest.mark.extended) for each in ("erase", "withdraw"))]
)
async def test_a_killed_run_is_completed_by_the_next_one(lists: Lists, own_uri: str, account: str, name: str) -> None:
    target = f"{account}/main"
    users = [account] if name == "move" else [f"{account}/{number}" for number in range(300)]
    numbers = range(800 if name == "move" else 4)
    lists["mylist"].insert_many([item(user, number, days=number) for user in users for number in numbers])
    before = {content: date for user in users for content, date in contents(lists, user).items()}
    arguments = {
        "move": ("move", "--from", account, "--to", target),
        "erase": ("erase", "--account", account),
        "withdraw": ("withdraw", "--content", content_id(1).hex()),
    }[name]

    def progress() -> int:
        if name == "move":
            return lists["mylist"].count_documents({"userId": target})
        return len(users) * len(numbers) - lists["mylist"].count_documents({})

    process = started(own_uri, arguments)
    while process.poll() is None and not progress():
        await asyncio.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -9, "it was not killed in the middle"
    if name == "move":
        both = contents(lists, account) | contents(lists, target)
        assert both == before, "an item is on neither list"

    again = started(own_uri, arguments)
    _, errors = again.communicate(timeout=300)
    assert (again.returncode, errors) == (0, b"")
    if name == "move":
        assert (contents(lists, account), contents(lists, target)) == ({}, before)
    elif name == "erase":
        assert lists["mylist"].count_documents({}) == 0
    else:
        assert lists["mylist"].count_documents({"contentId": content_id(1).hex()}) == 0
        assert lists["mylist"].count_documents({}) == 3 * len(users)


def started(uri: str, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mylist", *arguments],
        env=environment({"MONGODB_URI": uri, "REDIS_URL": Settings.from_environment().redis_url, **PATIENT}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("erase",), "one of the arguments --user --account is required; see `mylist erase --help`"),
        (
            ("show", "--account", "a/b"),
            "argument --account: 'a/b' is not an account, which is a user id without a slash; see `mylist show --help`",
        ),
        (("erase", "--user", "two words"), "argument --user: 'two words' is not a user id; see `mylist erase --help`"),
        (("move", "--from", "a", "--to", "a"), "--from and --to are the same user; name two different users"),
        (
            ("withdraw", "--content", "matrix"),
            (
                "argument --content: 'matrix' is not the id of a title, which has 24 hexadecimal digits; "
                "see `mylist withdraw --help`"
            ),
        ),
    ],
)
def test_wrong_usage_is_reported_in_one_line_with_status_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert capsys.readouterr() == ("", f"mylist: {told}\n")


def test_a_failure_is_reported_in_one_line_with_status_1(
    lists: Lists, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lists["mylist"].insert_many([item(account, 1), item("other", 2)])
    with pytest.raises(SystemExit, match="1"):
        main(["move", "--from", account, "--to", "other"])
    printed, told = capsys.readouterr()
    assert (printed, told.count("\n")) == ("", 1)
    assert told.startswith("mylist: other has 1 items, ")
