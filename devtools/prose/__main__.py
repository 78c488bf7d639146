"""Lint the prose of this repository: `python -m devtools.prose` checks every text, or the files that are named."""

import subprocess
import sys
from pathlib import Path

from devtools.prose import vale

ROOT = Path(__file__).parents[2]


def main(names: list[str]) -> int:
    """Run Vale and return its exit status."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    try:
        program = vale.path()
    except vale.ValeError as error:
        print(error, file=sys.stderr)
        return 1
    command = [program, "--output=line", "--minAlertLevel=error", *(names or listed.stdout.split())]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
