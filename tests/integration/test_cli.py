"""The `mylist` command: what it prints, and that a failure is one line and a status."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mylist import __version__
from mylist.auth.tokens import tokens_of
from mylist.cli import main
from mylist.config.settings import Settings, explain
from tests.identity_provider import RSA_KEY, SECRET, pem

SEE_IMPORT = "see `mylist catalogue import --help`"


FailsHere = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def nowhere_special(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a `.env`, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for each in explain():
        monkeypatch.delenv(each.variable, raising=False)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A bound port of this machine on which nothing listens, and on which no other process can listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run([sys.executable, "-m", "mylist", *arguments], capture_output=True, text=True, check=False)


def fails(*arguments: str) -> tuple[int, str]:
    """Run a command that must end with one line on standard error; return the status and the line."""
    ended = run(*arguments)
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    return ended.returncode, ended.stderr.rstrip("\n")


@pytest.fixture
def fails_here(capsys: pytest.CaptureFixture[str]) -> FailsHere:
    """Like `fails`, but in the process of the test: for commands that fail before they open any connection."""

    def failed(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        written = capsys.readouterr()
        assert written.out == ""
        assert written.err.count("\n") == 1
        assert isinstance(ended.value.code, int)
        return ended.value.code, written.err.rstrip("\n")

    return failed


def test_the_version_option_prints_the_version() -> None:
    assert run("--version").stdout == f"mylist {__version__}\n"


def test_config_prints_every_setting_with_its_source_and_masks_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text("CACHE_TTL=60\nPORT=4000\n")
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.setenv("REDIS_PASSWORD", "s3cret")
    main(["config"])

    written = capsys.readouterr().out
    rows = [line.split() for line in written.splitlines()]
    assert rows[0] == ["VARIABLE", "VALUE", "SOURCE"]
    assert [row[0] for row in rows[1:]] == [each.variable for each in explain()]
    assert ["PORT", "5000", "environment"] in rows
    assert ["CACHE_TTL", "60", ".env"] in rows
    assert ["MONGODB_PASSWORD", "default"] in rows
    assert ["REDIS_PASSWORD", "********", "environment"] in rows
    assert "s3cret" not in written
    sources = {line.rindex(row[-1]) for line, row in zip(written.splitlines(), rows, strict=True)}
    assert len(sources) == 1


def test_config_does_not_import_modules_that_only_serving_needs() -> None:
    code = "import sys; from mylist.cli import main; main(['config']); print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    assert "mylist.config.settings" in loaded
    assert not {"sanic", "pymongo", "redis", "httpx"} & set(loaded)


def loads(begin: str, *, then: str = "") -> set[str]:
    """Return the modules loaded after a start that serve only unused features of the service's libraries."""
    code = f"import sys\n{begin}\n    from mylist import server\n{then}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & {"cryptography", "opentelemetry.metrics", "opentelemetry.sdk.metrics", "trustme"}


class TestUnusedImports:
    GUARDED = "from mylist.optional_imports import without_unused\nwith without_unused():"

    def test_are_skipped_at_the_start(self) -> None:
        assert loads(self.GUARDED) == set()

    def test_happen_without_the_guard(self) -> None:
        assert loads("if True:"), "no library imports any of it, so there is nothing to leave out"

    def test_still_work_after_the_start(self) -> None:
        later = "import cryptography, opentelemetry.sdk.metrics, opentelemetry.metrics, trustme"

        assert len(loads(self.GUARDED, then=later)) == 4


def test_openapi_prints_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    main(["openapi"])
    assert "/api/mylist/items" in json.loads(capsys.readouterr().out)["paths"]


@pytest.mark.parametrize("command", ["serve", "dev", "seed", "indexes", "config"])
def test_an_invalid_setting_is_named_in_the_error(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "abc")
    assert fails(command) == (1, "mylist: PORT is 'abc'; it must be a whole number from 1 to 65535")


def test_serve_names_a_taken_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("HOST", "127.0.0.1")
        monkeypatch.setenv("PORT", str(port))
        status, line = fails("serve")
    assert status == 1
    assert line.startswith(f"mylist: cannot listen on port {port} of 127.0.0.1: ")
    assert "PORT=" in line


@pytest.mark.parametrize("command", [("seed",), ("seed", "--users", "5"), ("indexes",), ("catalogue", "export")])
def test_an_unreachable_mongodb_is_named_without_its_password(
    command: tuple[str, ...], silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", f"mongodb://me:s3cret@127.0.0.1:{silent_port}/mine")
    monkeypatch.setenv("MONGODB_TIMEOUT", "0.5")
    status, line = fails(*command)
    assert status == 1
    assert line.startswith(
        f"mylist: MongoDB at 127.0.0.1:{silent_port} cannot be reached; start it, or set MONGODB_URI"
    )


def test_an_invalid_mongodb_uri_is_reported_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://me:s3cret@one:port/")
    status, line = fails("indexes")
    assert status == 1
    assert "MONGODB_URI" in line
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND; see `mylist --help`"),
        (("seed", "--users", "many"), "argument --users: invalid int value: 'many'; see `mylist seed --help`"),
        (("seed", "--users", "0"), "--users is 0; it must be at least 1"),
        (
            ("seed", "--users", "5", "--titles", "3", "--items", "4"),
            "--items is 4; it must be at most --titles, 3, because no list has a title twice",
        ),
        (
            ("seed", "--users", "5", "--reset"),
            "--reset is for the sample, and --users asks for a load-test data set; leave one out",
        ),
        (("catalogue",), "the following arguments are required: ACTION; see `mylist catalogue --help`"),
        (("catalogue", "import"), f"the following arguments are required: FILE; {SEE_IMPORT}"),
        (("catalogue", "import", "-", "a", "-"), "- is standard input, which can be read only once; name it once"),
        (
            ("catalogue", "import", "a", "--withdraw-up-to", "9"),
            "--withdraw-up-to is for --withdraw-missing; add it, or leave out both",
        ),
        *(
            (
                ("catalogue", "import", "a", "--withdraw-missing", "--withdraw-up-to", wrong),
                f"argument --withdraw-up-to: '{wrong}' is not a percentage above 0 and up to 100; {SEE_IMPORT}",
            )
            for wrong in ("0", "100.1", "1e1", "all")
        ),
        (
            ("catalogue", "import", "a", "--dry-run", "--checkpoint", "b"),
            "--checkpoint keeps the position of written titles, but --dry-run writes none; leave one out",
        ),
        (("seed", "--items", "4"), "--titles and --items are sizes of a load-test data set; add --users"),
    ],
)
def test_wrong_usage_is_explained(fails_here: FailsHere, arguments: tuple[str, ...], message: str) -> None:
    assert fails_here(*arguments) == (2, f"mylist: {message}")


def test_wrong_usage_ends_the_process_with_status_2() -> None:
    assert fails("seed", "--users", "0") == (2, "mylist: --users is 0; it must be at least 1")


class TestToken:
    def test_is_accepted_by_a_service_with_the_same_settings(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = {
            "AUTH_MODE": "jwt",
            "JWT_SECRET": SECRET,
            "JWT_ISSUER": "https://a.example,https://b.example",
            "JWT_AUDIENCE": "web,tv",
            "JWT_USER_CLAIM": "uid",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        main(["token", "--user", "auth0|4711"])

        printed = capsys.readouterr().out
        assert printed.count("\n") == 1
        assert tokens_of(Settings.load(settings)).user_of(printed.strip()) == "auth0|4711"

    def test_has_account_and_profile_in_the_configured_claims(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = {"AUTH_MODE": "jwt", "JWT_SECRET": SECRET, "JWT_PROFILE_CLAIM": "profile"}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        main(["token", "--user", "ada/kids"])
        assert tokens_of(Settings.load(settings)).user_of(capsys.readouterr().out.strip()) == "ada/kids"

        for user_id in ("ada", "/kids", "ada/", "a/b/c"):
            with pytest.raises(SystemExit, match="1"):
                main(["token", "--user", user_id])
            assert capsys.readouterr().err == (
                f"mylist: --user is {user_id!r}; with JWT_PROFILE_CLAIM it must be ACCOUNT/PROFILE\n"
            )

    @pytest.mark.parametrize(
        "settings", [{}, {"AUTH_MODE": "jwt", "JWT_PUBLIC_KEY": pem(RSA_KEY)}], ids=["header", "public key"]
    )
    def test_cannot_be_signed_without_jwt_secret(
        self,
        fails_here: FailsHere,
        monkeypatch: pytest.MonkeyPatch,
        settings: dict[str, str],
    ) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        status, line = fails_here("token", "--user", "u")
        assert status == 1
        assert line.startswith("mylist: JWT_SECRET is not set, so no token can be signed here; ")

    @pytest.mark.parametrize("user_id", ["", "two words", "x" * 129])
    def test_for_an_invalid_user_id_is_refused(self, fails_here: FailsHere, user_id: str) -> None:
        assert fails_here("token", "--user", user_id) == (
            2,
            f"mylist: argument --user: {user_id!a} is not a user id; see `mylist token --help`",
        )


def test_config_reports_misspelled_settings_in_the_env_file() -> None:
    Path(".env").write_text("PROT=4001\nLOGLEVEL=s3cret\nHOME=/x\n")
    ended = run("config")

    assert ended.stderr.splitlines() == [
        "mylist: 'PROT' in line 1 of .env is not a setting; did you mean PORT?",
        "mylist: 'LOGLEVEL' in line 2 of .env is not a setting; did you mean LOG_LEVEL?",
    ]
    assert (ended.returncode, "s3cret" in ended.stdout + ended.stderr) == (0, False)


def test_a_command_reports_a_misspelled_environment_variable(monkeypatch: pytest.MonkeyPatch, silent_port: int) -> None:
    monkeypatch.setenv("MONGODB_URI", f"mongodb://127.0.0.1:{silent_port}/x")
    monkeypatch.setenv("REDIS_PASWORD", "s3cret")
    ended = run("seed")

    doubt, _ = ended.stderr.splitlines()
    assert doubt == "mylist: the environment variable 'REDIS_PASWORD' is not a setting; did you mean REDIS_PASSWORD?"
    assert (ended.returncode, "s3cret" in ended.stdout + ended.stderr) == (1, False)


def test_serve_logs_a_warning_for_a_misspelled_setting_in_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PROT=4001\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("HOST", "127.0.0.1")
        monkeypatch.setenv("PORT", str(other.getsockname()[1]))
        warning, _ = run("serve").stderr.splitlines()

    assert json.loads(warning)["level"] == "warning"
    assert json.loads(warning)["message"] == "'PROT' in line 1 of .env is not a setting; did you mean PORT?"
