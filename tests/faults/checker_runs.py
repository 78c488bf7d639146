"""Short runs of the freshness checker, started like by `make faults`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from devtools.unmeasured import unmeasured

_REPOSITORY = Path(__file__).parents[2]
_PATIENCE_S = 500
_FEW_USERS = 24
"""Enough to strike with every fault, and few enough to leave the other workers their share of the machine."""


def run_checker(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the checker with command-line options."""
    command = [sys.executable, "-m", "tests.faults.freshness", *options]
    with unmeasured():
        return subprocess.run(
            command, cwd=_REPOSITORY, capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )


def check_freshness(folder: Path, mode: str, *faults: str, **others: object) -> tuple[int, dict[str, Any], str]:
    """Run the checker; return its exit status, its figures, and what it printed."""
    output = folder / "faults.json"
    chosen = {"mode": mode, "faults": ",".join(faults), "duration": 8, "seed": 1, "users": _FEW_USERS, "output": output}
    chosen |= others
    done = run_checker(*(f"--{name}={value}" for name, value in chosen.items()))
    printed = done.stdout + done.stderr
    assert output.exists(), printed
    return done.returncode, json.loads(output.read_text()), printed


def assert_nothing_is_stale_or_lost(folder: Path, mode: str, *faults: str, **others: object) -> None:
    """Run the checker with a mode that must pass, each fault at least once."""
    status, figures, printed = check_freshness(folder, mode, *faults, **others)

    assert status == 0, printed
    assert (figures["staleReads"], figures["lostWrites"], figures["otherViolations"]) == (0, 0, {})
    assert [kind for kind, of in figures["commands"].items() if not of.get("done")] == []
    assert (figures["events"]["troubles"], figures["events"]["changes"] > 0) == ([], True)
    assert {name: of["times"] > 0 for name, of in figures["faults"].items()} == dict.fromkeys(faults, True)
    assert "PASSED: no violation" in printed
