"""HTTP that no well-behaved client sends: heads, lengths and protocols that are almost HTTP/1.1.

The service refuses every message that a proxy could read differently, and closes the connection. So a proxy and the
service never disagree about where one request ends and the next begins.
"""

import pytest

from devtools.service_process import Service
from tests.contract.conftest import SECRET
from tests.contract.raw_http import Answer, answers, exchange, send
from tests.contract.response_schemas import check_shape
from tests.contract.titles import MATRIX_ID

pytestmark = pytest.mark.usefixtures("unharmed")

BODY = f'{{"contentId": "{MATRIX_ID}", "contentType": "movie"}}'.encode()
# A smuggled request, inside the bytes that its sender declares as the body of another request.
HIDDEN = b"DELETE /api/mylist/remove/x HTTP/1.1\r\nHost: x\r\nuser-id: victim\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
OF_BODY = b"Content-Length: %d\r\n" % len(BODY)

# Valid and invalid text after the size of a chunk (RFC 9112, section 7.1.1).
GOOD_EXTENSIONS = (
    b";a",
    b";a=b",
    b" ; a = b",
    b';\ta="b c"',
    b';a="\\"\xe9";b',
    b';a=""',
    b";chunk-signature=" + b"0" * 64,
)
BAD_EXTENSIONS = (
    b";",
    b";;a",
    b";a=",
    b";=b",
    b";a b",
    b" a",
    b" ",
    b",a",
    b";a=b c",
    b';a="b',
    b';a="b"c',
    b";a=(b)",
    b";a\x00",
    b";a\n",
    b';a="\n"',
    b";a\r",
    b";\xc2\xa0a",
    b";" + b"a" * 300,
)


def request(line: bytes = b"GET /health HTTP/1.1", headers: bytes = b"", body: bytes = b"") -> bytes:
    credentials = f"user-id: smuggler\r\nAuthorization: Bearer {SECRET}\r\nCookie: session={SECRET}\r\n".encode()
    return line + b"\r\nHost: x\r\n" + credentials + headers + b"\r\n" + body


def add(headers: bytes, body: bytes) -> bytes:
    return request(b"POST /api/mylist/add HTTP/1.1", b"Content-Type: application/json\r\n" + headers, body)


def told(answer: Answer) -> tuple[int, str]:
    check_shape("", "", answer.status, answer.body)
    return answer.status, answer.json()["code"]


def assert_refused(service: Service, sent: bytes, status: int = 400, code: str = "BAD_REQUEST") -> None:
    """Check that the only answer is this error, and that the service ignores all further bytes on the connection."""
    [answer] = answers(service.url, sent + HIDDEN)
    assert told(answer) == (status, code)
    assert answer.headers["connection"] == "close"


class TestHead:
    @pytest.mark.parametrize(
        "header",
        [
            pytest.param(b"Content-Length : 70\r\n", id="blank before the colon"),
            pytest.param(b"Transfer-Encoding : chunked\r\n", id="blank before the colon of the encoding"),
            pytest.param(b"Transfer-Encoding\t: chunked\r\n", id="tab before the colon"),
            pytest.param(b" Content-Length: 70\r\n", id="blank before the name"),
            pytest.param(b"X: a\r\n b: c\r\n", id="folded line"),
            pytest.param(b"X: a\r\n\tb\r\n", id="folded line without a colon"),
            pytest.param(b"X: a\nContent-Length: 70\r\n", id="bare LF"),
            pytest.param(b"X: a\rContent-Length: 70\r\n", id="bare CR"),
            pytest.param(b"X: a\x00b\r\n", id="NUL in a value"),
            pytest.param(b"X\x00: a\r\n", id="NUL in a name"),
            pytest.param(b"X: a\x0bb\r\n", id="control character in a value"),
            pytest.param(b"X: a\x7f\r\n", id="DEL in a value"),
            pytest.param(b": a\r\n", id="no name"),
            pytest.param(b"no colon\r\n", id="no colon"),
            pytest.param(b"X(a): b\r\n", id="name that is no token"),
            pytest.param(b"Content-Lengt\xe2\x84\x8e: 70\r\n", id="name in another script"),
            pytest.param(b"Host: y\r\n", id="second host"),
        ],
    )
    def test_malformed_header_is_refused(self, service: Service, header: bytes) -> None:
        assert_refused(service, request(headers=header))

    def test_user_id_with_a_nul_is_refused(self, service: Service) -> None:
        assert_refused(service, b"GET /api/mylist/items HTTP/1.1\r\nHost: x\r\nuser-id: a\x00b\r\n\r\n")

    @pytest.mark.parametrize("blank", ["\xa0", "\x85", "\u1680", "\u2000", "\u2028", "\u202f", "\u205f", "\u3000"])
    @pytest.mark.parametrize("place", ["{}victim", "victim{}", " {} victim", "{}"])
    def test_user_id_with_non_ascii_whitespace_is_refused(self, service: Service, place: str, blank: str) -> None:
        user = place.format(blank).encode()
        sent = b"GET /api/mylist/items HTTP/1.1\r\nHost: x\r\nConnection: close\r\nuser-id: " + user + b"\r\n\r\n"
        [answer] = answers(service.url, sent)
        assert answer.status == 400

    @pytest.mark.parametrize("user", [b" victim", b"\tvictim \t", b"victim "])
    def test_user_id_with_spaces_or_tabs_around_it_is_accepted(self, service: Service, user: bytes) -> None:
        sent = b"GET /api/mylist/items HTTP/1.1\r\nHost: x\r\nConnection: close\r\nuser-id:" + user + b"\r\n\r\n"
        [answer] = answers(service.url, sent)
        assert answer.status == 200

    @pytest.mark.parametrize("lines", [1, 2, 4])
    def test_after_up_to_four_empty_lines_is_accepted(self, service: Service, lines: int) -> None:
        sent = b"\r\n" * lines + request()
        first, second = answers(service.url, sent + b"\r\n" * lines + request(headers=b"Connection: close\r\n"))
        assert (first.status, second.status) == (200, 200)

    def test_after_a_body_and_an_empty_line_is_accepted(self, service: Service) -> None:
        sent = add(OF_BODY, BODY + b"\r\n") + request(headers=b"Connection: close\r\n")
        assert [answer.status for answer in answers(service.url, sent)] in ([201, 200], [409, 200])

    @pytest.mark.parametrize("before", [b"\r\n" * 5, b"\n", b"\r", b" \r\n", b"\r\n \r\n", b"\r\n\n"])
    def test_after_too_many_or_malformed_empty_lines_is_refused(self, service: Service, before: bytes) -> None:
        assert_refused(service, before + request())

    def test_user_id_sent_twice_is_refused(self, service: Service) -> None:
        twice = request(b"GET /api/mylist/items HTTP/1.1", b"user-id: victim\r\nConnection: close\r\n")
        [answer] = answers(service.url, twice)
        assert told(answer) == (400, "INVALID_USER_ID")

    def test_user_id_header_written_with_an_underscore_is_ignored(self, service: Service) -> None:
        sent = b"GET /api/mylist/items HTTP/1.1\r\nHost: x\r\nuser_id: victim\r\nConnection: close\r\n\r\n"
        [answer] = answers(service.url, sent)
        assert told(answer) == (400, "USER_ID_REQUIRED")

    def test_missing_host_is_refused(self, service: Service) -> None:
        assert_refused(service, b"GET /health HTTP/1.1\r\n\r\n")

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"GET /health",
            b"GET /health HTTP/1.1 ",
            b"GET\t/health\tHTTP/1.1",
            b"GET  /health HTTP/1.1",
            b"GET /health HTTP/1.2",
            b"GET /health http/1.1",
            b"GET /health HTTP/1.1\nX: a",
            b"G{}T /health HTTP/1.1",
            b"G\xc3\x89T /health HTTP/1.1",
            b"\x00GET /health HTTP/1.1",
            b"PRI * HTTP/2.0",
        ],
    )
    def test_malformed_request_line_is_refused(self, service: Service, line: bytes) -> None:
        assert_refused(service, request(line))

    def test_http_2_preface_is_refused(self, service: Service) -> None:
        assert_refused(service, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")

    @pytest.mark.parametrize("body", [b"", b"{}"], ids=["without a body", "with a body"])
    def test_upgrade_to_another_protocol_is_ignored(self, service: Service, body: bytes) -> None:
        for wish in (
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ):
            headers = b"Connection: Upgrade\r\nContent-Length: %d\r\n" % len(body) + wish
            [answer] = answers(service.url, request(headers=headers, body=body))
            assert answer.status == 200


class TestTarget:
    @pytest.mark.parametrize(
        "target",
        [
            b"victim.example:443",
            b"health",
            b"?page=1",
            b"http://x",
            b"http://x?page=1",
            b"http:///health",
            b"http://[::1/health",
            b"ftp://x/health",
            b"/health#fragment",
            b"/h\xc3\xa9alth",
            b"/h\x00ealth",
            b"/h\x7fealth",
            b"\\health",
            b"*health",
        ],
    )
    @pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"CONNECT"])
    def test_that_is_invalid_is_refused(self, service: Service, method: bytes, target: bytes) -> None:
        assert_refused(service, request(method + b" " + target + b" HTTP/1.1"))

    @pytest.mark.parametrize("target", [b"http://x/health", b"HTTP://x:80/health?a=b", b"http://me:hunter2@x/health"])
    def test_in_absolute_form_is_routed_by_its_path(self, service: Service, target: bytes) -> None:
        assert send(service.url, request(b"GET " + target + b" HTTP/1.1")).status == 200

    @pytest.mark.parametrize(
        "target",
        [
            b"*",
            b"/..",
            b"/../health",
            b"/./health",
            b"/x/../health",
            b"/health/..",
            b"/health/.",
            b"/%2e%2e/health",
            b"/..%2fhealth",
            b"/%68ealth",
            b"/health%00",
            b"/health;x",
            b"/health%3fx",
            b"//x/health",
            b"/\\health",
            b"/%",
            b"/%ff%fe",
            b"/api/mylist/items/..;/stats",
            b"/api/mylist/remove/x/../../items",
            b"/api/mylist/remove",
        ],
    )
    @pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"CONNECT", b"DELETE"])
    def test_without_a_route_is_404_even_if_its_normalized_form_has_one(
        self, service: Service, method: bytes, target: bytes
    ) -> None:
        answer = send(service.url, request(method + b" " + target + b" HTTP/1.1"))
        assert told(answer) == (404, "ROUTE_NOT_FOUND")

    def test_of_a_route_with_an_unknown_method_is_405(self, service: Service) -> None:
        for method in (b"CONNECT", b"TRACE", b"get", b"M" * 9000):
            assert told(send(service.url, request(method + b" /health HTTP/1.1"))) == (405, "METHOD_NOT_ALLOWED")


class TestLength:
    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"+5",
            b"-5",
            b"5,5",
            b"5, 5",
            b"5;",
            b"0x5",
            b"5_0",
            b"five",
            b"5 0",
            b"\x0b5",
            b"\xd9\xa5",
            b"\xef\xbc\x95",
            b"\xc2\xa05",
            b"9" * 5000,
        ],
    )
    def test_that_is_not_a_valid_number_is_refused(self, service: Service, value: bytes) -> None:
        assert_refused(service, add(b"Content-Length: " + value + b"\r\n", BODY))

    @pytest.mark.parametrize(
        "headers",
        [
            OF_BODY + b"Content-Length: 5\r\n",
            OF_BODY + OF_BODY,
            OF_BODY + CHUNKED,
            CHUNKED + OF_BODY,
            CHUNKED + CHUNKED,
            CHUNKED + b"Transfer-Encoding: identity\r\n",
        ],
    )
    def test_declared_twice_is_refused(self, service: Service, headers: bytes) -> None:
        assert_refused(service, add(headers, BODY))

    @pytest.mark.parametrize("value", [65537, 2**31, 2**32 + 5, 2**63, 10**300])
    def test_over_the_limit_is_413(self, service: Service, value: int) -> None:
        assert_refused(service, add(b"Content-Length: %d\r\n" % value, BODY), 413, "BODY_TOO_LARGE")

    @pytest.mark.parametrize(
        "encoding",
        [
            b"",
            b"identity",
            b"gzip",
            b"gzip, chunked",
            b"chunked, identity",
            b"chunked, chunked",
            b"xchunked",
            b'"chunked"',
            b"Chunked;q=1",
            b"\x0bchunked",
            b"\xc2\xa0chunked",
        ],
    )
    def test_transfer_encoding_other_than_chunked_is_refused(self, service: Service, encoding: bytes) -> None:
        assert_refused(service, add(b"Transfer-Encoding: " + encoding + b"\r\n", b"0\r\n\r\n"))

    def test_chunked_encoding_from_an_http_1_0_client_is_refused(self, service: Service) -> None:
        assert_refused(service, request(b"POST /api/mylist/add HTTP/1.0", CHUNKED, b"0\r\n\r\n"))

    def test_shorter_than_the_body_leaves_the_rest_as_a_malformed_request(self, service: Service) -> None:
        first, second = answers(service.url, add(b"Content-Length: 5\r\n", BODY + b"\r\n\r\n"))
        assert told(first) == (400, "INVALID_JSON")
        assert told(second) == (400, "BAD_REQUEST")
        assert second.headers["connection"] == "close"


class TestChunks:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"zz\r\n{}\r\n0\r\n\r\n", id="no number"),
            pytest.param(b"\r\n2\r\n{}\r\n0\r\n\r\n", id="empty size"),
            pytest.param(b"+2\r\n{}\r\n0\r\n\r\n", id="sign"),
            pytest.param(b"-2\r\n{}\r\n0\r\n\r\n", id="negative"),
            pytest.param(b"2\r\n{}\r\n-0\r\n\r\n", id="negative zero"),
            pytest.param(b"0x2\r\n{}\r\n0\r\n\r\n", id="prefix"),
            pytest.param(b"0_2\r\n{}\r\n0\r\n\r\n", id="underscore"),
            pytest.param(b" 2\r\n{}\r\n0\r\n\r\n", id="blank"),
            pytest.param(b"\xd9\xa2\r\n{}\r\n0\r\n\r\n", id="digit of another script"),
            pytest.param(b"2\n{}\r\n0\r\n\r\n", id="bare LF"),
            pytest.param(b"2\r\n{}XX0\r\n\r\n", id="longer than its size"),
            pytest.param(b"2\r\n{}\n\n0\r\n\r\n", id="ended by other bytes"),
            pytest.param(b"3\r\n{}\r\n0\r\n\r\n", id="shorter than its size"),
            pytest.param(b"2\r\n{}\r\n0\r\nContent-Length: 70\r\n\r\n", id="trailer with a length"),
            pytest.param(b"2\r\n{}\r\n0\r\ntransfer-encoding: chunked\r\n\r\n", id="trailer with an encoding"),
            pytest.param(b"2\r\n{}\r\n0\r\nX: y\r\nHost: y\r\n\r\n", id="trailer with a host"),
            pytest.param(b"2\r\n{}\r\n0\r\nX\r\n\r\n", id="trailer without a colon"),
            pytest.param(b"2\r\n{}\r\n0\r\nX : y\r\n\r\n", id="trailer with a blank before the colon"),
            pytest.param(b"2\r\n{}\r\n0\r\nX: y\r\n z\r\n\r\n", id="trailer that is folded"),
            pytest.param(b"2\r\n{}\r\n0\r\nX: \x00\r\n\r\n", id="trailer with a NUL"),
            pytest.param(b"2\r\n{}\r\n0\r\nX: y\n\r\n\r\n", id="trailer with a bare LF"),
            pytest.param(b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 33 + b"\r\n", id="too many trailers"),
            pytest.param(b"2\r\n{}\r\n0\r\nX: " + b"y" * 5000 + b"\r\n\r\n", id="trailer of some length"),
            pytest.param(b"2\r\n{}\r\n0\r\n" + HIDDEN, id="trailer that is a request"),
            pytest.param(b"2" * 300, id="size without end"),
            *(pytest.param(b"2" + each + b"\r\n{}\r\n0\r\n\r\n", id=repr(each)) for each in BAD_EXTENSIONS),
            pytest.param(b"2\r\n{}\r\n0;\r\n\r\n", id="extension of the last chunk"),
            pytest.param((b"1;" + b"a" * 200 + b"\r\n \r\n") * 100 + b"0\r\n\r\n", id="extensions without end"),
        ],
    )
    def test_that_are_malformed_are_refused(self, service: Service, body: bytes) -> None:
        assert_refused(service, add(CHUNKED, body))

    @pytest.mark.parametrize("body", [b"ffffffffffffffffff\r\n{}", b"10001\r\n{}"])
    def test_over_the_limit_are_413(self, service: Service, body: bytes) -> None:
        assert_refused(service, add(CHUNKED, body), 413, "BODY_TOO_LARGE")

    def test_are_joined_into_the_body(self, service: Service, user_id: str) -> None:
        size = b"%x" % (len(BODY) - 1)
        body = b"1;note=ignored\r\n{\r\n00" + size + b"\r\n" + BODY[1:] + b"\r\n0\r\n\r\n"
        sent = add(CHUNKED, body).replace(b"smuggler", user_id.encode())
        assert send(service.url, sent).status == 201

    @pytest.mark.parametrize("extension", GOOD_EXTENSIONS)
    def test_may_have_extensions(self, service: Service, user_id: str, extension: bytes) -> None:
        body = b"%x" % len(BODY) + extension + b"\r\n" + BODY + b"\r\n0" + extension + b"\r\n\r\n"
        sent = add(CHUNKED, body).replace(b"smuggler", user_id.encode())
        assert send(service.url, sent).status == 201

    @pytest.mark.parametrize(
        "trailers", [b"X-Sum: 1\r\n", b"a:\r\nB:  c \r\n", b"x-amz-checksum-crc32: \xff=\r\n", b"X: y\r\n" * 32]
    )
    def test_may_have_trailers_which_are_ignored(self, service: Service, user_id: str, trailers: bytes) -> None:
        body = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n" + trailers + b"\r\n"
        sent = add(CHUNKED, body).replace(b"smuggler", user_id.encode())
        first, second = answers(service.url, sent + request(headers=b"Connection: close\r\n"))
        assert (first.status, second.status) == (201, 200)

    @pytest.mark.parametrize("encoding", [b"Chunked", b"CHUNKED", b"chunked ", b"chunked\t ", b" \tchunkeD"])
    def test_may_be_declared_in_any_case_and_with_whitespace(
        self, service: Service, user_id: str, encoding: bytes
    ) -> None:
        sent = add(b"Transfer-Encoding:" + encoding + b"\r\n", b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n")
        assert send(service.url, sent.replace(b"smuggler", user_id.encode())).status == 201

    @pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PUT"])
    def test_that_are_malformed_smuggle_no_request_where_no_body_is_expected(
        self, service: Service, method: bytes
    ) -> None:
        received = exchange(service.url, request(method + b" /health HTTP/1.1", CHUNKED, b"zz\r\n") + HIDDEN)
        assert b"victim" not in received
        assert received.count(b"HTTP/1.1 ") == 1


class TestUnexpectedBody:
    """The service reads and discards such a body. The bytes after it are the next request."""

    @pytest.mark.parametrize(
        "line",
        [b"GET /health", b"OPTIONS /health", b"DELETE /api/mylist/remove/x", b"POST /nowhere", b"PUT /health"],
    )
    def test_is_not_parsed_as_the_next_request(self, service: Service, line: bytes) -> None:
        headers = b"Content-Length: %d\r\n" % len(HIDDEN)
        sent = request(line + b" HTTP/1.1", headers, HIDDEN) + request(headers=b"Connection: close\r\n")
        first, second = answers(service.url, sent)
        assert first.status in {200, 204, 404, 405}
        assert second.json()["status"] == "ok"

    def test_in_chunks_closes_the_connection(self, service: Service) -> None:
        sent = request(b"OPTIONS /health HTTP/1.1", CHUNKED, b"1\r\n \r\n0\r\n\r\n")
        [answer] = answers(service.url, sent + HIDDEN)
        assert answer.status == 204
        assert answer.headers["connection"] == "close"

    def test_over_the_limit_closes_the_connection(self, service: Service) -> None:
        headers = b"Content-Length: 500000000\r\n"
        [answer] = answers(service.url, request(b"POST /nowhere HTTP/1.1", headers, b"x" * 70_000))
        assert answer.status == 404


class TestExpect:
    def test_100_continue_gets_an_interim_response(self, service: Service) -> None:
        received = exchange(
            service.url, add(b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n", b"{}")
        )
        assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 ")

    @pytest.mark.parametrize("value", [b"wonders", b"", b"100", b"100-continue, wonders", b"\xff"])
    def test_with_any_other_value_is_refused(self, service: Service, value: bytes) -> None:
        assert_refused(service, add(b"Expect: " + value + b"\r\n" + OF_BODY, BODY), 417, "EXPECTATION_FAILED")


class TestPipelining:
    def test_two_requests_in_one_packet_get_two_answers_in_order(self, service: Service) -> None:
        first, second = answers(
            service.url, request(b"GET /livez HTTP/1.1") + request(b"GET /nowhere HTTP/1.1", b"Connection: close\r\n")
        )
        assert first.json() == {"status": "ok"}
        assert told(second) == (404, "ROUTE_NOT_FOUND")

    def test_garbage_after_a_request_is_refused_and_the_request_answered(self, service: Service) -> None:
        first, second = answers(service.url, request(b"GET /livez HTTP/1.1") + b"\x16\x03\x01 garbage\r\n\r\n" + HIDDEN)
        assert first.status == 200
        assert told(second) == (400, "BAD_REQUEST")

    def test_requests_after_connection_close_are_not_answered(self, service: Service) -> None:
        [answer] = answers(service.url, request(headers=b"Connection: close\r\n") + HIDDEN)
        assert answer.status == 200

    def test_many_requests_in_one_packet_get_as_many_answers(self, service: Service) -> None:
        sent = request(b"GET /livez HTTP/1.1") * 300 + request(b"GET /livez HTTP/1.1", b"Connection: close\r\n")
        assert [answer.status for answer in answers(service.url, sent)] == [200] * 301


class TestOldClients:
    @pytest.mark.parametrize("host", [b"", b"Host: x\r\n"])
    def test_http_1_0_is_answered_and_closed(self, service: Service, host: bytes) -> None:
        [answer] = answers(service.url, b"GET /health HTTP/1.0\r\n" + host + b"\r\n" + HIDDEN)
        assert answer.status == 200
        assert answer.headers["connection"] == "close"

    def test_http_0_9_is_refused(self, service: Service) -> None:
        assert_refused(service, b"GET /health\r\n\r\n")
