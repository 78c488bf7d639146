"""Lint the prose of this repository: `python -m devtools.prose` checks every text, or the files that are named.

Markdown is checked as it is. Of code, the messages, docstrings and comments are written to build/prose first.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from devtools.prose import extract, vale

ROOT = Path(__file__).parents[2]
_EXTRACTS = Path("build") / "prose"
_MESSAGES_OF = ("service/", "charts/")
_HASH = (".yaml", ".yml", ".sh", "Makefile", "Dockerfile", ".ci/run", "pyproject.toml", ".env.example")


def main(names: list[str]) -> int:
    """Run Vale and return its exit status."""
    try:
        program = vale.path()
    except vale.ValeError as error:
        print(error, file=sys.stderr)
        return 1
    shutil.rmtree(ROOT / _EXTRACTS, ignore_errors=True)
    texts = [text for name in names or _tracked() for text in _texts(name)]
    if not texts:
        return 0
    command = [program, "--output=line", "--minAlertLevel=error", *texts]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    for line in ended.stdout.splitlines():
        kind, _, place = line.removeprefix(f"{_EXTRACTS}/").partition("/")
        print(place.replace(".md:", ":", 1) if line.startswith(f"{_EXTRACTS}/{kind}") else line)
    print(ended.stderr, end="", file=sys.stderr)
    return ended.returncode


def _tracked() -> list[str]:
    git = ("git", "ls-files")
    return subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def _texts(name: str) -> list[str]:
    """Return the pages that have the prose of a file, and write those that code has."""
    kinds: dict[str, Callable[[str], str]] = {}
    if name.endswith(".md"):
        return [name]
    if name.endswith(".py"):
        kinds["comments"] = extract.docstrings_and_comments
        if name.startswith(_MESSAGES_OF):
            kinds["messages"] = extract.messages
    elif name.endswith(_HASH) and not name.startswith(".vale"):
        kinds["comments"] = extract.hash_comments
    pages = []
    for kind, extracted in kinds.items():
        page = _EXTRACTS / kind / f"{name}.md"
        if (text := extracted((ROOT / name).read_text())).strip():
            (ROOT / page).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / page).write_text(text)
            pages.append(str(page))
    return pages


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
