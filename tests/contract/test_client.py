"""The client commands (`mylist list`, `add`, `export` and others) against a service, on a terminal and in a pipe."""

import io
import json
import os
import pty
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import pytest
from bson import ObjectId
from pymongo.database import Database

from devtools.service_process import Service, answers, environment
from devtools.waiting import wait_until
from mylist.cli import main
from mylist.client import api
from mylist.domain.change_feed import initial_state
from mylist.lists.sync_tokens import encode_sync_token
from tests.conftest import Serve
from tests.contract.conftest import User
from tests.contract.titles import MATRIX, MATRIX_ID, MOVIE_IDS, SHOW_ID, UNKNOWN_ID
from tests.fake_http_server import FakeHttpHandler, fake_http_server
from tests.identity_provider import SECRET, token

COMMANDS = [
    ("list",),
    ("add", MATRIX_ID, "--type", "movie"),
    ("remove", MATRIX_ID),
    ("contains", MATRIX_ID),
    ("stats",),
    ("changes",),
    ("export",),
    ("import", os.devnull),
    ("clear", "--confirm"),
]


class Caller:
    """A user at a shell, with the client's variables set."""

    def __init__(self, url: str, **variables: str) -> None:
        own = {"MYLIST_URL": url, "MYLIST_TOKEN": "", "NO_PROXY": "*", "COLUMNS": ""}
        self.environment = environment(own | variables)

    def pipe(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own, with its output in a pipe."""
        return subprocess.run(
            command(arguments), env=self.environment, capture_output=True, text=True, check=False, timeout=30
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command as `pipe` does, but within this process, which takes a third of the time."""
        written, told, status = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO(), 0
        with patch.dict(os.environ, self.environment, clear=True), redirect_stdout(written), redirect_stderr(told):
            try:
                main(arguments)
            except SystemExit as ended:
                status = cast("int", ended.code)
        written.seek(0)
        return subprocess.CompletedProcess(arguments, status, written.read(), told.getvalue())

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed; return the JSON that it prints."""
        ended = self.run(*arguments)
        assert (ended.returncode, ended.stderr) == (0, "")
        return json.loads(ended.stdout)

    def fails(self, *arguments: str) -> tuple[int, str]:
        """Run a command that must print only one line, on standard error; return the status and the line."""
        ended = self.run(*arguments)
        assert ended.stdout == ""
        assert ended.stderr.count("\n") == 1, ended.stderr
        return ended.returncode, ended.stderr.rstrip("\n")

    def terminal(self, *arguments: str, columns: int = 100) -> list[str]:
        """Run a command that must succeed; return the lines that it shows on a terminal of this width."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        process = subprocess.Popen(command(arguments), env=self.environment, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        with open(ours, "rb", buffering=0) as screen:  # noqa: PTH123 - a descriptor
            try:
                while piece := screen.read(4096):
                    shown += piece
            except OSError:  # how a terminal reports that all writers have closed it
                pass
        assert process.wait(30) == 0, shown
        return shown.decode().splitlines()


def command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "mylist", *arguments]


@pytest.fixture
def caller(service: Service) -> Caller:
    return Caller(service.url)


@pytest.fixture
def silent_url() -> Iterator[str]:
    """The URL of a port on which nothing listens. The fixture binds the port, so that no other program can listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


class TestInAPipe:
    def test_list_prints_the_page_of_the_service_as_json(self, caller: Caller, user: User) -> None:
        for movie_id in MOVIE_IDS[:3]:
            assert user.add(movie_id).is_success
        assert user.add(SHOW_ID, "tvshow").is_success

        piped = caller.pipe("list", "--user", user.id)
        assert (piped.returncode, piped.stderr) == (0, "")
        assert json.loads(piped.stdout) == user.items().json()["data"]
        second = caller.json("list", "--user", user.id, "--page", "2", "--page-size", "3")
        assert second == user.items("?page=2&pageSize=3").json()["data"]
        assert [item["contentId"] for item in second["items"]] == MOVIE_IDS[:1]

    def test_list_all_prints_every_page(self, caller: Caller, user: User) -> None:
        for movie_id in MOVIE_IDS[:25]:
            assert user.add(movie_id).is_success

        for size in ((), ("--page-size", "10"), ("--page-size", "5")):
            whole = caller.json("list", "--user", user.id, "--all", *size)
            assert whole == {"items": user.items("?pageSize=25").json()["data"]["items"], "total": 25}

    def test_add_prints_the_new_item(self, caller: Caller, user: User) -> None:
        added = caller.json("add", "--user", user.id, MATRIX_ID, "--type", "movie")

        [item] = user.items().json()["data"]["items"]
        assert item == {**added, "content": MATRIX}

    def test_remove_prints_the_removed_ids(self, caller: Caller, user: User) -> None:
        for movie_id in MOVIE_IDS[:3]:
            assert user.add(movie_id).is_success

        assert caller.json("remove", "--user", user.id, *MOVIE_IDS[:2]) == {"removed": MOVIE_IDS[:2]}
        assert user.contents() == MOVIE_IDS[2:3]

    def test_contains_answers_for_hundreds_of_ids_in_their_order(self, caller: Caller, user: User) -> None:
        assert user.add(MATRIX_ID).is_success
        ids = [f"{number:024x}" for number in range(210)]
        ids[150] = MATRIX_ID

        found = caller.json("contains", "--user", user.id, *ids)

        assert found == {"contains": [content_id == MATRIX_ID for content_id in ids]}

    def test_the_table_option_prints_titles_in_full(
        self, caller: Caller, user: User, database: Database[dict[str, object]]
    ) -> None:
        content_id = ObjectId()
        database["movies"].insert_one({"_id": content_id, "title": "Long " * 50 + "Title"})
        assert user.add(str(content_id)).is_success

        ended = caller.pipe("list", "--user", user.id, "--table")

        assert f"  {content_id}  {'Long ' * 50}Title\n" in ended.stdout
        assert ended.stdout.endswith("\n1 item, page 1 of 1\n")

    def test_characters_that_the_encoding_lacks_are_replaced(self, service: Service, user: User) -> None:
        assert user.add(SHOW_ID, "tvshow").is_success

        ended = Caller(service.url, PYTHONIOENCODING="latin-1").pipe("list", "--user", user.id, "--table")

        assert "  Dark & ?Light?\n" in ended.stdout

    def test_a_closed_pipe_ends_the_command_without_a_message(self, caller: Caller, user: User) -> None:
        reader, writer = os.pipe()
        os.close(reader)

        process = subprocess.Popen(
            command(("list", "--user", user.id)), env=caller.environment, stdout=writer, stderr=subprocess.PIPE
        )
        os.close(writer)

        assert process.communicate(timeout=30)[1] == b""
        assert process.returncode == 1


class TestOnATerminal:
    def test_list_prints_a_table_and_the_page_number(self, caller: Caller, user: User) -> None:
        for content_id, content_type in ((MATRIX_ID, "movie"), (SHOW_ID, "tvshow"), (MOVIE_IDS[0], "movie")):
            assert user.add(content_id, content_type).is_success
        added = [item["addedAt"] for item in user.items().json()["data"]["items"]]

        assert caller.terminal("list", "--user", user.id, "--page-size", "2") == [
            "ADDED                     TYPE    CONTENT ID                TITLE",
            f"{added[0]}  movie   {MOVIE_IDS[0]}  Movie 0",
            f"{added[1]}  tvshow  {SHOW_ID}  Dark & “Light”",
            "3 items, page 1 of 2",
        ]
        assert caller.terminal("list", "--user", user.id, "--all", "--page-size", "2")[-1] == "3 items"

    def test_titles_are_cut_to_the_width_and_their_control_characters_replaced(
        self, caller: Caller, user: User, database: Database[dict[str, object]]
    ) -> None:
        content_id = ObjectId()
        database["movies"].insert_one({"_id": content_id, "title": "\x1b]0;mine\x07 七人の侍 Seven Samurai\x9b2J"})
        assert user.add(str(content_id)).is_success

        [_, wide, _] = caller.terminal("list", "--user", user.id, columns=120)
        [_, narrow, _] = caller.terminal("list", "--user", user.id, columns=77)

        assert wide.endswith("  �]0;mine� 七人の侍 Seven Samurai�2J")
        assert narrow.endswith(f"  {content_id}  �]0;mine� 七人の…")

    def test_a_withdrawn_title_is_marked(
        self, caller: Caller, user: User, database: Database[dict[str, object]]
    ) -> None:
        added_at = datetime(2024, 1, 20, tzinfo=UTC)
        item = {"contentId": UNKNOWN_ID, "contentType": "movie", "addedAt": added_at}
        database["mylist"].insert_one({"userId": user.id, **item})

        [_, row, _] = caller.terminal("list", "--user", user.id)

        assert row == f"2024-01-20T00:00:00.000Z  movie  {UNKNOWN_ID}  (withdrawn)"

    def test_an_empty_list_prints_one_line(self, caller: Caller, user: User) -> None:
        assert caller.terminal("list", "--user", user.id) == ["0 items, page 1 of 1"]

    def test_add_contains_and_remove_print_tables_that_are_never_cut(self, caller: Caller, user: User) -> None:
        [_, added] = caller.terminal("add", "--user", user.id, SHOW_ID, "--type", "tvshow", columns=20)
        assert added.endswith(f"Z  tvshow  {SHOW_ID}")
        assert caller.terminal("contains", "--user", user.id, SHOW_ID, MATRIX_ID, columns=20) == [
            "CONTENT ID                ON THE LIST",
            f"{SHOW_ID}  yes",
            f"{MATRIX_ID}  no",
        ]
        assert caller.terminal("remove", "--user", user.id, SHOW_ID, columns=20) == ["REMOVED", SHOW_ID]

    def test_the_json_option_prints_json(self, caller: Caller, user: User) -> None:
        shown = "".join(caller.terminal("contains", "--user", user.id, "--json", MATRIX_ID))
        assert json.loads(shown) == {"contains": [False]}


class TestFailures:
    def test_an_error_of_the_service_is_quoted(self, caller: Caller, user: User) -> None:
        assert user.add(MATRIX_ID).is_success

        status, line = caller.fails("add", "--user", user.id, MATRIX_ID, "--type", "movie")

        assert status == 1
        begin, _, request_id = line.partition("request ")
        assert begin == "mylist: This item is already in your list (ITEM_ALREADY_IN_LIST, "
        assert request_id.strip(")-0123456789abcdef") == ""

    def test_remove_prints_one_line_per_id_that_cannot_be_removed(self, caller: Caller, user: User) -> None:
        assert user.add(MATRIX_ID).is_success

        ended = caller.pipe("remove", "--user", user.id, UNKNOWN_ID, MATRIX_ID, SHOW_ID)

        assert ended.returncode == 1
        assert json.loads(ended.stdout) == {"removed": [MATRIX_ID]}
        lines = ended.stderr.splitlines()
        assert len(lines) == 2
        for line, content_id in zip(lines, (UNKNOWN_ID, SHOW_ID), strict=True):
            assert line.startswith(f"mylist: {content_id}: Item not found in your list (ITEM_NOT_IN_LIST, request ")

    @pytest.mark.parametrize("content_id", ["..", "a/b", "?x=#y", "%2e"])
    def test_remove_treats_special_characters_as_part_of_the_id(
        self, caller: Caller, user: User, content_id: str
    ) -> None:
        ended = caller.run("remove", "--user", user.id, content_id)

        assert ended.returncode == 1
        assert ended.stderr.startswith(f"mylist: {content_id}: Item not found in your list (ITEM_NOT_IN_LIST, ")

    @pytest.mark.parametrize("user_id", ["a b", "<script>"])
    def test_an_invalid_user_id_is_reported(self, caller: Caller, user_id: str) -> None:
        status, line = caller.fails("list", "--user", user_id)
        assert status == 1
        assert "(INVALID_USER_ID, request " in line

    def test_blanks_around_ids_are_stripped(self, caller: Caller, user: User) -> None:
        assert user.add(MATRIX_ID).is_success
        assert caller.json("contains", "--user", f" {user.id}\n", f"{MATRIX_ID} ") == {"contains": [True]}

    def test_an_unavailable_database_is_reported_with_the_retry_delay(
        self, tmp_path: Path, silent_url: str, redis_url: str, user_id: str
    ) -> None:
        uri = silent_url.replace("http", "mongodb")
        service = Service(tmp_path, {"MONGODB_URI": uri, "MONGODB_TIMEOUT": "0.5", "REDIS_URL": redis_url})
        try:
            wait_until(lambda: answers(f"{service.url}/livez"), within=30)
            status, line = Caller(service.url).fails("list", "--user", user_id)
        finally:
            service.stop()
        assert status == 1
        assert line.startswith(
            "mylist: The database is not available, please try again (DATABASE_UNAVAILABLE, request "
        )
        assert line.endswith("); try again after 1 s")

    @pytest.mark.parametrize("arguments", COMMANDS, ids=lambda each: each[0])
    def test_a_refused_connection_is_reported_by_every_command(
        self, silent_url: str, user_id: str, arguments: tuple[str, ...]
    ) -> None:
        ended = Caller(silent_url).run(*arguments, "--user", user_id)

        assert ended.returncode == 1
        [line] = ended.stderr.splitlines()
        assert f"no service answers at {silent_url}: " in line
        assert "Connection refused" in line

    def test_remove_stops_after_a_connection_failure_and_names_the_ids_not_tried(
        self, silent_url: str, user_id: str
    ) -> None:
        ended = Caller(silent_url).run("remove", "--user", user_id, MATRIX_ID, SHOW_ID)

        [first, second] = ended.stderr.splitlines()
        assert first.startswith(f"mylist: {MATRIX_ID}: no service answers at ")
        assert second == f"mylist: {SHOW_ID}: not tried"

    def test_an_unknown_host_name_is_reported(self, user_id: str) -> None:
        status, line = Caller("http://nobody.invalid").fails("list", "--user", user_id)
        assert status == 1
        assert line.startswith("mylist: no service answers at http://nobody.invalid: ")

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (502, b"<html>Bad Gateway"),
            (200, b"<html>Welcome"),
            (302, b""),
            (401, b'{"detail": "who?"}'),
            (200, b"\xff"),
            pytest.param(200, b'{"x":' + b"[" * 100_000, id="deep"),
        ],
    )
    def test_an_answer_from_another_server_is_reported(self, user_id: str, status: int, body: bytes) -> None:
        class Other(FakeHttpHandler):
            def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
                self.answer(body, "text/html", status)

        with fake_http_server(Other) as port:
            ended, line = Caller(f"http://127.0.0.1:{port}").fails("list", "--user", user_id)
        assert ended == 1
        assert line.startswith(f"mylist: http://127.0.0.1:{port} answers {status} ")
        assert line.endswith(", but not as My List does; is the URL right?")

    def test_control_characters_in_an_error_are_replaced(self, user_id: str) -> None:
        class Hostile(FakeHttpHandler):
            def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
                failure = {"error": "\x1b[2J\r\nmylist: done", "code": "\x9b", "requestId": "\u202e"}
                self.answer(json.dumps(failure).encode(), "application/json", 500)

        with fake_http_server(Hostile) as port:
            assert Caller(f"http://127.0.0.1:{port}").fails("list", "--user", user_id) == (
                1,
                "mylist: �[2J��mylist: done (�, request )",
            )

    def test_a_broken_connection_is_reported_as_an_uncertain_outcome_only_for_a_change(self, user_id: str) -> None:
        class Broken(FakeHttpHandler):
            def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
                self.close_connection = True

        with fake_http_server(Broken) as port:
            caller = Caller(f"http://127.0.0.1:{port}")
            _, added = caller.fails("add", "--user", user_id, MATRIX_ID, "--type", "movie")
            _, asked = caller.fails("contains", "--user", user_id, MATRIX_ID)
        assert added.startswith(f"mylist: no answer from http://127.0.0.1:{port}: ")
        assert added.endswith("; the change may or may not have been applied, so read the list")
        assert asked.startswith(f"mylist: no answer from http://127.0.0.1:{port}: ")
        assert "may or may not" not in asked

    def test_a_read_timeout_is_reported(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], user_id: str
    ) -> None:
        monkeypatch.setattr(api, "_READ_TIMEOUT_S", 0.1)
        monkeypatch.setenv("NO_PROXY", "*")
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            with pytest.raises(SystemExit, match="1"):
                main(["list", "--user", user_id, "--url", url])
        assert capsys.readouterr().err == f"mylist: no answer from {url}: nothing within 0.1 s; try again\n"


class TestToken:
    def test_is_sent_in_addition_to_the_user(self, user_id: str) -> None:
        asked: list[tuple[str, str | None, str | None]] = []

        class Gateway(FakeHttpHandler):
            def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
                named = encode_sync_token(self.headers["user-id"], initial_state(0))
                data = {"changes": [], "token": named, "hasMore": False}
                self.answer(json.dumps({"success": True, "data": data}).encode(), "application/json")

            def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
                asked.append((self.path, self.headers["authorization"], self.headers["user-id"]))
                self.answer(b'{"success": true, "data": {"contains": [true]}}', "application/json")

        with fake_http_server(Gateway) as port:
            url = f"http://127.0.0.1:{port}/behind/a/gateway/"
            assert Caller(url, MYLIST_TOKEN="s3cret\n").json("contains", "--user", user_id, MATRIX_ID)
            assert Caller(url).json("contains", "--user", user_id, MATRIX_ID)
        path = "/behind/a/gateway/api/mylist/contains"
        assert asked == [(path, "Bearer s3cret", user_id), (path, None, user_id)]


class TestGateway:
    """The gateway takes the user from the token and ignores `--user`. The service behind it trusts the header."""

    @pytest.mark.parametrize("arguments", [("list",), ("export",), ("clear", "--confirm")], ids=lambda each: each[0])
    def test_the_user_option_is_refused_if_the_gateway_takes_another_user(
        self, user: User, arguments: tuple[str, ...]
    ) -> None:
        passed_on: list[str] = []

        class Gateway(FakeHttpHandler):
            def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
                passed_on.append(self.path)
                answer = user.client.get(self.path, headers=user.headers)
                self.answer(answer.content, answer.headers["content-type"], answer.status_code)

            do_POST = do_DELETE = do_GET  # noqa: N815 - likewise

        with fake_http_server(Gateway) as port:
            caller = Caller(f"http://127.0.0.1:{port}", MYLIST_TOKEN="s3cret")
            status, line = caller.fails(*arguments, "--user", "another")

        assert status == 2
        assert line == (
            "mylist: --user is 'another', but the gateway takes another user from MYLIST_TOKEN; leave --user out"
        )
        assert passed_on == ["/api/mylist/limits", "/api/mylist/changes?limit=1"], "nothing else was asked"


class TestWholeList:
    @pytest.fixture
    def full(self, user: User) -> User:
        for movie_id in MOVIE_IDS[:5]:
            assert user.add(movie_id).is_success
        return user

    def test_stats_prints_the_counts_by_type(self, caller: Caller, full: User) -> None:
        assert caller.json("stats", "--user", full.id) == {"total": 5, "byType": {"movie": 5, "tvshow": 0}}
        assert caller.terminal("stats", "--user", full.id) == ["total   5", "movie   5", "tvshow  0"]

    def test_changes_continues_from_a_token(self, caller: Caller, full: User) -> None:
        whole = caller.json("changes", "--user", full.id)
        assert {each["contentId"] for each in whole["changes"]} == set(MOVIE_IDS[:5])
        assert full.remove(MOVIE_IDS[0]).is_success

        later = caller.json("changes", "--user", full.id, "--since", whole["token"])
        removed = [each["contentId"] for each in later["changes"] if each["change"] == "removed"]
        assert removed == [MOVIE_IDS[0]]
        shown = caller.terminal("changes", "--user", full.id, "--since", whole["token"], columns=200)
        assert any(f"removed  movie  {MOVIE_IDS[0]}" in line for line in shown)
        assert shown[-1].startswith("Next: --since ")

    def test_import_restores_an_exported_and_cleared_list(self, caller: Caller, full: User, tmp_path: Path) -> None:
        before = full.items().json()["data"]
        file = tmp_path / "list.jsonl"
        assert caller.run("export", "--user", full.id, str(file)).stdout == ""
        assert file.read_text() == caller.pipe("export", "--user", full.id).stdout
        assert [each.name for each in tmp_path.iterdir()] == ["list.jsonl"]

        assert caller.json("clear", "--user", full.id, "--confirm") == {"removed": 5}
        assert full.contents() == []

        assert caller.json("import", "--user", full.id, str(file)) == {"outcomes": {"added": 5}, "failed": []}
        assert full.items().json()["data"] == before

    def test_import_reports_lines_that_are_unknown_or_invalid(self, caller: Caller, full: User, tmp_path: Path) -> None:
        file = tmp_path / "list.jsonl"
        ids = (UNKNOWN_ID, MATRIX_ID, MOVIE_IDS[0])
        file.write_text("".join(f'{{"contentId": "{each}", "contentType": "movie"}}\n' for each in ids) + "nonsense\n")

        ended = caller.run("import", "--user", full.id, str(file))

        assert ended.returncode == 1
        told = "mylist: 2 of 4 lines are not on the list as the file says; correct them, and import the file again\n"
        assert ended.stderr == told
        told = json.loads(ended.stdout)
        assert told["outcomes"] == {"not_found": 1, "added": 1, "existing": 1, "invalid": 1}
        assert [(each["line"], each["outcome"]) for each in told["failed"]] == [(1, "not_found"), (4, "invalid")]

    def test_import_reports_unmatched_titles_and_the_candidates_of_each_line(
        self, caller: Caller, full: User, tmp_path: Path, database: Database[dict[str, Any]]
    ) -> None:
        twins = [ObjectId("00000000000000000000d0a1"), ObjectId("00000000000000000000d0a2")]
        database["movies"].insert_many({"_id": each, "title": "Solaris", "releaseYear": 1972} for each in twins)
        file = tmp_path / "watchlist.csv"
        file.write_text("title,year\nSolaris,1972\nSolaris,2002\nNo Such Title,\nNo Such Title,MMII\n")
        try:
            ended = caller.pipe("import", "--user", full.id, str(file))
            shown = caller.pipe("import", "--user", full.id, "--table", str(file)).stdout.splitlines()
        finally:
            database["movies"].delete_many({"_id": {"$in": twins}})

        ambiguous, other_year, unmatched, invalid = json.loads(ended.stdout)["failed"]
        candidates = [
            {"contentId": str(each), "contentType": "movie", "title": "Solaris", "year": 1972} for each in twins
        ]
        assert ambiguous == {
            "line": 2, "outcome": "ambiguous", "contentId": None, "error": None, "title": "Solaris", "year": 1972,
            "candidates": candidates,
        }  # fmt: skip
        assert (other_year["year"], other_year["candidates"]) == (2002, candidates)
        assert (unmatched["title"], unmatched["year"], unmatched["candidates"]) == ("No Such Title", None, [])
        assert (invalid["title"], invalid["candidates"]) == (None, [])
        meant = "it may be movie 00000000000000000000d0a1 Solaris (1972), movie 00000000000000000000d0a2 Solaris (1972)"
        assert [each.split(maxsplit=2) for each in shown[-5:]] == [
            ["LINE", "OUTCOME", "TITLE OR ID     WHY"],
            ["2", "ambiguous", f"Solaris (1972)  {meant}"],
            ["3", "unmatched", f"Solaris (2002)  The titles with this name have a different year; {meant}"],
            ["4", "unmatched", "No Such Title"],
            ["5", "invalid", "the year is 'MMII', and must be as in 1999"],
        ]

    def test_import_replaces_the_list_and_requires_confirmation_to_empty_it(
        self, caller: Caller, full: User, tmp_path: Path
    ) -> None:
        file = tmp_path / "list.jsonl"
        file.write_text(f'{{"contentId": "{MOVIE_IDS[0]}", "contentType": "movie"}}\n')
        caller.json("import", "--user", full.id, "--replace", str(file))
        assert full.contents() == MOVIE_IDS[:1]

        file.write_text("")
        status, line = caller.fails("import", "--user", full.id, "--replace", str(file))
        assert (status, "CONFIRMATION_REQUIRED" in line) == (1, True)
        caller.json("import", "--user", full.id, "--replace", "--confirm", str(file))
        assert full.contents() == []

    def test_a_file_that_cannot_be_read_or_written_is_named(self, caller: Caller, full: User, tmp_path: Path) -> None:
        for command in ("import", "export"):
            path = str(tmp_path / "none" / "list.jsonl")
            assert caller.fails(command, "--user", full.id, path) == (1, f"mylist: {path}: No such file or directory")

    def test_an_export_that_was_cut_short_leaves_no_file(self, tmp_path: Path, user_id: str) -> None:
        class Cut(FakeHttpHandler):
            def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
                self.send_response(200)
                self.send_header("content-type", "application/x-ndjson")
                self.send_header("x-total-count", "3")
                self.end_headers()
                self.wfile.write(b"{}\n{}\n")
                self.close_connection = True

        file = tmp_path / "list.jsonl"
        with fake_http_server(Cut) as port:
            told = Caller(f"http://127.0.0.1:{port}").fails("export", "--user", user_id, str(file))
        assert told == (1, "mylist: the export was cut short: 2 lines of 3; repeat it")
        assert list(tmp_path.iterdir()) == []

    def test_import_derives_the_content_type_from_the_file_name(self, tmp_path: Path, user_id: str) -> None:
        given: list[str | None] = []

        class Other(FakeHttpHandler):
            def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
                given.append(self.headers["content-type"])
                self.answer(b'{"line":1,"contentId":null,"outcome":"added"}\n', "application/x-ndjson")

        with fake_http_server(Other) as port:
            caller = Caller(f"http://127.0.0.1:{port}")
            for name in ("list.csv", "list.JSON", "list.jsonl", "list"):
                (tmp_path / name).write_text("x")
                caller.json("import", "--user", user_id, str(tmp_path / name))
        assert given == ["text/csv", "application/json", "application/x-ndjson", "application/x-ndjson"]


@pytest.fixture(scope="module")
def by_token(serve: Serve) -> Service:
    """A service that takes the user from a claim of the token."""
    return serve(AUTH_MODE="jwt", JWT_SECRET=SECRET, JWT_USER_CLAIM="uid")


@pytest.mark.usefixtures("titles")
class TestTokenOfAUser:
    ADD = ("add", MATRIX_ID, "--type", "movie")

    @pytest.fixture
    def caller(self, by_token: Service, user_id: str) -> Caller:
        bearer = token(SECRET, "HS256", sub=None, uid=user_id)
        return Caller(by_token.url, MYLIST_TOKEN=bearer, JWT_USER_CLAIM="uid")

    def test_makes_the_user_option_unnecessary(self, caller: Caller, user_id: str) -> None:
        assert caller.json(*self.ADD)["userId"] == user_id
        assert caller.json("list")["total"] == 1
        assert caller.json("contains", MATRIX_ID) == {"contains": [True]}
        assert caller.json("remove", MATRIX_ID) == {"removed": [MATRIX_ID]}

    def test_is_accepted_with_a_user_option_for_the_same_user(self, caller: Caller, user_id: str) -> None:
        assert caller.json(*self.ADD, "--user", user_id)["userId"] == user_id

    @pytest.mark.parametrize("arguments", COMMANDS, ids=lambda each: each[0])
    def test_is_refused_if_the_user_option_names_another_user(
        self, caller: Caller, user_id: str, arguments: tuple[str, ...]
    ) -> None:
        status, line = caller.fails(*arguments, "--user", "another")

        assert status == 2
        assert line.startswith("mylist: --user is 'another', but the service takes the user from MYLIST_TOKEN, ")
        assert line.endswith(f", which names '{user_id}'; leave --user out")
        assert caller.json("list")["total"] == 0

    @pytest.mark.parametrize("given", ["opaque", "a.b.c", "e30.bnVsbA.x", "e30.W10.x", token(SECRET, "HS256")])
    def test_that_is_unreadable_is_refused_with_a_user_option(self, by_token: Service, given: str) -> None:
        caller = Caller(by_token.url, MYLIST_TOKEN=given, JWT_USER_CLAIM="uid")
        status, line = caller.fails("list", "--user", "another")

        assert status == 2
        assert "which cannot be read here; leave --user out" in line

    def test_is_ignored_by_a_service_that_trusts_the_header(self, service: Service, user: User, user_id: str) -> None:
        """The service may be behind a gateway, which requires the token of the caller."""
        bearer = token(SECRET, "HS256", sub="support")
        assert user.add(MATRIX_ID).is_success
        assert Caller(service.url, MYLIST_TOKEN=bearer).json("list", "--user", user_id)["total"] == 1
