"""`mylist adopt`: it takes over lists that the original service, or a former version of this one, wrote."""

import asyncio
import itertools
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from devtools.service_process import environment
from devtools.waiting import eventually
from mylist.adoption.adopt import Adoption, NothingToCarryError, adopt
from mylist.adoption.counts import Counts
from mylist.config.settings import Settings
from mylist.domain.cache_result import CacheResult
from mylist.seeding.open_database import open_database
from mylist.seeding.running_service import service_parts
from tests.conftest import PATIENT, NewDatabase

LOWER = "65a0c0ffee65a0c0ffee65a0"
OTHER = "65a0c0ffee65a0c0ffee65a1"
THIRD = "65a0c0ffee65a0c0ffee65a2"
UPPER = LOWER.upper()
MIXED = LOWER[:12] + UPPER[12:]
MONDAY = datetime(2024, 1, 15, 10, 30, 0, 123_000, tzinfo=UTC)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
SUNDAY = MONDAY - timedelta(days=1)

Document = dict[str, Any]
Key = tuple[str, str]
Lists = Database[Document]
DOCUMENTED = {"_id", "userId", "contentId", "contentType", "addedAt"}


@pytest.fixture
def lists(own_uri: str) -> Iterator[Lists]:
    """The database of `own_uri`, with the indexes that the models of the original service make."""
    with MongoClient[Document](own_uri, tz_aware=True) as client:
        database = client.get_default_database()
        for name in ("userId", "contentId", "contentType", "addedAt"):
            database["mylists"].create_index(name, background=True)
        database["mylists"].create_index([("userId", 1), ("contentId", 1)], unique=True, background=True)
        yield database


def as_mongoose(user: str, content: object, added_at: object = MONDAY, kind: object = "movie") -> Document:
    """A document as Mongoose 7 writes the model `MyList`."""
    return {
        "_id": ObjectId(),
        "userId": user,
        "contentId": content,
        "contentType": kind,
        "addedAt": added_at,
        "__v": 0,
    }


def as_documented(document: Document) -> Document:
    """The document as this service stores it."""
    kept = {name: value for name, value in document.items() if name in DOCUMENTED}
    return {**kept, "contentId": document["contentId"].lower()}


def former_item(user: str, content: str, added_at: datetime, changed_at: datetime) -> Document:
    """An item as the former version of this service stored it."""
    return {
        "_id": ObjectId(),
        "userId": user,
        "contentId": content,
        "contentType": "movie",
        "addedAt": added_at,
        "changedAt": changed_at,
    }


def tombstone(user: str, content: str, removed_at: datetime) -> Document:
    """The document that the former version left for a removed item."""
    document = former_item(user, content, removed_at, removed_at)
    del document["addedAt"]
    return {**document, "removedAt": removed_at}


async def run(*, back: bool = False, dry: bool = False, report: Path | None = None) -> Adoption:
    settings = Settings.from_environment()
    async with open_database(settings) as database:
        return await adopt(database, settings, back=back, dry=dry, report=report)


async def counts(*, back: bool = False, dry: bool = False) -> Counts:
    return (await run(back=back, dry=dry)).counts


def documents(lists: Lists, name: str = "mylist") -> list[Document]:
    return sorted(lists[name].find(), key=lambda each: str(each["_id"]))


def everything(lists: Lists) -> dict[str, tuple[list[Document], dict[str, Any]]]:
    names = lists.list_collection_names()
    return {name: (documents(lists, name), dict(lists[name].index_information())) for name in names}


def remove_here(lists: Lists, document: Document, at: datetime | None = None) -> None:
    """Remove an item as this service does."""
    user, content = document["userId"], document["contentId"].lower()
    lists["mylist_changes"].replace_one(
        {"_id": f"{user}/{content}"},
        {"userId": user, "contentId": content, "change": "removed", "changedAt": at or datetime.now(UTC)},
        upsert=True,
    )
    lists["mylist"].delete_one({"userId": user, "contentId": content})


async def test_items_are_copied_with_their_ids_and_dates(lists: Lists) -> None:
    written = [as_mongoose("ada", LOWER), as_mongoose("ada", OTHER, TUESDAY, "tvshow"), as_mongoose("grace", LOWER)]
    lists["mylists"].insert_many(written)
    assert await counts() == Counts(read=3, adopted=3)
    assert documents(lists) == [as_documented(each) for each in written]
    assert documents(lists, "mylists") == written


async def test_a_second_run_changes_nothing(lists: Lists) -> None:
    lists["mylists"].insert_many([as_mongoose("ada", UPPER), as_mongoose("ada", LOWER), as_mongoose("ada", OTHER)])
    assert await counts() == Counts(read=3, adopted=2, lowered=1, merged=1)
    before = everything(lists)
    assert await counts() == Counts(read=5, already_there=3)
    assert everything(lists) == before


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations([UPPER, MIXED, LOWER], 2)))
async def test_duplicates_that_differ_in_letter_case_keep_the_earlier_date(
    lists: Lists, first: str, second: str
) -> None:
    written = [as_mongoose("ada", first, TUESDAY), as_mongoose("ada", second, MONDAY)]
    lists["mylists"].insert_many(written)
    assert await counts() == Counts(read=2, adopted=1, lowered=int(second != LOWER), merged=1)
    assert documents(lists) == [as_documented(written[1])]


async def test_a_duplicate_that_a_later_run_finds_can_set_an_earlier_date(lists: Lists) -> None:
    first, second = as_mongoose("ada", LOWER, TUESDAY), as_mongoose("ada", UPPER, MONDAY)
    lists["mylists"].insert_one(first)
    await run()
    lists["mylists"].insert_one(second)
    assert await counts() == Counts(read=3, already_there=1, merged=1)
    assert documents(lists) == [{**as_documented(first), "addedAt": MONDAY}]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (as_mongoose("ada", "movie1"), "contentId is not 24 hexadecimal digits"),
        (as_mongoose("ada", f"{LOWER}\n"), "contentId is not 24 hexadecimal digits"),
        (as_mongoose("ada", ObjectId()), "contentId is not 24 hexadecimal digits"),
        (as_mongoose("ada", LOWER, kind="episode"), "contentType is neither movie nor tvshow"),
        (as_mongoose("ada", LOWER, kind=None), "contentType is neither movie nor tvshow"),
        (as_mongoose("ada", LOWER, "2024-01-15"), "addedAt is not a date"),
        (as_mongoose("ada", LOWER, None), "addedAt is not a date"),
        (as_mongoose("ada lovelace", LOWER), "userId is not a user id of this API"),
        ({"_id": "stray"}, "userId is not a user id of this API"),
    ],
)
@pytest.mark.parametrize("collection", ["mylist", "mylists"])
async def test_an_invalid_document_is_reported_and_stays(
    lists: Lists, tmp_path: Path, collection: str, document: Document, reason: str
) -> None:
    lists[collection].insert_one(document)
    lists["mylists"].insert_one(item := as_mongoose("grace", LOWER))
    report = tmp_path / "report"
    done = await run(report=report)
    assert (done.counts.left_out, done.counts.adopted) == (1, 1)
    assert [json.loads(line) for line in report.read_text().splitlines()] == [
        {"collection": collection, "_id": str(document["_id"]), "reason": reason}
    ]
    assert lists[collection].find_one({"_id": document["_id"]}) == document
    assert as_documented(item) in documents(lists)


async def test_an_id_of_any_type_is_kept(lists: Lists) -> None:
    written = {**as_mongoose("ada", LOWER), "_id": "a-text"}
    lists["mylists"].insert_one(written)
    await run()
    assert documents(lists) == [as_documented(written)]
    assert await counts() == Counts(read=2, already_there=1)


async def test_an_item_with_the_key_of_an_invalid_document_is_left_out(lists: Lists) -> None:
    lists["mylist"].insert_one({"userId": "ada", "contentId": LOWER, "contentType": "episode", "addedAt": MONDAY})
    lists["mylists"].insert_one(as_mongoose("ada", LOWER))
    assert (await counts()).left_out == 2
    assert lists["mylist"].count_documents({}) == 1


def mixture(lists: Lists) -> None:
    """Insert some documents of every kind that a run can meet."""
    now = datetime.now(UTC).replace(microsecond=0)
    lists["mylists"].insert_many(
        [as_mongoose("ada", LOWER), as_mongoose("ada", UPPER, SUNDAY), as_mongoose("bob", OTHER), as_mongoose("c", "x")]
    )
    lists["mylist"].insert_many(
        [
            former_item("ada", OTHER, MONDAY, now),
            tombstone("bob", OTHER, now),
            former_item("eve", UPPER, MONDAY, now),
            former_item("eve", LOWER, TUESDAY, now),
            {**as_mongoose("eve", THIRD.upper())},
            {"userId": "eve"},
        ]
    )


async def test_a_dry_run_returns_the_counts_of_a_real_run_and_changes_nothing(lists: Lists) -> None:
    mixture(lists)
    before = everything(lists)
    dry = await counts(dry=True)
    assert everything(lists) == before
    assert dry == await counts()
    assert dry == Counts(
        read=10, adopted=1, lowered=1 + 1, merged=2, tombstones=1, reformed=3, stay_removed=1, left_out=2
    )


async def test_documents_of_the_former_version_get_the_documented_form(lists: Lists) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    items = [
        former_item("ada", LOWER, MONDAY, now),
        {**as_mongoose("ada", OTHER.upper()), "createdAt": MONDAY, "updatedAt": MONDAY},
        as_mongoose("grace", LOWER),
    ]
    lists["mylist"].insert_many([*items, tombstone("ada", THIRD.upper(), now)])
    former = [["userId", "changedAt", "_id"], *([each] for each in ("removedAt", *sorted(DOCUMENTED - {"_id"})))]
    for keys in former:
        expiring: dict[str, Any] = {"expireAfterSeconds": 30 * 86_400, "sparse": True} if keys == ["removedAt"] else {}
        lists["mylist"].create_index(keys, **expiring)
    done = await run()
    assert done.counts == Counts(read=4, lowered=1, reformed=3, tombstones=1)
    assert documents(lists) == [as_documented(each) for each in items]
    assert len(done.dropped) == len(former)
    left = [[name for name, _ in index["key"]] for index in lists["mylist"].index_information().values()]
    assert [keys for keys in left if keys in former] == []
    change = lists["mylist_changes"].find_one({"_id": f"ada/{THIRD}"})
    assert change == {
        "_id": f"ada/{THIRD}",
        "userId": "ada",
        "contentId": THIRD,
        "contentType": "movie",
        "change": "removed",
        "changedAt": now,
        "stamps": 1,
    }


async def test_indexes_of_an_operator_stay(lists: Lists) -> None:
    lists["mylist"].insert_one(as_mongoose("ada", LOWER))
    kept = {lists["mylist"].create_index(keys) for keys in (["addedAt", "userId"], ["contentId", "userId"])}
    done = await run()
    assert kept <= set(lists["mylist"].index_information())
    assert kept.isdisjoint(done.dropped)


async def test_the_indexes_of_the_original_collection_stay(lists: Lists) -> None:
    lists["mylists"].insert_one(as_mongoose("ada", LOWER))
    before = dict(lists["mylists"].index_information())
    await run()
    assert dict(lists["mylists"].index_information()) == before


async def test_a_change_that_is_newer_than_the_id_of_its_item_becomes_a_stamp(lists: Lists) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    added = former_item("ada", LOWER, MONDAY, now)
    dated = {**former_item("ada", OTHER, MONDAY, now), "_id": ObjectId.from_datetime(now - timedelta(hours=1))}
    added["_id"] = ObjectId.from_datetime(now)
    lists["mylist"].insert_many([added, dated])
    await run()
    assert [(each["contentId"], each["change"], each["changedAt"]) for each in lists["mylist_changes"].find()] == [
        (OTHER, "dated", now)
    ]


async def test_a_tombstone_replaces_only_an_earlier_stamp(lists: Lists) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    lists["mylist"].insert_many([tombstone("ada", LOWER, now), tombstone("ada", OTHER, now)])
    change = {"userId": "ada", "contentType": "movie", "change": "dated"}
    later, earlier = now + timedelta(minutes=1), now - timedelta(minutes=1)
    lists["mylist_changes"].insert_many(
        [
            {"_id": f"ada/{LOWER}", "contentId": LOWER, "changedAt": later, **change},
            {"_id": f"ada/{OTHER}", "contentId": OTHER, "changedAt": earlier, **change},
        ]
    )
    await run()
    found = {each["contentId"]: (each["change"], each["changedAt"]) for each in lists["mylist_changes"].find()}
    assert found == {LOWER: ("dated", later), OTHER: ("removed", now)}


@pytest.mark.parametrize("dates", [(MONDAY, TUESDAY), (TUESDAY, MONDAY)])
@pytest.mark.parametrize("cases", [(UPPER, LOWER), (LOWER, MIXED), (UPPER, MIXED)])
async def test_duplicates_that_are_already_in_mylist_are_merged(
    lists: Lists, dates: tuple[datetime, datetime], cases: tuple[str, str]
) -> None:
    lists["mylist"].insert_many([as_mongoose("ada", case, date) for case, date in zip(cases, dates, strict=True)])
    merged = await counts()
    assert (merged.merged, merged.lowered) == (1, int(LOWER not in cases))
    assert [(each["contentId"], each["addedAt"]) for each in documents(lists)] == [(LOWER, MONDAY)]
    assert set(documents(lists)[0]) == DOCUMENTED


# --- Both services run side by side.


async def test_later_removals_and_additions_in_the_original_are_carried_over(lists: Lists) -> None:
    written = [as_mongoose("ada", LOWER), as_mongoose("ada", OTHER), as_mongoose("grace", LOWER)]
    lists["mylists"].insert_many(written)
    await run()
    lists["mylists"].delete_many({"_id": {"$in": [written[0]["_id"], written[2]["_id"]]}})
    lists["mylists"].insert_one(added := as_mongoose("ada", THIRD))
    assert await counts() == Counts(read=5, already_there=1, adopted=1, removed=2)
    assert documents(lists) == [as_documented(each) for each in (written[1], added)]
    # Devices that hold a sync token learn of both.
    changes = {each["_id"]: each["change"] for each in lists["mylist_changes"].find()}
    assert changes == {f"ada/{LOWER}": "removed", f"grace/{LOWER}": "removed", f"ada/{THIRD}": "dated"}


async def test_an_item_removed_here_does_not_come_back(lists: Lists) -> None:
    lists["mylists"].insert_many(written := [as_mongoose("ada", UPPER), as_mongoose("ada", OTHER)])
    await run()
    remove_here(lists, written[0])
    lists["mylist_changes"].delete_many({})  # as after 30 days
    assert await counts() == Counts(read=3, already_there=2)
    assert documents(lists) == [as_documented(written[1])]


@pytest.mark.parametrize(("removed_at", "stays_removed"), [(TUESDAY, 1), (SUNDAY, 0)])
@pytest.mark.parametrize("former", [True, False])
async def test_a_removal_here_wins_only_over_an_earlier_addition_in_the_original(
    lists: Lists, removed_at: datetime, stays_removed: int, former: bool
) -> None:
    written = as_mongoose("ada", UPPER, MONDAY)
    if former:
        lists["mylist"].insert_one(tombstone("ada", LOWER, removed_at))
    else:
        remove_here(lists, written, removed_at)
    lists["mylists"].insert_one(written)
    done = await counts()
    assert (done.stay_removed, done.adopted) == (stays_removed, 1 - stays_removed)
    assert lists["mylist"].count_documents({}) == 1 - stays_removed


async def test_an_item_that_already_exists_here_stays_and_gets_the_earlier_date(lists: Lists) -> None:
    own = [as_documented(as_mongoose("ada", content, TUESDAY)) for content in (LOWER, OTHER)]
    lists["mylist"].insert_many(own)
    lists["mylists"].insert_many([as_mongoose("ada", UPPER, MONDAY), as_mongoose("ada", OTHER, WEDNESDAY)])
    assert (await counts()).merged == 2
    assert documents(lists) == [{**own[0], "addedAt": MONDAY}, own[1]]


async def test_a_merged_duplicate_is_adopted_after_the_original_removes_its_twin(lists: Lists) -> None:
    lists["mylists"].insert_many(written := [as_mongoose("ada", UPPER, MONDAY), as_mongoose("ada", LOWER, TUESDAY)])
    await run()
    lists["mylists"].delete_one({"_id": written[0]["_id"]})
    assert await counts() == Counts(read=2, adopted=1, removed=1)
    assert documents(lists) == [as_documented(written[1])]


async def test_a_dropped_original_collection_removes_no_item_here(lists: Lists) -> None:
    lists["mylists"].insert_many([as_mongoose("ada", LOWER), as_mongoose("ada", OTHER)])
    await run()
    lists["mylists"].drop()
    with pytest.raises(NothingToCarryError, match="drop `mylist_adopted` as well"):
        await run()
    assert lists["mylist"].count_documents({}) == 2
    lists["mylist_adopted"].drop()
    assert await counts() == Counts(read=2)


async def test_an_adoption_invalidates_cached_lists(lists: Lists) -> None:
    settings = Settings.from_environment()
    user = f"user-{random.randbytes(6).hex()}"
    async with service_parts(settings) as services:

        async def is_cached() -> bool:
            return (await services.cache.read(user))[1] is CacheResult.HIT

        for change, total in (
            (lambda: lists["mylists"].insert_many([as_mongoose(user, LOWER), as_mongoose(user, OTHER)]), 2),
            (lambda: lists["mylists"].delete_one({"contentId": LOWER}), 1),
        ):
            await eventually(is_cached, within=30)
            change()
            await run()
            assert (await services.cache.read(user))[0].total == total


async def test_an_item_that_the_original_removes_and_adds_again_between_runs_stays(lists: Lists) -> None:
    lists["mylists"].insert_one(first := as_mongoose("ada", LOWER))
    await run()
    lists["mylists"].delete_one({"_id": first["_id"]})
    lists["mylists"].insert_one(second := as_mongoose("ada", UPPER, TUESDAY))
    assert await counts() == Counts(read=2, adopted=1, lowered=1, removed=1)
    assert documents(lists) == [as_documented(second)]


# --- The way back.


async def test_a_reverse_run_carries_over_the_changes_made_here(lists: Lists) -> None:
    names = [("ada", UPPER), ("ada", OTHER), ("carl", "stray"), ("eve", LOWER)]
    lists["mylists"].insert_many(written := [as_mongoose(*each) for each in names])
    await run()
    remove_here(lists, written[1])
    remove_here(lists, written[3])
    lists["mylist"].insert_one(added := as_documented(as_mongoose("grace", THIRD, TUESDAY)))
    lists["mylist"].update_one({"contentId": LOWER}, {"$set": {"addedAt": WEDNESDAY}})
    lists["mylists"].insert_one(theirs := as_mongoose("bob", LOWER))
    before = everything(lists)
    dry = await counts(back=True, dry=True)
    assert everything(lists) == before
    assert await counts(back=True) == dry == Counts(read=2, adopted=1, already_there=1, removed=2)
    assert documents(lists, "mylists") == sorted(
        [{**written[0], "addedAt": WEDNESDAY}, written[2], {**added, "__v": 0}, theirs], key=lambda each: each["_id"]
    )
    at_rest = everything(lists)
    assert await counts(back=True) == Counts(read=2, already_there=2)
    assert everything(lists) == at_rest


async def test_a_reverse_run_carries_over_a_removal_by_the_former_version(lists: Lists) -> None:
    lists["mylists"].insert_many(written := [as_mongoose("ada", LOWER), as_mongoose("ada", OTHER)])
    await run()
    now = datetime.now(UTC).replace(microsecond=0)
    gone = {"$unset": {"addedAt": ""}, "$set": {"removedAt": now, "changedAt": now}}
    lists["mylist"].update_one({"_id": written[0]["_id"]}, gone)
    assert await counts(back=True) == Counts(read=2, already_there=1, removed=1)
    assert documents(lists, "mylists") == [written[1]]


async def test_a_forward_run_works_after_a_reverse_run(lists: Lists) -> None:
    lists["mylists"].insert_many([as_mongoose("ada", UPPER), as_mongoose("ada", OTHER)])
    await run()
    lists["mylist"].insert_one(added := as_documented(as_mongoose("ada", THIRD)))
    await run(back=True)
    lists["mylists"].delete_one({"_id": added["_id"]})
    lists["mylists"].insert_one(as_mongoose("grace", THIRD))
    assert await counts() == Counts(read=5 + 1, already_there=2, adopted=1, removed=1)
    assert {(each["userId"], each["contentId"]) for each in documents(lists)} == {
        ("ada", LOWER),
        ("ada", OTHER),
        ("grace", THIRD),
    }


async def test_a_reverse_run_removes_the_duplicates_of_a_merged_item_that_was_removed(lists: Lists) -> None:
    lists["mylist"].insert_one(own := as_documented(as_mongoose("bob", OTHER)))
    lists["mylists"].insert_many(
        written := [as_mongoose("ada", UPPER), as_mongoose("ada", LOWER, TUESDAY), as_mongoose("bob", OTHER)]
    )
    await run()
    await run(back=True)
    assert documents(lists, "mylists") == written
    await run()
    assert {each["_id"] for each in documents(lists)} == {written[0]["_id"], own["_id"]}
    remove_here(lists, written[0])
    remove_here(lists, own)
    lists["mylist"].insert_one(as_documented(as_mongoose("zoe", OTHER)))
    await run(back=True)
    assert [each["userId"] for each in documents(lists, "mylists")] == ["zoe"]


async def test_a_reverse_run_without_any_items_here_removes_nothing_from_the_original(lists: Lists) -> None:
    lists["mylists"].insert_one(as_mongoose("ada", LOWER))
    await run()
    lists["mylist"].drop()
    with pytest.raises(NothingToCarryError):
        await run(back=True)
    assert lists["mylists"].count_documents({}) == 1


async def test_runs_in_both_directions_converge_in_either_order(lists: Lists) -> None:
    """Each round changes items on one side or the other, and then runs both ways. Both sides then have all changes."""
    rng = random.Random(17)
    keys = [(user, f"65a0c0ffee65a0c0ffee65{number:02x}") for user in ("ada", "bob", "eve") for number in range(9)]
    expected: set[Key] = {("zoe", LOWER)}
    lists["mylists"].insert_one(as_mongoose("zoe", LOWER))  # so that no side is empty, which a run treats as a loss
    await run()
    for _ in range(15):
        for key in rng.sample(keys, rng.randrange(len(keys))):
            change = rng.choice([change_there, change_here])
            change(lists, key, rng.choice([str.lower, str.upper]), on_list=key in expected)
            expected ^= {key}
        first = rng.random() < 0.5
        await run(back=first)
        await run(back=not first)
        assert keys_of(lists, "mylist") == keys_of(lists, "mylists") == expected


def change_there(lists: Lists, key: Key, written: Callable[[str], str], *, on_list: bool) -> None:
    user, content = key
    if on_list:
        found = lists["mylists"].delete_many({"userId": user, "contentId": {"$in": [content, content.upper()]}})
        assert found.deleted_count
    else:
        lists["mylists"].insert_one(as_mongoose(user, written(content), datetime.now(UTC)))


def change_here(lists: Lists, key: Key, _: object, *, on_list: bool) -> None:
    document = as_documented(as_mongoose(*key))
    if on_list:
        remove_here(lists, document)
    else:
        lists["mylist"].insert_one(document)


def keys_of(lists: Lists, name: str) -> set[Key]:
    return {(each["userId"], each["contentId"].lower()) for each in lists[name].find()}


# --- Interrupted, and run again.


def adopting(uri: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mylist", "adopt", *arguments],
        env=environment({"MONGODB_URI": uri, **PATIENT}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def adopt_to_the_end(uri: str) -> None:
    process = adopting(uri)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def many(lists: Lists) -> None:
    """Insert lists of the original with duplicates and invalid documents, and lists of the former version."""
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(40):
        user = f"user{number:03}"
        contents = [f"65a0c0ffee65a0c0ff{number:03x}{place:03x}" for place in range(16)]
        theirs = [as_mongoose(user, each.upper() if place % 3 else each) for place, each in enumerate(contents)]
        theirs += [as_mongoose(user, contents[1], SUNDAY), as_mongoose(user, "stray")]
        lists["mylists"].insert_many(theirs)
        former = [f"65a0c0ffee65a0c0fe{number:03x}{place:03x}" for place in range(8)]
        lists["mylist"].insert_many([former_item(user, each, MONDAY, now) for each in former])
        lists["mylist"].insert_one(tombstone(user, contents[5], now))
        lists["mylist"].insert_one(as_mongoose(user, former[0].upper(), SUNDAY))


def outcome(lists: Lists) -> dict[str, list[Document]]:
    """The data that a run leaves, without the times of stamps."""
    kept = {name: documents(lists, name) for name in ("mylist", "mylists", "mylist_adopted")}
    changes = [{**each, "changedAt": None} for each in documents(lists, "mylist_changes")]
    return {**kept, "mylist_changes": [each for each in changes if each["change"] == "removed"]}


@pytest.mark.own_logic
@pytest.mark.parametrize("begins_empty", [True, pytest.param(False, marks=pytest.mark.extended)])
async def test_a_killed_run_is_completed_by_the_next_one(
    lists: Lists, own_uri: str, new_database: NewDatabase, *, begins_empty: bool
) -> None:
    many(lists)
    if begins_empty:
        lists["mylist"].drop()
    with new_database() as other_uri, MongoClient[Document](other_uri, tz_aware=True) as client:
        undisturbed = client.get_default_database()
        for name in ("mylists", "mylist"):
            if copied := documents(lists, name):
                undisturbed[name].insert_many(copied)
        adopt_to_the_end(other_uri)
        expected = outcome(undisturbed)
    killed_in_the_middle = 0
    for attempt in range(4):
        process = adopting(own_uri)
        goal = attempt * 150 + 1
        while process.poll() is None and lists["mylist_adopted"].estimated_document_count() < goal:
            await asyncio.sleep(0.01)
        killed_in_the_middle += process.poll() is None
        process.kill()
        process.communicate()
        if begins_empty and lists["mylist_adopted"].count_documents({"finished": True}) == 0:
            assert lists["mylist_adopted"].count_documents({"finished": False}) == 1
    assert killed_in_the_middle >= 2
    adopt_to_the_end(own_uri)
    assert outcome(lists) == expected
