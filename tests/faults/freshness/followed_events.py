"""`mylist events` during a run: it is ended again and again, and its lines are compared with all real writes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
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
from mylist.domain.timestamps import iso_format
from tests.faults.freshness.told_changes import Contents, Line, ToldChanges, compare

_LIFE_S = (3.0, 12.0)
"""Seconds until the process is ended. They begin when the process can deliver events, which takes long on a busy
machine."""
_UNREAD_S = (0.0, 3.0)
"""Seconds before that end in which its lines are not read. The process may save its position in that time."""
_PIPE_SIZE = 4096
"""Bytes; a pipe of the usual size would take all lines of that time, as if they were read."""
_PATIENCE_S = 120.0
_SHOWN_LENGTH = 3000
"""Of a traceback, in characters."""
_MARKER = "the-last-change"
_BEGUN = ("Reading changes of lists", "No saved position")
_KEPT = "The position is saved"
_REOPENED = "resumes at the same position"
_LISTS = "mylist"
_LOST, _DISORDERED, _REPEATED = (
    ("lost", "changes missing from events"),
    ("disordered", "lines out of order"),
    ("repeated", "lines told again by the same process"),
)
MUST_FIND = {"early": _LOST, "forgetful": _LOST, "repeating": _REPEATED, "shuffled": _DISORDERED}
"""The faults of `mylist events`, as faulty_events.py has them, and what each must lead to."""


@dataclass(frozen=True, slots=True)
class EventFindings:
    """The events of a run.

    Attributes:
        told: the comparison of the lines with the changes.
        processes: how many there were, one after the other.
        reopened: how often a process logged that it opened its stream again; it logs that at most once a minute.
        troubles: what went wrong, one line each.
    """

    told: ToldChanges
    processes: int
    reopened: int
    troubles: list[str]


NOTHING_FOLLOWED = EventFindings(compare([], []), 0, 0, [])


def events_program(fault: str) -> Sequence[str]:
    """Return what Python runs for `mylist` if `mylist events` has this fault; an empty name means no fault."""
    return ("-P", str(Path(__file__).with_name("faulty_events.py")), fault) if fault else ("-m", "mylist")


class FollowedEvents:
    """Follows lists with one process after the other.

    Each ends in one of three ways, after its lines were not read for a while. It is killed, or it is terminated, or its
    reader goes away and leaves lines in the pipe. Of three in a row, each ends in another way.

    Args:
        folder: takes the logs.
        server: the URI of the server that has the data, without the faults in between.
        uri: the MONGODB_URI of the process.
        database: the name of the database in both.
        seed: of the moments and ways in which a process ends.
        program: what Python runs for `mylist`.
    """

    def __init__(  # noqa: PLR0913 - each is named at the calls
        self,
        folder: Path,
        *,
        server: str,
        uri: str,
        database: str,
        seed: object,
        program: Sequence[str],
    ) -> None:
        self._folder = folder
        self._server = server
        self._uri = uri
        self._database = database
        self._dice = Random(f"{seed} events")
        self._program = program
        self._processes: list[_Process] = []
        self._ways = (self._kill, self._stop, self._leave)
        self._ends = 0
        self._strange_ends: list[str] = []
        self._over = asyncio.Event()

    @property
    def processes(self) -> int:
        """How many processes there were so far."""
        return len(self._processes)

    async def has_ended_in_each_way(self) -> bool:
        """Whether a process was killed, one terminated, and one left by its reader."""
        return self._ends >= len(self._ways)

    async def start(self) -> None:
        """Begin to follow, before the first change."""
        self._launch()
        await eventually(self._keeps_its_position, within=_PATIENCE_S)
        await asyncio.to_thread(self._note_beginning)
        self._ending = asyncio.create_task(self._keep_ending())

    async def finish(self, rolled_back: Sequence[tuple[int, int]]) -> EventFindings:
        """Wait until all changes are delivered, end the process, and compare all lines with the changes."""
        self._over.set()
        await self._ending
        await asyncio.to_thread(self._mark)
        troubles = []
        try:
            await eventually(self._is_told, within=_PATIENCE_S)
        except AssertionError:
            troubles.append(f"events: the last change was not told within {_PATIENCE_S:g} s")
        await self._stop(self._processes[-1])
        changes, after = await asyncio.to_thread(self._read_changes, rolled_back)
        told = compare([bytes(each.lines) for each in self._processes], changes, before=self._before, after=after)
        log = "".join(each.log for each in self._processes)
        traceback = log.partition("Traceback")[2][:_SHOWN_LENGTH]
        for count, what in (
            (len(self._strange_ends), f"processes ended with another status, the first with {self._strange_ends[:1]}"),
            (log.count("Traceback"), f"tracebacks in the log, the first {traceback}"),
        ):
            if count:
                troubles.append(f"events: {count} {what}")
        return EventFindings(told, len(self._processes), log.count(_REOPENED), troubles + told.troubles)

    def kill(self) -> None:
        """End the process if it still runs."""
        self._ending.cancel()
        self._processes[-1].kill()

    def _launch(self) -> None:
        settings = environment({"MONGODB_URI": self._uri, "LOG_LEVEL": "info"})
        log = self._folder / f"events-{len(self._processes) + 1}.log"
        self._processes.append(_Process([*self._program, "events"], log, settings))

    async def _keeps_its_position(self) -> bool:
        return _KEPT in self._processes[-1].log

    async def _has_begun(self) -> bool:
        process = self._processes[-1]
        return any(each in process.log for each in _BEGUN) or process.status is not None or self._over.is_set()

    async def _is_told(self) -> bool:
        return _MARKER.encode() in self._processes[-1].lines

    async def _keep_ending(self) -> None:
        ways: list[Callable[[_Process], Awaitable[None]]] = []
        while not self._over.is_set():
            await eventually(self._has_begun, within=_PATIENCE_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._dice.uniform(*_LIFE_S))
            process = self._processes[-1]
            if process.status is not None:
                self._strange_ends.append(process.last_words())
                process.read_rest()
            elif self._over.is_set():
                return
            else:
                process.pause()
                await asyncio.sleep(self._dice.uniform(*_UNREAD_S))
                ways = ways or self._dice.sample(self._ways, len(self._ways))
                await ways.pop()(process)
                self._ends += 1
            self._launch()

    async def _kill(self, process: "_Process") -> None:
        await asyncio.to_thread(process.kill)
        process.read_rest()

    async def _stop(self, process: "_Process") -> None:
        process.resume()
        process.send_signal(signal.SIGTERM)
        await self._expect(process, 0)
        process.read_rest()

    async def _leave(self, process: "_Process") -> None:
        process.close()
        await self._expect(process, 1)

    async def _expect(self, process: "_Process", expected: int) -> None:
        try:
            status = await asyncio.to_thread(process.wait, _PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait(_PATIENCE_S)
        if status != expected:
            self._strange_ends.append(process.last_words())

    def _note_beginning(self) -> None:
        with self._client() as client:
            with client[self._database][_LISTS].watch() as stream:
                self._begin = stream.resume_token
            self._before = self._contents(client)

    def _mark(self) -> None:
        item = {"contentId": "f" * 24, "contentType": "movie", "addedAt": datetime.now(UTC)}
        with self._client() as client:
            client[self._database][_LISTS].insert_one({"userId": _MARKER, **item})

    def _read_changes(self, rolled_back: Sequence[tuple[int, int]]) -> tuple[list[Line], Contents]:
        """Return the line of each change, from the server's own change stream, and the content of the lists."""
        changes: list[Line] = []
        with (
            self._client() as client,
            client[self._database][_LISTS].watch(
                start_after=self._begin, full_document_before_change="whenAvailable"
            ) as stream,
        ):
            while not any(change["userId"] == _MARKER for change in changes[-1:]):
                event = stream.next()
                place = place_of(event["_id"])
                if any(after < place <= last for after, last in rolled_back):
                    continue
                changes += _told_by(event)
            return changes, self._contents(client)

    def _contents(self, client: MongoClient[dict[str, Any]]) -> Contents:
        documents = client[self._database][_LISTS].find()
        return {(each["userId"], each["contentId"]): iso_format(each["addedAt"]) for each in documents}

    def _client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(self._server, tz_aware=True)


class _Process:
    """A process of `mylist events`, and its reader, which pauses at times.

    Attributes:
        lines: lines that were read so far.
    """

    def __init__(self, command: Sequence[str], log: Path, settings: dict[str, str]) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, *command], stdout=subprocess.PIPE, pipesize=_PIPE_SIZE, stderr=file, env=settings
            )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout
        os.set_blocking(self._pipe.fileno(), False)
        self.lines = bytearray()
        self.resume()

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Return its exit status, and what it logged last."""
        return f"{self.status}: {self.log.strip().rpartition(chr(10))[2]}"

    def wait(self, patience_s: float) -> int:
        """Wait for its end; return the exit status."""
        return self._process.wait(patience_s)

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it by SIGKILL if it still runs."""
        self._process.kill()
        self._process.wait()

    def resume(self) -> None:
        """Read its lines as they come."""
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._read)

    def pause(self) -> None:
        """Leave its lines in the pipe."""
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())

    def read_rest(self) -> None:
        """Read what it has left in the pipe, after its end."""
        self.pause()
        while self._read():
            pass
        self._pipe.close()

    def close(self) -> None:
        """Close the pipe, even with lines left in it."""
        self.pause()
        self._pipe.close()

    def _read(self) -> bool:
        chunk = os.read(self._pipe.fileno(), _PIPE_SIZE)
        self.lines += chunk
        if not chunk:
            self.pause()
        return bool(chunk)


def _told_by(event: dict[str, Any]) -> list[Line]:
    """Return the line that an event of the change stream should have; none if it concerns no item.

    This does not ask `mylist`, which is under test.
    """
    before, after = event.get("fullDocumentBeforeChange"), event.get("fullDocument")
    match event["operationType"]:
        case "insert":
            before = None
        case "update":
            assert before is not None
            after = before | event["updateDescription"]["updatedFields"]
        case "delete":
            after = None
    item = after or before
    if item is None or (after and before and after["addedAt"] == before["addedAt"]):
        return []
    line = {name: item[name] for name in ("userId", "contentId", "contentType")}
    line |= {"change": "added", "addedAt": iso_format(item["addedAt"])} if after else {"change": "removed"}
    at = event.get("wallTime") or event["clusterTime"].as_datetime()
    return [line | {"at": iso_format(at), "token": event["_id"]["_data"]}]
