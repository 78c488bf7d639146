"""The folders of the programs: each is named after a lock file, so a changed lock fetches the program again."""

import hashlib
from pathlib import Path

LOCKS = Path(__file__).parent
_CACHE = LOCKS.parents[2] / "build" / "tools"


def folder(tool: str) -> Path:
    """Return the folder of a tool, which depends on the content of its lock file."""
    digest = hashlib.sha256((LOCKS / f"{tool}.txt").read_bytes()).hexdigest()[:12]
    kept = _CACHE / f"{tool}-{digest}"
    kept.mkdir(parents=True, exist_ok=True)
    return kept
