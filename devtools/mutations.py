"""Mutations: faults put in on purpose. Each changes one line of the project and must make a test fail.

    python -m devtools.mutations [--only NAME …] [--tier TIER …] [--jobs N]
    python -m devtools.mutations --tree OLDER_CLONE --renames OLD=NEW …

The list is `mutations.yaml`. Each fault is put into a copy of the tree, and pytest runs the test that the list names,
in the tier that the list names. The same test must pass without the fault. If pytest exits with 1, the fault is red:
the test sees it. If pytest exits with 0, it is GREEN: the test is blind to it. Any other status is BROKEN: the list
does not fit the tree. The tree itself is never changed.

With `--tree`, the faults are tried on an older tree; `--renames` says what its files and folders were called. A fault
whose line was written differently there is reported as BROKEN.
"""

import argparse
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Literal, TextIO

import msgspec

ROOT = Path(__file__).parents[1]
_LIST = Path(__file__).with_suffix(".yaml")
_TIERS = ("fast", "standard", "extended")
_PYTEST_TIMEOUT_S = 300.0
# Not copied: generated files, and those that would run in place of the copy.
_NOT_COPIED = {".git", ".venv", ".data", "build"}
_TOOLS = Path("build", "tools")
# The plugin of schemathesis takes longer to load than most tests take to run, and these tests do not use it.
_PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")
# pytest shortens the reason of a failure to the width of its terminal.
_TERMINAL_COLUMNS = "200"
_PASSED, _FAILED = 0, 1
_FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) .*? - (.*)$", re.MULTILINE)


class ListError(Exception):
    """The list does not fit the tree; the message is one line."""


class Mutation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault.

    Attributes:
        name: the argument of `--only` that selects it.
        file: the file to change.
        old: the text to replace, which the file has once: a line, or a part of it, with its neighbours where these are
            needed to identify the line.
        new: the replacement; exactly one line differs.
        test: the test that must fail, as pytest names it.
        tier: the smallest tier that has the test.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
    tier: Literal["fast", "standard", "extended"]

    def applied(self, text: str) -> str:
        """Return the text with the fault in it.

        Raises:
            ListError: the text does not have `old` once, or the fault does not change one line.
        """
        before, after = self.old.split("\n"), self.new.split("\n")
        if len(before) != len(after) or sum(a != b for a, b in zip(before, after, strict=True)) != 1:
            raise ListError(f"{self.name} does not change one line")
        if (count := text.count(self.old)) != 1:
            raise ListError(f"{self.name}: {self.file} has the old text {count} times")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Ended:
    """How a run of pytest ended."""

    status: int
    seconds: float
    output: str

    @property
    def reason(self) -> str:
        """The reason of the first failure, or the last line of the output."""
        lines = self.output.strip().splitlines()
        failure = _FIRST_FAILURE.search(self.output)
        return failure[1] if failure else lines[-1] if lines else ""


class Copy:
    """A copy of a tree, to put faults in."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self._folder = folder

        def not_copied(where: str, names: list[str]) -> set[str]:
            made = {name for name in names if name == "__pycache__" or name.endswith(("_cache", ".so"))}
            return made | (_NOT_COPIED.intersection(names) if Path(where) == tree else set())

        shutil.copytree(tree, folder, symlinks=True, ignore=not_copied)
        # Share the programs that tests download.
        (tree / _TOOLS).mkdir(parents=True, exist_ok=True)
        (folder / _TOOLS).parent.mkdir()
        (folder / _TOOLS).symlink_to(tree / _TOOLS)
        # The environment may have the package of the tree itself installed as editable.
        path = filter(None, (str(folder / "service"), os.environ.get("PYTHONPATH")))
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "COLUMNS": _TERMINAL_COLUMNS}
        self._has_tiers = (folder / "tests" / "tiers.py").exists()
        self._require_own_package()

    def _require_own_package(self) -> None:
        ended = self._run("-c", "import mylist; print(mylist.__file__)")
        if not ended.output.startswith(str(self._folder)):
            raise ListError(f"the tests would import {ended.output.strip()}, not the copy")

    @contextmanager
    def mutated(self, mutation: Mutation, file: str) -> Iterator[None]:
        """Put a fault in for as long as the context lasts.

        Raises:
            ListError: as `Mutation.applied`, or the file does not exist.
        """
        path = self._folder / file
        if not path.exists():
            raise ListError(f"{mutation.name}: there is no {file}")
        text = path.read_text()
        self._write(path, mutation.applied(text))
        try:
            yield
        finally:
            self._write(path, text)

    def pytest(self, tier: str, tests: Sequence[str]) -> Ended:
        """Run those of the tests that are of a tier, until one fails."""
        of_tier = ["--tier", tier] if self._has_tiers else []
        return self._run(*_PYTEST, *of_tier, *tests)

    def _run(self, *arguments: str) -> Ended:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=_PYTEST_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            output += f"\nnot ended after {_PYTEST_TIMEOUT_S:g} s"
        return Ended(process.returncode, time.monotonic() - began, output)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        # Python matches bytecode with its source by size and whole seconds, and a fault may change neither.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def mutations() -> list[Mutation]:
    """Return the list.

    Raises:
        ListError: a name is not unique.
    """
    every = msgspec.yaml.decode(_LIST.read_bytes(), type=list[Mutation])
    names = [each.name for each in every]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ListError(f"not unique: {', '.join(sorted(twice))}")
    return every


class Trial:
    """Tries mutations on a tree, one at a time on each copy.

    Args:
        renames: the names of files and folders in the tree, by their names in the list.
        copies: the copies of the tree.
        to: where a line is written for each mutation.
    """

    def __init__(self, renames: Mapping[str, str], copies: Sequence[Copy], to: TextIO) -> None:
        self._renames = renames
        self._to = to
        self._jobs = len(copies)
        self._free: SimpleQueue[Copy] = SimpleQueue()
        for copy in copies:
            self._free.put(copy)

    def red(self, wanted: Sequence[Mutation]) -> int:
        """Return how many of the mutations are seen by a test that passes without them."""
        with ThreadPoolExecutor(self._jobs) as pool:
            groups: dict[tuple[str, str], set[str]] = {}
            for each in wanted:
                groups.setdefault((each.tier, each.test.partition("::")[0]), set()).add(self._here(each.test))
            ended = dict(zip(groups, pool.map(self._passes, groups, groups.values()), strict=True))
            passing = [each for each in wanted if ended[each.tier, each.test.partition("::")[0]]]
            return sum(pool.map(self._is_seen, passing))

    def _passes(self, group: tuple[str, str], tests: set[str]) -> bool:
        tier, file = group
        with self._copy() as copy:
            ended = copy.pytest(tier, sorted(tests))
        if ended.status != _PASSED:
            self._say(f"FAILS WITHOUT A FAULT ({ended.status})", ended.seconds, file, ended.reason)
        return ended.status == _PASSED

    def _is_seen(self, mutation: Mutation) -> bool:
        try:
            with self._copy() as copy, copy.mutated(mutation, self._here(mutation.file)):
                ended = copy.pytest(mutation.tier, [self._here(mutation.test)])
        except ListError as error:
            self._say("BROKEN", 0, mutation.name, str(error))
            return False
        verdict = {_PASSED: "GREEN", _FAILED: "red"}.get(ended.status, f"BROKEN ({ended.status})")
        self._say(verdict, ended.seconds, mutation.name, ended.reason if ended.status != _PASSED else mutation.test)
        return ended.status == _FAILED

    def _here(self, path: str) -> str:
        for listed, here in self._renames.items():
            if path.startswith((f"{listed}/", f"{listed}::")) or path == listed:
                return here + path.removeprefix(listed)
        return path

    @contextmanager
    def _copy(self) -> Iterator[Copy]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)

    def _say(self, verdict: str, seconds: float, what: str, why: str) -> None:
        self._to.write(f"{verdict:<12}{seconds:6.1f} s  {what:<44} {why[:120]}\n")
        self._to.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put faults in on purpose, and expect the tests to see them.")
    parser.add_argument("--tree", type=Path, default=ROOT, help="try them on this tree (default: the one of this file)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="try only these")
    parser.add_argument("--tier", action="append", choices=_TIERS, help="try only those of this tier; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many to try at once (default 2)")
    parser.add_argument(
        "--renames", nargs="+", default=[], metavar="OLD=NEW", help="the tree has OLD where the list has NEW"
    )
    return parser.parse_args()


def main() -> int:
    """Run the command; return its exit status."""
    arguments = _arguments()
    tiers = arguments.tier or _TIERS
    every = mutations()
    if unknown := set(arguments.only or ()) - {each.name for each in every}:
        raise ListError(f"no such mutation: {', '.join(sorted(unknown))}")
    wanted = [each for each in every if each.tier in tiers and (not arguments.only or each.name in arguments.only)]
    renames = {new: old for old, _, new in (each.partition("=") for each in arguments.renames)}
    with tempfile.TemporaryDirectory(prefix="mylist-mutations-") as folder:
        make = partial(Copy, arguments.tree.resolve())
        copies = [make(Path(folder).resolve() / str(number)) for number in range(arguments.jobs)]
        red = Trial(renames, copies, sys.stdout).red(wanted)
    sys.stdout.write(f"{red} red of {len(wanted)}\n")
    return int(red != len(wanted))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ListError as problem:
        sys.exit(f"mutations: {problem}")
