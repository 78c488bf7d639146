"""The files of `/docs`, with and without Swagger UI installed."""

import logging
from pathlib import Path

import pytest

from mylist.api.routes import docs

PATHS = {"/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"}


def test_docs_are_served_if_swagger_ui_is_installed(caplog: pytest.LogCaptureFixture) -> None:
    assert set(docs.handlers()) == PATHS
    assert caplog.records == []


def test_without_swagger_ui_docs_are_not_served_and_one_warning_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Hides the installed package.
    (tmp_path / "flask_swagger_ui").mkdir()
    (tmp_path / "flask_swagger_ui" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert docs.handlers() == {}
    [line] = caplog.records
    assert line.levelno == logging.WARNING
    assert "/docs is not served" in line.message
    assert "locks/docs.txt" in line.message
