"""`mylist events` during a run: killed again and again, and held against all that was really written."""

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from pymongo import MongoClient

from devtools.scripted_mongodb.data import place_of
from devtools.service_process import environment
from devtools.waiting import eventually
from mylist.events.event_lines import lines_of
from tests.faults.freshness.deployment import DATABASE

_LIFE_S = (3.0, 12.0)
"""Seconds after which the process is killed."""
_PATIENCE_S = 120.0
_MARKER = "the-last-change"


@dataclass(frozen=True, slots=True)
class EventFindings:
    """What the lines were, next to the changes.

    Attributes:
        changes: how many changes of lists there were that no election rolled back.
        duplicates: how many lines told one of them again.
        kills: how often the process was killed.
        troubles: what must not be, one line each.
    """

    changes: int
    duplicates: int
    kills: int
    troubles: list[str]


class FollowedEvents:
    """Follows the lists of a run with one process after the other.

    Args:
        folder: takes the lines and the logs.
        server: the URI of the server that has the data, past whatever is struck.
        uri: the MONGODB_URI of the process.
        seed: of the moments at which it is killed.
    """

    def __init__(self, folder: Path, server: str, uri: str, seed: object) -> None:
        self._lines = folder / "events.jsonl"
        self._log = folder / "events.log"
        self._server = server
        self._uri = uri
        self._dice = Random(f"{seed} events")
        self._kills = 0
        self._strange_ends: list[int] = []
        self._over = asyncio.Event()

    async def start(self) -> None:
        """Begin to follow, before the first change."""
        self._process = self._launch()
        await eventually(self._has_begun, within=_PATIENCE_S)
        with MongoClient[dict[str, Any]](self._server) as client, client[DATABASE]["mylist"].watch() as stream:
            self._begin = stream.resume_token
        self._killing = asyncio.create_task(self._keep_killing())

    async def finish(self, rolled_back: Sequence[tuple[int, int]]) -> EventFindings:
        """Wait until all is told, end the process, and hold its lines against the changes."""
        self._over.set()
        await self._killing
        await asyncio.to_thread(self._mark)
        troubles = []
        try:
            await eventually(self._is_told, within=_PATIENCE_S)
        except AssertionError:
            troubles.append(f"events: the last change was not told within {_PATIENCE_S:g} s")
        self._process.terminate()
        if status := await asyncio.to_thread(self._process.wait, _PATIENCE_S):
            self._strange_ends.append(status)
        return await asyncio.to_thread(self._findings, rolled_back, troubles)

    def kill(self) -> None:
        """End the process, if it runs still."""
        self._killing.cancel()
        self._process.kill()
        self._process.wait()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._lines.open("ab") as lines, self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "mylist", "events"],
                stdout=lines,
                stderr=log,
                env=environment({"MONGODB_URI": self._uri, "LOG_LEVEL": "info"}),
            )

    async def _has_begun(self) -> bool:
        return "the position is kept" in self._log.read_text()

    async def _is_told(self) -> bool:
        return _MARKER in self._lines.read_text()

    async def _keep_killing(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._dice.uniform(*_LIFE_S))
            status = self._process.poll()
            if status is not None:
                self._strange_ends.append(status)
            elif self._over.is_set():
                return
            else:
                self._process.kill()
                self._kills += 1
                await asyncio.to_thread(self._process.wait)
            self._process = self._launch()

    def _mark(self) -> None:
        item = {"contentId": "f" * 24, "contentType": "movie", "addedAt": datetime.now(UTC)}
        with MongoClient[dict[str, Any]](self._server) as client:
            client[DATABASE]["mylist"].insert_one({"userId": _MARKER, **item})

    def _findings(self, rolled_back: Sequence[tuple[int, int]], troubles: list[str]) -> EventFindings:
        expected = self._expected(rolled_back)
        # The last line of a process that was killed may be cut; the next one begins in its middle.
        texts = self._lines.read_bytes().splitlines()
        lines = []
        for text in texts:
            with suppress(ValueError):
                lines.append(json.loads(text))
        told = Counter(line["token"] for line in lines)
        lost = expected.keys() - told.keys()
        strange = told.keys() - expected.keys()
        wrong = sum(line["token"] in expected and line != expected[line["token"]] for line in lines)
        first: dict[str, list[int]] = defaultdict(list)
        for line in {line["token"]: line for line in reversed(lines)}.values():
            first[line["userId"]].append(place_of({"_data": line["token"]}))
        disordered = [user for user, places in first.items() if places[::-1] != sorted(places)]
        unexplained = len(texts) - len(lines) - self._kills
        for count, what in (
            (len(lost), "changes were lost"),
            (len(strange), "lines tell what an election rolled back, or what never was"),
            (wrong, "lines say something else than the change"),
            (len(disordered), "users' changes were told in another order"),
            (max(unexplained, 0), "lines are cut"),
            (len(self._strange_ends), f"processes ended by themselves, with {self._strange_ends}"),
            (self._log.read_text().count("Traceback"), "tracebacks in the log"),
        ):
            if count:
                troubles.append(f"events: {count} {what}")
        return EventFindings(len(expected), len(lines) - len(told), self._kills, troubles)

    def _expected(self, rolled_back: Sequence[tuple[int, int]]) -> dict[str, Any]:
        """Return the line of each change that the server itself tells, by its token."""
        expected: dict[str, Any] = {}
        with (
            MongoClient[dict[str, Any]](self._server, tz_aware=True) as client,
            client[DATABASE]["mylist"].watch(
                start_after=self._begin, full_document_before_change="whenAvailable"
            ) as stream,
        ):
            while event := stream.try_next():
                place = place_of(event["_id"])
                if any(after < place <= last for after, last in rolled_back):
                    continue
                for line in map(json.loads, lines_of(event, "")):
                    expected[line["token"]] = line
        return expected
