"""The lines that a run leaves out of its coverage."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from devtools.unmeasured import unmeasured

VARIABLE = "COVERAGE_PROCESS_CONFIG"


def test_a_process_within_is_not_measured_and_those_after_it_are(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = [sys.executable, "-S", "-c", f"import os; print({VARIABLE!r} in os.environ)"]
    monkeypatch.setenv(VARIABLE, ":data:e30=")
    with suppress(KeyError), unmeasured():
        assert subprocess.run(tell, capture_output=True, text=True, check=True).stdout == "False\n"
        raise KeyError

    assert os.environ[VARIABLE] == ":data:e30="


def test_a_run_that_measures_nothing_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with unmeasured():
        pass

    assert VARIABLE not in os.environ
