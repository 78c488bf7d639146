"""The change feed: a second device catches up, and misses no change, even under concurrent writes."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Event
from typing import Any

import httpx
import msgspec
import pytest
from bson import ObjectId
from pymongo.database import Database

from mylist.domain.change_feed import SyncState
from mylist.domain.limits import MAX_CHANGES
from mylist.domain.timestamps import to_milliseconds
from mylist.lists.opaque_token import encode_token
from mylist.lists.sync_tokens import decode_sync_token, encode_sync_token
from tests.conftest import Serve
from tests.contract.conftest import User, connect
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID

Documents = Database[dict[str, Any]]
WRITES_OF_EACH = 80


@pytest.fixture(scope="module")
def clients(serve: Serve, client: httpx.Client) -> Iterator[list[httpx.Client]]:
    """Clients of two processes of the service."""
    with connect(serve()) as other:
        yield [client, other]


class Device:
    """A device's copy of a user's list, which it keeps current with the change feed."""

    def __init__(self, user: User, limit: int | None = None) -> None:
        self.user = user
        self.limit = limit
        self.token: str | None = None
        self.items: dict[str, str] = {}
        self.told: list[tuple[str, str]] = []

    def catch_up(self) -> list[tuple[str, str]]:
        """Request changes until there are no more; return their kinds and content ids."""
        self.told = []
        while self.ask()["hasMore"]:
            pass
        return self.told

    def ask(self) -> dict[str, Any]:
        """Request changes once, and apply them to the copy."""
        answer = changes(self.user, since=self.token, limit=self.limit)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        for each in data["changes"]:
            self.told.append((each["change"], each["contentId"]))
            if each["change"] == "added":
                self.items[each["contentId"]] = each["addedAt"]
            else:
                self.items.pop(each["contentId"], None)
        self.token = data["token"]
        return data


def changes(user: User, **parameters: Any) -> httpx.Response:
    given = {name: value for name, value in parameters.items() if value is not None}
    return user.client.get("/api/mylist/changes", params=given, headers=user.headers)


def on_the_list(user: User) -> dict[str, str]:
    page = user.items("?pageSize=100").json()["data"]
    assert page["totalPages"] <= 1
    return {each["contentId"]: each["addedAt"] for each in page["items"]}


def aged(token: str, user: User, by: timedelta) -> str:
    """Return the token that the service would have returned that much earlier."""
    progress = decode_sync_token(user.id, token)
    return encode_sync_token(user.id, SyncState(progress.watermark - by // timedelta(milliseconds=1)))


class TestCatchingUp:
    def test_without_a_token_returns_the_list_in_order_of_content_ids(self, user: User) -> None:
        for content_id in (MATRIX_ID, MOVIE_IDS[1], MOVIE_IDS[0]):
            user.add(content_id)
        user.remove(MOVIE_IDS[0])
        user.add(SHOW_ID, "tvshow")
        answer = changes(user).json()

        on_list = on_the_list(user)
        assert [each["contentId"] for each in answer["data"]["changes"]] == sorted(on_list)
        [show] = [each for each in answer["data"]["changes"] if each["contentId"] == SHOW_ID]
        assert show | {"changedAt": ""} == {
            "change": "added",
            "contentId": SHOW_ID,
            "contentType": "tvshow",
            "changedAt": "",
            "addedAt": on_list[SHOW_ID],
        }
        assert abs(datetime.fromisoformat(show["changedAt"]) - datetime.now(UTC)) < timedelta(minutes=1)
        assert answer["data"]["hasMore"] is False

    def test_without_a_token_omits_removed_items(self, user: User) -> None:
        for content_id in (MATRIX_ID, MOVIE_IDS[0]):
            user.add(content_id)
        user.remove(MATRIX_ID)

        assert Device(user, 1).catch_up() == [("added", MOVIE_IDS[0])]

    def test_returns_each_change_once(self, user: User) -> None:
        device = Device(user)
        assert device.catch_up() == []
        user.add(MATRIX_ID)
        user.add(SHOW_ID, "tvshow")
        assert device.catch_up() == [("added", MATRIX_ID), ("added", SHOW_ID)]
        assert device.catch_up() == []
        user.remove(MATRIX_ID)
        assert device.catch_up() == [("removed", MATRIX_ID)]
        user.add(MATRIX_ID)
        assert device.catch_up() == [("added", MATRIX_ID)]
        assert device.items == on_the_list(user)

    def test_returns_only_the_removal_of_an_item_added_and_removed_since(self, user: User) -> None:
        device = Device(user)
        device.catch_up()
        user.add(MATRIX_ID)
        user.remove(MATRIX_ID)
        [change] = changes(user, since=device.token).json()["data"]["changes"]

        assert set(change) == {"change", "contentId", "contentType", "changedAt"}
        assert (change["change"], change["contentId"], change["contentType"]) == ("removed", MATRIX_ID, "movie")
        assert abs(datetime.fromisoformat(change["changedAt"]) - datetime.now(UTC)) < timedelta(minutes=1)

    def test_with_the_same_token_returns_the_same_changes(self, user: User) -> None:
        device = Device(user)
        device.catch_up()
        user.add(MATRIX_ID)
        first, second = (changes(user, since=device.token).json()["data"]["changes"] for _ in range(2))

        assert len(first) == 1
        assert first == second

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    def test_with_a_limit_returns_every_change_in_several_answers(self, user: User, limit: int) -> None:
        device = Device(user, limit)
        for content_id in MOVIE_IDS[:5]:
            user.add(content_id)
        assert [content_id for _, content_id in device.catch_up()] == sorted(MOVIE_IDS[:5])
        user.remove(MOVIE_IDS[1])
        user.add(MATRIX_ID)
        user.remove(MOVIE_IDS[3])

        assert sorted(device.catch_up()) == [
            ("added", MATRIX_ID),
            *sorted([("removed", MOVIE_IDS[1]), ("removed", MOVIE_IDS[3])]),
        ]
        assert device.items == on_the_list(user)

    def test_returns_changes_in_the_order_of_their_times(self, user: User) -> None:
        device = Device(user)
        for content_id in MOVIE_IDS[:3]:
            user.add(content_id)
        device.catch_up()
        for content_id in (MOVIE_IDS[2], MOVIE_IDS[0], MOVIE_IDS[1]):
            user.remove(content_id)
        time.sleep(1.001)  # the time of an addition is in whole seconds
        for content_id in (MOVIE_IDS[4], MOVIE_IDS[3]):
            user.add(content_id)
        answer = changes(user, since=device.token).json()["data"]

        assert [each["contentId"] for each in answer["changes"]] == [MOVIE_IDS[each] for each in (2, 0, 1, 4, 3)]
        moments = [each["changedAt"] for each in answer["changes"]]
        assert moments == sorted(moments)

    def test_in_several_answers_includes_changes_made_in_between(self, user: User) -> None:
        device = Device(user, 2)
        for content_id in MOVIE_IDS[:5]:
            user.add(content_id)
        assert device.ask()["hasMore"]
        user.remove(MOVIE_IDS[0])
        user.remove(MOVIE_IDS[4])
        user.add(MATRIX_ID)
        device.catch_up()
        device.catch_up()

        assert device.items == on_the_list(user)

    def test_includes_items_that_the_original_service_or_an_operator_wrote(
        self, user: User, database: Documents
    ) -> None:
        moments = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
        database["mylist"].insert_many(
            {"userId": user.id, "contentId": content_id, "contentType": "movie", "addedAt": moment}
            for content_id, moment in zip([MOVIE_IDS[0], MOVIE_IDS[1].upper(), MOVIE_IDS[2]], moments, strict=True)
        )
        by_hand = {"userId": user.id, "contentId": MOVIE_IDS[3], "contentType": "movie", "addedAt": moments[0]}
        database["mylist"].insert_one(by_hand | {"_id": "by hand"})
        no_items = ({"contentId": "0" * 24, "contentType": "podcast"}, {"contentId": "g", "contentType": "movie"})
        database["mylist"].insert_many({"userId": user.id, "addedAt": moments[0], **each} for each in no_items)
        user.add(MATRIX_ID)
        for limit in (1, 2, 500):
            device = Device(user, limit)
            assert sorted(device.catch_up()) == [("added", each) for each in sorted([MATRIX_ID, *MOVIE_IDS[:4]])]
            assert device.items == on_the_list(user)
            assert device.catch_up() == []
        user.remove(MOVIE_IDS[1])
        user.remove(MOVIE_IDS[3])

        assert sorted(device.catch_up()) == sorted([("removed", MOVIE_IDS[1]), ("removed", MOVIE_IDS[3])])

    def test_returns_the_removal_of_a_withdrawn_title_without_a_type(self, user: User, database: Documents) -> None:
        withdrawn = {"userId": user.id, "contentId": "f" * 24, "contentType": "movie", "addedAt": datetime.now(UTC)}
        database["mylist"].insert_one(withdrawn)
        device = Device(user)
        device.catch_up()
        user.remove("f" * 24)
        [change] = changes(user, since=device.token).json()["data"]["changes"]

        assert set(change) == {"change", "contentId", "changedAt"}
        assert (change["change"], change["contentId"]) == ("removed", "f" * 24)

    def test_returns_one_change_per_item_of_a_batch_or_a_clear(self, user: User) -> None:
        device = Device(user)
        add = [{"contentId": each, "contentType": "movie"} for each in MOVIE_IDS[:3]]
        user.client.post("/api/mylist/batch", json={"add": add}, headers=user.headers)
        assert sorted(device.catch_up()) == [("added", each) for each in sorted(MOVIE_IDS[:3])]
        user.client.delete("/api/mylist/items?confirm=true", headers=user.headers)
        assert sorted(device.catch_up()) == [("removed", each) for each in sorted(MOVIE_IDS[:3])]


class TestSyncToken:
    def test_stays_the_same_without_changes_but_an_old_one_is_renewed(self, user: User) -> None:
        user.add(MATRIX_ID)
        token = changes(user).json()["data"]["token"]
        first = changes(user, since=token)
        again = user.client.get(
            "/api/mylist/changes",
            params={"since": token},
            headers=user.headers | {"if-none-match": first.headers["etag"]},
        )
        later = changes(user, since=aged(token, user, timedelta(hours=2)))

        assert first.json()["data"] == {"changes": [], "token": token, "hasMore": False}
        assert again.status_code == 304
        assert (
            decode_sync_token(user.id, later.json()["data"]["token"]).watermark
            > decode_sync_token(user.id, token).watermark - 60_000
        )

    def test_that_is_29_days_old_still_returns_removals(self, user: User, database: Documents) -> None:
        device = Device(user)
        user.add(MATRIX_ID)
        device.catch_up()
        user.remove(MATRIX_ID)
        assert device.token
        device.token = aged(device.token, user, timedelta(days=29))
        # The item was removed soon after the token was issued.
        long_ago = datetime.now(UTC) - timedelta(days=29) + timedelta(minutes=1)
        database["mylist_changes"].update_one({"userId": user.id}, {"$set": {"changedAt": long_ago}})

        assert device.catch_up() == [("removed", MATRIX_ID)]

    def test_that_is_30_days_old_is_410_and_the_error_names_the_remedy(self, user: User) -> None:
        token = changes(user).json()["data"]["token"]
        answer = changes(user, since=aged(token, user, timedelta(days=30)))

        assert (answer.status_code, answer.json()["code"]) == (410, "SYNC_TOKEN_EXPIRED")
        assert "without since" in answer.json()["error"]

    def test_that_resumes_at_an_old_change_is_410(self, user: User) -> None:
        progress = decode_sync_token(user.id, changes(user).json()["data"]["token"])
        long_ago = to_milliseconds(datetime(2024, 1, 1, tzinfo=UTC))
        old = SyncState(progress.watermark, resume_at=progress.after._replace(changed_at=long_ago))

        assert changes(user, since=encode_sync_token(user.id, old)).status_code == 410

    def test_of_another_user_is_400(self, user: User) -> None:
        token = changes(user).json()["data"]["token"]
        answer = changes(User(user.client, "somebody-else"), since=token)

        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SYNC_TOKEN")

    def test_that_is_damaged_anywhere_is_400(self, user: User) -> None:
        token = changes(user).json()["data"]["token"]
        damaged = [
            token[:place] + ("A" if each != "A" else "B") + token[place + 1 :] for place, each in enumerate(token)
        ]
        for each in [*damaged, token[:-1], token + "A", token + "=", "", "?", "ä", "A" * 9000]:
            answer = changes(user, since=each)
            assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SYNC_TOKEN"), each

    @pytest.mark.parametrize(
        "content",
        [
            {"watermark": 1 << 60},
            {"watermark": -1},
            {"resume_at": (1 << 60, bytes(12))},
            {"resume_at": (-1, bytes(12))},
            {"resume_at": (0, bytes(11))},
            {"list_after": "0" * 23},
            {"list_after": "0" * 23 + "g"},
            {"list_after": "0" * 24 + "\n"},
            {"delivered": [(0, "", None)]},
            {"delivered": [(0, bytes(12), "")]},
        ],
        ids=str,
    )
    def test_with_invalid_content_is_400(self, user: User, content: dict[str, Any]) -> None:
        now = to_milliseconds(datetime.now(UTC))
        fields = {"watermark": now, "list_after": None, "resume_at": None, "delivered": []} | content
        token = encode_token(msgspec.msgpack.encode(list(fields.values())), "changes, form 2", user.id)
        answer = changes(user, since=token)

        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SYNC_TOKEN")

    def test_of_an_earlier_version_is_410(self, user: User) -> None:
        former = msgspec.msgpack.encode((to_milliseconds(datetime.now(UTC)), None, False, ()))
        token = encode_token(former, "changes, form 1", user.id)

        assert changes(user, since=token).json()["code"] == "SYNC_TOKEN_EXPIRED"
        put = user.client.put(
            f"/api/mylist/items/{MATRIX_ID}",
            params={"unlessRemovedSince": token},
            json={"contentType": "movie"},
            headers=user.headers,
        )
        assert put.json()["code"] == "SYNC_TOKEN_EXPIRED"
        assert changes(User(user.client, "somebody-else"), since=token).json()["code"] == "INVALID_SYNC_TOKEN"

    def test_given_twice_is_400(self, user: User) -> None:
        token = changes(user).json()["data"]["token"]
        assert changes(user, since=[token, token]).json()["code"] == "INVALID_SYNC_TOKEN"

    @pytest.mark.parametrize("limit", ["0", "-1", "many", "", "1.5", MAX_CHANGES + 1, "9" * 5000, "٣", [1, 2]])
    def test_an_invalid_limit_is_400(self, user: User, limit: Any) -> None:
        answer = changes(user, limit=limit)

        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"] == "limit must be given once, as a whole number from 1 to 1000"


class TestOrder:
    def test_a_change_that_becomes_readable_after_a_later_one_is_returned(
        self, user: User, database: Documents
    ) -> None:
        """Simulates a change that has an earlier time, but reaches a majority of MongoDB's members later."""
        device = Device(user)
        user.add(MATRIX_ID)
        assert device.catch_up() == [("added", MATRIX_ID)]
        earlier = int(time.time()) - 20
        late = {"userId": user.id, "contentId": MOVIE_IDS[0], "contentType": "movie", "addedAt": datetime.now(UTC)}
        database["mylist"].insert_one(late | {"_id": ObjectId(earlier.to_bytes(4) + bytes(8))})

        assert device.catch_up() == [("added", MOVIE_IDS[0])]
        assert device.catch_up() == []
        database["mylist"].delete_one({"userId": user.id, "contentId": MOVIE_IDS[0]})
        stamp = {"userId": user.id, "contentId": MOVIE_IDS[0], "change": "removed"}
        database["mylist_changes"].insert_one(stamp | {"changedAt": datetime.now(UTC) - timedelta(seconds=20)})
        assert device.catch_up() == [("removed", MOVIE_IDS[0])]
        assert device.catch_up() == []

    @pytest.mark.own_logic
    @pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.extended) for seed in (1, 2))])
    def test_no_token_skips_a_change_under_concurrent_writes(
        self, clients: list[httpx.Client], user_id: str, seed: int
    ) -> None:
        users = [User(client, user_id) for client in clients]
        over = Event()

        def write(number: int) -> None:
            dice, user = Random(10 * seed + number), users[number % 2]
            for _ in range(WRITES_OF_EACH):
                content_id = dice.choice([MATRIX_ID, *MOVIE_IDS])
                answer = user.add(content_id) if dice.random() < 0.6 else user.remove(content_id)
                assert answer.status_code in {200, 201, 404, 409}

        def follow(number: int) -> tuple[Device, int]:
            device, asked = Device(users[number % 2], limit=[1, 3, None][number]), 0
            while not over.is_set():
                device.ask()
                asked += 1
            return device, asked

        with ThreadPoolExecutor(7) as threads:
            following = [threads.submit(follow, number) for number in range(3)]
            try:
                list(threads.map(write, range(4)))
            finally:
                over.set()
            devices, asked = zip(*(each.result() for each in following), strict=True)
        for device in devices:
            device.catch_up()  # ends a round that may have begun before the last write
            device.catch_up()

        assert min(asked) > 1, "somebody asked before or after all the writes, so this test shows nothing"
        assert [device.items for device in devices] == [on_the_list(users[0])] * 3
