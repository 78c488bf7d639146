"""Faults put in on purpose: each changes one line of the project, and a test must fail of it.

    python -m devtools.mutations [--only NAME …] [--tier TIER …] [--jobs N]
    python -m devtools.mutations --tree OLDER_CLONE --renames OLD=NEW …

The list is `mutations.yaml`. Each fault is put into a copy of the tree, and pytest runs the test that the list names,
in the tier that the list names. The same test must pass without the fault. Exit status 1 of pytest is red; any other
than 0 is no verdict, but says that the list does not fit the tree. Nothing is changed in the tree itself.
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
_PATIENCE = 300.0
# What is not copied of a tree: what is made of it, or would be run in its place.
_LEFT_OUT = {".git", ".venv", ".data", "build"}
_TOOLS = Path("build", "tools")
# Its plugin takes longer to load than most of the tests take, and none of them is of it.
_PYTEST = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")
_WIDTH = "200"
"""Of the terminal that pytest believes to have, so that it cuts no reason."""
_PASSED, _FAILED = 0, 1
_FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) .*? - (.*)$", re.MULTILINE)


class ListError(Exception):
    """The list does not fit the tree; the message is one line."""


class Mutation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault.

    Attributes:
        name: by which it is asked for.
        file: where it is put in.
        old: what stands there once: a line, or a part of it, with others around it where they tell which one.
        new: what comes in its place; one line differs.
        test: what pytest runs, and what must fail.
        tier: the smallest whose run has that test.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
    tier: Literal["fast", "standard", "extended"]

    def applied(self, text: str) -> str:
        """Returns the text with the fault in it.

        Raises:
            ListError: there is no one place for it, or it is not one line.
        """
        before, after = self.old.split("\n"), self.new.split("\n")
        if len(before) != len(after) or sum(a != b for a, b in zip(before, after, strict=True)) != 1:
            raise ListError(f"{self.name} does not change one line")
        if (count := text.count(self.old)) != 1:
            raise ListError(f"{self.name}: the old text stands {count} times in {self.file}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Ended:
    """How a run of pytest ended."""

    status: int
    seconds: float
    output: str

    @property
    def reason(self) -> str:
        """What it says of the first failure, or last of all."""
        lines = self.output.strip().splitlines()
        failure = _FIRST_FAILURE.search(self.output)
        return failure[1] if failure else lines[-1] if lines else ""


class Copy:
    """A copy of a tree, to put faults in."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self._folder = folder

        def left_out(where: str, names: list[str]) -> set[str]:
            made = {name for name in names if name == "__pycache__" or name.endswith("_cache")}
            return made | (_LEFT_OUT.intersection(names) if Path(where) == tree else set())

        shutil.copytree(tree, folder, symlinks=True, ignore=left_out)
        # Programs that tests fetch are fetched once.
        (tree / _TOOLS).mkdir(parents=True, exist_ok=True)
        (folder / _TOOLS).parent.mkdir()
        (folder / _TOOLS).symlink_to(tree / _TOOLS)
        # An environment may hold the package of the tree itself, as an editable one.
        path = filter(None, (str(folder / "service"), os.environ.get("PYTHONPATH")))
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "COLUMNS": _WIDTH}
        self._has_tiers = (folder / "tests" / "tiers.py").exists()
        self._require_own_package()

    def _require_own_package(self) -> None:
        says = "import mylist; print(mylist.__file__)"
        ended = self._run("-c", says)
        if not ended.output.startswith(str(self._folder)):
            raise ListError(f"not the copy would be tested, but {ended.output.strip()}")

    @contextmanager
    def mutated(self, mutation: Mutation, file: str) -> Iterator[None]:
        """Puts a fault in for as long as the context lasts.

        Raises:
            ListError: as `Mutation.applied`, or there is no such file.
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
        """Runs those tests that are of a tier, until one fails."""
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
            output, _ = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            output += f"\nnot ended after {_PATIENCE:g} s"
        return Ended(process.returncode, time.monotonic() - began, output)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        # Bytecode is taken for that of its source by size and whole seconds, which a fault may leave the same.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def mutations() -> list[Mutation]:
    """Returns the list.

    Raises:
        ListError: a name is there twice.
    """
    every = msgspec.yaml.decode(_LIST.read_bytes(), type=list[Mutation])
    names = [each.name for each in every]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ListError(f"there twice: {', '.join(sorted(twice))}")
    return every


class Trial:
    """Mutations tried on a tree, in so many copies at once.

    Args:
        tree: the tree.
        renames: what files and folders of the list are called in it, by their names in the list.
        copies: to work in.
        to: where a line is written for each.
    """

    def __init__(self, renames: Mapping[str, str], copies: Sequence[Copy], to: TextIO) -> None:
        self._renames = renames
        self._to = to
        self._jobs = len(copies)
        self._free: SimpleQueue[Copy] = SimpleQueue()
        for copy in copies:
            self._free.put(copy)

    def red(self, wanted: Sequence[Mutation]) -> int:
        """Returns how many of the mutations are seen by a test that passes without them."""
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
            self._say(f"FAILS WITHOUT ANY ({ended.status})", ended.seconds, file, ended.reason)
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
    parser.add_argument("--tree", type=Path, default=ROOT, help="the tree to try them on (default: this one)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument(
        "--tier", action="append", choices=_TIERS, help="those of this tier; repeat it for more; all unless given"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at once (default 2)")
    parser.add_argument(
        "--renames", nargs="+", default=[], metavar="OLD=NEW", help="an older tree has OLD where the list has NEW"
    )
    return parser.parse_args()


def main() -> int:
    """Runs the command; returns its exit status."""
    arguments = _arguments()
    tiers = arguments.tier or _TIERS
    every = mutations()
    if unknown := set(arguments.only or ()) - {each.name for each in every}:
        raise ListError(f"there is no {', '.join(sorted(unknown))}")
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
