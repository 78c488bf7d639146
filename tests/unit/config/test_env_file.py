"""Variables and lines of `.env` that by mistake set nothing: each is reported once, without its value."""

import os
from pathlib import Path

import pytest

from mylist.config.mistyped_names import meant
from mylist.config.settings import InvalidSettingError, doubts, explain

_OF_OTHERS = """
    HOME PATH PWD OLDPWD SHELL TERM USER LANG LC_ALL TZ TMPDIR EDITOR PAGER LOGNAME HOSTNAME HOSTTYPE DISPLAY
    DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR SSH_AUTH_SOCK SSH_TTY COLORTERM MAKEFLAGS MAKELEVEL VIRTUAL_ENV
    REDIS_PORT_6379_TCP REDIS_SERVICE_HOST REDIS_SERVICE_PORT MONGODB_PORT MONGODB_SERVICE_HOST
    MONGODB_PORT_27017_TCP MYLIST_PORT MYLIST_SERVICE_HOST MYLIST_SERVICE_PORT_HTTP KUBERNETES_PORT
    KUBERNETES_SERVICE_HOST MYLIST_TOKEN MYLIST_URL CI CI_JOB_ID GITHUB_REF GITHUB_TOKEN GITLAB_CI NODE_ENV
    RAILS_ENV DATABASE_URL PGHOST PGPORT PGUSER PYTHONPATH PYTHONUNBUFFERED HTTP_PROXY HTTPS_PROXY NO_PROXY
    SSL_CERT_FILE JAVA_HOME GOPATH AWS_REGION AWS_ROLE_ARN DOCKER_HOST KUBECONFIG UV_INDEX PIP_INDEX_URL
    TEST_MONGODB_URI TEST_REDIS_URL LOADTEST_USERS OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_ENDPOINT LOGLEVELS_OF_OTHERS
    POST COST DOC HIST
"""


@pytest.fixture(autouse=True)
def nowhere_special(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a `.env`, and an environment without variables."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        monkeypatch.delenv(name)


each_slip = pytest.mark.parametrize(
    ("given", "setting"),
    [
        ("PROT", "PORT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("port", "PORT"),
        ("Log-Level", "LOG_LEVEL"),
        ("MONGO_URI", "MONGODB_URI"),
        ("MONGODB_URL", "MONGODB_URI"),
        ("REDIS_PASWORD", "REDIS_PASSWORD"),
        ("REDIS_URI", "REDIS_URL"),
        ("JWT_JWKS_URI", "JWT_JWKS_URL"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("CACHE_TLT", "CACHE_TTL"),
    ],
)


@each_slip
def test_a_mistyped_name_in_the_env_file_is_reported_with_the_intended_setting(given: str, setting: str) -> None:
    Path(".env").write_text(f"HSTS=off\n\n{given}=s3cret\n")

    assert doubts() == [f"{given!a} in line 3 of .env is not a setting; did you mean {setting}?"]


@each_slip
def test_a_mistyped_environment_variable_is_reported_with_the_intended_setting(
    given: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given, "s3cret")

    assert doubts() == [f"the environment variable {given!a} is not a setting; did you mean {setting}?"]


@pytest.mark.parametrize("file", ["", "MONGODB_URI=mongodb://a/b\n"])
def test_a_similar_variable_is_not_reported_if_the_setting_itself_is_set(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://c/d")
    Path(".env").write_text(file)
    if not file:
        monkeypatch.setenv("MONGODB_URI", "mongodb://a/b")

    assert doubts() == []


def test_a_mistyped_variable_without_a_value_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROT", "")
    assert doubts() == []


def test_common_variables_of_other_programs_are_not_taken_for_settings() -> None:
    """Shells, desktops, Kubernetes' links to Services, forges, languages and databases set them."""
    settings = [each.variable for each in explain()]

    assert {name: meant(name, settings) for name in _OF_OTHERS.split() if meant(name, settings)} == {}


@pytest.mark.parametrize(
    "line",
    ["PORT=4000", "PORT=", "# PROT=4000", "", "HOME=/x", "MONGODB_ROOT_PASSWORD=x", "MYLIST_TOKEN=x", "EDITOR=vi",
     "TEST_REDIS_URL=x", "OTEL_SERVICE_NAME=x", "export PORT=1", "NODE_ENV=x"],
)  # fmt: skip
def test_a_correct_or_foreign_line_is_not_reported(line: str) -> None:
    Path(".env").write_text(f"{line}\n")
    assert doubts() == []


@pytest.mark.parametrize("line", ["PORT", "export PORT", "s3cret"])
def test_a_line_without_an_equals_sign_is_reported(line: str) -> None:
    Path(".env").write_text(f"\ufeff# comment\n{line}\nPORT=4000\n", encoding="utf-8")
    assert doubts() == ["line 2 of .env has no =; it sets nothing"]


def test_an_env_file_that_is_a_folder_is_reported() -> None:
    Path(".env").mkdir()
    assert doubts() == [".env is a folder, so nothing is read from it"]


def test_a_missing_env_file_is_not_reported() -> None:
    assert doubts() == []


def test_an_env_file_that_is_not_utf_8_is_refused() -> None:
    Path(".env").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSettingError, match="not UTF-8"):
        doubts()
