"""py-spy, which samples the stacks of a Python process from outside."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_SAMPLING_RATE_HZ = 200


class ProfileError(Exception):
    """The service cannot be profiled; the message is one line."""


def start(
    output: Path,
    *options: str,
    of: Sequence[str],
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[str]:
    """Start to sample the functions that hold the interpreter's lock; a waiting thread does not hold it.

    Args:
        output: the file to write.
        options: of `py-spy record`, such as its format.
        of: the process: `--pid` and its number, or `--` and the command line that starts it.
        variables: the environment of a process that is started.
        folder: in which it is started.
    """
    spy = Path(sys.executable).with_name("py-spy")
    shape = ["--gil", "--function", "--rate", str(_SAMPLING_RATE_HZ), "--output", str(output)]
    return subprocess.Popen(
        [spy, "record", *shape, *options, *of],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
        cwd=folder,
    )


def finish(spy: subprocess.Popen[str]) -> None:
    """Wait until py-spy has written its file.

    Raises:
        ProfileError: py-spy has no permission to read another process here.
    """
    _, errors = spy.communicate()
    if spy.returncode:
        words = errors.strip().splitlines()
        raise ProfileError(
            f"py-spy cannot record: {words[-1] if words else 'it says nothing'}; "
            "it needs the right to trace processes (root, or CAP_SYS_PTRACE in a container)"
        )
