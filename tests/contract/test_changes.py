"""What changed since: a second device catches up, and misses nothing, whoever writes at the same time."""

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
from pymongo.database import Database

from mylist.domain.change_feed import NEVER_MS, SyncState
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
    """A copy of a user's list, kept by asking what changed."""

    def __init__(self, user: User, limit: int | None = None) -> None:
        self.user = user
        self.limit = limit
        self.token: str | None = None
        self.items: dict[str, str] = {}
        self.told: list[tuple[str, str]] = []

    def catch_up(self) -> list[tuple[str, str]]:
        """Asks until there is no more; gives what it was told, as kinds and content ids."""
        self.told = []
        while self.ask()["hasMore"]:
            pass
        return self.told

    def ask(self) -> dict[str, Any]:
        """Asks once, and applies the answer."""
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
    """Gives the token that would have been given out so much earlier."""
    progress = decode_sync_token(user.id, token)
    return encode_sync_token(user.id, SyncState(progress.watermark - by // timedelta(milliseconds=1)))


class TestCatchingUp:
    def test_begins_with_what_is_on_the_list_oldest_first(self, user: User) -> None:
        for content_id in (MATRIX_ID, MOVIE_IDS[0], MOVIE_IDS[1]):
            user.add(content_id)
        user.remove(MOVIE_IDS[0])
        time.sleep(0.002)
        user.add(SHOW_ID, "tvshow")
        answer = changes(user).json()

        assert [(each["change"], each["contentId"]) for each in answer["data"]["changes"]][:2] == [
            ("added", MATRIX_ID),
            ("added", MOVIE_IDS[1]),
        ]
        assert answer["data"]["changes"][-1] | {"changedAt": ""} == {
            "change": "added",
            "contentId": SHOW_ID,
            "contentType": "tvshow",
            "changedAt": "",
            "addedAt": on_the_list(user)[SHOW_ID],
        }
        moments = [each["changedAt"] for each in answer["data"]["changes"]]
        assert moments == sorted(moments)
        assert answer["data"]["hasMore"] is False

    def test_does_not_begin_with_what_went_before(self, user: User, database: Documents) -> None:
        for content_id in (MATRIX_ID, MOVIE_IDS[0]):
            user.add(content_id)
        user.remove(MATRIX_ID)
        earlier = datetime.now(UTC) - timedelta(minutes=1)
        database["mylist"].update_one(
            {"userId": user.id, "contentId": MATRIX_ID}, {"$set": {"changedAt": earlier, "removedAt": earlier}}
        )

        assert Device(user, 1).catch_up() == [("added", MOVIE_IDS[0])]

    def test_is_told_each_change_once(self, user: User) -> None:
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

    def test_of_what_came_and_went_is_told_that_it_went(self, user: User) -> None:
        device = Device(user)
        device.catch_up()
        user.add(MATRIX_ID)
        user.remove(MATRIX_ID)
        [change] = changes(user, since=device.token).json()["data"]["changes"]

        assert set(change) == {"change", "contentId", "contentType", "changedAt"}
        assert (change["change"], change["contentId"], change["contentType"]) == ("removed", MATRIX_ID, "movie")
        assert abs(datetime.fromisoformat(change["changedAt"]) - datetime.now(UTC)) < timedelta(minutes=1)

    def test_asking_again_with_a_token_gives_the_same(self, user: User) -> None:
        device = Device(user)
        device.catch_up()
        user.add(MATRIX_ID)
        first, second = (changes(user, since=device.token).json()["data"]["changes"] for _ in range(2))

        assert len(first) == 1
        assert first == second

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    def test_many_changes_come_in_pieces(self, user: User, limit: int) -> None:
        device = Device(user, limit)
        for content_id in MOVIE_IDS[:5]:
            user.add(content_id)
        assert [content_id for _, content_id in device.catch_up()] == MOVIE_IDS[:5]
        user.remove(MOVIE_IDS[1])
        user.add(MATRIX_ID)
        user.remove(MOVIE_IDS[3])

        assert device.catch_up() == [("removed", MOVIE_IDS[1]), ("added", MATRIX_ID), ("removed", MOVIE_IDS[3])]
        assert device.items == on_the_list(user)

    def test_in_pieces_sees_what_happens_in_between(self, user: User) -> None:
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

    def test_items_of_the_original_come_first_in_the_order_in_which_they_were_added(
        self, user: User, database: Documents
    ) -> None:
        moments = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
        database["mylist"].insert_many(
            {"userId": user.id, "contentId": content_id, "contentType": "movie", "addedAt": moment}
            for content_id, moment in zip(MOVIE_IDS, moments, strict=False)
        )
        user.add(MATRIX_ID)
        device = Device(user, 2)

        assert device.catch_up() == [("added", each) for each in [*MOVIE_IDS[:3], MATRIX_ID]]
        assert device.items == on_the_list(user)
        assert changes(user, limit=1).json()["data"]["changes"][0]["changedAt"] == "2024-01-01T00:00:00.000Z"

    def test_what_has_an_id_of_another_kind_is_not_told_of(self, user: User, database: Documents) -> None:
        foreign = {"userId": user.id, "contentId": MATRIX_ID, "contentType": "movie"}
        database["mylist"].insert_one(foreign | {"_id": "by hand", "addedAt": datetime.now(UTC)})
        device = Device(user)
        assert device.catch_up() == []
        user.remove(MATRIX_ID)
        user.add(MOVIE_IDS[0])

        assert device.catch_up() == [("added", MOVIE_IDS[0])]

    def test_a_batch_and_a_clear_are_many_changes(self, user: User) -> None:
        device = Device(user)
        add = [{"contentId": each, "contentType": "movie"} for each in MOVIE_IDS[:3]]
        user.client.post("/api/mylist/batch", json={"add": add}, headers=user.headers)
        assert sorted(device.catch_up()) == [("added", each) for each in sorted(MOVIE_IDS[:3])]
        user.client.delete("/api/mylist/items?confirm=true", headers=user.headers)
        assert sorted(device.catch_up()) == [("removed", each) for each in sorted(MOVIE_IDS[:3])]


class TestTokens:
    def test_stays_the_same_while_nothing_happens(self, user: User) -> None:
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

    def test_of_29_days_ago_knows_what_was_removed_since(self, user: User, database: Documents) -> None:
        device = Device(user)
        user.add(MATRIX_ID)
        device.catch_up()
        user.remove(MATRIX_ID)
        assert device.token
        device.token = aged(device.token, user, timedelta(days=29))
        # The last moment at which it may have been removed, from then.
        long_ago = datetime.now(UTC) - timedelta(days=29) + timedelta(minutes=1)
        database["mylist"].update_one({"userId": user.id}, {"$set": {"changedAt": long_ago, "removedAt": long_ago}})

        assert device.catch_up() == [("removed", MATRIX_ID)]

    def test_of_30_days_ago_is_410_and_says_how_to_go_on(self, user: User) -> None:
        token = changes(user).json()["data"]["token"]
        answer = changes(user, since=aged(token, user, timedelta(days=30)))

        assert (answer.status_code, answer.json()["code"]) == (410, "SYNC_TOKEN_EXPIRED")
        assert "ask without since" in answer.json()["error"]

    def test_of_a_piece_long_ago_is_410(self, user: User) -> None:
        progress = decode_sync_token(user.id, changes(user).json()["data"]["token"])
        old = SyncState(
            progress.watermark, progress.after._replace(changed_at=to_milliseconds(datetime(2024, 1, 1, tzinfo=UTC)))
        )

        assert changes(user, since=encode_sync_token(user.id, old)).status_code == 410

    def test_of_somebody_else_is_400(self, user: User) -> None:
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
            {"settled": 1 << 60},
            {"settled": -(1 << 60)},
            {"at": (1 << 60, bytes(12))},
            {"at": (NEVER_MS - 1, bytes(12)), "first": True},
            {"at": (0, bytes(11)), "first": True},
            {"told": [(0, "", True)]},
        ],
        ids=str,
    )
    def test_that_is_made_up_is_400(self, user: User, content: dict[str, Any]) -> None:
        fields = {"settled": to_milliseconds(datetime.now(UTC)), "at": None, "first": False, "told": []} | content
        token = encode_token(msgspec.msgpack.encode(list(fields.values())), "changes, form 1", user.id)
        answer = changes(user, since=token)

        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SYNC_TOKEN")

    def test_given_twice_is_400(self, user: User) -> None:
        token = changes(user).json()["data"]["token"]
        assert changes(user, since=[token, token]).json()["code"] == "INVALID_SYNC_TOKEN"

    @pytest.mark.parametrize("limit", ["0", "-1", "many", "", "1.5", MAX_CHANGES + 1, "9" * 5000, "٣", [1, 2]])
    def test_with_a_limit_that_is_none_is_400(self, user: User, limit: Any) -> None:
        answer = changes(user, limit=limit)

        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PARAMETER")
        assert answer.json()["error"] == "limit must be given once, as a whole number from 1 to 1000"


class TestOrder:
    def test_a_change_that_is_seen_after_a_later_one_is_told(self, user: User, database: Documents) -> None:
        """As when MongoDB gave it its stamp before the other, and a majority had it after that."""
        device = Device(user)
        user.add(MATRIX_ID)
        assert device.catch_up() == [("added", MATRIX_ID)]
        moment = datetime.now(UTC) - timedelta(seconds=5)
        late = {"userId": user.id, "contentId": MOVIE_IDS[0], "contentType": "movie"}
        database["mylist"].insert_one(late | {"addedAt": moment, "changedAt": moment})

        assert device.catch_up() == [("added", MOVIE_IDS[0])]
        assert device.catch_up() == []

    @pytest.mark.parametrize("seed", range(3))
    def test_no_token_skips_a_change_whoever_writes_at_the_same_time(
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
            device.catch_up()

        assert min(asked) > 1, "somebody asked before or after all the writes, so this test shows nothing"
        assert [device.items for device in devices] == [on_the_list(users[0])] * 3
