"""Which heads follow the grammar, which of them are plain, and what a plain head says."""

import importlib.util
import random
import re
import sys
from collections import Counter

import pytest

from mylist.http import plain_head
from mylist.http.head import HEAD, PlainHead
from mylist.http.head import parse_plain_head as parse_by_pattern

GET = b"GET / HTTP/1.1\r\nHost: x"
COMPILED = "mylist.http._plain_head"
PARSERS = [parse_by_pattern]
if importlib.util.find_spec(COMPILED):
    PARSERS.append(importlib.import_module(COMPILED).parse_plain_head)
BLANKS = [chr(code) for code in range(0x80, sys.maxunicode + 1) if chr(code).isspace()]
"""Characters that Python strips as blanks, and HTTP does not."""


def is_valid(head: bytes) -> bool:
    return HEAD.fullmatch(head) is not None


def parse_plain(head: bytes) -> PlainHead | None:
    """Return what every form of the parser returns, for the head alone and for a head that more bytes follow."""
    alone, followed = bytearray(head), bytearray(head + b"\r\n\r\nGET /next HTTP/1.1\r\n\r\n")
    parsed = [each(buffer, len(head)) for each in PARSERS for buffer in (alone, followed)]
    assert all(each == parsed[0] for each in parsed), head
    return parsed[0]


def headers_of(head: bytes) -> list[tuple[str, str]]:
    parsed = parse_plain(head)
    assert parsed is not None
    return parsed[2]


@pytest.mark.parametrize(
    ("head", "method", "target"),
    [
        (b"GET /api/items?page=2&size=5 HTTP/1.1\r\nHost: x", "GET", b"/api/items?page=2&size=5"),
        (b"delete /%2e%2E/%zz//a;b HTTP/1.1\r\nHost: x", "delete", b"/%2e%2E/%zz//a;b"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x", "OPTIONS", b"*"),
        (b"HEAD HTTPS://x:8000/a?b HTTP/1.1\r\nHost: x", "HEAD", b"HTTPS://x:8000/a?b"),
        (b"!#$%&'*+-.^_`|~09AZaz /\"{}[]|\\^` HTTP/1.1\r\nHost: x", "!#$%&'*+-.^_`|~09AZaz", b'/"{}[]|\\^`'),
    ],
)
def test_a_plain_head_has_a_method_a_target_and_headers(head: bytes, method: str, target: bytes) -> None:
    assert is_valid(head)
    assert parse_plain(head) == (method, target, [("Host", "x")])


def test_a_head_without_headers_is_plain() -> None:
    assert is_valid(b"GET / HTTP/1.1")
    assert parse_plain(b"GET / HTTP/1.1") == ("GET", b"/", [])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param(b"a", "a", id="no blank"),
        pytest.param(b" \t  a", "a", id="leading blanks"),
        pytest.param(b"a \t ", "a \t ", id="trailing blanks"),
        pytest.param(b" a \t b", "a \t b", id="blanks within"),
        pytest.param(b"", "", id="empty"),
        pytest.param(b" \t ", "", id="only blanks"),
        pytest.param(b": a:b:", ": a:b:", id="colons"),
        pytest.param("é \U0001f600".encode(), "é \U0001f600", id="UTF-8"),
        pytest.param(b"\xe9\xff", "\udce9\udcff", id="invalid bytes"),
        pytest.param(b" a\xc2\xa0", "a\xa0", id="a foreign blank at the end"),
        pytest.param(b'W/"a", "b\\"', 'W/"a", "b\\"', id="quotes"),
    ],
)
def test_values_lose_leading_blanks_only(written: bytes, value: str) -> None:
    head = GET + b"\r\nX-Any:" + written + b"\r\nlast: z"
    assert is_valid(head)
    assert headers_of(head) == [("Host", "x"), ("X-Any", value), ("last", "z")]


def test_repeated_headers_are_kept_in_order() -> None:
    head = GET + b"\r\nA: 1\r\nB: 2\r\na: 3\r\nA: 1\r\nHOST: y"
    assert headers_of(head) == [("Host", "x"), ("A", "1"), ("B", "2"), ("a", "3"), ("A", "1"), ("HOST", "y")]


@pytest.mark.parametrize("value", [b"keep-alive", b" Keep-Alive", b"\tKEEP-ALIVE"])
@pytest.mark.parametrize("name", [b"Connection", b"connection", b"CONNECTION", b"cOnNeCtIoN"])
@pytest.mark.parametrize("rest", [b"", b"\r\nA: b"], ids=["last", "not last"])
def test_a_head_that_keeps_the_connection_is_plain(name: bytes, value: bytes, rest: bytes) -> None:
    head = b"%b\r\n%b:%b%b" % (GET, name, value, rest)
    assert (name.decode(), value.decode().lstrip()) in headers_of(head)


@pytest.mark.parametrize("value", [b"0", b" 12", b"\t007", b" 123456789012345678"])
@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"CONTENT-LENGTH"])
def test_a_head_with_a_body_of_known_length_is_plain(name: bytes, value: bytes) -> None:
    given = (name.decode(), value.decode().lstrip())
    assert headers_of(b"%b\r\n%b:%b" % (GET, name, value)) == [("Host", "x"), given]
    assert headers_of(b"%b\r\n%b:%b\r\nA: b" % (GET, name, value)) == [("Host", "x"), given, ("A", "b")]


@pytest.mark.parametrize(
    "name",
    [
        *(b"Content-Lengths", b"X-Content-Length", b"Eontent-Length", b"Content-Lengtl", b"Content_Length"),
        *(b"TE", b"Trailer", b"Cransfer-Encoding", b"Expected", b"Txpect", b"Exp\x45Ct_", b"C", b"Connectio~"),
        *(b"Upgrade-Insecure-Requests", b"Tpgrade"),
    ],
)
def test_a_head_with_a_name_that_only_resembles_a_special_one_is_plain(name: bytes) -> None:
    assert headers_of(b"%b\r\n%b: 1" % (GET, name))[1:] == [(name.decode(), "1")]


SPECIAL = (
    b"Content-Length:",
    b"Content-Length: 1 ",
    b"Content-Length: 1\t",
    b"Content-Length: +1",
    b"Content-Length: 1, 1",
    b"Content-Length: 1_0",
    b"Content-Length: 0x1",
    b"Content-Length: 1234567890123456789",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Connection: close",
    b"Connection:",
    b"Connection: keep-alive, close",
    b"Connection: keep-alive ",
    b"Connection: keep-alive\t",
    b"Connection: keep-alives",
    b"Connection: Upgrade",
)


@pytest.mark.parametrize("case", [bytes, bytes.lower, bytes.upper, bytes.swapcase])
@pytest.mark.parametrize("header", SPECIAL)
def test_a_head_with_an_odd_body_or_a_wish_is_valid_but_not_plain(header: bytes, case: type[bytes]) -> None:
    for head in (
        GET + b"\r\n" + case(header),
        GET + b"\r\n" + case(header) + b"\r\nA: b",
        GET + b"\r\nConnection: keep-alive\r\n" + case(header),
        GET + b"\r\n" + case(header) + b"\r\nConnection: keep-alive",
    ):
        assert is_valid(head)
        assert parse_plain(head) is None


def test_a_head_of_http_1_0_is_valid_but_not_plain() -> None:
    for head in (b"GET / HTTP/1.0", b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive"):
        assert is_valid(head)
        assert parse_plain(head) is None


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_a_head_with_a_foreign_blank_before_a_value_is_not_plain(blank: str) -> None:
    for before in ("", " ", "\t \t"):
        head = GET + f"\r\nX: {before}{blank}a".encode()
        assert is_valid(head)
        assert parse_plain(head) is None


@pytest.mark.parametrize("name", [b"user-id", b"User-ID", b"authorization", b"AUTHORIZATION"])
@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_a_foreign_blank_before_a_user_is_malformed(name: bytes, blank: str) -> None:
    for before in (b"", b" ", b"\t \t"):
        head = GET + b"\r\n" + name + b":" + before + blank.encode() + b"a"
        assert not is_valid(head)
        assert parse_plain(head) is None


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\r\n" + GET, id="an empty line before it"),
        pytest.param(GET + b"\r\n", id="a line break after it"),
        pytest.param(GET + b"\r\n\r\nA: b", id="an empty line within"),
        pytest.param(GET + b"\r\nA : b", id="blank before the colon"),
        pytest.param(GET + b"\r\nA\t: b", id="tab before the colon"),
        pytest.param(GET + b"\r\nContent-Length : 1", id="blank before the colon of a length"),
        pytest.param(GET + b"\r\nA: b\r\n c", id="folded line"),
        pytest.param(GET + b"\r\nA: b\r\n c: d", id="folded line with a colon"),
        pytest.param(GET + b"\r\nA: b\r\n\tc: d", id="folded line with a tab"),
        pytest.param(GET + b"\r\nA: b\nC: d", id="bare LF"),
        pytest.param(GET + b"\r\nA: b\rC: d", id="bare CR"),
        pytest.param(GET + b"\r\nA: b\r\r\nC: d", id="two CR"),
        pytest.param(GET + b"\r\nA: b\n", id="bare LF at the end"),
        pytest.param(GET + b"\r\nA: b\r", id="bare CR at the end"),
        pytest.param(b"GET / HTTP/1.1\nHost: x", id="bare LF after the first line"),
        pytest.param(GET + b"\r\nA: b\0c", id="NUL in a value"),
        pytest.param(GET + b"\r\nA\0: b", id="NUL in a name"),
        pytest.param(GET + b"\r\nA: b\x0bc", id="control character"),
        pytest.param(GET + b"\r\nA: \x1cb", id="separator before a value"),
        pytest.param(GET + b"\r\nA: b\x7f", id="DEL"),
        pytest.param(GET + b"\r\n: b", id="no name"),
        pytest.param(GET + b"\r\nA", id="no colon"),
        pytest.param(GET + b"\r\nA(b): c", id="a name that is no token"),
        pytest.param(GET + "\r\nÄ: b".encode(), id="a name that is not ASCII"),
        pytest.param(GET + b"\r\nContent-Length: \xd9\xa2", id="digits of another script"),
        pytest.param(GET + b"\r\nTransfer-Encoding: chunked\xc2\xa0", id="a foreign blank after the encoding"),
        pytest.param(b"GET", id="only a method"),
        pytest.param(b"GET /", id="no version"),
        pytest.param(b"GET HTTP/1.1\r\nHost: x", id="no target"),
        pytest.param(b"GET  HTTP/1.1\r\nHost: x", id="an empty target"),
        pytest.param(b" / HTTP/1.1\r\nHost: x", id="no method"),
        pytest.param(b"G(T / HTTP/1.1\r\nHost: x", id="a method that is no token"),
        pytest.param(b"GET  / HTTP/1.1\r\nHost: x", id="two blanks before the target"),
        pytest.param(b"GET /  HTTP/1.1\r\nHost: x", id="two blanks after the target"),
        pytest.param(b" GET / HTTP/1.1\r\nHost: x", id="blank before the method"),
        pytest.param(b"GET / HTTP/1.1 \r\nHost: x", id="blank after the version"),
        pytest.param(b"GET\t/\tHTTP/1.1\r\nHost: x", id="tabs"),
        pytest.param(b"GET / http/1.1\r\nHost: x", id="version in lower case"),
        pytest.param(b"GET / HTTP/1.2\r\nHost: x", id="HTTP/1.2"),
        pytest.param(b"GET / HTTP/1.10\r\nHost: x", id="HTTP/1.10"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: x", id="HTTP/2.0"),
        pytest.param(b"PRI * HTTP/2.0", id="preface of HTTP/2"),
        pytest.param(b"GET a HTTP/1.1\r\nHost: x", id="relative target"),
        pytest.param(b"GET *a HTTP/1.1\r\nHost: x", id="asterisk with more"),
        pytest.param(b"GET /a#b HTTP/1.1\r\nHost: x", id="fragment"),
        pytest.param(b"GET /a\0 HTTP/1.1\r\nHost: x", id="NUL in the target"),
        pytest.param("GET /ä HTTP/1.1\r\nHost: x".encode(), id="a target that is not ASCII"),
        pytest.param(b"GET http://x HTTP/1.1\r\nHost: x", id="no path"),
        pytest.param(b"GET ftp://x/ HTTP/1.1\r\nHost: x", id="another scheme"),
        pytest.param(b"CONNECT x:443 HTTP/1.1\r\nHost: x", id="host and port"),
    ],
)
def test_a_malformed_head_is_neither_valid_nor_plain(head: bytes) -> None:
    assert not is_valid(head)
    assert parse_plain(head) is None


FIRST_LINES = (b"GET / HTTP/1.1", b"head /a?b=%20 HTTP/1.1", b"POST http://x/y HTTP/1.1")
ODD_FIRST_LINES = (b"GET / HTTP/1.0", b"GET  / HTTP/1.1", b"GET /a b HTTP/1.1", b"GET / HTTP/2.0", b"GET / HTTP/1.1 ")
NAMES = (b"Host", b"user-id", b"If-None-Match", b"X", b"te", b"Cookie", b"EXPECTED", b"upgrades", b"CONNECTION")
ODD_NAMES = (b"Content-Length", b"transfer-encoding", b"Expect", b"upgrade", b"A ", b" A", b"", b"A\0")
PARTS = (b"a", b"keep-alive", b"1", b":", b",", b" ", b"\t", b" \t ", b"\xc3\xa9", b"\xff", b"\xe2\x80", b'"')
ODD_PARTS = (b"\xc2\xa0", b"\xe3\x80\x80", b"\xc2\x85", b"\r", b"\n", b"\0", b"\x1c", b"\r\n", b"close", b"\xd9\xa2")


def random_head(rng: random.Random) -> bytes:
    """Make a head of fragments. About half of the heads have an odd one."""
    oddness = rng.choice((0, 0, 0.1))

    def one(usual: tuple[bytes, ...], odd: tuple[bytes, ...]) -> bytes:
        return rng.choice(odd if rng.random() < oddness else usual)

    lines = [one(FIRST_LINES, ODD_FIRST_LINES)]
    for _ in range(rng.randrange(6)):
        value = b"".join(one(PARTS, ODD_PARTS) for _ in range(rng.randrange(4)))
        lines.append(one(NAMES, ODD_NAMES) + rng.choice((b":", b": ")) + value)
    return b"\r\n".join(lines)


def split_line_by_line(head: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Return the version and the headers as Sanic splits them, before it strips the values."""
    first, *lines = head.decode(errors="surrogateescape").split("\r\n")
    _, _, version = first.split(" ")
    return version, [(name.lower(), value) for name, value in (line.split(":", 1) for line in lines)]


def is_special(name: str, value: str) -> bool:
    if name == "connection":
        return value.lstrip(" \t").lower() != "keep-alive"
    if name == "content-length":
        return re.fullmatch("[ \t]*[0-9]{1,18}", value) is None
    has_foreign_blank = value.lstrip() != value.lstrip(" \t")
    return has_foreign_blank or name in {"transfer-encoding", "expect", "upgrade"}


def test_a_plain_head_is_valid_and_has_the_headers_that_sanic_finds() -> None:
    rng = random.Random(26)
    seen: Counter[str] = Counter()
    for _ in range(5_000):
        head = random_head(rng)
        parsed = parse_plain(head)
        if parsed is None:
            seen["valid, not plain" if is_valid(head) else "malformed"] += 1
            continue
        seen["plain"] += 1
        method, target, headers = parsed
        version, split = split_line_by_line(head)
        assert is_valid(head), head
        assert head.startswith(b"%b %b HTTP/1.1" % (method.encode(), target)), head
        assert version == "HTTP/1.1", head
        assert [(name.lower(), value) for name, value in headers] == [
            (name, value.lstrip()) for name, value in split
        ], head
    assert min(seen[kind] for kind in ("plain", "valid, not plain", "malformed")) > 500, seen


def test_a_valid_head_is_not_plain_only_if_it_is_old_or_has_a_special_header() -> None:
    rng = random.Random(62)
    for _ in range(5_000):
        head = random_head(rng)
        if is_valid(head):
            version, split = split_line_by_line(head)
            is_odd = version == "HTTP/1.0" or any(is_special(name, value) for name, value in split)
            assert (parse_plain(head) is None) == is_odd, head


@pytest.mark.parametrize(
    "head",
    [
        b"GET /a?b=%20 HTTP/1.1\r\nHost: x\r\nuser-id:\t u\r\nX: \xc2\xa0\xe2\x80\xa8",
        b"OPTIONS * HTTP/1.1\r\nConnection: Keep-Alive\r\ncontent-length: 012",
        b"GET hTTps://x:1/y HTTP/1.1\r\nA:\xe1\x9a\x80\r\nB: \xe3\x80\x80\r\nC: \xe2\x81\x9f",
        b"PUT http://x/ HTTP/1.1\r\nUpgrade: a\r\nExpect: b\r\nTE: c\r\nContent-Length: 12345678901234567",
    ],
)
def test_every_form_of_the_parser_reads_each_byte_alike(head: bytes) -> None:
    seen: Counter[bool] = Counter()
    for place in range(len(head)):
        beginning = parse_plain(head[:place])
        assert all(parse(bytearray(head), place) == beginning for parse in PARSERS)
        for byte in range(256):
            seen[parse_plain(head[:place] + bytes((byte,)) + head[place + 1 :]) is None] += 1
            parse_plain(head[:place] + bytes((byte,)) + head[place:])
    assert seen[True]


@pytest.mark.parametrize("end", [-1, -(2**31), 24, 2**31])
def test_the_end_of_a_head_must_be_in_the_buffer(end: int) -> None:
    for parse in PARSERS:
        with pytest.raises(ValueError, match="the end of the head is not in the buffer"):
            parse(bytearray(GET), end)


def test_the_service_uses_the_compiled_form_where_there_is_one() -> None:
    assert plain_head.parse_plain_head is PARSERS[-1]
