"""The lines of `.env` that set nothing: each is told once, without its value."""

from pathlib import Path

import pytest

from mylist.config.settings import InvalidSettingError, doubts_about_env_file


@pytest.fixture(autouse=True)
def nowhere_special(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a `.env`."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("PROT", "PORT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("port", "PORT"),
        ("Log-Level", "LOG_LEVEL"),
        ("MONGO_URI", "MONGODB_URI"),
        ("REDIS_PASWORD", "REDIS_PASSWORD"),
        ("JWT_JWKS_URI", "JWT_JWKS_URL"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
    ],
)
def test_a_mistyped_name_is_told_with_the_one_that_was_meant(given: str, meant: str) -> None:
    Path(".env").write_text(f"PORT=4000\n\n{given}=s3cret\n")

    [doubt] = doubts_about_env_file()
    assert doubt == f"{given!a} in line 3 of .env is not a setting; did you mean {meant}?"


@pytest.mark.parametrize(
    "line",
    ["PORT=4000", "PORT=", "# PROT=4000", "", "HOME=/x", "MONGODB_ROOT_PASSWORD=x", "MYLIST_TOKEN=x", "EDITOR=vi",
     "TEST_REDIS_URL=x", "OTEL_SERVICE_NAME=x", "export PORT=1", "NODE_ENV=x"],
)  # fmt: skip
def test_what_is_right_or_foreign_is_left_alone(line: str) -> None:
    Path(".env").write_text(f"{line}\n")
    assert doubts_about_env_file() == []


@pytest.mark.parametrize("line", ["PORT", "export PORT", "s3cret"])
def test_a_line_without_an_equals_sign_is_told(line: str) -> None:
    Path(".env").write_text(f"\ufeff# comment\n{line}\nPORT=4000\n", encoding="utf-8")
    assert doubts_about_env_file() == ["line 2 of .env has no =; it sets nothing"]


def test_a_file_that_is_a_folder_is_told() -> None:
    Path(".env").mkdir()
    assert doubts_about_env_file() == [".env is a folder, so that nothing is read from it"]


def test_no_file_is_no_matter() -> None:
    assert doubts_about_env_file() == []


def test_a_file_that_is_no_text_is_named() -> None:
    Path(".env").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSettingError, match="not UTF-8"):
        doubts_about_env_file()
