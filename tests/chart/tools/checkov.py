"""Checkov in an environment of its own, because its requirements contradict those of other development packages."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.chart.tools.tool_cache import LOCKS, folder
from tests.requirements import skip_or_fail


class Finding(NamedTuple):
    """A finding of checkov: the check, the object as `Kind.namespace.name`, the file without `.yaml`."""

    check: str
    resource: str
    file: str


def findings(rendered: Path) -> set[Finding]:
    """Return checkov's findings in a folder of rendered files; it connects to no server."""
    ended = subprocess.run(
        [
            *(str(_python()), "-m", "checkov.main", "--directory", str(rendered), "--framework", "kubernetes"),
            *("--output", "json", "--quiet", "--compact", "--skip-download", "--soft-fail"),
        ],
        env=os.environ | {"LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["summary"]["passed"], report["summary"]
    assert not report["summary"]["parsing_errors"], report["summary"]
    return {
        Finding(each["check_id"], each["resource"], Path(each["file_path"]).stem)
        for each in report["results"]["failed_checks"]
    }


def _python() -> Path:
    kept = folder("checkov")
    python = kept / "bin" / "python"
    made = kept / "made"
    if not made.exists():
        uv = Path(sys.executable).with_name("uv")
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, kept],
            [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", LOCKS / "checkov.txt"],
        ):
            ended = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
            if ended.returncode:
                skip_or_fail(f"checkov cannot be fetched: {ended.stderr.strip()[-200:]}")
        made.touch()
    return python
