"""Hostile values in bodies, paths, queries and the user-id header."""

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from pymongo.database import Database
from redis import Redis

from devtools.service_process import Service
from tests.contract.conftest import SECRET, User
from tests.contract.titles import MATRIX_ID, MOVIE_IDS, SHOW_ID

pytestmark = pytest.mark.usefixtures("unharmed")

LIMIT = 64 * 1024
GOOD = f'{{"contentId":"{MATRIX_ID}","contentType":"movie"}}'
OPERATORS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$in": [MATRIX_ID]},
    {"$where": "sleep(1000)"},
    {"$oid": MATRIX_ID},
    {"$numberLong": "1"},
    [{"$ne": None}],
]


def add(user: User, body: str | bytes, content_type: str = "application/json") -> httpx.Response:
    headers = {**user.headers, "Content-Type": content_type, "Authorization": f"Bearer {SECRET}"}
    return user.client.post("/api/mylist/add", content=body, headers=headers)


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def victim(client: httpx.Client) -> User:
    """A user with a list that no other user may see or change."""
    victim = User(client, f"victim-{uuid4().hex}")
    for content_id in MOVIE_IDS[:3]:
        victim.add(content_id)
    return victim


class TestOperatorInjection:
    @pytest.mark.parametrize("value", OPERATORS, ids=json.dumps)
    def test_in_a_body_field_is_refused(self, user: User, value: Any) -> None:
        assert told(user.add(value)) == (400, "INVALID_FIELD")
        assert told(user.add(MATRIX_ID, value)) == (400, "INVALID_FIELD")
        assert user.contents() == []

    @pytest.mark.parametrize("value", OPERATORS, ids=json.dumps)
    @pytest.mark.parametrize("field", ["userId", "$set", "__proto__"])
    def test_in_an_unknown_field_is_refused(self, user: User, field: str, value: Any) -> None:
        body = {"contentId": MATRIX_ID, "contentType": "movie", field: value}
        assert told(add(user, json.dumps(body))) == (400, "INVALID_FIELD")
        assert user.contents() == []

    @pytest.mark.parametrize("value", OPERATORS, ids=json.dumps)
    def test_in_the_user_id_is_refused(self, client: httpx.Client, victim: User, value: Any) -> None:
        attacker = User(client, json.dumps(value))
        assert told(attacker.items()) == (400, "INVALID_USER_ID")
        assert told(attacker.remove(MOVIE_IDS[0])) == (400, "INVALID_USER_ID")
        assert len(victim.contents()) == 3

    @pytest.mark.parametrize("value", ["$ne", '{"$ne":null}', "[$ne]=", ".*", "*", "true", "1==1", "';return true;'"])
    def test_in_the_path_matches_no_item(self, victim: User, value: str) -> None:
        assert told(victim.remove(quote(value, safe=""))) == (404, "ITEM_NOT_IN_LIST")
        assert len(victim.contents()) == 3

    @pytest.mark.parametrize(
        "query",
        [
            "page[$ne]=1&pageSize[$gt]=0",
            'page={"$ne":null}',
            "user-id=victim&userId=victim",
            "page=1&page=2&pageSize=1&pageSize=9999",
            "page=-1&pageSize=-1",
            "page=1e309&pageSize=NaN",
            "page=9999999999999999999999&pageSize=9999999999999999999999",
            "page=%00&pageSize=%ff",
            "page=%F0%9D%9F%8F",
            "page=٢".encode().decode("latin-1"),
            "&&==&=",
            "&".join(f"p{number}=1" for number in range(1500)),
        ],
    )
    def test_in_the_query_returns_a_page_within_the_limits(self, user: User, query: str) -> None:
        answer = user.items(f"?{query}")
        assert answer.status_code == 200
        assert answer.json()["data"]["items"] == []
        assert 1 <= answer.json()["data"]["pageSize"] <= 100


class TestUserId:
    @pytest.mark.parametrize(
        "user_id",
        [
            "*",
            "?",
            "[a-z]",
            "user-*",
            "}{",
            "{a}",
            "{",
            "}",
            "mylist:{a}",
            "\\*",
            "a,b",
            "a b",
            "$where",
            "%2a",
            "a\tb",
            "<script>",
            "' or 1=1 --",
            "\x80",
            "\xff" * 100,
            "x" * 129,
            "x" * 10_000,
            "{" * 10_000,
        ],
        ids=lambda user_id: ascii(user_id[:20]),
    )
    def test_that_could_be_a_pattern_or_part_of_a_key_is_refused(
        self, client: httpx.Client, victim: User, user_id: str
    ) -> None:
        headers = httpx.Headers([(b"user-id", user_id.encode("latin-1")), (b"authorization", SECRET.encode())])
        body = {"contentId": MATRIX_ID, "contentType": "movie"}
        for answer in (
            client.get("/api/mylist/items", headers=headers),
            client.get("/api/mylist/stats", headers=headers),
            client.post("/api/mylist/add", json=body, headers=headers),
            client.delete(f"/api/mylist/remove/{MOVIE_IDS[0]}", headers=headers),
        ):
            assert told(answer) == (400, "INVALID_USER_ID")
        assert len(victim.contents()) == 3

    def test_limits_changes_to_the_data_of_that_user(
        self, user: User, victim: User, redis_url: str, database: Database[dict[str, Any]]
    ) -> None:
        assert len(victim.contents()) == 3
        with Redis.from_url(redis_url) as redis:
            before = redis.get(f"mylist:{{{victim.id}}}")
            user.add(MATRIX_ID)
            user.remove(MATRIX_ID)
            assert redis.get(f"mylist:{{{victim.id}}}") == before
            assert before
        assert database["mylist"].count_documents({"userId": victim.id}) == 3


class TestText:
    @pytest.mark.parametrize(
        "body",
        [
            b'{"contentId":"\xff","contentType":"movie"}',
            b'{"contentId":"\xc0\xaf","contentType":"movie"}',
            b'{"contentId":"\xed\xa0\x80","contentType":"movie"}',
            b'{"contentId":"\xf4\x90\x80\x80","contentType":"movie"}',
            b'{"contentId":"\xe2\x82","contentType":"movie"}',
            b'{"\xff":1,"contentId":"x","contentType":"movie"}',
            b'{"x":["\xff"],"contentId":"x","contentType":"movie"}',
        ],
    )
    def test_that_is_not_utf_8_is_400(self, user: User, body: bytes) -> None:
        assert told(add(user, body)) == (400, "INVALID_JSON")

    @pytest.mark.parametrize("text", ["\\ud800", "\\udc00x", "\\ud800\\ud800", "\\udc00\\ud800", "\\ud83d\\u0041"])
    def test_with_a_lone_surrogate_is_400(self, user: User, text: str) -> None:
        assert told(add(user, f'{{"contentId":"{text}","contentType":"movie"}}')) == (400, "INVALID_JSON")

    def test_with_a_raw_nul_is_400_and_with_an_escaped_nul_404(self, user: User) -> None:
        assert told(add(user, '{"contentId":"\0","contentType":"movie"}')) == (400, "INVALID_JSON")
        assert told(add(user, GOOD + "\0")) == (400, "INVALID_JSON")
        assert told(add(user, '{"contentId":"\\u0000","contentType":"movie"}')) == (404, "CONTENT_NOT_FOUND")
        assert told(add(user, f'{{"contentId":"{MATRIX_ID}\\u0000","contentType":"movie"}}'))[0] == 404

    @pytest.mark.parametrize("encoding", ["utf-7", "cp037"])
    def test_in_an_unsupported_encoding_is_400(self, user: User, encoding: str) -> None:
        body = "+AHs-" if encoding == "utf-7" else GOOD
        assert told(add(user, body.encode(encoding))) == (400, "INVALID_JSON")

    def test_that_only_looks_like_a_content_id_is_404(self, user: User) -> None:
        fullwidth = "".join(chr(ord(each) + 0xFEE0) for each in MATRIX_ID)
        arabic = "".join(chr(0x0660 + int(each)) if each.isdigit() else each for each in MATRIX_ID)
        for content_id in (fullwidth, arabic, MATRIX_ID + "\u200b", "\u202e" + MATRIX_ID[1:]):
            assert told(user.add(content_id)) == (404, "CONTENT_NOT_FOUND")
            assert told(user.remove(content_id)) == (404, "ITEM_NOT_IN_LIST")

    def test_that_only_looks_like_a_content_type_is_400(self, user: User) -> None:
        for content_type in ("m\u043evie", "MOVIE", "movie\u0000", "movie\n", "tvshow "):
            assert told(user.add(MATRIX_ID, content_type)) == (400, "INVALID_CONTENT_TYPE")


class TestJson:
    @pytest.mark.parametrize("depth", [1_100, 10_000, 60_000])
    @pytest.mark.parametrize("start", ['{"x":', '{"contentId":', '{"contentType":"movie","contentId":'])
    @pytest.mark.parametrize("bracket", ["[", '{"a":'])
    def test_with_deep_unclosed_nesting_is_400(self, user: User, start: str, bracket: str, depth: int) -> None:
        body = start + bracket * min(depth, (LIMIT - len(start)) // len(bracket))
        assert told(add(user, body))[0] == 400

    def test_with_deep_well_formed_nesting_is_400(self, user: User) -> None:
        assert told(add(user, f'{{"x":{"[" * 30_000}{"]" * 30_000},{GOOD[1:]}')) == (400, "INVALID_JSON")

    def test_that_is_both_too_large_and_too_deep_is_413(self, user: User) -> None:
        assert told(add(user, "[" * 100_000)) == (413, "BODY_TOO_LARGE")
        assert told(add(user, f'{{"x":{"[" * 100_000}{"]" * 100_000}}}')) == (413, "BODY_TOO_LARGE")

    def test_at_the_size_limit_is_accepted_and_one_byte_more_is_413(self, user: User) -> None:
        padded = GOOD + " " * (LIMIT - len(GOOD))
        assert len(padded) == LIMIT
        assert told(add(user, padded + " ")) == (413, "BODY_TOO_LARGE")
        assert user.contents() == []
        assert add(user, padded).status_code == 201

    def test_that_is_far_too_large_is_413(self, user: User) -> None:
        assert told(add(user, GOOD[:-1] + ',"x":"' + "y" * 5_000_000 + '"}')) == (413, "BODY_TOO_LARGE")

    @pytest.mark.parametrize(
        "value", ["9" * 60_000, "-1e999999", "1" + "0" * 400, "0." + "1" * 60_000, '"' + "\\n" * 9_000 + '"']
    )
    def test_with_a_huge_value_in_an_unknown_field_is_400(self, user: User, value: str) -> None:
        answer = add(user, f'{{"x":{value},{GOOD[1:]}')
        assert told(answer) == (400, "INVALID_FIELD")
        assert len(answer.content) < 1000

    def test_with_a_huge_content_id_is_400_as_a_number_and_404_as_text(self, user: User) -> None:
        assert told(add(user, f'{{"contentType":"movie","contentId":{"9" * 60_000}}}')) == (400, "INVALID_FIELD")
        answer = user.add("9" * 60_000)
        assert told(answer) == (404, "CONTENT_NOT_FOUND")
        assert len(answer.content) < 1000

    def test_with_thousands_of_keys_or_a_huge_key_is_400(self, user: User) -> None:
        many = ",".join(f'"k{number}":0' for number in range(5_000))
        assert told(add(user, f"{{{many},{GOOD[1:]}")) == (400, "INVALID_FIELD")
        assert told(add(user, f'{{"{"k" * 60_000}":0,{GOOD[1:]}')) == (400, "INVALID_FIELD")

    def test_with_a_duplicate_key_uses_the_last_value(self, user: User) -> None:
        twice = f'{{"contentId":"{SHOW_ID}","contentType":"tvshow",{GOOD[1:]}'
        assert add(user, twice).status_code == 201
        assert user.contents() == [MATRIX_ID]

    def test_with_a_duplicate_key_is_400_if_either_value_has_a_wrong_type(self, user: User) -> None:
        for body in (f'{{"contentId":{{"$ne":null}},{GOOD[1:]}', f'{GOOD[:-1]},"contentId":{{"$ne":null}}}}'):
            assert told(add(user, body)) == (400, "INVALID_FIELD")
        assert user.contents() == []

    @pytest.mark.parametrize("value", [0, -1, 1.5, True, False, [], {}, [None], {"a": {"b": []}}], ids=json.dumps)
    @pytest.mark.parametrize("field", ["contentId", "contentType"])
    def test_with_a_field_of_a_wrong_type_is_400(self, user: User, field: str, value: Any) -> None:
        body = json.loads(GOOD) | {field: value}
        assert told(add(user, json.dumps(body))) == (400, "INVALID_FIELD")

    @pytest.mark.parametrize("body", ["null", "0", "1.5", "true", '""', '"x"', "[]", "[{}]", f"[{GOOD}]"])
    def test_that_is_not_an_object_is_400(self, user: User, body: str) -> None:
        assert told(add(user, body)) == (400, "INVALID_JSON")

    @pytest.mark.parametrize(
        "body",
        [
            GOOD + GOOD,
            GOOD + "x",
            GOOD[:-1],
            "x" + GOOD,
            f"({GOOD})",
            f"x={GOOD}",
            f"{GOOD[:-1]},}}",
            f"callback({GOOD})",
            "NaN",
            "{'a':1}",
            '{"x":NaN}',
            '{"x":Infinity}',
            '{"x":01}',
            '{"x":undefined}',
            "{}//",
            "{\x0b}",
            "<a/>",
        ],
    )
    def test_that_is_almost_valid_is_400(self, user: User, body: str) -> None:
        assert told(add(user, body)) == (400, "INVALID_JSON")

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "text/json",
            "application/xml",
            "multipart/form-data; boundary=x",
            "application/json, text/plain",
            "application/jsonp",
            "application",
            "/",
            ";",
        ],
    )
    def test_with_another_content_type_is_400(self, user: User, content_type: str) -> None:
        """Otherwise, a web page could send JSON to the service without a CORS preflight."""
        assert told(add(user, GOOD, content_type)) == (400, "INVALID_JSON")


def test_errors_and_the_log_contain_no_secrets_of_clients(user: User, service: Service) -> None:
    headers = user.headers | {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "X-Api-Key": SECRET}
    for path in ("/nowhere", "/api/mylist/items", "/api/mylist/remove/x"):
        answer = user.client.delete(f"{path}?token={SECRET}", headers=headers)
        assert answer.status_code >= 400
        assert SECRET not in answer.text
    assert SECRET not in service.log.read_text()
