"""Processes whose coverage a run does not measure."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from devtools.unmeasured import unmeasured

VARIABLE = "COVERAGE_PROCESS_CONFIG"


def test_coverage_is_off_inside_the_context_and_on_again_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = [sys.executable, "-S", "-c", f"import os; print({VARIABLE!r} in os.environ)"]
    monkeypatch.setenv(VARIABLE, ":data:e30=")
    with suppress(KeyError), unmeasured():
        assert subprocess.run(tell, capture_output=True, text=True, check=True).stdout == "False\n"
        raise KeyError

    assert os.environ[VARIABLE] == ":data:e30="


def test_without_coverage_the_context_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with unmeasured():
        pass

    assert VARIABLE not in os.environ
