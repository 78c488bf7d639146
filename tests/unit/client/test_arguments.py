"""The arguments and the environment that the command-line client checks before it sends a request."""

import os

import pytest

from mylist.cli import main

MATRIX_ID = "507f1f77bcf86cd799439012"
BAD_URL = "mylist: the URL must be like http://localhost:3000, with no user and no query\n"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MYLIST_URL", "MYLIST_TOKEN", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def misused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail with a usage error; return its message."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    printed, told = capsys.readouterr()
    assert printed == ""
    return told


@pytest.mark.parametrize("user_id", ["", " ", "Zoë", "a\nb: c", "\x1b[2J", "x" * 129, os.fsdecode(b"\xff")])
def test_a_user_id_that_no_header_can_carry_is_refused(capsys: pytest.CaptureFixture[str], user_id: str) -> None:
    told = misused(capsys, "list", "--user", user_id)
    assert told == f"mylist: argument --user: {user_id!a} is not an id; see `mylist list --help`\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list",), "the following arguments are required: --user; see `mylist list --help`"),
        (("remove", "--user", "u"), "the following arguments are required: CONTENT_ID; see `mylist remove --help`"),
        (
            ("contains", "--user", "u", MATRIX_ID, ""),
            "argument CONTENT_ID: '' is not an id; see `mylist contains --help`",
        ),
        (
            ("add", "--user", "u", MATRIX_ID),
            "the following arguments are required: --type; see `mylist add --help`",
        ),
        (
            ("list", "--user", "u", "--page", "0"),
            "argument --page: '0' is not a whole number from 1; see `mylist list --help`",
        ),
        (
            ("list", "--user", "u", "--page-size", "²"),
            "argument --page-size: '\\xb2' is not a whole number from 1; see `mylist list --help`",
        ),
        (
            ("list", "--user", "u", "--page", "2", "--all"),
            "argument --all: not allowed with argument --page; see `mylist list --help`",
        ),
        (
            ("list", "--user", "u", "--json", "--table"),
            "argument --table: not allowed with argument --json; see `mylist list --help`",
        ),
    ],
)
def test_wrong_usage_is_refused_with_the_reason_and_the_help(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert misused(capsys, *arguments) == f"mylist: {told}\n"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host",
        "localhost:3000",
        "http://",
        "http://h:99999",
        "http://[::1",
        "http://a..b",
        "http://xn--",
        "http://me:s3cret@h",
        "http://h?x",
    ],
)
def test_an_invalid_service_url_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    assert misused(capsys, "list", "--user", "u", "--url", url) == BAD_URL
    monkeypatch.setenv("MYLIST_URL", url)
    assert misused(capsys, "list", "--user", "u") == BAD_URL


def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYLIST_TOKEN", "s3\ncret")
    told = misused(capsys, "list", "--user", "u")
    assert told == "mylist: MYLIST_TOKEN holds characters that a header cannot carry; set a valid token\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "gopher://proxy"),
        ("ALL_PROXY", "socks5://proxy"),
        ("ALL_PROXY", "http://proxy:port"),
        ("SSL_CERT_FILE", "/not/there"),
    ],
)
def test_an_unusable_proxy_or_certificate_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    told = misused(capsys, "list", "--user", "u")
    assert told.startswith("mylist: the environment's proxy or certificates cannot be used: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("command", ["add", "remove", "contains"])
def test_the_help_says_which_ids_name_a_title(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "a contentId, or an external id such as imdb:tt0133093" in " ".join(capsys.readouterr().out.split())
