"""The folder of the programs: one for each, named after its lock, so that a changed lock fetches it again."""

import hashlib
from pathlib import Path

LOCKS = Path(__file__).parent
_CACHE = LOCKS.parents[2] / "build" / "tools"


def folder(tool: str) -> Path:
    """Return the folder of a tool as its lock has it."""
    digest = hashlib.sha256((LOCKS / f"{tool}.txt").read_bytes()).hexdigest()[:12]
    kept = _CACHE / f"{tool}-{digest}"
    kept.mkdir(parents=True, exist_ok=True)
    return kept
