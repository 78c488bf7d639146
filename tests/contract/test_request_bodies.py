"""Request bodies as real clients send them: compressed, as forms, with a byte order mark, in a wrong encoding."""

import bz2
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import httpx
import pytest

from devtools.service_process import Service
from mylist.domain.limits import MAX_BODY_BYTES, max_import_bytes
from tests.conftest import Serve
from tests.contract.conftest import User, connect
from tests.contract.raw_http import Answer, send
from tests.contract.titles import MATRIX_ID, MOVIE_IDS

pytestmark = pytest.mark.usefixtures("unharmed")

JSON, LINES, FORM = "application/json", "application/x-ndjson", "application/x-www-form-urlencoded"
MARK = b"\xef\xbb\xbf"
ITEM = {"contentId": MATRIX_ID, "contentType": "movie"}
BODY = json.dumps(ITEM).encode()
LINE = BODY + b"\n"
OTHER_LINE = json.dumps({"contentId": MOVIE_IDS[0], "contentType": "movie"}).encode() + b"\n"
# Routes with a body: method, path, body.
CHANGES = [
    pytest.param("POST", "add", ITEM, id="add"),
    pytest.param("PUT", f"items/{MATRIX_ID}", {"contentType": "movie"}, id="put"),
    pytest.param("POST", "batch", {"add": [ITEM]}, id="batch"),
]


def ask(user: User, method: str, path: str, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = user.headers | {"content-type": JSON} | named
    return user.client.request(method, f"/api/mylist/{path}", content=body, headers=sent)


def import_(user: User, body: bytes | Iterator[bytes], query: str = "", **headers: str) -> httpx.Response:
    return ask(user, "POST", f"import{query}", body, **{"content_type": LINES, **headers})


def told(answer: httpx.Response | Answer) -> tuple[int, str]:
    return answer.status_code if isinstance(answer, httpx.Response) else answer.status, answer.json()["code"]


def outcomes(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line)["outcome"] for line in answer.text.splitlines()]


def errors(answer: httpx.Response) -> list[str]:
    return [json.loads(line).get("error", "") for line in answer.text.splitlines()]


def bytewise(body: bytes) -> Iterator[bytes]:
    return (body[place : place + 1] for place in range(len(body)))


class TestByteOrderMark:
    @pytest.mark.parametrize(("method", "path", "body"), CHANGES)
    def test_before_json_is_dropped(self, user: User, method: str, path: str, body: object) -> None:
        assert ask(user, method, path, MARK + json.dumps(body).encode()).is_success
        assert user.contents() == [MATRIX_ID]

    def test_before_the_json_of_contains_is_dropped(self, user: User) -> None:
        user.add(MATRIX_ID)
        answer = ask(user, "POST", "contains", MARK + json.dumps({"contentIds": [MATRIX_ID]}).encode())
        assert answer.json()["data"]["contains"] == [True]

    @pytest.mark.parametrize("query", ["", "?mode=replace"])
    @pytest.mark.parametrize("split", [lambda body: body, bytewise], ids=["at once", "byte by byte"])
    def test_before_an_import_is_dropped(
        self, user: User, query: str, split: Callable[[bytes], bytes | Iterator[bytes]]
    ) -> None:
        assert outcomes(import_(user, split(MARK + LINE + OTHER_LINE), query)) == ["added", "added"]

    def test_alone_is_an_empty_body(self, user: User) -> None:
        assert told(ask(user, "POST", "add", MARK)) == (400, "CONTENT_FIELDS_REQUIRED")

    def test_between_two_joined_files_is_dropped(self, user: User) -> None:
        assert outcomes(import_(user, LINE + MARK + OTHER_LINE)) == ["added", "added"]

    def test_anywhere_else_is_invalid(self, user: User) -> None:
        within = OTHER_LINE[:1] + MARK + OTHER_LINE[1:]
        assert outcomes(import_(user, LINE + within)) == ["added", "invalid"]
        assert told(ask(user, "POST", "add", MARK + MARK + BODY)) == (400, "INVALID_JSON")


class TestCharset:
    ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")

    @pytest.mark.parametrize("encoding", ENCODINGS)
    @pytest.mark.parametrize("media_type", [JSON, LINES])
    def test_utf_16_or_utf_32_in_the_body_is_415_and_named_in_the_error(
        self, user: User, media_type: str, encoding: str
    ) -> None:
        path = "add" if media_type == JSON else "import"
        answer = ask(user, "POST", path, LINE.decode().encode(encoding), content_type=media_type)

        assert told(answer) == (415, "UNSUPPORTED_CHARSET")
        assert answer.json()["error"] == f"The body is {encoding[:6].upper()}: save it as UTF-8"
        assert user.contents() == []

    @pytest.mark.parametrize("charset", ["utf-16", "UTF-16LE", '"utf-16"', "utf-32"])
    @pytest.mark.parametrize("media_type", [JSON, LINES])
    def test_utf_16_or_utf_32_in_the_content_type_header_is_415(
        self, user: User, media_type: str, charset: str
    ) -> None:
        path = "add" if media_type == JSON else "import"
        answer = ask(user, "POST", path, LINE, content_type=f"{media_type}; charset={charset}")
        assert told(answer) == (415, "UNSUPPORTED_CHARSET")

    @pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "us-ascii", "iso-8859-1"])
    def test_that_is_ascii_compatible_is_read_as_utf_8(self, user: User, charset: str) -> None:
        assert ask(user, "POST", "add", BODY, content_type=f"{JSON}; charset={charset}").status_code == 201

    def test_that_changes_within_an_import_is_reported_by_line(self, user: User) -> None:
        appended = OTHER_LINE.decode().encode("utf-16")
        answer = import_(user, LINE + appended)
        assert set(errors(answer)[1:]) == {"Not UTF-8: save the file as UTF-8"}

    @pytest.mark.parametrize("body", [b"\0", b"\0\0\0\0", b"{}\0\0", b"\x80\x04\x95\0"])
    def test_is_not_guessed_from_nul_bytes(self, user: User, body: bytes) -> None:
        assert told(ask(user, "POST", "add", body)) == (400, "INVALID_JSON")

    def test_of_latin_1_json_is_reported_as_not_utf_8(self, user: User) -> None:
        answer = ask(user, "POST", "add", b'{"contentId": "\xe9", "contentType": "movie"}')
        assert answer.json()["error"] == "The body is not UTF-8: save it as UTF-8"


def members(body: bytes) -> bytes:
    """Compress a body into several gzip members, as tools that compress in parallel do."""
    half = len(body) // 2
    return gzip.compress(body[:half]) + gzip.compress(body[half:])


COMPRESSED = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("x-gzip", gzip.compress, id="x-gzip"),
    pytest.param("GZIP", gzip.compress, id="GZIP"),
    pytest.param("identity, gzip", gzip.compress, id="identity beside it"),
    pytest.param("gzip", members, id="several members"),
    pytest.param("deflate", zlib.compress, id="deflate"),
]


class TestCompressed:
    @pytest.mark.parametrize(("coding", "compress"), COMPRESSED)
    def test_json_is_inflated(self, user: User, coding: str, compress: Callable[[bytes], bytes]) -> None:
        assert ask(user, "POST", "add", compress(BODY), content_encoding=coding).status_code == 201

    @pytest.mark.parametrize(("method", "path", "body"), CHANGES)
    def test_json_of_any_route_is_inflated(self, user: User, method: str, path: str, body: object) -> None:
        sent = gzip.compress(MARK + json.dumps(body).encode())
        assert ask(user, method, path, sent, content_encoding="gzip").is_success

    @pytest.mark.parametrize(("coding", "compress"), COMPRESSED)
    @pytest.mark.parametrize("split", [lambda body: body, bytewise], ids=["at once", "byte by byte"])
    def test_import_is_inflated_as_it_arrives(
        self,
        user: User,
        split: Callable[[bytes], bytes | Iterator[bytes]],
        coding: str,
        compress: Callable[[bytes], bytes],
    ) -> None:
        answer = import_(user, split(compress(MARK + LINE + OTHER_LINE)), content_encoding=coding)
        assert outcomes(answer) == ["added", "added"]

    @pytest.mark.parametrize("coding", ["", "identity", "Identity", "identity, identity"])
    def test_identity_means_uncompressed(self, user: User, coding: str) -> None:
        assert ask(user, "POST", "add", BODY, content_encoding=coding).status_code == 201

    @pytest.mark.parametrize(
        "coding", ["br", "zstd", "compress", "aws-chunked", "gzip, gzip", "deflate, gzip", "br, identity", "gzip;q=1"]
    )
    @pytest.mark.parametrize("path", ["add", "import"])
    def test_body_in_an_unsupported_coding_is_415_and_the_error_names_it(
        self, user: User, path: str, coding: str
    ) -> None:
        media_type = JSON if path == "add" else LINES
        answer = ask(user, "POST", path, gzip.compress(LINE), content_type=media_type, content_encoding=coding)

        assert told(answer) == (415, "UNSUPPORTED_CONTENT_ENCODING")
        assert coding.removesuffix(", identity") in answer.json()["error"]
        assert answer.headers["accept-encoding"] == "gzip, deflate, identity"
        assert user.contents() == []

    def test_codings_in_two_header_lines_count_as_one_list(self, service: Service) -> None:
        head = b"POST /api/mylist/add HTTP/1.1\r\nHost: x\r\nuser-id: u\r\nContent-Type: application/json\r\n"
        lines = b"Content-Encoding: gzip\r\nContent-Encoding: br\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        assert told(send(service.url, head + lines + BODY)) == (415, "UNSUPPORTED_CONTENT_ENCODING")

    BROKEN = (
        pytest.param("gzip", LINE, id="not compressed"),
        pytest.param("gzip", zlib.compress(LINE), id="zlib for gzip"),
        pytest.param("deflate", gzip.compress(LINE), id="gzip for deflate"),
        pytest.param("gzip", gzip.compress(LINE)[:-1], id="without its end"),
        pytest.param("gzip", gzip.compress(LINE)[:5], id="within the head"),
        pytest.param("gzip", gzip.compress(LINE) + b"more", id="something after it"),
        pytest.param("gzip", gzip.compress(LINE)[:-8] + bytes(8), id="another checksum"),
        pytest.param("deflate", zlib.compress(LINE) + zlib.compress(LINE), id="two zlib streams"),
        pytest.param("gzip", gzip.compress(b"") * 101 + gzip.compress(LINE), id="hundreds of members"),
        pytest.param("gzip", bz2.compress(LINE), id="bzip2"),
    )

    @pytest.mark.parametrize(("coding", "body"), BROKEN)
    @pytest.mark.parametrize("path", ["add", "import?mode=replace"])
    def test_body_that_cannot_be_decompressed_is_400(self, user: User, path: str, coding: str, body: bytes) -> None:
        media_type = JSON if path == "add" else LINES
        answer = ask(user, "POST", path, body, content_type=media_type, content_encoding=coding)

        assert told(answer) == (400, "INVALID_CONTENT_ENCODING")
        assert user.contents() == []

    @pytest.mark.parametrize("path", ["add", "import"])
    def test_body_without_a_content_encoding_header_is_400(self, user: User, path: str) -> None:
        answer = ask(user, "POST", path, gzip.compress(LINE), content_type=JSON if path == "add" else LINES)
        assert told(answer) == (400, "INVALID_CONTENT_ENCODING")
        assert answer.json()["error"] == "The body is gzip; Content-Encoding must say so"

    def test_long_import_that_is_truncated_changes_nothing(self, user: User) -> None:
        body = gzip.compress(LINE * 2_000, compresslevel=0)[:-1_000]
        answer = import_(user, body, content_encoding="gzip")

        assert told(answer) == (400, "INVALID_CONTENT_ENCODING")
        assert user.contents() == []

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_body_that_inflates_above_the_limit_is_413(self, user: User, coding: str) -> None:
        compress = gzip.compress if coding == "gzip" else zlib.compress
        answer = ask(user, "POST", "add", compress(BODY + b" " * MAX_BODY_BYTES), content_encoding=coding)
        assert told(answer) == (413, "BODY_TOO_LARGE")

    def test_body_that_inflates_to_exactly_the_limit_is_accepted(self, user: User) -> None:
        body = BODY + b" " * (MAX_BODY_BYTES - len(BODY))
        assert ask(user, "POST", "add", gzip.compress(body), content_encoding="gzip").status_code == 201

    def test_import_that_inflates_above_the_limit_is_413(self, serve: Serve, user_id: str) -> None:
        with connect(serve(MAX_LIST_SIZE="10")) as client:
            bomb = gzip.compress(b" " * (max_import_bytes(10) + 1))
            answer = import_(User(client, user_id), bomb, content_encoding="gzip")
        assert told(answer) == (413, "BODY_TOO_LARGE")

    def test_body_that_is_empty_is_an_empty_body(self, user: User) -> None:
        assert told(ask(user, "POST", "add", gzip.compress(b""), content_encoding="gzip")) == (
            400,
            "CONTENT_FIELDS_REQUIRED",
        )


class TestForm:
    def ask(self, user: User, body: str, method: str = "POST", path: str = "add", suffix: str = "") -> httpx.Response:
        return ask(user, method, path, body.encode(), content_type=FORM + suffix)

    def test_adds_an_item(self, user: User) -> None:
        assert self.ask(user, urlencode(ITEM)).status_code == 201
        assert user.contents() == [MATRIX_ID]

    def test_puts_an_item(self, user: User) -> None:
        assert self.ask(user, "contentType=movie", "PUT", f"items/{MATRIX_ID}").status_code == 201

    def test_may_be_percent_encoded_and_state_its_charset(self, user: User) -> None:
        body = f"contentId=%35{MATRIX_ID[1:]}&contentType=m%6fvie&"
        assert self.ask(user, body, suffix="; charset=UTF-8").status_code == 201

    def test_may_be_compressed(self, user: User) -> None:
        sent = gzip.compress(urlencode(ITEM).encode())
        assert ask(user, "POST", "add", sent, content_type=FORM, content_encoding="gzip").status_code == 201

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ("contentType=movie", "CONTENT_FIELDS_REQUIRED"),
            ("contentId=&contentType=movie", "CONTENT_FIELDS_REQUIRED"),
            (f"contentId={MATRIX_ID}&contentId={MATRIX_ID}&contentType=movie", "INVALID_FIELD"),
            (f"contentId={MATRIX_ID}&contentType=book", "INVALID_CONTENT_TYPE"),
            ("contentId=%FF&contentType=movie", "INVALID_JSON"),
            ("&".join(f"a{number}=b" for number in range(1001)), "INVALID_JSON"),
        ],
    )
    def test_that_is_invalid_is_400(self, user: User, body: str, code: str) -> None:
        assert told(self.ask(user, body)) == (400, code)

    @pytest.mark.parametrize(("site", "status"), [("same-origin", 201), ("same-site", 400), ("cross-site", 400)])
    def test_from_a_page_of_another_origin_is_refused(self, user: User, site: str, status: int) -> None:
        sent = urlencode(ITEM).encode()
        answer = ask(user, "POST", "add", sent, content_type=FORM, sec_fetch_site=site)
        assert answer.status_code == status

    @pytest.mark.parametrize("path", ["batch", "contains"])
    def test_is_rejected_on_routes_whose_fields_are_lists(self, user: User, path: str) -> None:
        assert told(self.ask(user, "contentIds=x", path=path)) == (400, "INVALID_JSON")


class TestImport:
    @pytest.mark.parametrize(
        "media_type",
        [
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/x-jsonlines",
            "application/json-lines",
            "Application/NDJSON; charset=utf-8",
        ],
    )
    def test_accepts_every_common_media_type_of_json_lines(self, user: User, media_type: str) -> None:
        assert outcomes(import_(user, LINE, content_type=media_type)) == ["added"]

    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("2024-01-20", "2024-01-20T00:00:00.000Z"),
            ("2000-02-29", "2000-02-29T00:00:00.000Z"),
            ("2024-01-20T10:30:00Z", "2024-01-20T10:30:00.000Z"),
            ("2024-01-20T10:30:00.5+02:00", "2024-01-20T08:30:00.500Z"),
        ],
    )
    def test_converts_dates_to_utc_and_reads_a_bare_date_as_midnight(self, user: User, given: str, meant: str) -> None:
        assert outcomes(import_(user, json.dumps(ITEM | {"addedAt": given}).encode())) == ["added"]
        assert user.items().json()["data"]["items"][0]["addedAt"] == meant

    @pytest.mark.parametrize(
        "given",
        ["", "2024-01-20T10:30:00", "2024-02-30", "2024-1-2", "20.01.2024", "yesterday", 1705746600000, True, [], {}],
    )
    def test_explains_the_date_format_if_a_date_is_invalid(self, user: User, given: object) -> None:
        [error] = errors(import_(user, json.dumps(ITEM | {"addedAt": given}).encode()))
        assert error == (
            "No line is an item: line 1: addedAt must be a date, as in 2024-01-20, or a date with time and zone, "
            "as in 2024-01-20T10:30:00Z"
        )
        assert user.contents() == []
