"""The documentation's files where Swagger UI's are installed and where they are not."""

import logging
from pathlib import Path

import pytest

from mylist.api.routes import docs

PATHS = {"/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"}


def test_are_served_where_they_are_installed(caplog: pytest.LogCaptureFixture) -> None:
    assert set(docs.handlers()) == PATHS
    assert caplog.records == []


def test_are_missed_in_one_line_where_they_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Hides the installed one.
    (tmp_path / "flask_swagger_ui").mkdir()
    (tmp_path / "flask_swagger_ui" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert docs.handlers() == {}
    [line] = caplog.records
    assert line.levelno == logging.WARNING
    assert "/docs is not served" in line.message
    assert "locks/docs.txt" in line.message
